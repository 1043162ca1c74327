// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/off_alone.hpp"

#include <algorithm>

#include <fmt/format.h>

#include <knock/ruleset.hpp>

#include "ctl/boot_file.hpp"
#include "netlink/nftables.hpp"
#include "netlink/ruleset.hpp"
#include "system/event_loop.hpp"
#include "system/files.hpp"
#include "system/process.hpp"

namespace knock::ctl {
namespace {

/// What has no guard any more by this text; nothing is deleted but what bears our comment.
struct Tables {
  std::string text;
  std::vector<std::string> told;
};

Result<Tables> tables_of_ours() {
  auto nft = netlink::Nftables::open();
  if (!nft) return tl::unexpected(nft.error());
  const auto all = nft->tables();
  if (!all) return tl::unexpected(all.error());
  Tables ours;
  for (const auto& table : *all) {
    if (table.comment.starts_with(kTableComment)) {
      ours.text += fmt::format("delete table inet {}\n", table.name);
      ours.told.push_back(fmt::format("table inet {} is deleted", table.name));
      continue;
    }
    const auto sets = nft->sets(table.name);
    if (!sets) return tl::unexpected(sets.error());
    const auto shapes = embed_shapes();
    if (!std::all_of(shapes.begin(), shapes.end(),
                     [&](const SetShape& shape) { return sets->contains(std::string(shape.name)); }))
      continue;
    ours.text += elements_text(table.name, Mode::embed, {});
    ours.told.push_back(fmt::format("our sets in table inet {} are empty", table.name));
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
  if (const auto ours = tables_of_ours(); !ours)
    failed(failure_of(ours.error()));
  else if (const auto loaded = ours->text.empty() ? Result<void>{} : netlink::load_ruleset(ours->text);
           !loaded)
    failed(failure_of(loaded.error()));
  else if (ours->told.empty())
    done("there is no table of ours");
  else
    for (const auto& text : ours->told) done(text);

  const auto removed = remove_boot_file(config, parsed);
  reply.lines.insert(reply.lines.end(), removed.lines.begin(), removed.lines.end());
  if (removed.failure.exit != ExitCode::done) failed(removed.failure);
  return reply;
}

} // namespace knock::ctl
