// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/keeper/audit.hpp"

#include <fmt/format.h>

#include <knock/quoted.hpp>
#include <knock/status.hpp>

namespace knock::keeper {
namespace {

std::int64_t ms_between(Instant from, Instant to) {
  return std::chrono::round<Millis>(to - from).count();
}

std::string_view verb_of(LedgerEvent::Verb verb) {
  switch (verb) {
  case LedgerEvent::Verb::open: return "open";
  case LedgerEvent::Verb::extend: return "extend";
  case LedgerEvent::Verb::close: return "close";
  case LedgerEvent::Verb::expire: return "expire";
  case LedgerEvent::Verb::refused: break;
  }
  return "refused";
}

std::string bound_text(const OpenGrant& grant) {
  if (!grant.bound) return {};
  if (grant.bound->how == Bound::How::other)
    return fmt::format(" bound=for from={}", to_string(grant.bound->from));
  return grant.bound->how == Bound::How::yes ? " bound=yes" : " bound=no";
}

std::string audit_line(const LedgerEvent& event, Instant now) {
  const auto& grant = event.grant;
  std::string ports;
  for (const auto& text : port_texts(grant)) ports += (ports.empty() ? "" : ",") + text;
  if (ports.empty()) ports = "-";
  auto line = fmt::format("{} door={} source={} ports={} by={} via={} id={}", verb_of(event.verb),
                          in_quotes(grant.door), source_text(grant), ports, in_quotes(grant.by),
                          to_string(grant.via), grant.id);
  if (grant.source_port != 0) line += fmt::format(" source_port={}", grant.source_port);
  if (event.verb == LedgerEvent::Verb::open || event.verb == LedgerEvent::Verb::extend)
    return line + fmt::format(" for={}ms", ms_between(now, grant.ends)) + bound_text(grant);
  return line + fmt::format(" open_ms={} packets={} bytes={} reason={}",
                            ms_between(grant.opened, std::min(now, grant.ends)), event.traffic.packets,
                            event.traffic.bytes, event.reason);
}

} // namespace

void Audit::say(const LedgerEvent& event, Instant now, std::vector<Line>& lines) {
  (void)sum_up(now, lines);
  if (sum_.own_line(event, now)) lines.push_back({LogLevel::info, audit_line(event, now)});
}

std::optional<Instant> Audit::sum_up(Instant now, std::vector<Line>& lines) {
  for (const auto& sum : sum_.due(now)) lines.push_back({LogLevel::info, to_string(sum)});
  auto next = sum_.next();
  if (right_ + listed_ != 0 && strays_from_ > now)
    next = sooner(next, strays_from_);
  else if (right_ + listed_ != 0) {
    lines.push_back({LogLevel::warn, fmt::format("strays by={}: {} put right, {} listed as foreign", by_,
                                                 plural(right_, "element"), listed_)});
    right_ = listed_ = 0;
    strays_from_ = now + kAgain;
  }
  if (faults_ != told_faults_ && faults_from_ > now)
    next = sooner(next, faults_from_);
  else if (faults_ != told_faults_) {
    for (const auto& [text, run] : faults_)
      lines.push_back({LogLevel::warn, fmt::format("embed: {}; run: {}", text, run)});
    if (faults_.empty()) lines.push_back({LogLevel::info, "embed: the table has all of embed.nft again"});
    told_faults_ = faults_;
    faults_from_ = now + kAgain;
  }
  return next;
}

} // namespace knock::keeper
