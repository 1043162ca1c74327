// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/keeper/desk.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include <knock/enrol.hpp>
#include <knock/limits.hpp>
#include <knock/nearest.hpp>
#include <knock/quoted.hpp>
#include <knock/status.hpp>

#include "core/config/words.hpp"

namespace knock::keeper {
namespace {

constexpr const char* kWriteAddress = "write 203.0.113.9, or 2001:db8::9";

const Door* door_named(const Config& config, std::string_view name) {
  const auto found = std::find_if(config.doors.begin(), config.doors.end(),
                                  [&](const Door& door) { return door.name == name; });
  return found == config.doors.end() ? nullptr : &*found;
}

Reply no_door(const Config& config, std::string_view name) {
  std::vector<std::string_view> names;
  for (const auto& door : config.doors) names.push_back(door.name);
  const auto near = nearest(name, names);
  return refusal(ExitCode::failed, "failed", fmt::format("there is no door {}", name),
                 door_named(config, name) != nullptr ? "it is disabled: enabled = true, then knockctl reload"
                 : parse_prefix(name) ? "an address stands behind its door: knockctl close DOOR ADDRESS"
                 : near.empty()       ? "knockctl check tells why a door of doors.d is not there"
                                      : fmt::format("did you mean {}?", near));
}

/// How long a hand opens.
tl::expected<Millis, Reply> time_of(std::string_view text, const Door& door) {
  const auto bad = [&](std::string why) {
    return tl::unexpected(
        refusal(ExitCode::usage, "usage", fmt::format("{} {}", text, why), "write --for 30m"));
  };
  const auto span = parse_duration(text);
  if (!span) return bad("is no time");
  if (*span < Seconds{1}) return bad("is less than 1s");
  if (*span > door.max) {
    const auto hours =
        std::chrono::floor<std::chrono::hours>(door.max); // 25h is compared with 24h, not with 1d
    const bool in_hours = text.ends_with('h') && hours == door.max;
    return bad(fmt::format("is more than max, {}",
                           in_hours ? fmt::format("{}h", hours.count()) : grammar::duration_text(door.max)));
  }
  return *span;
}

Taken take_open(const Asked& asked, const DeskView& view) {
  const auto& request = asked.request;
  const auto name = request.find("door").value_or("");
  const auto* door = enabled_door(view.config, name);
  if (door == nullptr) return no_door(view.config, name);
  const auto source = parse_address(request.find("source").value_or(""));
  if (!source || !grantable(*source))
    return refusal(ExitCode::usage, "usage",
                   fmt::format("{} is no address of a host", request.find("source").value_or("nothing")),
                   kWriteAddress);
  if (view.knocks.is_own(*source))
    return refusal(ExitCode::usage, "usage",
                   fmt::format("{} is an address of this router", to_string(*source)),
                   "it is never asked: name the client's");
  if (view.memory.off_since)
    return refusal(ExitCode::failed, "failed", "knockgate is off: every port is open", "sudo knockctl on");
  auto opening = opening_of(*door, *source, view.knocks.cooldowns(), view.now);
  opening.ticket = asked.ticket;
  opening.request.via = Via::hand;
  if (const auto time = request.find("for")) {
    const auto span = time_of(*time, *door);
    if (!span) return span.error();
    opening.request.open_for = *span;
  }
  if (!opening.opens && door->run.empty())
    return refusal(ExitCode::failed, "failed",
                   fmt::format("door {} leads nowhere over {}", door->name,
                               source->family == Family::ipv4 ? "IPv4" : "IPv6"),
                   "give its forward a target of that family");
  return opening;
}

Taken take_close(const Asked& asked, const DeskView& view) {
  const auto& request = asked.request;
  Closing closing{.ticket = asked.ticket, .all = request.find("all").has_value()};
  auto& which = closing.which;
  const auto what = request.find("what").value_or("");
  if (!closing.all) {
    std::uint64_t id = 0;
    const auto* end = what.data() + what.size();
    const auto [stop, error] = std::from_chars(what.data(), end, id);
    if (what.empty()) return refusal(ExitCode::usage, "usage", "close what?", "name a door, an id, or --all");
    const bool is_id = error == std::errc{} && stop == end;
    const bool is_door = enabled_door(view.config, what) != nullptr || what == kForeignDoor;
    if (!is_door && !is_id && door_named(view.config, what) == nullptr) return no_door(view.config, what);
    if (is_door || !is_id)
      which.door = what;
    else
      which.id = id;
  }
  if (const auto text = request.find("source")) {
    which.source = parse_address(*text); // or as status prints it: a connection, a /24, a /64
    if (const auto connection = parse_target(*text); !which.source && connection) {
      which.source = connection->address;
      which.source_port = connection->port;
    }
    if (const auto prefix = parse_prefix(*text); prefix && (prefix->length == 24 || prefix->length == 64))
      which.source = prefix->address;
    if (!which.source)
      return refusal(ExitCode::usage, "usage", fmt::format("{} is no address", *text), kWriteAddress);
  }
  return closing;
}

Taken take_reload(const Asked& asked, const DeskView& view) {
  RuleChange change{.verb = RuleChange::Verb::reload, .ticket = asked.ticket};
  auto& options = change.options;
  options.uid = asked.uid;
  options.now = asked.request.find("now").has_value();
  options.ask = !options.now && !asked.request.find("confirm");
  if (const auto time = asked.request.find("confirm")) {
    options.confirm = parse_duration(*time);
    if (!options.confirm || *options.confirm < kTrial.least || *options.confirm > kTrial.most)
      return refusal(ExitCode::usage, "usage", fmt::format("{} is no time from 1s to 24h", *time),
                     "write --confirm 10m");
  }
  if (view.memory.off_since && options.confirm)
    return refusal(ExitCode::failed, "failed", "knockgate is off: a trial would prove nothing",
                   "sudo knockctl on, then knockctl reload --confirm 10m");
  return change;
}

/// What root asks before it writes the boot file.
Reply facts(const DeskView& view) {
  SaveFacts facts{view.config.hash, view.memory.off_since.has_value(), {}};
  for (const auto& entry : view.memory.unconfirmed)
    facts.unconfirmed.push_back(entry.first); // when it is over, too
  return {encode(facts), {}};
}

/// Who asked for a change, and for which: no key of the client's own making.
std::string hand_line(const Asked& asked, ExitCode exit) {
  auto line = fmt::format("hand verb={} uid={}", asked.request.verb, asked.uid);
  for (const char* key : {"door", "source", "for", "what", "all", "confirm", "now", "anyway"})
    if (const auto value = asked.request.find(key)) line += fmt::format(" {}={}", key, in_quotes(*value));
  if (asked.by_signal) line += " signal=HUP";
  return line + fmt::format(" exit={}", static_cast<int>(exit));
}

} // namespace

Reply refusal(ExitCode exit, std::string code, std::string text, std::string advice) {
  return {{}, {exit, std::move(code), {}, std::move(text), std::move(advice)}};
}

Reply refusal(const Error& error) {
  return {{}, failure_of(error)};
}

Reply told(const std::vector<std::string>& texts) {
  Reply reply;
  for (const auto& text : texts) reply.lines.push_back(text_line(text));
  return reply;
}

Taken take(const Asked& asked, const DeskView& view) {
  const auto& word = asked.request.verb;
  const auto right = asked_right(word);
  if (!right)
    return Plain{refusal(ExitCode::usage, "usage", fmt::format("the daemon does not know the verb {}", word),
                         "knockctl --help; install the same version of both")};
  if (asked.right < *right)
    return Plain{refusal(ExitCode::denied, "not-allowed", fmt::format("{} is not allowed for you", word),
                         *right == Right::root ? "run it with sudo"
                                               : "run it with sudo, or join the [control] write_group")};
  if (word == "open") return take_open(asked, view);
  if (word == "close") return take_close(asked, view);
  if (word == "reload") return take_reload(asked, view);
  if (word == "users-read")
    return RuleChange{
        .verb = RuleChange::Verb::users,
        .ticket = asked.ticket,
        .options = {.uid = asked.uid, .fresh = std::string(asked.request.find("fresh").value_or(""))}};
  if (word == "clock-accept" && !asked.request.find("look")) return AcceptClock{};
  if (word == "save" && asked.request.find("look"))
    return Plain{facts(view)}; // nothing is going to be written
  if (word == "save") return facts(view);
  if (word == "confirm")
    return RuleChange{.verb = RuleChange::Verb::confirm,
                      .ticket = asked.ticket,
                      .anyway = asked.request.find("anyway").has_value()};
  if (word == "off" && view.memory.off_since) return told({"off already: nothing is guarded."});
  if (word == "on" && !view.memory.off_since) return told({"on already."});
  if (word == "off") return RuleChange{.verb = RuleChange::Verb::off, .ticket = asked.ticket};
  if (word == "on") return RuleChange{.verb = RuleChange::Verb::on, .ticket = asked.ticket};
  if (word == "keys") return Plain{{encode_keys(view.config.server_keys), {}}};
  if (word == "clock-accept") return Plain{{{clock_line(view.clocks)}, {}}}; // a look
  return Plain{};                                                            // wait: an answer is the answer
}

Reply opening_reply(const LedgerEvent& event, const Door& door, const Address& source, Instant now) {
  if (event.verb == LedgerEvent::Verb::refused)
    return refusal(ExitCode::failed, "failed",
                   event.reason == "door_grants"
                       ? fmt::format("[door.{}] grants is reached: {}", door.name, door.grants)
                       : fmt::format("[limits] {} is reached", event.reason),
                   "knockctl close, or raise the limit");
  return told({fmt::format(
      "{} {} for {}: {} left", event.verb == LedgerEvent::Verb::open ? "opened" : "extended", door.name,
      to_string(source), span_text(std::chrono::ceil<Millis>(event.grant.ends - now).count()))});
}

void Desk::hear(const Ran& ran, Said& said) {
  const auto at = kept_.find(ran.ticket);
  if (at == kept_.end()) return;
  auto reply = ran.error ? refusal(*ran.error) : std::move(at->second.reply);
  if (!ran.error) reply.lines.push_back(text_line(fmt::format("started {}", at->second.what)));
  kept_.erase(at);
  answer(ran.ticket, std::move(reply), said);
}

void Desk::answer(std::uint64_t ticket, Reply reply, Said& said) {
  const auto caller = callers_.find(ticket);
  if (caller == callers_.end()) return;
  said.lines.push_back({LogLevel::info, hand_line(caller->second, reply.failure.exit)});
  answer_plainly(ticket, std::move(reply), said);
}

void Desk::answer_plainly(std::uint64_t ticket, Reply reply, Said& said) {
  if (callers_.erase(ticket) != 0) said.told.push_back({ticket, std::move(reply)});
}

} // namespace knock::keeper
