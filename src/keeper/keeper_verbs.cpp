// SPDX-License-Identifier: GPL-2.0-or-later
// What knockctl asks for, verb by verb.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>

#include <knock/quoted.hpp>
#include <fmt/ranges.h>

#include "keeper/keeper.hpp"
#include "system/files.hpp"
#include "system/log.hpp"
#include "system/process.hpp"

namespace knock::keeper {
namespace {

Reply refuse(ExitCode exit, std::string code, std::string text, std::string advice = {}) {
  return {{}, {exit, std::move(code), {}, std::move(text), std::move(advice)}};
}

Reply refuse(const Error& error) {
  return {{}, failure_of(error)};
}

Reply told(const std::vector<std::string>& texts) {
  Reply reply;
  for (const auto& text : texts) reply.lines.push_back(text_line(text));
  return reply;
}

std::string names(const std::vector<Port>& ports) {
  std::vector<std::string> texts;
  for (Port port : ports) texts.push_back(to_string(port));
  return fmt::format("{}", fmt::join(texts, " "));
}

std::string plural(std::size_t count, std::string_view what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

std::vector<std::string> session_texts(const std::vector<OpenGrant>& sessions) {
  constexpr std::size_t kShown = 8;
  std::vector<std::string> texts;
  for (const auto& grant : sessions) {
    if (texts.size() == kShown) {
      texts.push_back(fmt::format("So do {} more.", sessions.size() - kShown));
      break;
    }
    texts.push_back(fmt::format("The connection from {} port {} goes on; a new one needs the knock.",
                                to_string(grant.source), grant.source_port));
  }
  return texts;
}

/// What became of the ports that were on trial `before` this reload.
std::vector<std::string> trial_texts(const ReloadOptions& options, const Applied& applied,
                                     const Unconfirmed& before, Instant now) {
  std::vector<std::string> texts;
  for (const auto& [port, trial] : before) {
    const auto& gone = applied.unguarded;
    if (trial.until <= now || std::find(gone.begin(), gone.end(), port) != gone.end()) continue;
    if (options.now)
      texts.push_back(fmt::format("{} guarded for good, its trial is over.", to_string(port)));
    else if (options.confirm)
      texts.push_back(fmt::format("{} is on trial already, {} left: knockctl confirm", to_string(port),
                                  span_text(std::chrono::ceil<Millis>(trial.until - now).count())));
  }
  return texts;
}

/// What a reload did, line by line.
std::vector<std::string> reload_texts(const ReloadOptions& options, const Applied& applied,
                                      const Unconfirmed& before, Instant now) {
  const bool trial = options.confirm && !applied.fresh.empty();
  std::vector<std::string> texts;
  if (!applied.changed) texts.emplace_back("nothing changed.");
  if (trial)
    texts.push_back(fmt::format("{} guarded from now, for {} unless confirmed.", names(applied.fresh),
                                span_text(options.confirm->count())));
  else if (!applied.guarded.empty())
    texts.push_back(fmt::format("{} guarded from now.", names(applied.guarded)));
  if (!applied.unguarded.empty())
    texts.push_back(fmt::format("{} no longer guarded.", names(applied.unguarded)));
  for (auto& text : trial_texts(options, applied, before, now)) texts.push_back(std::move(text));
  for (auto& text : session_texts(applied.sessions)) texts.push_back(std::move(text));
  if (applied.closed != 0)
    texts.push_back(
        fmt::format("{} closed: the door, or a port of it, is gone.", plural(applied.closed, "grant")));
  if (trial) {
    texts.emplace_back(
        "In a SECOND terminal, from an address that is not in trust: knock, then ssh. Works: `knockctl "
        "confirm`. Does not: do nothing.");
    texts.emplace_back(
        "confirm refuses until each of these ports was opened by a knock (by hand, where no door has "
        "one); --anyway overrides.");
  }
  return texts;
}

enum class Right { read, write, root };

struct Verb {
  std::string_view name;
  Right right;
};

constexpr std::array kVerbs{Verb{"wait", Right::read},     Verb{"open", Right::write},
                            Verb{"close", Right::write},   Verb{"reload", Right::write},
                            Verb{"confirm", Right::write}, Verb{"save", Right::root},
                            Verb{"off", Right::root},      Verb{"on", Right::root}};

bool may(const Peer& peer, Right right, const std::string& write_group) {
  if (right == Right::read || peer.uid == 0) return true; // who may read is the socket's mode
  const auto group = write_group.empty() ? std::nullopt : system::group_id(write_group);
  return right == Right::write && group && peer.in_group(*group);
}

/// Who asked for a change, and for which: no key of the client's own making.
std::string hand_line(const Request& request, uid_t uid, ExitCode exit) {
  auto line = fmt::format("hand verb={} uid={}", request.verb, uid);
  for (const char* key : {"door", "source", "for", "what", "all", "confirm", "now", "anyway"})
    if (const auto value = request.find(key)) line += fmt::format(" {}={}", key, quoted(*value));
  return line + fmt::format(" exit={}", static_cast<int>(exit));
}

} // namespace

Answer Keeper::answer(const Peer& peer, std::string_view datagram, Instant asked, Instant now) {
  const auto parsed = parse_request(datagram);
  if (!parsed.version.empty() && parsed.version != kControlVersion)
    return refuse(ExitCode::failed, "version",
                  fmt::format("knockctl speaks protocol {}, the daemon {}", parsed.version, kControlVersion),
                  "install the same version of both, then: systemctl restart knockgated");
  if (!parsed.request) return refuse(ExitCode::usage, "usage", "malformed request");
  if (parsed.request->verb == "status")
    return status_.answer(asked, now, [&] { return encode(Reply{encode(status(now)), {}}); });
  return dispatch(*parsed.request, peer, now);
}

Reply Keeper::dispatch(const Request& request, const Peer& peer, Instant now) {
  const auto verb =
      std::find_if(kVerbs.begin(), kVerbs.end(), [&](const Verb& one) { return one.name == request.verb; });
  if (verb == kVerbs.end())
    return refuse(ExitCode::usage, "usage",
                  fmt::format("the daemon does not know the verb {}", request.verb));
  if (!may(peer, verb->right, config_.control.write_group))
    return refuse(ExitCode::denied, "not-allowed", fmt::format("{} is not allowed for you", request.verb),
                  verb->right == Right::root ? "run it with sudo"
                                             : "run it with sudo, or join the [control] write_group");
  if (verb->right == Right::read) return {}; // wait: an answer is the answer
  status_.outdate();
  const auto change = [&]() -> Reply {
    if (request.verb == "open") return open_by_hand(request, now);
    if (request.verb == "close") return close_by_hand(request, now);
    if (request.verb == "reload") return reload_as_asked(request, peer, now);
    if (request.verb == "confirm") return confirm(request, now);
    if (request.verb == "off") return switch_off(now);
    if (request.verb == "on") return switch_on(now);
    SaveFacts facts{config_.hash, off_since_.has_value(), {}};
    for (const auto& entry : unconfirmed_) facts.unconfirmed.push_back(entry.first); // when it is over, too
    return {encode(facts), {}};
  };
  auto reply = change();
  system::log_line(LogLevel::info, hand_line(request, peer.uid, reply.failure.exit));
  return reply;
}

Reply Keeper::reload_as_asked(const Request& request, const Peer& peer, Instant now) {
  ReloadOptions options;
  options.uid = peer.uid;
  options.now = request.find("now").has_value();
  options.ask = !options.now && !request.find("confirm");
  if (const auto time = request.find("confirm")) {
    options.confirm = parse_duration(*time);
    if (!options.confirm || *options.confirm < Seconds{1} || *options.confirm > std::chrono::hours{24})
      return refuse(ExitCode::usage, "usage", fmt::format("{} is no time from 1s to 24h", *time),
                    "write --confirm 10m");
  }
  return reload(options, now);
}

Reply Keeper::reload(const ReloadOptions& options, Instant now) {
  const auto failed = [&](Failure failure) {
    system::log_line(LogLevel::error, "reload failed, the old config stays: " + to_string(failure));
    config_error_ = failure;
    return Reply{{}, std::move(failure)};
  };
  auto parsed = system::load_config(config_path_);
  if (!parsed.config) return failed(failure_of(parsed.findings.front()));
  const auto& next = *parsed.config;
  if (next.nft.mode != config_.nft.mode || next.nft.table != config_.nft.table)
    return failed({ExitCode::bad_config,
                   "bad-config",
                   {config_path_, 0, 0},
                   "[nft] mode and table are fixed at start",
                   "systemctl restart knockgated"});
  if (off_since_ && options.confirm)
    return refuse(ExitCode::failed, "failed", "knockgate is off: a trial would prove nothing",
                  "sudo knockctl on, then knockctl reload --confirm 10m");
  const auto trials = unconfirmed_;
  auto applied = apply(std::move(*parsed.config), options, now);
  if (!applied) return failed(failure_of(applied.error()));
  if (options.ask && !applied->fresh.empty()) {
    auto refused =
        refuse(ExitCode::usage, "usage",
               fmt::format("this would guard {}, maybe the port you are on: nothing is changed",
                           names(applied->fresh)),
               "run: knockctl reload --confirm 10m (undone unless you confirm), or: knockctl reload --now");
    system::log_line(LogLevel::error, "reload refused: " + to_string(refused.failure));
    return refused;
  }

  auto texts = reload_texts(options, *applied, trials, now);
  const auto enabled =
      std::count_if(config_.doors.begin(), config_.doors.end(), [](const Door& one) { return one.enabled; });
  texts.push_back(fmt::format("config read: {}.", plural(static_cast<std::size_t>(enabled), "door")));
  for (const auto& text : texts) system::log_line(LogLevel::info, "reload: " + text);
  auto reply = told(texts);
  reply.lines.push_back(changed_line(applied->changed, applied->guarded, applied->unguarded));
  return reply;
}

Reply Keeper::switch_off(Instant now) {
  if (off_since_) return told({"off already: nothing is guarded."});
  const auto since = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  if (auto written = remember(unconfirmed_, since); !written) return refuse(written.error());
  off_since_ = since;
  if (engine_)
    if (auto loaded = gate_.load(config_, {}, {}, ledger_.all(now)); !loaded) return refuse(loaded.error());
  system::log_line(LogLevel::warn, "off: nothing is guarded until knockctl on");
  return told({"off: nothing is guarded until: sudo knockctl on"});
}

Reply Keeper::switch_on(Instant now) {
  if (!off_since_) return told({"on already."});
  const auto since = std::exchange(off_since_, std::nullopt);
  auto applied = apply(config_, {}, now);
  if (!applied) {
    off_since_ = since;
    return refuse(applied.error());
  }
  if (auto written = remember(unconfirmed_, {}); !written) return refuse(written.error());
  system::log_line(LogLevel::info, "on: guarding again");
  return told({applied->guarded.empty() ? "on: no door is enabled."
                                        : fmt::format("on: {} guarded from now.", names(applied->guarded))});
}

Reply Keeper::open_by_hand(const Request& request, Instant now) {
  const auto name = request.find("door").value_or("");
  const auto* found = door(name);
  if (found == nullptr)
    return refuse(ExitCode::failed, "failed", fmt::format("there is no door {}", name),
                  "knockctl check lists mistakes; a disabled door does not count");
  const auto source = parse_address(request.find("source").value_or(""));
  if (!source || !grantable(*source))
    return refuse(ExitCode::usage, "usage",
                  fmt::format("{} is no address of a host", request.find("source").value_or("nothing")));
  if (own_.contains(*source))
    return refuse(ExitCode::usage, "usage",
                  fmt::format("{} is an address of this router", to_string(*source)));
  if (off_since_)
    return refuse(ExitCode::failed, "failed", "knockgate is off: every port is open", "sudo knockctl on");
  std::vector<std::string> texts;
  if (!request_for(*found, *source).ports.empty()) {
    if (auto refused = grant_by_hand(request, *found, *source, now, texts);
        refused.failure.exit != ExitCode::done)
      return refused;
  }
  if (!found->run.empty()) {
    const bool cooled = !commands_.ready(*found, now);
    if (!commands_.open(*found, *source, Via::hand, now) && !cooled) return refuse(*commands_.error());
    texts.push_back(cooled ? fmt::format("{} did not start: cooldown", found->run[0])
                           : fmt::format("started {}", found->run[0]));
  }
  if (texts.empty())
    return refuse(ExitCode::failed, "failed",
                  fmt::format("door {} leads nowhere over {}", found->name,
                              source->family == Family::ipv4 ? "IPv4" : "IPv6"),
                  "give its forward a target of that family");
  return told(texts);
}

Reply Keeper::grant_by_hand(const Request& request, const Door& found, const Address& source, Instant now,
                            std::vector<std::string>& texts) {
  auto asked = request_for(found, source);
  asked.via = Via::hand;
  asked.terms.says_close = !found.run_close.empty() && commands_.ready(found, now);
  if (const auto time = request.find("for")) {
    const auto span = parse_duration(*time);
    if (!span || *span < Seconds{1} || *span > found.max)
      return refuse(ExitCode::usage, "usage", fmt::format("{} is no time from 1s to max of the door", *time),
                    "write --for 30m");
    asked.open_for = *span;
  }
  (void)work(now);
  const auto plan = plan_open({&asked, 1}, now);
  const auto& event = plan.events.back(); // those before it are given up
  if (auto done = carry_out(plan, now); !done) return refuse(done.error());
  if (event.verb == LedgerEvent::Verb::refused)
    return refuse(ExitCode::failed, "failed",
                  event.reason == "door_grants"
                      ? fmt::format("[door.{}] grants is reached: {}", found.name, found.grants)
                      : fmt::format("[limits] {} is reached", event.reason),
                  "knockctl close, or raise the limit");
  texts.push_back(fmt::format(
      "{} {} for {}: {} left", event.verb == LedgerEvent::Verb::open ? "opened" : "extended", found.name,
      to_string(source), span_text(std::chrono::ceil<Millis>(event.grant.ends - now).count())));
  return {};
}

Reply Keeper::close_by_hand(const Request& request, Instant now) {
  CloseWhich which;
  const auto what = request.find("what").value_or("");
  if (!request.find("all")) {
    std::uint64_t id = 0;
    const auto [end, error] = std::from_chars(what.data(), what.data() + what.size(), id);
    const bool is_door = door(what) != nullptr || error != std::errc{} || end != what.data() + what.size();
    if (what.empty()) return refuse(ExitCode::usage, "usage", "close what?", "name a door, an id, or --all");
    if (is_door)
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
    if (!which.source) return refuse(ExitCode::usage, "usage", fmt::format("{} is no address", *text));
  }
  (void)work(now);
  auto plan = plan_close(which, "hand", now);
  const auto closed = plan.closed.size();
  if (closed == 0 && !request.find("all"))
    return refuse(ExitCode::failed, "failed", "nothing open matches", "knockctl status shows what is open");
  if (auto done = carry_out(std::move(plan), now); !done) return refuse(done.error());
  return told({fmt::format("{} closed.", plural(closed, "grant"))});
}

} // namespace knock::keeper
