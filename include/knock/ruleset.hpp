// SPDX-License-Identifier: GPL-2.0-or-later
/// Ruleset: the nft templates as text, and the static sets as text. Rules are never built in C++.
///
/// In:     a template's name, the tokens that vary, the sets' contents.
/// Out:    text for libnftables; one text is one transaction.
/// Source: nft-templates/README.md is the contract: set names, key types, tokens.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <knock/batch.hpp>
#include <knock/config.hpp>
#include <knock/result.hpp>

namespace knock {

/// What of a template varies. nft 1.0.6 takes no variable in `log group` and `size`, so they are replaced.
struct TemplateTokens {
  std::string table = "knockgate"; ///< gate only: embed.nft stands inside the admin's table
  std::uint16_t group = 40;        ///< the first of four
  std::uint32_t grants = 65'536;   ///< a set's size is twice this: an ended element keeps its slot a while
  std::uint32_t mark = 0;
  std::uint32_t seed = 1; ///< of the hash that gives a source its group; the same in every rule
};

TemplateTokens tokens_of(const Config& config);

/// What the comment of a table of ours begins with: by it we know that we may delete it.
inline constexpr std::string_view kTableComment = "turn off: knockctl off";

/// Of a table that another made, which is never loaded over or deleted.
Error taken_error(std::string_view table);

/// The text as the daemon loads it. Returns nothing for a name that is no template of this version.
std::optional<std::string> template_text(std::string_view name, const TemplateTokens& tokens);

/// Whether gate mode may load a chain of this name; `begins`: a base chain.
bool is_template_chain(std::string_view name, bool begins);
/// What gate mode loads: gate, and of forward, cut, wide and kn1 what the enabled doors ask for.
std::string rules_text(const Config& config);

/// A guarded port; with `left` the kernel unguards it by itself unless confirmed.
struct Guarded {
  Port port;
  std::optional<Millis> left;
  auto operator<=>(const Guarded&) const = default;
};

/// The sets that follow from the config alone.
struct StaticSets {
  std::vector<Guarded> guarded;
  std::vector<Port> knocks;    ///< TCP and UDP
  std::vector<Protocol> pings; ///< icmp, icmp6: whose echo requests are steps
  std::vector<Port> kn1;       ///< UDP ports where signed packets are reported
  bool kn1_icmp = false;       ///< echo requests and replies, too
  std::vector<Port> cut;
  std::vector<Prefix> also;
  bool reset = false;
  std::vector<std::string> trust_interfaces;
  std::vector<Prefix> trust_prefixes;
  bool operator==(const StaticSets&) const = default;
};

/// The ports a door guards: what it opens, and the outer ports of its forwards. Sorted.
std::vector<Port> guarded_by(const Door& door);
/// Every enabled door's ports and knocks, and the trusted. `guarded` without any `left`.
StaticSets static_sets_of(const Config& config);

/// Statements that make the static sets of `table` hold just `sets` ("" for none). Embed has no trust.
std::string elements_text(std::string_view table, Mode mode, const StaticSets& sets);
/// Statements that do what `batch` says; for the transaction that also loads rules.
std::string batch_text(std::string_view table, const Batch& batch);
/// The boot file: template, confirmed static sets, nothing that ends.
std::string boot_text(const Config& config, const StaticSets& sets);

/// The ports that a boot file guards. Sorted; none for a text that is no boot file.
std::vector<Port> guarded_in(std::string_view boot_text);

/// A set that we fill, as embed.nft has it: what embed mode looks for in the admin's table.
struct SetShape {
  std::string_view name;
  std::uint32_t key_type;  ///< nft's datatype number, six bits a part
  std::uint32_t key_bytes; ///< each part padded to four bytes
  std::string_view definition;
};
std::vector<SetShape> embed_shapes();

} // namespace knock
