// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/keeper/memory.hpp"

#include <charconv>

#include <fmt/format.h>

namespace knock::keeper {

Memory Disk::recall(const MemorySeen& seen, std::vector<Line>& lines) {
  there_ = seen;
  Memory memory;
  auto ports = parse_unconfirmed(seen.unconfirmed, boot_);
  if (!ports) lines.push_back({LogLevel::warn, "the state file `unconfirmed` is not ours; it is ignored"});
  memory.unconfirmed = std::move(ports).value_or(Unconfirmed{});
  if (!seen.off.empty()) { // whatever it says, it is there
    std::int64_t since = 0;
    (void)std::from_chars(seen.off.data(), seen.off.data() + seen.off.size(), since);
    memory.off_since = since;
  }
  return memory;
}

Steps Disk::remember(const Memory& memory) const {
  Steps steps;
  auto unconfirmed = encode_unconfirmed(memory.unconfirmed, boot_);
  auto off = memory.off_since ? fmt::format("{}\n", *memory.off_since) : std::string{};
  if (unconfirmed != there_.unconfirmed)
    steps.push_back(Remember{Remember::File::unconfirmed, std::move(unconfirmed)});
  if (off != there_.off) steps.push_back(Remember{Remember::File::off, std::move(off)});
  return steps;
}

void Disk::settle(const Remember& step) {
  (step.file == Remember::File::off ? there_.off : there_.unconfirmed) = step.text;
}

} // namespace knock::keeper
