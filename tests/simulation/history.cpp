// SPDX-License-Identifier: GPL-2.0-or-later
#include "history.hpp"

#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "devices.hpp"

namespace knock::simulation {
namespace {

using Kind = Event::Kind;

/// How often each kind is drawn. Rounds, packets and knocks are the most; what breaks comes in between.
struct Weight {
  Kind kind;
  std::uint32_t weight;
};
constexpr std::array kWeights{
    Weight{Kind::pass, 300},    Weight{Kind::stall, 6},     Weight{Kind::knock, 180},
    Weight{Kind::closing, 40},  Weight{Kind::scan, 2},      Weight{Kind::stranger, 6},
    Weight{Kind::open, 30},     Weight{Kind::close, 20},    Weight{Kind::reload, 16},
    Weight{Kind::edit, 2},      Weight{Kind::confirm, 8},   Weight{Kind::off, 3},
    Weight{Kind::on, 14},       Weight{Kind::status, 6},    Weight{Kind::save, 6},
    Weight{Kind::syn, 120},     Weight{Kind::answer, 60},   Weight{Kind::data, 60},
    Weight{Kind::end, 50},      Weight{Kind::disturb, 16},  Weight{Kind::meanwhile, 8},
    Weight{Kind::off_alone, 3}, Weight{Kind::list, 3},      Weight{Kind::lose, 4},
    Weight{Kind::fail, 6},      Weight{Kind::fail_look, 3}, Weight{Kind::disk_full, 2},
    Weight{Kind::deaf, 1},      Weight{Kind::kill, 3},      Weight{Kind::kill_after, 5},
    Weight{Kind::start, 6},     Weight{Kind::reboot, 1}};

constexpr std::uint32_t total(const auto& weights) {
  std::uint32_t sum = 0;
  for (const auto& one : weights) sum += one.weight;
  return sum;
}

constexpr std::array kSigned{Weight{Kind::packet, 40}, Weight{Kind::again, 30}, Weight{Kind::forged, 4},
                             Weight{Kind::users, 6}, Weight{Kind::clock, 3}};

Kind draw_kind(Draw& draw, std::span<const Weight> weights = kWeights) {
  auto at = draw.below(total(weights));
  for (const auto& one : weights) {
    if (at < one.weight) return one.kind;
    at -= one.weight;
  }
  return Kind::pass;
}

/// Mostly little, now and then minutes.
std::uint32_t draw_ms(Draw& draw) {
  constexpr std::array<std::uint32_t, 6> kMost{10, 200, 2'000, 10'000, 40'000, 400'000};
  return 1 + draw.below(kMost[draw.below(draw.one_in(8) ? 6 : 5)]);
}

constexpr std::array kErrors{EPERM, ENFILE, ENOBUFS, ENOMEM, EAGAIN};
constexpr std::uint32_t kForeignKinds = 11; // without off_alone, an event of its own

constexpr std::array<std::uint32_t, 9> kSigning{0, 1, 2,  3, 4,
                                                7, 9, 10, 11}; // doors that take signed packets

void draw_words(Draw& draw, Event& event) {
  const auto source = [&] { return draw.below(static_cast<std::uint32_t>(sources().size())); };
  const auto door = [&] { return draw.below(static_cast<std::uint32_t>(kDoors.size())); };
  switch (event.kind) {
  case Kind::pass:
  case Kind::stall: event.a = draw_ms(draw); break;
  case Kind::knock:
  case Kind::open:
    event.a = door();
    event.b = source();
    event.c = draw.one_in(3) ? 1 + draw.below(200) : 0;
    break;
  case Kind::closing:
    event.a = door();
    event.b = source();
    break;
  case Kind::scan: event.b = source(); break;
  case Kind::stranger: event.a = draw.below(3); break;
  case Kind::close:
    event.a = draw.one_in(6) ? 2 : draw.below(2);
    event.b = event.a == 0 ? draw.below(kDoors.size() + 1) : draw.below(12);
    event.c = draw.one_in(2) ? 1 + source() : 0;
    break;
  case Kind::reload:
  case Kind::edit:
    event.a = draw.below(static_cast<std::uint32_t>(configs().size()));
    event.b = draw.below(3);
    event.c = 1 + draw.below(draw.one_in(2) ? 20 : 300);
    break;
  case Kind::confirm: event.a = draw.below(2); break;
  case Kind::on: event.a = draw.one_in(4) ? draw.below(5'000) : 0; break;
  case Kind::syn:
    event.a = source();
    event.b = draw.below(static_cast<std::uint32_t>(kPorts.size()));
    event.c = draw.below(6);
    break;
  case Kind::answer:
  case Kind::data:
  case Kind::end: event.a = draw.below(8); break;
  case Kind::meanwhile:
  case Kind::disturb:
    event.a = draw.below(kForeignKinds);
    event.b = draw.below(64);
    event.c = event.kind == Kind::meanwhile ? draw.below(4) : draw.below(1'000);
    break;
  case Kind::off_alone:
    event.a = draw.below(6);
    event.b = draw.below(4);
    break;
  case Kind::lose:
    event.a = draw.below(3);
    event.b = draw.one_in(2) ? 0 : 1 + draw.below(kForeignKinds);
    event.c = draw.below(64);
    break;
  case Kind::fail:
    event.a = draw.below(static_cast<std::uint32_t>(std::variant_size_v<keeper::Step>));
    event.b = static_cast<std::uint32_t>(kErrors[draw.below(kErrors.size())]);
    break;
  case Kind::fail_look: event.a = draw.one_in(2) ? EPERM : ENOBUFS; break;
  case Kind::kill_after: event.a = draw.below(4); break;
  case Kind::packet:
  case Kind::forged:
    event.a = draw.below(kDevices);
    event.b = draw.one_in(8) ? door() : kSigning[(2 * event.a + draw.below(3)) % kSigning.size()];
    event.c = static_cast<std::uint32_t>(draw.next());
    break;
  case Kind::again:
    event.a = draw.below(draw.one_in(3) ? 40 : 3);
    event.b = draw.one_in(3) ? draw.below(1 + kDevices) : 0;
    break;
  case Kind::users:
    event.a = draw.one_in(2) ? 0 : draw.below(kUserFiles);
    event.b = draw.below(4) != 0 ? 1 : 0;
    break;
  case Kind::clock: event.a = draw.below(kClocks); break;
  default: break;
  }
}

std::string source_text(std::uint32_t at) {
  return to_string(sources()[at % sources().size()]);
}

constexpr std::array<std::string_view, kForeignKinds> kForeignNames{"deletes the table",
                                                                    "deletes a set",
                                                                    "flushes a set",
                                                                    "flushes a chain",
                                                                    "flush ruleset and boot file",
                                                                    "loads boot file",
                                                                    "deletes an element",
                                                                    "adds an element",
                                                                    "deletes a guarded port",
                                                                    "loads what was listed",
                                                                    "flush ruleset and what was listed"};
constexpr std::array<std::string_view, 10> kStepNames{"Bind",     "Instruct", "Rekey", "Dismiss", "Listen",
                                                      "Remember", "Mark",     "Load",  "Unload",  "Commit"};
static_assert(kStepNames.size() == std::variant_size_v<keeper::Step>);

constexpr std::array<std::string_view, kClocks> kClockNames{
    "right and known to be", "unknown", "an hour ahead", "an hour behind", "ten minutes behind"};

std::string packet_text(std::uint32_t device, std::uint32_t door, std::uint32_t drawn) {
  constexpr std::array<std::string_view, 3> kOps{"open", "refresh", "close"};
  const auto [op, age, elsewhere, unbound, ttl] = packet_words(drawn);
  return fmt::format("{}: {} {}{}{}{}{}", sender(device).label, kOps[op], kDoors[door],
                     age == 0 ? "" : fmt::format(", {} s old", age), elsewhere ? ", bound elsewhere" : "",
                     unbound ? ", unbound" : "", ttl == 0 ? "" : fmt::format(", for {} s", ttl));
}

std::string text_of(const Event& event) {
  const auto [kind, wakes, a, b, c] = event;
  switch (kind) {
  case Kind::pass: return fmt::format("{} ms pass", a);
  case Kind::stall: return fmt::format("{} ms pass, the keeper gets no time", a);
  case Kind::knock: return fmt::format("knock door={} source={}", kDoors[a], source_text(b));
  case Kind::closing: return fmt::format("closing knock door={} source={}", kDoors[a], source_text(b));
  case Kind::scan: return fmt::format("source={} is a scanner", source_text(b));
  case Kind::stranger: return fmt::format("record of an unhonest engine, kind {}", a);
  case Kind::open: return fmt::format("knockctl open {} {} for={}s", kDoors[a], source_text(b), c);
  case Kind::close:
    return fmt::format("knockctl close {}{}",
                       a == 0   ? std::string(door_text(b))
                       : a == 1 ? std::to_string(b)
                                : "--all",
                       c == 0 ? "" : " of " + source_text(c - 1));
  case Kind::reload:
    return fmt::format("knockctl reload{} with config {}",
                       b == 0   ? ""
                       : b == 1 ? fmt::format(" --confirm {}s", c)
                                : " --now",
                       a);
  case Kind::edit: return fmt::format("the files become config {}", a);
  case Kind::confirm: return a == 1 ? "knockctl confirm --anyway" : "knockctl confirm";
  case Kind::off: return "knockctl off";
  case Kind::on: return fmt::format("knockctl on, typed {} ms ago", a);
  case Kind::status: return "knockctl status";
  case Kind::save: return "knockctl save";
  case Kind::syn:
    return fmt::format("SYN {} port {} -> {}", source_text(a), 40'000 + c, to_string(kPorts[b]));
  case Kind::answer: return fmt::format("connection {} is answered", a);
  case Kind::data: return fmt::format("connection {} sends", a);
  case Kind::end: return fmt::format("connection {} ends", a);
  case Kind::disturb: return fmt::format("nft {} ({}, {})", kForeignNames[a], b, c);
  case Kind::meanwhile:
    return fmt::format("nft {} ({}) before step {} of the next round", kForeignNames[a], b, c);
  case Kind::off_alone:
    return fmt::format("knockctl off without the daemon{}{}", b == 0 ? ", its file alone" : "",
                       a == 0 ? "" : fmt::format(", before step {} of the next round", a - 1));
  case Kind::list: return "nft list ruleset > file";
  case Kind::lose:
    return fmt::format("events lost: {}{}",
                       a == 0   ? "table"
                       : a == 1 ? "flows"
                                : "both",
                       b == 0 ? "" : fmt::format("; nft {} ({})", kForeignNames[b - 1], c));
  case Kind::fail:
    return fmt::format("the next {} fails: {}", kStepNames[a], std::strerror(static_cast<int>(b)));
  case Kind::fail_look: return fmt::format("the next look fails: {}", std::strerror(static_cast<int>(a)));
  case Kind::disk_full: return "the disk is full once";
  case Kind::deaf: return "the next Listen hears nothing";
  case Kind::kill: return "SIGKILL";
  case Kind::kill_after: return fmt::format("SIGKILL after {} steps of the next round", a);
  case Kind::start: return "the daemon starts";
  case Kind::reboot: return "reboot";
  case Kind::packet: return "signed packet of " + packet_text(a, b, c);
  case Kind::again:
    return fmt::format("the signed packet {} before the last again{}", a,
                       b == 0 ? "" : ", from " + to_string(home_of(b - 1)));
  case Kind::forged: return fmt::format("the engine forges, in the way {}: {}", c % 4, packet_text(a, b, c));
  case Kind::users: return fmt::format("users.d become {}{}", a, b == 0 ? "" : ", and knockctl tells");
  case Kind::clock: return fmt::format("the wall clock: {}", kClockNames[a]);
  }
  return {};
}

} // namespace

std::uint64_t Draw::next() {
  std::uint64_t z = state += 0x9e3779b97f4a7c15ULL;
  z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27U)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31U);
}

std::string to_string(const Event& event) {
  return text_of(event) + (event.wakes || event.kind == Kind::pass ? "" : " (no round behind it)");
}

PacketWords packet_words(std::uint32_t drawn) {
  constexpr std::array<std::uint32_t, 8> kOps{0, 0, 0, 0, 0, 1, 2, 2};
  constexpr std::array<int, 8> kAges{0, 0, 0, 0, 0, 100, -20, 300};
  constexpr std::array<std::uint32_t, 4> kTtls{0, 0, 40, 600};
  const auto bits = [&](unsigned from, unsigned count) { return drawn >> from & ((1U << count) - 1); };
  return {kOps[bits(0, 3)], kAges[bits(3, 3)], bits(6, 3) == 6, bits(6, 3) == 7, kTtls[bits(9, 2)]};
}

History draw_history(std::uint64_t seed, std::size_t events) {
  Draw draw{seed};
  History history{seed, 0, !draw.one_in(3), draw.one_in(4), seed % 4 == 2, {}};
  Draw of_signed{~seed}; // so that the others stay what they were
  history.config = draw.one_in(2) ? 0 : draw.below(static_cast<std::uint32_t>(configs().size()));
  // Some histories are calm, so that what takes minutes gets them.
  const bool calm = draw.one_in(3);
  history.events.reserve(events);
  while (history.events.size() < events) {
    Event event;
    event.kind = draw_kind(draw);
    if (calm && event.kind >= Kind::disturb && event.kind != Kind::start && !draw.one_in(8)) continue;
    event.wakes = !draw.one_in(4);
    draw_words(draw, event);
    history.events.push_back(event);
    if (!history.signs || of_signed.one_in(3) || history.events.size() == events) continue;
    const auto add = [&](Kind kind) {
      auto& more = history.events.emplace_back();
      more.kind = kind;
      more.wakes = !of_signed.one_in(4);
      draw_words(of_signed, more);
    };
    if (!of_signed.one_in(20)) {
      add(draw_kind(of_signed, kSigned));
      continue;
    }
    // A crash or a boot around a packet; then its copy comes.
    const bool boots = of_signed.one_in(4);
    const bool within = !boots && of_signed.one_in(2);
    if (within) add(Kind::kill_after);
    add(Kind::packet);
    if (!within) add(boots ? Kind::reboot : Kind::kill);
    if (boots && of_signed.one_in(2)) add(Kind::clock);
    add(Kind::start);
    history.events.push_back({Kind::again, true, 0, 0, 0});
  }
  return history;
}

Foreign foreign_of(const Event& event, Instant now) {
  Foreign foreign;
  foreign.kind = static_cast<Foreign::Kind>(event.a % kForeignKinds);
  foreign.pick = event.b;
  if (foreign.kind != Foreign::Kind::add_element) return foreign;
  auto& element = foreign.element;
  element.key = {sources()[event.b % sources().size()], kPorts[event.b / 8 % kPorts.size()]};
  const auto span = Millis{1 + 37 * event.c};
  element.timeout = event.c % 5 == 0 ? Element::kEndless : span;
  const auto second = [](Instant at) { return std::chrono::floor<Seconds>(at.time_since_epoch()).count(); };
  element.comment = event.c % 2 == 0
                        ? std::string("by hand")
                        : fmt::format("adm alice/laptop kn1 {} {}", second(now), second(now + span));
  return foreign;
}

} // namespace knock::simulation
