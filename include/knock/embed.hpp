// SPDX-License-Identifier: GPL-2.0-or-later
/// Embed: what the admin's table has to have for us, and what of it is not there.
///
/// In:      the chains of the admin's table with their rules in short; the template embed.nft.
/// Out:     what only the admin can mend, each with the line to type.
/// The rules are compared by their gist: what they look up, what they report to, where they lead. The bytes of a rule
/// depend on the version of nft that made it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <knock/config.hpp>
#include <knock/table_seen.hpp>

namespace knock {

/// A rule in short: "@ours @guarded goto knockgate_guard", "log group 40 return". Sets without a name are left out.
class RuleGist {
 public:
  void looks(std::string_view set, bool inverted) { add(std::string(inverted ? "!= @" : "@") += set); }
  void logs(std::string_view group) { add("log group " + std::string(group)); }
  /// "limit", "drop", "goto knockgate_guard"
  void add(std::string_view words) { (text_ += text_.empty() ? "" : " ") += words; }
  [[nodiscard]] std::string text() && { return std::move(text_); }

 private:
  std::string text_;
};

struct ChainSeen {
  std::string name;
  bool hears_input = false;         ///< a base chain of hook input
  bool referred = false;            ///< something jumps to it, maybe an element of a map
  std::vector<std::string> rules{}; ///< the gist of each
};

/// The chains that embed.nft declares.
std::vector<ChainSeen> embed_chains(const Config& config);

/// `dormant`: nothing in the table is in force.
std::vector<TableFault> embed_faults(const Config& config, const std::vector<ChainSeen>& chains,
                                     bool dormant);

} // namespace knock
