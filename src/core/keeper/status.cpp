// SPDX-License-Identifier: GPL-2.0-or-later
// What is true now, as `knockctl status` shows it.
#include <algorithm>
#include <cerrno>
#include <map>

#include <fmt/format.h>

#include "core/keeper/machine.hpp"

namespace knock::keeper {
namespace {

using Counted = std::map<GrantKey, Traffic>;

std::int64_t ms(Instant from, Instant to) {
  return std::max<std::int64_t>(std::chrono::floor<Millis>(to - from).count(), 0);
}

std::int64_t whole_seconds(Instant at) {
  return std::chrono::floor<Seconds>(at.time_since_epoch()).count();
}

StatusGrant shown(const Config& config, const OpenGrant& grant, Instant now, std::int64_t wall) {
  StatusGrant one;
  one.id = grant.id;
  one.door = grant.door;
  one.source = to_string(grant.source);
  one.prefix = prefix_of(grant);
  one.ports = port_texts(grant);
  for (const auto& lead : grant.leads) one.forward[to_string(lead.outer)] = to_string(lead.target);
  one.by = grant.by;
  one.via = to_string(grant.via);
  if (grant.via == Via::kn1) {
    const auto* device = find_device(config, grant.by);
    one.symmetric = device != nullptr && is_symmetric(device->accepts);
    if (grant.bound) one.bound = grant.bound->how == Bound::How::yes;
  }
  // Whole seconds of the clock: a comment keeps no more, and two readings must tell the same.
  one.opened = wall - (whole_seconds(now) - whole_seconds(grant.opened));
  one.left_ms = grant.ends == kNever ? std::nullopt : std::optional(ms(now, grant.ends));
  one.cap_ms = grant.cap == kNever ? std::nullopt : std::optional(ms(now, grant.cap));
  one.close = to_string(grant.terms.close);
  if (grant.set == GrantSet::session) {
    one.source_port = grant.source_port;
    one.close = to_string(Close::on_disconnect);
  }
  one.adopted = grant.adopted;
  one.connected = on_disconnect(grant) && grant.connected;
  return one;
}

/// What passed through its elements, by the counters as they are now.
void add_traffic(StatusGrant& one, const OpenGrant& grant, const Ledger& ledger, const Counted& counted) {
  auto left = grant.uses_left;
  for (const auto& key : keys_of(grant)) {
    const auto known = knock::counted(ledger.elements(), key);
    const auto found = counted.find(key);
    const auto now = found == counted.end() ? known : found->second;
    if (counts(key)) {
      one.packets += now.packets;
      one.bytes += now.bytes;
    } else if (key.set == GrantSet::uses && now.packets > known.packets) {
      left -= static_cast<std::uint32_t>(std::min<std::uint64_t>(left, now.packets - known.packets));
    }
  }
  if (grant.set == GrantSet::uses) one.uses_left = left;
}

std::string boot_file_state(const Config& config, const Result<std::string>& text,
                            const std::string& wanted) {
  if (config.nft.boot_file.empty() || config.nft.mode == Mode::embed) return "none";
  if (!text && text.error().code == ENOENT) return wanted.empty() ? "ok" : "missing";
  return text && *text == wanted ? "ok" : "differs";
}

void show_config(Status& status, const State& state, const Seen& seen) {
  const auto& [path, config, read, error, texts, running, started] = state.settings;
  const auto& memory = state.kept.memory;
  const auto enabled = count_enabled(*config);
  status.version = KNOCKGATE_VERSION;
  status.state = memory.off_since ? "off" : enabled == 0 ? "idle" : "enforcing";
  status.mode = config->nft.mode == Mode::gate ? "gate" : "embed";
  status.off_since = memory.off_since.value_or(0);
  status.config.ok = !error;
  status.config.doors = enabled;
  for (const auto& door : config->doors)
    if (!door.enabled) status.config.disabled.push_back(door.name);
  status.config.read = read;
  if (error) status.config.error = to_string(*error);
  if (seen.boot_file)
    status.config.boot_file = boot_file_state(
        *config, *seen.boot_file, boot_file_text(*config, memory.unconfirmed, memory.off_since.has_value()));
}

void show_table(Status& status, const State& state, const Seen& seen) {
  const auto& config = *state.settings.config;
  status.gate.table = "inet " + config.nft.table;
  status.gate.trust = config.gate.trust_interfaces;
  for (const auto& prefix : config.gate.trust_prefixes) status.gate.trust.push_back(to_string(prefix));
  status.gate.healed = state.table.healed();
  if (!seen.table || !*seen.table) return;
  const auto& table = **seen.table;
  const bool there = table.there && !state.table.is_lost(); // else another's set may bear our name
  status.gate.differs = there && status.state == "enforcing" && (!table.as_loaded || !table.faults.empty());
  status.gate.loaded = there && !status.gate.differs;
  if (status.state == "enforcing")
    for (const auto& [text, run] : table.faults) status.warnings.push_back({"table", text, run});
  std::map<std::optional<Seconds>, std::vector<Port>>
      by_end; // ports of one trial are read one after the other
  std::map<Port, std::optional<Millis>> ends;
  for (const auto& [port, left] : table.guarded) {
    by_end[left ? std::optional(std::chrono::floor<Seconds>(*left)) : std::nullopt].push_back(port);
    ends[port] = left;
  }
  for (const auto& [second, ports] : by_end)
    for (const auto& row : in_rows(ports)) {
      const auto& left = ends[row.first];
      status.gate.guarded.push_back({to_string(row), left ? std::optional(left->count()) : std::nullopt});
    }
  std::sort(status.gate.guarded.begin(), status.gate.guarded.end(),
            [](const auto& a, const auto& b) { return parse_port_range(a.port) < parse_port_range(b.port); });
  status.tracker.overflow = table.overflow;
}

/// Of a door that opens by signed packets: who may send them.
void show_kn1(Status& status, const State& state) {
  const auto& config = *state.settings.config;
  if (!takes_kn1(config)) return;
  auto& kn1 = status.kn1.emplace();
  for (const auto& port : config.kn1.ports) kn1.ports.push_back(to_string(port));
  if (config.kn1.icmp) kn1.ports.emplace_back("icmp");
  const auto& stamps = state.kn1.stamps;
  kn1.clock = stamps.is_behind(state.kn1.clock) ? "behind" : stamps.is_good() ? "good" : "unknown";
  kn1.users = config.users.size();
  for (const auto& user : config.users)
    for (const auto& device : user.devices) {
      ++kn1.devices;
      kn1.symmetric += is_symmetric(device.accepts) ? 1U : 0U;
      kn1.unbound += device.require_source ? 0U : 1U;
      kn1.invited += lack_of(device, Moment{Seconds{state.wall}}) == Lack::invited ? 1U : 0U;
    }
  for (const auto& [made, key, until, place] : config.server_keys) {
    auto& shown = kn1.keys.emplace_back();
    shown.id = key_name(key.server.pub);
    shown.made = made.time_since_epoch().count();
    if (until) shown.until = until->time_since_epoch().count();
    for (const auto& [label, seen] : state.kn1.requests.seen())
      shown.devices += seen.server == shown.id ? 1U : 0U;
  }
}

/// What stands between signed packets and their doors.
void warn_of_kn1(Status& status, const State& state) {
  if (!status.kn1) return;
  const auto add = [&](std::string code, std::string text, std::string run) {
    status.warnings.push_back({std::move(code), std::move(text), std::move(run)});
  };
  const auto& config = *state.settings.config;
  const auto now = Moment{Seconds{state.wall}};
  if (status.kn1->clock == "unknown")
    add("clock-unknown", "the clock is not synchronised: old signed packets are told by their order alone",
        "timedatectl");
  if (status.kn1->clock == "behind")
    add("clock-behind", "the clock is behind what was accepted: signed packets are refused",
        "timedatectl; if it is right: sudo knockctl clock accept");
  if (const auto& error = unaccepted(state.kn1))
    add("kn1-state", "no signed packet is accepted: " + error->what,
        state.kn1.unread ? "let the daemon's user read it, then: sudo systemctl restart knockgated"
                         : error->advice);
  if (config.server_keys.empty())
    add("no-server-key",
        fmt::format("no signed packet is accepted: there is no {}{}", config.kn1.key,
                    status.kn1->devices == 0 ? "" : ", by which devices were invited"),
        status.kn1->devices == 0 ? "sudo knockctl invite USER --door DOOR" : "sudo knockctl check");
  for (const auto& key : config.server_keys) {
    constexpr std::chrono::days kSoon{7};
    const auto name = key_name(key.key.server.pub);
    const auto used = std::count_if(state.kn1.requests.seen().begin(), state.kn1.requests.seen().end(),
                                    [&](const auto& one) { return one.second.server == name; });
    if (key.until && *key.until > now && *key.until - now < kSoon && used != 0)
      add("old-key",
          fmt::format("key {} ends soon, and {} knocks with it", name,
                      plural(static_cast<std::uint64_t>(used), "device")),
          "knockctl key; sudo knockctl device line USER/DEVICE");
  }
  for (const auto& user : config.users)
    for (const auto& device : user.devices)
      if (lack_of(device, now) == Lack::invited && device.claim && *device.claim <= now)
        add("invite-ended", fmt::format("the invitation of {} ended", device.label),
            fmt::format("sudo knockctl device rotate {0}, or: sudo knockctl device remove {0}",
                        device.label));
}

std::string advice_of(const Error& error) {
  return error.advice.empty() ? "journalctl -u knockgated" : error.advice;
}

/// What stands between the table that is wanted and the one that is there.
void warn_of_table(Status& status, const State& state, Instant now) {
  const auto add = [&](std::string code, std::string text, std::string run) {
    status.warnings.push_back({std::move(code), std::move(text), std::move(run)});
  };
  const auto& error = state.table.error();
  const bool admins = error && status.mode == "embed"; // then the error says what is missing
  if (status.state == "enforcing" && !status.gate.loaded && !status.gate.differs && !admins)
    add("table", "the table is gone", "sudo knockctl reload --now");
  if (error)
    add("healing",
        fmt::format("the table cannot be {}: {}",
                    any_door(*state.settings.config) ? "put back" : "taken away", error->what),
        advice_of(*error));
  if (const auto [pace, by] = state.table.fight(now); pace != Millis{0})
    add("healing",
        fmt::format("two writers fight over the table: {} changes it, knockgated puts it back, {} later", by,
                    span_text(pace.count())),
        "stop the other, or include the boot file in its ruleset");
}

void warn(Status& status, const State& state, Instant now) {
  const auto& memory = state.kept.memory;
  const auto add = [&](std::string code, std::string text, std::string run) {
    status.warnings.push_back({std::move(code), std::move(text), std::move(run)});
  };
  if (memory.off_since) add("off", "off: every guarded port is open", "sudo knockctl on");
  if (state.settings.error)
    add("config",
        (state.settings.error->exit == ExitCode::bad_config
             ? "the configuration on disk cannot be used, the one applied last runs: "
             : "the last reload failed: ") +
            to_string(*state.settings.error),
        "knockctl check");
  std::map<Instant, std::vector<Port>> trials;
  for (const auto& [port, trial] : memory.unconfirmed) trials[trial.until].push_back(port);
  for (const auto& [until, ports] : trials)
    for (const auto& row : in_rows(ports))
      if (until > now)
        add("unconfirmed",
            fmt::format("{} unconfirmed, unguarded in {}", to_string(row), span_text(ms(now, until))),
            "sudo knockctl confirm");
      else
        add("not-confirmed", fmt::format("{} was not confirmed: not guarded", to_string(row)),
            "sudo knockctl reload --confirm 10m");
  if (status.config.boot_file == "differs")
    add("boot-file", "boot file differs from the live sets", "sudo knockctl save");
  if (status.config.boot_file == "missing")
    add("boot-file", "no boot file: open until the daemon runs", "sudo knockctl save");
  if (const auto unwritten = unremembered(state))
    add("state", fmt::format("not remembered, a restart goes by what was true before: {}", unwritten->what),
        advice_of(*unwritten));
  warn_of_table(status, state, now);
  warn_of_kn1(status, state);
  if (state.standing.deaf_flows)
    add("conntrack", "connections are not known: grants end by their time alone",
        advice_of(*state.standing.deaf_flows));
  if (const auto* door = state.knocks.hurried(now))
    add("pace", fmt::format("door {} is knocked at too fast: knocks are refused", door->name),
        fmt::format(
            "a larger [door.{}] grants in knockgate.toml, or look who knocks: journalctl -u knockgated",
            door->name));
}

} // namespace

Ask ask_status(const State& state) {
  Ask ask;
  ask.elements = keys_of(state.ledger);
  ask.table = ask.boot_file = true;
  return ask;
}

Status status_of(const State& state, const Seen& seen, Instant now, std::int64_t wall) {
  Status status;
  show_config(status, state, seen);
  show_table(status, state, seen);
  show_kn1(status, state);
  status.grant_limit = state.settings.config->limits.grants;
  status.open = state.ledger.grants().size();
  Counted counted;
  for (const auto& element : seen.elements) counted[element.key] = element.traffic;
  for (const auto& [id, grant] : state.ledger.grants()) {
    status.grants.push_back(shown(*state.settings.config, grant, now, wall));
    add_traffic(status.grants.back(), grant, state.ledger, counted);
  }
  for (const auto& [reason, times] : state.tally.refused) status.counters["refused_" + reason] = times;
  status.counters["refused_cooldown"] = state.knocks.cooldowns().cooled();
  status.counters["healed"] = state.table.healed();
  status.counters["commits"] = state.tally.commits;
  status.counters["kn1_accepted"] = state.tally.kn1_accepted;
  status.counters["kn1_idle"] = state.tally.kn1_idle;
  warn(status, state, now);
  return status;
}

} // namespace knock::keeper
