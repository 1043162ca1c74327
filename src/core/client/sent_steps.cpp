// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/sent_steps.hpp>

#include <fmt/format.h>

#include "core/config/steps.hpp"
#include "core/config/words.hpp"

namespace knock {
namespace {

constexpr Millis kBetweenRepeats{20}; // two that are alike are one packet to the router when they are closer

Failure no_step(std::string text, std::string advice) {
  return {ExitCode::usage, "usage", {}, std::move(text), std::move(advice)};
}

/// "7143", "7143:udp" as a step of ours.
std::string as_step(std::string_view text) {
  const auto colon = std::min(text.find(':'), text.size());
  const auto number = text.substr(0, colon);
  if (!grammar::parse_count(number)) return std::string(text);
  const auto protocol = colon == text.size() ? std::string_view("tcp") : text.substr(colon + 1);
  return protocol == "tcp" || protocol == "udp" ? fmt::format("{}/{}", protocol, number) : std::string(text);
}

} // namespace

tl::expected<std::vector<SentStep>, Failure> sent_steps(std::span<const std::string> steps, Millis spacing) {
  std::vector<SentStep> sent;
  Millis at{0};
  for (const auto& text : steps) {
    const auto step = grammar::parse_step(as_step(text));
    if (!step)
      return tl::unexpected(
          no_step(fmt::format("{} is no step", grammar::in_quotes(text)), grammar::step_advice(text)));
    if (!step->kind) {
      at += step->pause;
      continue;
    }
    if (step->kind->flags != 0)
      return tl::unexpected(no_step(fmt::format("{} needs a raw packet, which root alone can send", text),
                                    "knock with hping3 or nmap as root, or ask for another door"));
    for (unsigned i = 0; i < step->count; ++i) {
      if (!sent.empty()) at += i == 0 ? spacing : std::max(spacing, kBetweenRepeats);
      sent.push_back({*step->kind, at});
    }
  }
  if (sent.empty())
    return tl::unexpected(no_step("nothing to knock with", "for example: tcp/7143 udp/12899"));
  return sent;
}

} // namespace knock
