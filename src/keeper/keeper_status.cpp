// SPDX-License-Identifier: GPL-2.0-or-later
// What is true now, as `knockctl status` shows it.
#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

#include "keeper/keeper.hpp"
#include "system/files.hpp"
#include "system/log.hpp"

namespace knock::keeper {
namespace {

std::int64_t ms(Instant from, Instant to) {
  return std::max<std::int64_t>(std::chrono::floor<Millis>(to - from).count(), 0);
}

std::int64_t epoch_seconds(std::chrono::system_clock::time_point at) {
  return std::chrono::system_clock::to_time_t(at);
}

StatusGrant shown(const OpenGrant& grant, const Traffic& traffic, Instant now) {
  StatusGrant one;
  one.id = grant.id;
  one.door = grant.door;
  one.source = to_string(grant.source);
  one.prefix = prefix_of(grant);
  for (Port port : grant.ports)
    if (port != kNoPort) one.ports.push_back(to_string(port));
  for (const auto& lead : grant.leads) one.forward[to_string(lead.outer)] = to_string(lead.target);
  one.by = grant.by;
  one.via = to_string(grant.via);
  one.opened = epoch_seconds(std::chrono::system_clock::now()) - ms(grant.opened, now) / 1000;
  one.left_ms = ms(now, grant.ends);
  one.cap_ms = ms(now, grant.cap);
  one.close = to_string(grant.terms.close);
  if (grant.set == GrantSet::uses) one.uses_left = grant.uses_left;
  if (grant.set == GrantSet::session) {
    one.source_port = grant.source_port;
    one.close = to_string(Close::on_disconnect);
  }
  one.packets = traffic.packets;
  one.bytes = traffic.bytes;
  one.adopted = grant.adopted;
  return one;
}

std::string boot_file_state(const Config& config, const std::string& wanted) {
  if (config.nft.boot_file.empty() || config.nft.mode == Mode::embed) return "none";
  const auto text = system::read_file(config.nft.boot_file);
  if (!text && text.error().code == ENOENT) return wanted.empty() ? "ok" : "missing";
  return text && *text == wanted ? "ok" : "differs";
}

} // namespace

Status Keeper::status(Instant now) {
  (void)work(now);
  Status status;
  const auto enabled =
      std::count_if(config_.doors.begin(), config_.doors.end(), [](const Door& one) { return one.enabled; });
  status.version = KNOCKGATE_VERSION;
  status.state = off_since_ ? "off" : enabled == 0 ? "idle" : "enforcing";
  status.mode = config_.nft.mode == Mode::gate ? "gate" : "embed";
  status.uptime_ms = ms(started_, now);
  status.off_since = off_since_.value_or(0);
  status.config.ok = !config_error_;
  status.config.doors = static_cast<std::size_t>(enabled);
  status.config.read = epoch_seconds(config_read_);
  if (config_error_) status.config.error = to_string(*config_error_);
  status.config.boot_file =
      boot_file_state(config_, boot_file_text(config_, unconfirmed_, off_since_.has_value()));
  status.gate.table = "inet " + config_.nft.table;
  status.gate.trust = config_.gate.trust_interfaces;
  for (const auto& prefix : config_.gate.trust_prefixes) status.gate.trust.push_back(to_string(prefix));
  status.gate.healed = healed_;
  if (const auto loaded = gate_.loaded(config_)) status.gate.loaded = *loaded;
  if (const auto guarded = gate_.guarded(config_))
    for (const auto& [port, left] : *guarded)
      status.gate.guarded.push_back({to_string(port), left ? std::optional(left->count()) : std::nullopt});
  std::sort(status.gate.guarded.begin(), status.gate.guarded.end(),
            [](const auto& a, const auto& b) { return a.port < b.port; });
  status.grant_limit = config_.limits.grants;
  status.open = ledger_.grants().size();
  look(ledger_.keys());
  for (const auto& [id, grant] : ledger_.grants())
    status.grants.push_back(shown(grant, ledger_.traffic(grant), now));
  count(status, now);
  warn(status, now);
  return status;
}

void Keeper::count(Status& status, Instant now) {
  auto& counters = status.counters;
  for (const auto& [reason, times] : refused_) counters["refused_" + reason] = times;
  counters["healed"] = healed_;
  counters["runs"] = commands_.started();
  counters["refused_cooldown"] = commands_.cooled();
  counters["refused_runner"] = commands_.failed();
  if (!engine_) return;
  engine_->ask_numbers(now);
  const auto& groups = engine_->groups();
  const auto& [answered, attempts, packets, nflog] = engine_->page();
  for (std::uint16_t i = 0; i < netlink::kNflogGroups; ++i)
    status.nflog.groups.push_back(groups.first_group() + i);
  status.nflog.packets = nflog.packets.value();
  status.nflog.lost = nflog.lost.value();
  status.nflog.overruns = nflog.overruns.value();
  status.nflog.buffer_bytes = groups.buffer_bytes();
  status.tracker.slots = engine_->slots();
  status.tracker.attempts = attempts.value();
  status.tracker.evicted = packets.evicted.value();
  if (const auto overflow = gate_.overflow(config_)) status.tracker.overflow = *overflow;
  counters.insert({{"seen", packets.seen.value()},
                   {"lost_seq", nflog.lost.value()},
                   {"lost_sock", groups.drops()},
                   {"malformed", nflog.malformed.value()},
                   {"stale", packets.stale.value()},
                   {"short", packets.cut.value()},
                   {"unparsed", packets.unparsed.value()},
                   {"not_step", packets.not_step.value()},
                   {"step", packets.step.value()},
                   {"start", packets.start.value()},
                   {"stray", packets.stray.value()},
                   {"cooled", packets.cooled.value()},
                   {"late", packets.late.value()},
                   {"repeat", packets.repeat.value()},
                   {"evicted", packets.evicted.value()},
                   {"contended", packets.contended.value()},
                   {"opened", packets.opened.value()},
                   {"refused_record", engine_->malformed()},
                   {"engine_restarts", engine_->restarts()}});
}

void Keeper::warn(Status& status, Instant now) const {
  const auto add = [&](std::string code, std::string text, std::string run) {
    status.warnings.push_back({std::move(code), std::move(text), std::move(run)});
  };
  if (off_since_) add("off", "off: every guarded port is open", "sudo knockctl on");
  if (config_error_) add("config", "the last reload failed: " + to_string(*config_error_), "knockctl check");
  for (const auto& [port, trial] : unconfirmed_) {
    if (trial.until > now)
      add("unconfirmed",
          fmt::format("{} unconfirmed, unguarded in {}", to_string(port), span_text(ms(now, trial.until))),
          "sudo knockctl confirm");
    else
      add("not-confirmed", fmt::format("{} was not confirmed: not guarded", to_string(port)),
          "sudo knockctl reload --confirm 10m");
  }
  if (status.config.boot_file == "differs")
    add("boot-file", "boot file differs from the live sets", "sudo knockctl save");
  if (status.config.boot_file == "missing")
    add("boot-file", "no boot file: open until the daemon runs", "sudo knockctl save");
  if (status.state == "enforcing" && !status.gate.loaded)
    add("table", "the table is gone", "sudo knockctl reload --now");
  if (engine_ && !engine_->answered())
    add("engine", "the engine does not answer: knocks wait until it is restarted",
        "journalctl -u knockgated");
  if (const auto& error = commands_.error())
    add("runner", "no command can run: " + error->what, error->advice);
  if (flows_error_)
    add("conntrack", "connections are not known: grants end by their time alone", flows_error_->advice);
  if (const auto until = heals_.paused_until(now); until && !status.gate.loaded)
    add("healing",
        fmt::format("the table is removed again and again by {}: put back in {}",
                    disturber_.empty() ? "somebody" : disturber_, span_text(ms(now, *until))),
        "sudo knockctl reload --now");
  if (const auto id = pace_.exceeded(now))
    if (const auto at = doors_.find(static_cast<std::uint64_t>(*id)); at != doors_.end())
      add("pace", fmt::format("door {} is knocked at too fast: knocks are refused", at->second->name), "");
  if (status.nflog.lost != 0)
    add("lost", fmt::format("{} reports lost: knocks may be missed", status.nflog.lost), "");
}

} // namespace knock::keeper
