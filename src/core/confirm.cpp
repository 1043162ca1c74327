// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/confirm.hpp>

#include <charconv>

#include <fmt/format.h>

namespace knock {
namespace {

/// Cuts `text` at the first `end`; nothing when there is none.
std::optional<std::string_view> take(std::string_view& text, char end) {
  const auto at = text.find(end);
  if (at == std::string_view::npos) return std::nullopt;
  const auto word = text.substr(0, at);
  text.remove_prefix(at + 1);
  return word;
}

std::optional<Instant> parse_deadline(std::string_view text) {
  std::uint64_t ms = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), ms);
  constexpr std::uint64_t kCentury =
      3'155'760'000'000; // keeps the nanoseconds of an Instant far from overflow
  if (error != std::errc{} || stop != text.data() + text.size() || ms > kCentury) return std::nullopt;
  return Instant{Millis{ms}};
}

} // namespace

std::string encode_unconfirmed(const Unconfirmed& ports, std::string_view boot) {
  std::string text;
  for (const auto& [port, until] : ports)
    text += fmt::format("{} {} {}\n", to_string(port),
                        std::chrono::ceil<Millis>(until.time_since_epoch()).count(), boot);
  return text;
}

std::optional<Unconfirmed> parse_unconfirmed(std::string_view text, std::string_view boot) {
  Unconfirmed ports;
  while (!text.empty()) {
    const auto port = take(text, ' ');
    const auto deadline = port ? take(text, ' ') : std::nullopt;
    const auto written_at = deadline ? take(text, '\n') : std::nullopt;
    if (!written_at) return std::nullopt;
    const auto parsed = parse_port(*port);
    const auto until = parse_deadline(*deadline);
    if (!parsed || !until) return std::nullopt;
    ports[*parsed] = *written_at == boot ? *until : Instant{};
  }
  return ports;
}

StaticSets with_unconfirmed(StaticSets sets, const Unconfirmed& ports, Instant now) {
  std::erase_if(sets.guarded, [&](Guarded& guarded) {
    const auto it = ports.find(guarded.port);
    if (it == ports.end()) return false;
    if (it->second <= now) return true;
    guarded.left = std::chrono::ceil<Millis>(it->second - now);
    return false;
  });
  return sets;
}

} // namespace knock
