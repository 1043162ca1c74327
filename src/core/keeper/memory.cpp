// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/keeper/memory.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <utility>

#include <fmt/format.h>

namespace knock::keeper {
namespace {

/// Milliseconds of the epoch, by "1790000000" or "1790000000.250". Whatever it says, it is there.
std::optional<std::int64_t> off_ms(const std::string& text) {
  if (text.empty()) return std::nullopt;
  std::int64_t seconds = 0, thousandths = 0;
  const auto* const end = text.data() + text.size();
  const auto* const stop = std::from_chars(text.data(), end, seconds).ptr;
  if (stop != end && *stop == '.') (void)std::from_chars(stop + 1, end, thousandths);
  return std::clamp<std::int64_t>(seconds, 0, 1'000'000'000'000) * 1000 +
         std::clamp<std::int64_t>(thousandths, 0, 999);
}

std::optional<std::int64_t> off_since(const std::string& text) {
  const auto ms = off_ms(text);
  return ms ? std::optional(*ms / 1000) : std::nullopt;
}

} // namespace

Error off_meanwhile() {
  return {"root turned it off meanwhile, without the daemon: nothing is guarded", ECANCELED,
          "to guard again: sudo knockctl on"};
}

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
  return off_ms(text);
}

Steps Disk::remember(const Memory& memory) const {
  Steps steps;
  auto unconfirmed = encode_unconfirmed(memory.unconfirmed, boot_);
  auto off = memory.off_since ? fmt::format("{}\n", *memory.off_since) : std::string{};
  if (memory.off_since != off_since(there_.off)) // first: the way out of a lock-out waits for no other file
    steps.push_back(Remember{Remember::File::off, std::move(off), there_.off});
  if (unconfirmed != there_.unconfirmed)
    steps.push_back(Remember{Remember::File::unconfirmed, std::move(unconfirmed)});
  if (memory.last_good && memory.last_good != last_good_)
    steps.push_back(Remember{Remember::File::last_good, *memory.last_good});
  return steps;
}

void Disk::settle(const Remember& step, const Memory& memory) {
  switch (step.file) {
  case Remember::File::unconfirmed: there_.unconfirmed = step.text; break;
  case Remember::File::off: there_.off = step.text; break;
  case Remember::File::last_good: last_good_ = memory.last_good; break;
  case Remember::File::ceilings: break; // SignedPackets
  }
}

} // namespace knock::keeper
