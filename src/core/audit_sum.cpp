// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/audit_sum.hpp>

#include <utility>

#include <fmt/format.h>

#include <knock/limits.hpp>

namespace knock {
namespace {

constexpr Millis kSecond{1'000};

std::uint32_t& counter(AuditSum::Sum& sum, LedgerEvent::Verb verb) {
  switch (verb) {
  case LedgerEvent::Verb::open: return sum.open;
  case LedgerEvent::Verb::extend: return sum.extend;
  case LedgerEvent::Verb::expire: return sum.expire;
  case LedgerEvent::Verb::close:
  case LedgerEvent::Verb::refused: break;
  }
  return sum.close;
}

} // namespace

bool AuditSum::own_line(const LedgerEvent& event, Instant now) {
  if (doors_.empty()) begun_ = now;
  auto& door = doors_[event.grant.door];
  if (event.grant.by != "-" || event.grant.via == Via::hand) return true;
  if (lines_ < kAuditLines || door.lines < kAuditLinesOfDoor) {
    ++lines_;
    ++door.lines;
    return true;
  }
  ++counter(door.sum, event.verb);
  summed_ = true;
  return false;
}

std::vector<AuditSum::Sum> AuditSum::due(Instant now) {
  std::vector<Sum> sums;
  if (doors_.empty() || now - begun_ < kSecond) return sums;
  for (auto& [name, door] : doors_) {
    door.sum.door = name;
    if (door.sum.open + door.sum.extend + door.sum.expire + door.sum.close != 0)
      sums.push_back(std::move(door.sum));
  }
  doors_.clear();
  lines_ = 0;
  summed_ = false;
  return sums;
}

std::optional<Instant> AuditSum::next() const {
  return summed_ ? std::optional(begun_ + kSecond) : std::nullopt;
}

std::string to_string(const AuditSum::Sum& sum) {
  return fmt::format("summed door={} open={} extend={} expire={} close={} seconds=1", sum.door, sum.open,
                     sum.extend, sum.expire, sum.close);
}

} // namespace knock
