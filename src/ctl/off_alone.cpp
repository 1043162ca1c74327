// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/off_alone.hpp"

#include <fmt/format.h>

#include <knock/ruleset.hpp>

#include "ctl/boot_file.hpp"
#include "netlink/gate.hpp"
#include "netlink/nftables.hpp"
#include "netlink/ruleset.hpp"
#include "system/event_loop.hpp"
#include "system/files.hpp"
#include "system/process.hpp"

namespace knock::ctl {
namespace {

/// Has no guard any more by this text; nothing is deleted but what bears our comment.
struct Table {
  std::string text;
  std::string what;
  std::string_view done;
};

Result<std::vector<Table>> tables_of_ours() {
  auto nft = netlink::Nftables::open();
  if (!nft) return tl::unexpected(nft.error());
  const auto all = nft->tables();
  if (!all) return tl::unexpected(all.error());
  std::vector<Table> ours;
  for (const auto& table : *all) {
    if (table.comment.starts_with(kTableComment)) {
      ours.push_back({fmt::format("delete table inet handle {}\n", table.handle),
                      fmt::format("table inet {}", table.name), "is deleted"});
      continue;
    }
    const auto sets = nft->sets(table.name);
    if (!sets) return tl::unexpected(sets.error());
    if (auto text = netlink::emptying_text(table.name, *sets); !text.empty())
      ours.push_back({std::move(text), fmt::format("our sets in table inet {}", table.name), "are empty"});
  }
  return ours;
}

} // namespace

Reply off_alone(const std::string& config, const Failure& why) {
  Reply reply{{text_line("no daemon answers (" + why.text + "): knockctl does it alone")}, {}};
  const auto done = [&](const std::string& text) { reply.lines.push_back(text_line("off: " + text)); };
  const auto failed = [&](const Failure& failure) {
    if (reply.failure.exit == ExitCode::done)
      reply.failure = failure;
    else
      done("FAILED: " + to_string(failure));
  };
  const auto parsed = roots_config(config);
  // First: a daemon that lives reads it before it puts the table back.
  const auto state = system::state_path(parsed.state);
  const auto now = std::chrono::floor<Millis>(system::wall_clock()).count();
  if (const auto written =
          system::write_for_owner(state, "off", fmt::format("{}.{:03}\n", now / 1000, now % 1000));
      written)
    done(fmt::format("remembered in {}: the daemon guards nothing until sudo knockctl on", state));
  else
    failed(failure_of(written.error()));
  const auto ours = tables_of_ours();
  if (!ours) failed(failure_of(ours.error()));
  if (ours && ours->empty()) done("there is no table of ours");
  // Each alone: another process may own one.
  for (const auto& [text, what, is_done] : ours.value_or(std::vector<Table>{})) {
    auto loaded = netlink::load_ruleset(text);
    if (loaded) {
      done(fmt::format("{} {}", what, is_done));
    } else {
      loaded.error().what = fmt::format("{}: {}", what, loaded.error().what);
      failed(failure_of(loaded.error()));
    }
  }

  const auto removed = remove_boot_file(config, parsed);
  reply.lines.insert(reply.lines.end(), removed.lines.begin(), removed.lines.end());
  if (removed.failure.exit != ExitCode::done) failed(removed.failure);
  return reply;
}

} // namespace knock::ctl
