// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/embed.hpp>

#include <algorithm>

#include <doctest/doctest.h>

using namespace knock;

namespace {

const Config kConfig = [] {
  Config config;
  config.nft.mode = Mode::embed;
  config.nft.table = "fw";
  config.nflog.group = 50;
  return config;
}();

/// The admin's table as it should be.
std::vector<ChainSeen> whole() {
  auto chains = embed_chains(kConfig);
  chains.push_back({"theirs", true, false, {"jump knockgate_grants", "", "jump knockgate_knocks"}});
  return chains;
}

ChainSeen& chain(std::vector<ChainSeen>& chains, std::string_view name) {
  return *std::find_if(chains.begin(), chains.end(), [&](const ChainSeen& one) { return one.name == name; });
}

} // namespace

TEST_CASE("the chains of embed.nft in short: what they look up, report to, and where they lead") {
  auto chains = embed_chains(kConfig);
  CHECK(chains.size() == 22);
  CHECK(chain(chains, "knockgate_at_once1").rules == std::vector<std::string>{"log group 51 return"});
  CHECK(chain(chains, "knockgate_at_once").rules == std::vector<std::string>{"", ""});
  CHECK(chain(chains, "knockgate_report").rules ==
        std::vector<std::string>{"limit goto knockgate_at_once", "goto knockgate_batched"});
  CHECK(chain(chains, "knockgate_grants").rules ==
        std::vector<std::string>{"return", "@ours @guarded goto knockgate_guard",
                                 "@ours_wide @guarded goto knockgate_guard"});
  CHECK(chain(chains, "knockgate_uses").rules.at(0) == "!= @uses4 return");
  CHECK(chain(chains, "knockgate_remember").rules.at(0) == "@knocking4 return");
}

TEST_CASE("a table that has all of embed.nft has no fault, whatever else the admin has in it") {
  CHECK(embed_faults(kConfig, whole(), false).empty());
  auto chains = whole();
  chains.pop_back();
  chain(chains, "knockgate_grants").referred = true; // by a map
  chain(chains, "knockgate_knocks").referred = true;
  CHECK(embed_faults(kConfig, chains, false).empty());
}

TEST_CASE("what the admin's table lacks is named, with the line to type") {
  auto chains = whole();
  std::string text, run = "sudo nft -f /etc/nftables.conf (or where your ruleset includes embed.nft)";
  bool dormant = false;
  SUBCASE("empty") {
    chain(chains, "knockgate_guard").rules.clear();
    text = "table inet fw is not as embed.nft says: chain knockgate_guard is empty";
  }
  SUBCASE("gone") {
    std::erase_if(chains, [](const ChainSeen& one) { return one.name.starts_with("knockgate_at_once"); });
    text = "table inet fw is not as embed.nft says: chain knockgate_at_once0 is gone, and 4 more";
  }
  SUBCASE("order") {
    auto& rules = chain(chains, "knockgate_guard").rules;
    std::swap(rules.front(), rules.back());
    text = "table inet fw is not as embed.nft says: rule 1 of chain knockgate_guard is not `@open4 goto "
           "knockgate_granted`";
  }
  SUBCASE("no way to the guard") {
    chain(chains, "theirs").rules.erase(chain(chains, "theirs").rules.begin());
    text = "no rule jumps to knockgate_grants: guarded ports are not closed";
    run = "sudo nft insert rule inet fw theirs jump knockgate_grants";
  }
  SUBCASE("no way to the knocks") {
    chain(chains, "theirs").rules.pop_back();
    text = "no rule jumps to knockgate_knocks: no knock is heard";
    run = "sudo nft add rule inet fw theirs jump knockgate_knocks";
  }
  SUBCASE("dormant") {
    dormant = true;
    text = "table inet fw is dormant: no rule of it is in force";
    run = "sudo nft add table inet fw";
  }
  const auto faults = embed_faults(kConfig, chains, dormant);
  REQUIRE(faults.size() == 1);
  CHECK(faults[0].text == text);
  CHECK(faults[0].run == run);
}
