// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/client_state.hpp>

#include <algorithm>
#include <charconv>
#include <limits>

#include <fmt/format.h>

#include "core/config/words.hpp"
#include "core/spa/line_door.hpp"

namespace knock::profiles {
namespace {

constexpr std::string_view kHead = "knockgate 1";
constexpr auto kWrong = std::chrono::seconds{120}; // a router takes nothing that is older

/// Reads on what it takes off `text`; false when it is not there.
struct StateReader {
  std::string_view text;

  bool word(std::string_view wanted) {
    if (!text.starts_with(wanted)) return false;
    text.remove_prefix(wanted.size());
    return true;
  }
  /// All of it: up to a blank or the end of the line.
  template<class Number>
  bool number(Number& out) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return error == std::errc{};
  }
};

bool take_wall(std::string_view text, Wall& out) {
  StateReader in{text};
  std::int64_t count = 0;
  if (!in.number(count) || !in.text.empty() || count < 0) return false;
  out = Wall{count};
  return true;
}

std::optional<Knocked> knocked_of(std::string_view words) {
  Knocked one;
  one.way.door = line::take_until(words, ' ');
  const auto router = parse_address(line::take_until(words, ' '));
  const auto source = parse_address(line::take_until(words, ' '));
  const auto granted = parse_address(line::take_until(words, ' '));
  one.bound = line::take_until(words, ' ') == "bound";
  if (!grammar::is_name(one.way.door) || !router || !source || !granted ||
      !take_wall(line::take_until(words, ' '), one.at) || !take_wall(line::take_until(words, ' '), one.until))
    return std::nullopt;
  one.way.router = *router;
  one.way.source = *source;
  one.way.granted = *granted;
  one.seen = words == "open" ? Knocked::Seen::open : Knocked::Seen::sent;
  return one;
}

bool holds_way(const ClientState& state, const KnockedWay& way) {
  return std::any_of(state.knocked.begin(), state.knocked.end(),
                     [&](const Knocked& one) { return one.way == way; });
}

} // namespace
} // namespace knock::profiles

namespace knock {

std::optional<ClientState> parse_client_state(std::string_view text) {
  if (text.size() > kMaxClientState) return std::nullopt;
  ClientState state;
  profiles::StateReader in{text};
  int opened = 0;
  if (!in.word(profiles::kHead) || !in.word("\nstamp ") || !in.number(state.stamp) || !in.word("\nopened ") ||
      !in.number(opened) || !in.word("\n"))
    return std::nullopt;
  state.ever_opened = opened == 1;
  while (in.word("knock ")) {
    const auto one = profiles::knocked_of(line::take_until(in.text, '\n'));
    if (!one || state.knocked.size() == kMaxKnocked || profiles::holds_way(state, one->way))
      return std::nullopt;
    state.knocked.push_back(*one);
  }
  // What is written in another way is not ours.
  return in.text.empty() && encode(state) == text ? std::optional(std::move(state)) : std::nullopt;
}

std::string encode(const ClientState& state) {
  auto text =
      fmt::format("{}\nstamp {:020}\nopened {}\n", profiles::kHead, state.stamp, state.ever_opened ? 1 : 0);
  for (const auto& one : state.knocked)
    text +=
        fmt::format("knock {} {} {} {} {} {} {} {}\n", one.way.door, to_string(one.way.router),
                    to_string(one.way.source), to_string(one.way.granted), one.bound ? "bound" : "unbound",
                    one.at.count(), one.until.count(), one.seen == Knocked::Seen::open ? "open" : "sent");
  return text;
}

std::uint64_t next_stamp(ClientState& state, Wall now, bool counter) {
  constexpr auto kLast = std::numeric_limits<std::uint64_t>::max();
  constexpr auto kAhead = static_cast<std::uint64_t>(Wall{profiles::kWrong}.count());
  const auto wall = static_cast<std::uint64_t>(std::max(now, Wall{0}).count());
  const auto next = state.stamp == kLast ? kLast : state.stamp + 1;
  const bool wrong = state.stamp >= wall && state.stamp - wall >= kAhead;
  state.stamp = counter ? next : wrong ? wall : std::max(wall, next);
  return state.stamp;
}

void note(ClientState& state, Knocked knocked) {
  for (const auto& one : state.knocked) {
    if (one.way != knocked.way || one.at > knocked.at || one.until < knocked.at) continue;
    knocked.until = std::max(knocked.until, one.until);
    knocked.seen = std::max(knocked.seen, one.seen);
  }
  std::erase_if(state.knocked,
                [&](const Knocked& one) { return one.until < knocked.at || one.way == knocked.way; });
  if (state.knocked.size() >= kMaxKnocked) state.knocked.erase(state.knocked.begin());
  state.ever_opened = state.ever_opened || knocked.seen == Knocked::Seen::open;
  state.knocked.push_back(std::move(knocked));
}

void note_open(ClientState& state, const KnockedWay& way, Wall now) {
  state.ever_opened = true;
  for (auto& one : state.knocked)
    if (one.way == way && left_of(one, now) > Wall{0}) one.seen = Knocked::Seen::open;
}

const Knocked* knocked_within(const ClientState& state, const KnockedWay& way, Wall now, Wall age) {
  for (const auto& one : state.knocked)
    if (one.way == way && one.at <= now && now - one.at <= age) return &one;
  return nullptr;
}

void forget(ClientState& state, const KnockedWay& way) {
  std::erase_if(state.knocked, [&](const Knocked& one) { return one.way == way; });
}

Wall left_of(const Knocked& knocked, Wall now) {
  return std::clamp(knocked.until - std::max(now, knocked.at), Wall{0},
                    std::max(knocked.until - knocked.at, Wall{0}));
}

} // namespace knock
