// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/keeper/memory.hpp"

#include <charconv>
#include <utility>

#include <fmt/format.h>

namespace knock::keeper {
namespace {

/// Whatever it says, it is there.
std::optional<std::int64_t> off_since(const std::string& text) {
  if (text.empty()) return std::nullopt;
  std::int64_t since = 0;
  (void)std::from_chars(text.data(), text.data() + text.size(), since);
  return since;
}

} // namespace

Memory Disk::recall(const MemorySeen& seen, std::vector<Line>& lines) {
  there_ = seen;
  Memory memory;
  memory.last_good = last_good_ = std::make_shared<const std::string>(std::exchange(there_.last_good, {}));
  auto ports = parse_unconfirmed(seen.unconfirmed, boot_);
  if (!ports) lines.push_back({LogLevel::warn, "the state file `unconfirmed` is not ours; it is ignored"});
  memory.unconfirmed = std::move(ports).value_or(Unconfirmed{});
  memory.off_since = off_since(seen.off);
  return memory;
}

std::optional<std::int64_t> Disk::learn_off(const std::string& text) {
  if (text.empty() || text == there_.off) return std::nullopt;
  there_.off = text;
  return off_since(text);
}

Steps Disk::remember(const Memory& memory) const {
  Steps steps;
  auto unconfirmed = encode_unconfirmed(memory.unconfirmed, boot_);
  auto off = memory.off_since ? fmt::format("{}\n", *memory.off_since) : std::string{};
  if (unconfirmed != there_.unconfirmed)
    steps.push_back(Remember{Remember::File::unconfirmed, std::move(unconfirmed)});
  if (off != there_.off) steps.push_back(Remember{Remember::File::off, std::move(off)});
  if (memory.last_good && memory.last_good != last_good_)
    steps.push_back(Remember{Remember::File::last_good, *memory.last_good});
  return steps;
}

void Disk::settle(const Remember& step, const Memory& memory) {
  switch (step.file) {
  case Remember::File::unconfirmed: there_.unconfirmed = step.text; break;
  case Remember::File::off: there_.off = step.text; break;
  case Remember::File::last_good: last_good_ = memory.last_good; break;
  }
}

} // namespace knock::keeper
