// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/embed.hpp>

#include <algorithm>
#include <sstream>

#include <fmt/format.h>

#include <knock/ruleset.hpp>

namespace knock {
namespace {

/// Without a comment, and without sets that have no name.
std::string bare(std::string line) {
  line.resize(std::min(line.find('#'), line.size()));
  for (std::size_t at = 0; (at = line.find('{')) != std::string::npos;)
    line.erase(at, line.find('}', at) - at + 1);
  return line;
}

/// Of a rule as embed.nft writes it.
std::string gist_of(const std::string& rule) {
  RuleGist gist;
  std::istringstream words(rule);
  for (std::string word, before; words >> word; before = word) {
    if (word.front() == '@') gist.looks(word.substr(1), before == "!=");
    if (before == "group") gist.logs(word);
    if (before == "goto" || before == "jump") gist.add(before + " " + word);
    if (word == "limit" || word == "accept" || word == "drop" || word == "return") gist.add(word);
  }
  return std::move(gist).text();
}

const ChainSeen* find(const std::vector<ChainSeen>& chains, std::string_view name) {
  const auto found =
      std::find_if(chains.begin(), chains.end(), [&](const ChainSeen& one) { return one.name == name; });
  return found == chains.end() ? nullptr : &*found;
}

/// How `seen` is another than embed.nft has it; empty: it is not.
std::string difference(const ChainSeen& wanted, const ChainSeen* seen) {
  if (seen == nullptr) return fmt::format("chain {} is gone", wanted.name);
  if (seen->rules == wanted.rules) return {};
  if (seen->rules.empty()) return fmt::format("chain {} is empty", wanted.name);
  if (seen->rules.size() != wanted.rules.size())
    return fmt::format("chain {} has {} rules, not {}", wanted.name, seen->rules.size(), wanted.rules.size());
  const auto [there, meant] = std::mismatch(seen->rules.begin(), seen->rules.end(), wanted.rules.begin());
  return fmt::format("rule {} of chain {} is not `{}`", there - seen->rules.begin() + 1, wanted.name, *meant);
}

bool leads_to(const ChainSeen& chain, std::string_view target) {
  return std::any_of(chain.rules.begin(), chain.rules.end(), [&](std::string_view rule) {
    return rule.ends_with(fmt::format("jump {}", target)) || rule.ends_with(fmt::format("goto {}", target));
  });
}

} // namespace

std::vector<ChainSeen> embed_chains(const Config& config) {
  constexpr std::string_view kChain = "  chain ";
  std::vector<ChainSeen> chains;
  std::istringstream lines(*template_text("embed", tokens_of(config)));
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(kChain)) {
      const auto name = line.substr(kChain.size(), line.find(" {") - kChain.size());
      chains.push_back({name});
      line.erase(0, line.find('{') + 1); // a short one has its rule there
      inside = true;
    } else if (line.starts_with("  }")) {
      inside = false;
    }
    line = bare(std::move(line));
    if (inside && line.find_first_not_of(' ') != std::string::npos)
      chains.back().rules.push_back(gist_of(line));
  }
  return chains;
}

std::vector<TableFault> embed_faults(const Config& config, const std::vector<ChainSeen>& chains,
                                     bool dormant) {
  std::vector<TableFault> faults;
  const auto& table = config.nft.table;
  if (dormant)
    faults.push_back({fmt::format("table inet {} is dormant: no rule of it is in force", table),
                      fmt::format("sudo nft add table inet {}", table)});
  std::vector<std::string> wrong;
  for (const auto& wanted : embed_chains(config))
    if (auto text = difference(wanted, find(chains, wanted.name)); !text.empty())
      wrong.push_back(std::move(text));
  if (!wrong.empty()) {
    const auto more = wrong.size() == 1 ? "" : fmt::format(", and {} more", wrong.size() - 1);
    faults.push_back({fmt::format("table inet {} is not as embed.nft says: {}{}", table, wrong.front(), more),
                      "sudo nft -f /etc/nftables.conf (or where your ruleset includes embed.nft)"});
  }
  const auto input =
      std::find_if(chains.begin(), chains.end(), [](const ChainSeen& one) { return one.hears_input; });
  const auto chain = input == chains.end() ? std::string("input") : input->name;
  const auto miss = [&](std::string_view target, std::string_view harm, std::string_view how) {
    const auto* seen = find(chains, target);
    if (seen == nullptr || seen->referred) return;
    if (std::any_of(chains.begin(), chains.end(),
                    [&](const ChainSeen& one) { return leads_to(one, target); }))
      return;
    faults.push_back({fmt::format("no rule jumps to {}: {}", target, harm),
                      fmt::format("sudo nft {} rule inet {} {} jump {}", how, table, chain, target)});
  };
  miss("knockgate_grants", "guarded ports are not closed", "insert");
  miss("knockgate_knocks", "no knock is heard", "add");
  return faults;
}

} // namespace knock
