// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/replay.hpp>

#include <algorithm>

#include <fmt/format.h>

#include <knock/result.hpp>

#include "core/replay/course.hpp"

namespace knock {
namespace {

constexpr Instant kStart{Seconds{1'000}};
constexpr SourceHash::Key kKey{}; // a recording is read alike each time

Policy policy_of(const Config& config) {
  auto policy = Policy::compile(sequences_of(config), config.limits.cooloff);
  KNOCK_ASSERT(policy);
  return std::move(*policy);
}

PacketPath path_of(const Config& config) {
  PacketPath path(config.limits.attempts, kKey);
  path.follow(policy_of(config));
  return path;
}

bool is_multicast(const Address& address) {
  const auto first = address.octets[0];
  return address.family == Family::ipv4 ? first >= 224 : first == 0xff; // 255.255.255.255 among them
}

/// "tcp/7143", with flags when they are not those of a plain SYN.
std::string what_of(const Packet& packet) {
  const Port port{packet.protocol, packet.port};
  const auto bytes = packet.length == 0 ? std::string() : fmt::format(" {} bytes", packet.length);
  switch (packet.protocol) {
  case Protocol::tcp: {
    const auto flags = static_cast<std::uint8_t>(packet.tcp_flags & kTcpSix);
    if (flags == kTcpSyn) return to_string(port);
    return to_string(port) + ":" + (flags == 0 ? "none" : flags_text(flags));
  }
  case Protocol::udp: return to_string(port) + bytes;
  case Protocol::icmp:
  case Protocol::icmp6: break;
  }
  return "ping" + bytes;
}

/// Why a packet to the port of a step is none, by its kind.
std::string_view misfit(Port port) {
  if (port.protocol == Protocol::tcp) return "no step has these flags";
  return "no step has this length or word";
}

/// By its port alone: no key is read here, and of another length it is no stray, too.
bool is_signed(const Config& config, Port port) {
  const auto& ports = config.kn1.ports;
  return takes_kn1(config) && std::find(ports.begin(), ports.end(), port) != ports.end();
}

bool guards(const Config& config, Port port) {
  return std::any_of(config.doors.begin(), config.doors.end(),
                     [&](const Door& door) { return door.enabled && guards(door, port); });
}

void add(std::string& text, std::string_view more) {
  if (!text.empty()) text += "; ";
  text += more;
}

} // namespace

Replay::Course::Course(const Config& config)
    : config_(config), path_(path_of(config)), stages_(sequences_of(config), path_.policy()) {}

Replay::Course::Source* Replay::Course::source(const Address& address, bool make) {
  const auto key = subnet_of(address);
  const auto found = sources_.find(key);
  if (found != sources_.end()) return &found->second;
  if (!make) return nullptr;
  if (sources_.size() == kMaxSources) {
    ++summary_.forgotten;
    return nullptr;
  }
  auto& made = sources_[key];
  made.last = latest_;
  return &made;
}

ReplayRow Replay::Course::row(const Address& address, std::string what, std::string_view fate,
                              std::string text) {
  ReplayRow row;
  row.at = std::chrono::floor<Millis>(latest_ - first_);
  const bool known = source(address, false) != nullptr;
  if (auto* of = source(address, true)) {
    if (known) row.gap = std::chrono::round<Millis>(latest_ - of->last);
    of->last = latest_;
    of->address = address;
  }
  row.source = to_string(address);
  row.what = std::move(what);
  row.fate = fate;
  row.text = std::move(text);
  ++summary_.rows;
  return row;
}

/// Why the kernel would not report it: a fate, or "other" for what concerns no knock; empty when it would.
std::string_view Replay::Course::unreported(const Packet& packet, const Recorded& recorded, const Seen& seen,
                                            const Ends& ends, std::string& text) {
  const bool established = flows_.established(packet, ends.destination);
  if (recorded.sent || recorded.group || is_multicast(ends.destination)) return "other";
  if (established) {
    text = "of a connection that had an answer: not reported";
    return seen.knock && seen.token ? "connection" : "other";
  }
  if (!seen.knock && guards(config_, seen.port)) {
    text = "guarded, not a knock: never a stray";
    const bool opening = packet.protocol == Protocol::tcp && (packet.tcp_flags & kTcpSix) == kTcpSyn;
    return opening && source(packet.source, false) != nullptr ? "guarded" : "other";
  }
  if (!seen.knock && is_signed(config_, seen.port)) {
    text = "to a port of signed packets: never a stray; what became of it: knockctl user list";
    return "signed";
  }
  if (!seen.knock && packet.protocol != Protocol::tcp && packet.protocol != Protocol::udp) return "other";
  const auto& trusted = config_.gate.trust_prefixes;
  if (std::none_of(trusted.begin(), trusted.end(),
                   [&](const Prefix& one) { return one.contains(packet.source); }))
    return {};
  ++summary_.trusted;
  text = "of a trusted prefix: not reported, needs no knock";
  return seen.knock ? "trusted" : "other";
}

std::optional<ReplayRow> Replay::Course::read(const Recorded& recorded) {
  if (summary_.packets++ == 0) first_ = latest_ = recorded.stamp;
  if (recorded.stamp < latest_) ++summary_.backwards;
  latest_ = std::max(latest_, recorded.stamp);
  summary_.span = std::chrono::floor<Millis>(latest_ - first_);
  const auto now = kStart + (latest_ - first_);
  path_.wake(now, latest_);
  auto row = judge(recorded);
  for (auto due = path_.sweep(now); due && *due <= now;) due = path_.sweep(now);
  return row;
}

std::optional<ReplayRow> Replay::Course::judge(const Recorded& recorded) {
  const auto copied = path_.policy().kinds().copy_bytes(); // by the kernel
  const auto bytes = recorded.packet.first(std::min<std::size_t>(recorded.packet.size(), copied));
  const auto ends = parse_ends(bytes);
  if (!ends) return std::nullopt;
  const auto parsed = parse_packet(bytes);
  if (parsed.reason != Unparsed::none) return refused(bytes, parsed.reason, ends->source, recorded.sent);
  const auto& packet = parsed.packet;
  Seen seen{{packet.protocol, packet.port}, false, path_.policy().kinds().token_of(packet)};
  seen.knock = stages_.is_knock(seen.port);
  if (const auto* of = source(packet.source, false)) seen.before = of->furthest;
  seen.word_cut = stages_.has_word(seen.port) && recorded.missing > 0 && recorded.packet.size() < copied;
  std::string text;
  const auto why = unreported(packet, recorded, seen, *ends, text);
  if (why == "other") return std::nullopt;
  if (!why.empty()) return row(packet.source, what_of(packet), why, std::move(text));
  completed_.clear();
  const auto fate = path_.read(bytes, {}, completed_);
  if (fate.kind == Fate::Kind::stepped) return stepped(packet, fate.outcome, seen);
  if (!seen.knock) return std::nullopt;
  if (fate.kind == Fate::Kind::link_local)
    return row(packet.source, what_of(packet), "link-local",
               "of a link-local address: it can be given nothing");
  return row(packet.source, what_of(packet), "not-step",
             seen.token                         ? "not a step: such a source is never let in"
             : packet.protocol == Protocol::tcp ? "not a step: no SYN, or one with ACK"
                                                : "not a step: no echo request");
}

/// Nothing for what is of no transport that a step can have.
std::optional<ReplayRow> Replay::Course::refused(std::span<const std::byte> bytes, Unparsed reason,
                                                 const Address& source, bool sent) {
  if (sent || (reason != Unparsed::fragment && reason != Unparsed::cut)) return std::nullopt;
  (void)path_.read(bytes, {}, completed_);
  if (reason == Unparsed::cut) return row(source, "-", "cut", "cut within its headers: not read");
  return row(source, "-", "fragment", "a fragment: the kernel may put it together, replay does not");
}

std::optional<ReplayRow> Replay::Course::stepped(const Packet& packet, const Outcome& outcome,
                                                 const Seen& seen) {
  const bool moved = outcome.steps != 0 || outcome.started || outcome.known || outcome.stray ||
                     outcome.cooling || outcome.ended != 0 || outcome.contended;
  if (!moved && !seen.knock) return std::nullopt;
  auto row = this->row(packet.source, what_of(packet), "", "");
  tell_steps(outcome, seen, row);
  tell_rest(outcome, seen, row);
  if (seen.word_cut) {
    ++summary_.words_cut;
    add(row.text, "cut in the recording, a word in it may be missed");
  }
  remember(packet, outcome, seen, row.what);
  return row;
}

/// What it led to. The first that is told is the row's fate.
void Replay::Course::tell_steps(const Outcome& outcome, const Seen& seen, ReplayRow& row) {
  const auto is = [&](std::string_view fate) {
    if (row.fate.empty()) row.fate = fate;
  };
  for (const auto index : outcome.completed()) {
    const auto& sequence = stages_.sequence(index);
    is(sequence.closes ? "closes" : "opens");
    add(row.text, fmt::format("{} {}", sequence.closes ? "CLOSES" : "OPENS", sequence.name));
    (sequence.closes ? row.closed : row.opened).push_back(sequence.name);
  }
  const auto* begins = outcome.started ? path_.policy().edge(0, *seen.token) : nullptr;
  const auto furthest = outcome.steps != 0  ? outcome.where.node
                        : begins != nullptr ? begins->forward
                                            : NodeId{0};
  if (const auto& stages = stages_.at(furthest); furthest != 0 && !stages.empty()) row.stage = stages.front();
  if (outcome.steps != 0 && outcome.opened_count == 0) {
    is("step");
    add(row.text, stages_.text(outcome.where.node));
    const auto& policy = path_.policy();
    if (seen.before != 0 && stages_.swapped(seen.before) &&
        policy.depth(outcome.where.node) <= policy.depth(seen.before))
      add(row.text, "too late to swap with what came before it, which counts no more");
    if (path_.policy().node(outcome.where.node).ending != 0)
      add(row.text, "not opened: more than its own within or strays");
  }
  if (begins != nullptr && outcome.opened_count == 0) {
    is("begins");
    add(row.text, "begins " + stages_.text(begins->forward, stages_.swapped(begins->forward)));
  }
}

void Replay::Course::tell_rest(const Outcome& outcome, const Seen& seen, ReplayRow& row) {
  const auto tell = [&](std::string_view fate, std::string_view text) {
    if (row.fate.empty()) row.fate = fate;
    add(row.text, text);
  };
  if (outcome.cooling) tell("ignored", "ignored: cooling off");
  const std::string_view which = row.fate.empty() ? "" : "another attempt is "; // beside what it led to
  if (outcome.where.off_beat)
    tell("rhythm",
         fmt::format("{}out of rhythm: {}", which, stages_.rhythm(outcome.where.left, *seen.token)));
  else if (outcome.ended != 0)
    tell("late",
         fmt::format("{}too late: {} were over after {}", which,
                     duration_text(stages_.within(outcome.where.left)), stages_.text(outcome.where.left)));
  const bool misfits = seen.knock && !stages_.is_step(*seen.token);
  if (outcome.stray) {
    const unsigned allowed = path_.policy().node(outcome.where.node).strays;
    const auto why = misfits ? fmt::format("{}, ", misfit(seen.port)) : seen.knock ? "out of order, " : "";
    if (outcome.where.strays > allowed)
      tell("scan",
           fmt::format("{}stray {}, {} are allowed: a scan{}", why, outcome.where.strays, allowed,
                       outcome.cooled ? fmt::format(", ignored for {}", duration_text(config_.limits.cooloff))
                                      : ""));
    else
      tell("stray", fmt::format("{}stray {} of {}", why, outcome.where.strays, allowed));
  }
  if (row.fate.empty() && outcome.known) tell("repeat", "copy or repeat");
  if (row.fate.empty())
    tell("unexpected", misfits ? fmt::format("{}, and no knock is under way", misfit(seen.port))
                               : "begins no knock, and none is under way that waits for it");
}

void Replay::Course::remember(const Packet& packet, const Outcome& outcome, const Seen& seen,
                              std::string_view what) {
  auto* of = source(packet.source, false);
  if (of == nullptr) return;
  if (outcome.ended != 0 && outcome.where.left == of->furthest)
    of->why = outcome.where.off_beat ? "rhythm" : "late";
  if (outcome.cooled) of->why = "scan";
  const auto* begins = outcome.started ? path_.policy().edge(0, *seen.token) : nullptr;
  const auto reached = std::max(outcome.steps != 0 ? outcome.where.node : NodeId{0},
                                begins != nullptr ? begins->forward : NodeId{0});
  if (outcome.opened_count != 0) {
    of->furthest = 0;
    of->why = {};
    of->opened = true;
  } else if (reached != 0 && path_.policy().depth(reached) >= path_.policy().depth(of->furthest)) {
    of->furthest = reached;
    of->why = {};
  } else if (seen.knock && !of->opened && of->furthest == 0 && !outcome.known && !of->first_try) {
    of->first_try = seen.token;
    of->tried = what;
  }
}

std::vector<Conclusion> Replay::Course::conclusions() {
  std::vector<Conclusion> all;
  for (const auto& [key, of] : sources_) {
    Conclusion one;
    one.source = to_string(of.address);
    one.why = of.why;
    if (of.furthest != 0) {
      const auto& stages = stages_.at(of.furthest);
      if (stages.empty()) continue;
      one.stage = stages.front();
      one.text = fmt::format("{} came to {}", one.source, stages_.text(of.furthest));
      if (!one.stage->next.empty()) one.text += fmt::format("; next was {}", one.stage->next);
      if (one.why == "late")
        one.text += fmt::format(", within {} of the first step", duration_text(stages_.within(of.furthest)));
      if (one.why == "rhythm") one.text += ", in its rhythm";
      if (one.why == "scan") one.text += ", before its strays were spent";
    } else if (of.first_try && !of.opened) {
      one.text = fmt::format("{} began no knock: {} begins none", one.source, of.tried);
      if (const auto* sequence = stages_.with(*of.first_try))
        one.text += fmt::format("; door {} begins with {}", door_text(sequence->name, sequence->closes),
                                to_string(sequence->steps.front().kind));
    } else {
      continue;
    }
    all.push_back(std::move(one));
  }
  return all;
}

ReplaySummary Replay::Course::summary() {
  const auto counts = path_.take_counts();
  auto summary = summary_;
  summary.counts = counts;
  return summary;
}

Replay::Replay(const Config& config) : course_(std::make_unique<Course>(config)) {}
Replay::~Replay() = default;

std::optional<ReplayRow> Replay::read(const Recorded& recorded) {
  return course_->read(recorded);
}
std::vector<Conclusion> Replay::conclusions() const {
  return course_->conclusions();
}
ReplaySummary Replay::summary() {
  return course_->summary();
}

} // namespace knock
