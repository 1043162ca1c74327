// SPDX-License-Identifier: GPL-2.0-or-later
#include <array>
#include <span>
#include <string>

#include <knock/config.hpp>
#include <knock/result.hpp>
#include <knock/ruleset.hpp>

#include <cstddef>
#include <cstdint>

#include "core/config/steps.hpp"

using namespace knock;

/// The same text as one entry of a knock: it means what it says, or there is advice on one line.
static void read_step(std::string_view text) {
  const auto step = grammar::parse_step(text);
  if (step && step->kind) {
    const auto again = grammar::parse_step(to_string(*step->kind));
    KNOCK_ASSERT(again && again->kind == step->kind);
  }
  if (step) return;
  const auto advice = grammar::step_advice(text);
  for (const char c : advice) KNOCK_ASSERT(c >= 0x20 && c < 0x7f);
  // What it proposes is an entry.
  const std::string_view asks = "did you mean ";
  if (!advice.starts_with(asks)) return;
  const auto meant = std::string_view(advice).substr(asks.size() + 1, advice.size() - asks.size() - 3);
  KNOCK_ASSERT(grammar::parse_step(meant));
  KNOCK_ASSERT(meant.find(advice[asks.size()]) == meant.npos); // its quotes end behind it
}

static void read_texts(std::span<const ConfigText> texts) {
  const auto parsed = parse_config(texts, {{}, Moment{Seconds{1'795'600'800}}, nullptr});
  KNOCK_ASSERT(parsed.config || !parsed.findings.empty());
  for (const auto& finding : parsed.findings)
    KNOCK_ASSERT(to_string(finding).find('\n') == std::string::npos);
  if (parsed.config) (void)elements_text("knockgate", Mode::gate, static_sets_of(*parsed.config));
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using Part = ConfigText::Part;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const ConfigText doors{"doors.toml", "[door.ssh]\nopens = [\"tcp/22\"]\nkn1 = true\n", Part::main};
  read_texts(std::array{ConfigText{"fuzz.toml", text, Part::main}});
  read_texts(std::array{doors, ConfigText{"users.toml", text, Part::users}});
  read_texts(std::array{ConfigText{"kn1.key", text, Part::keys}});
  read_step(text);
  return 0;
}
