// SPDX-License-Identifier: GPL-2.0-or-later
// The kernel of straw against the book of promises.
#include <algorithm>

#include <fmt/format.h>

#include <knock/last_good.hpp>

#include "laws.hpp"

namespace knock::simulation {
namespace {

constexpr Millis kForwardOutlives{1'000};
constexpr Millis kSilence{
    2'000}; // the end of a connection is asked for once a second, where no event tells it
constexpr Millis kLease{60'000};
constexpr Millis kPatience{75'000}; // a failed step is tried again within: the pause of healing, and a little

std::int64_t ms(Instant from, Instant to) {
  return std::chrono::floor<Millis>(to - from).count();
}

std::string text_of(const GrantKey& key) {
  return fmt::format("{} {} {}{}", set_name(key.set, key.source.family), knock::to_string(key.source),
                     knock::to_string(key.port),
                     key.source_port == 0 ? "" : fmt::format(" from {}", key.source_port));
}

bool any_enabled(const Config& config) {
  return std::any_of(config.doors.begin(), config.doors.end(), [](const Door& door) { return door.enabled; });
}

bool is_to(Port port, const GrantKey& key) {
  return key.set == GrantSet::range ? holds(range_of(key), port) : key.port == port;
}

bool is_unheard(const Straw& straw) {
  return !straw.bindings.listens || !straw.bindings.events.empty() || straw.bindings.overran;
}

bool is_within(const Address& source, const GrantKey& key) {
  const auto length = key.set != GrantSet::net            ? std::uint8_t{128}
                      : key.source.family == Family::ipv4 ? std::uint8_t{24}
                                                          : std::uint8_t{64};
  return masked(source, length) == key.source;
}

Owner owner_of(const OpenGrant& said, const GrantKey& key) {
  return {said.door, said.via, key.source, key.source_port, key.set == GrantSet::session ? key.port : kNoPort,
          said.by};
}

/// So much longer than it was promised may an element stand.
Millis grace_of(const GrantKey& key) {
  return key.set == GrantSet::forward ? kForwardOutlives + kRounding : kRounding;
}

bool has_connection(const Promise& promise, const Straw& straw) {
  return std::any_of(
      straw.connections.alive.begin(), straw.connections.alive.end(), [&](const Connection& one) {
        return one.tracked && std::any_of(promise.keys.begin(), promise.keys.end(), [&](const GrantKey& key) {
                 return is_to(one.flow.port, key) && is_within(one.flow.source, key);
               });
      });
}

} // namespace

void Laws::rest(const Config& config, bool off, const Straw& straw,
                const std::function<std::vector<StatusGrant>()>& shown) {
  check_off(off, straw);
  check_trials(config, off, straw);
  if (!waiting_.empty())
    for (const auto& [ticket, waits] : waiting_)
      if (waits.at + kPatience < straw.now)
        return breach("told", fmt::format("{} has no answer", waits.asked.request.verb));
  check_closed(off, straw);
  if (!std::exchange(lately_.changed, false)) return;
  lately_.flows_lost = false;
  // Off, or where nothing is guarded, an element means nothing; what still stands then is judged when it does.
  const bool guards = straw.table && !straw.table->guarded_now(straw.now).empty();
  shown_ = foreign_.empty() ? std::vector<StatusGrant>{} : shown();
  if (!off && (guards || any_enabled(config)))
    check_elements(straw);
  else
    follow_elements(straw);
  if (!off && !is_hurt(straw.now) && !is_unheard(straw) && straw.is_whole() && foreign_.empty())
    if (auto broken = signed_.check(config, straw)) breach(broken->first, broken->second);
  if (!off) check_promises(config, straw); // what others do is not heeded then
  check_guard(config, off, straw);
  removals_heard_.clear();
}

void Laws::check_elements(const Straw& straw) {
  if (!straw.table) return;
  for (const auto& set : straw.table->sets)
    if (set)
      for (const auto& [key, placed] : set->placed)
        if (placed.ends > straw.now) check_element(key, placed, straw.now, straw);
}

void Laws::check_element(const GrantKey& key, const Placed& placed, Instant now, const Straw& straw) {
  if (key.set == GrantSet::forward && placed.ends <= now + grace_of(key)) return; // of nobody any more
  if (check_foreign(key, placed, straw)) return;
  const auto said = parse_comment(placed.comment);
  if (!said) return breach("let-in", fmt::format("{} has no owner: {}", text_of(key), placed.comment));
  const auto owner = owner_of(*said, key);
  const auto found = book_.find(owner);
  if (untold_.contains(key)) return;
  // Of very many sessions that begin at once, the last have no line; of very many that end neither.
  const bool over =
      found == book_.end() || found->second.state == Promise::State::over || found->second.vague;
  if (over && said->via == Via::session && knocks_.lines >= kAuditLines &&
      now - knocks_.lines_begun < Seconds{2}) {
    untold_.insert(key);
    return;
  }
  // What a change that failed left goes with a load, which waits for the admin's set.
  if (over && said->via == Via::session && straw.embed && !straw.is_whole()) return;
  if (found == book_.end())
    return breach("let-in", fmt::format("{} is open for {} ms, nobody asked for it: {}", text_of(key),
                                        ms(now, placed.ends), placed.comment));
  auto& promise = found->second;
  const auto what =
      fmt::format("{}: {} stands for {} ms", to_string(owner), text_of(key), ms(now, placed.ends));
  if (std::find(promise.keys.begin(), promise.keys.end(), key) == promise.keys.end() && !promise.vague)
    return breach("let-in", what + ", not promised");
  if (promise.state == Promise::State::over)
    return breach(promise.why == "hand" || promise.why == "knock" || promise.why == "foreign" ? "came-back"
                                                                                              : "outlives",
                  what + ", closed by " + promise.why);
  if (lingers(promise, straw))
    promise.bound =
        std::min(promise.bound, std::max(*last_end(promise) + kSilence + promise.linger, promise.arrive));
  if (!follow_end(promise, key, placed.ends, straw))
    breach("outlives", fmt::format("{}, promised for {} ms", what, ms(now, promise.bound)));
}

bool Laws::follow_end(Promise& promise, const GrantKey& key, Instant ends, const Straw& straw) const {
  const auto grace = grace_of(key);
  if (ends <= promise.bound + grace) return true;
  if (!may_go_on(promise, ends - (grace - kRounding), straw)) return false;
  promise.bound = std::max(promise.bound, ends - grace);
  if (promise.close == Close::on_idle) // once for what came until then
    promise.used = promise.last + kRounding >= ends - (grace - kRounding) - promise.idle;
  return true;
}

void Laws::follow_elements(const Straw& straw) {
  if (!straw.table) return;
  for (const auto& set : straw.table->sets)
    if (set)
      for (const auto& [key, placed] : set->placed) {
        const auto said = parse_comment(placed.comment);
        const auto found = said ? book_.find(owner_of(*said, key)) : book_.end();
        if (found != book_.end()) (void)follow_end(found->second, key, placed.ends, straw);
      }
}

bool Laws::check_foreign(const GrantKey& key, const Placed& placed, const Straw& straw) {
  const auto added = foreign_.find(key);
  const auto comment = parse_comment(placed.comment);
  // A start adopted it, and carries it on, as far as its comment says.
  if (comment && taken_over_.contains(key) && placed.ends <= comment->cap + Seconds{2}) return true;
  const bool again = comment && comment->via == Via::foreign; // by a heal
  if (added == foreign_.end() || (!again && placed.ends > added->second.ends + Seconds{1})) return false;
  const bool ours = comment && !again;
  if (ours && !taken_over_.contains(key) && placed.comment != added->second.comment)
    return false; // put anew, for a promise
  if (is_hurt(straw.now) || is_unheard(straw) || !straw.is_whole()) return true;
  if (!ours && key.set != GrantSet::forward && !is_shown(key, placed, straw.now))
    breach("listed", text_of(key) + " of another hand is not on the screen as it stands");
  if (!ours) return true;
  if (placed.ends == kNever) breach("outlives", text_of(key) + " is taken for ours, and has no end");
  if (taken_over_.contains(key) || untold_.contains(key) || key.set == GrantSet::uses) return true;
  const bool owned = std::any_of(book_.begin(), book_.end(), [&](const auto& entry) {
    const auto& keys = entry.second.keys;
    return entry.second.state != Promise::State::over &&
           std::find(keys.begin(), keys.end(), key) != keys.end();
  });
  // Put in the moment in which an element of another hand went, it stands in its place: listed, to be closed.
  if (!owned && !is_shown(key, placed, straw.now))
    breach("came-back", text_of(key) + " was put by another process, for nobody");
  return true;
}

bool Laws::is_shown(const GrantKey& key, const Placed& placed, Instant now) const {
  constexpr Millis kSlack{2'000};
  const auto port = key.set == GrantSet::range ? knock::to_string(range_of(key)) : knock::to_string(key.port);
  return std::any_of(shown_.begin(), shown_.end(), [&](const StatusGrant& one) {
    if (one.via != "foreign" || one.source != knock::to_string(key.source) ||
        std::find(one.ports.begin(), one.ports.end(), port) == one.ports.end())
      return false;
    if (placed.ends == kNever || !one.left_ms) return placed.ends == kNever && !one.left_ms;
    return std::chrono::abs(Millis{*one.left_ms} - (placed.ends - now)) <= kSlack;
  });
}

/// What was there when all were asked to go.
void Laws::check_foreign_closed(const Request& waits, const Straw& straw) {
  const auto& request = waits.asked.request;
  if (request.find("source") || (!request.find("all") && request.find("what") != "foreign")) return;
  if (is_hurt(straw.now) || is_unheard(straw) || !straw.is_whole()) return; // off, it stays broken
  std::erase_if(foreign_, [&](const auto& entry) {
    const auto& [key, added] = entry;
    if (added.at >= waits.at || parse_comment(added.comment)) return false;
    if (key.set == GrantSet::forward) return false; // it lets nobody in, is not listed, and ends by itself
    const auto* placed = straw.table ? straw.table->find(key, straw.now) : nullptr;
    if (placed != nullptr && placed->comment == added.comment)
      breach("told", text_of(key) + " was answered closed, and stands");
    return true;
  });
}

/// The end of an on-idle grant moves while packets come, that of an on-disconnect one while connections live.
bool Laws::may_go_on(const Promise& promise, Instant ends, const Straw& straw) const {
  if (ends > promise.cap + kRounding) return false;
  if (promise.close == Close::on_idle && promise.used) return ends <= straw.now + promise.idle + kRounding;
  const auto ended = last_end(promise);
  if (promise.close == Close::on_disconnect && ended && *ended != Instant::max() &&
      ends <= *ended + kSilence + promise.linger)
    return true;
  if (promise.close == Close::on_disconnect &&
      (has_connection(promise, straw) ||
       (ended && (*ended == Instant::max() || *ended + kSilence >= straw.now))))
    return ends <= straw.now + std::max(kLease, promise.linger) + kRounding;
  return false;
}

/// Whether the connection that was awaited came, and all have ended, as the keeper knows by now.
bool Laws::lingers(const Promise& promise, const Straw& straw) const {
  const bool troubled = lately_.trouble != Instant{} && lately_.trouble + kPatience > straw.now;
  if (promise.close != Close::on_disconnect || !promise.came || promise.vague || troubled ||
      !straw.connections.listening || has_connection(promise, straw))
    return false;
  const auto ended = last_end(promise);
  return ended && *ended != Instant::max() && *ended > promise.asked && *ended > lately_.started &&
         *ended + kSilence < straw.now;
}

/// When the last connection to its ports ended.
void Laws::check_refusal(const GrantKey& refused, const Straw& straw) {
  if (refused.set != GrantSet::range || !straw.table) return;
  const auto& ranges = straw.table->set_of(refused);
  if (ranges == nullptr || lately_.trouble + kPatience > straw.now) return;
  for (const auto& [key, placed] : ranges->placed)
    if (key != refused && key.source == refused.source && placed.ends > straw.now &&
        !foreign_.contains(key) && (is_to(key.port, refused) || is_to(refused.port, key)))
      breach("own-way", fmt::format("{} is refused beside {}", text_of(refused), text_of(key)));
}

std::optional<Instant> Laws::last_end(const Promise& promise) const {
  std::optional<Instant> last;
  for (const auto& [flow, at] : ended_)
    for (const auto& key : promise.keys)
      if (is_to(flow.second, key) && is_within(flow.first, key)) last = std::max(last.value_or(at), at);
  return last;
}

bool Laws::is_shared(const Owner& owner, const GrantKey& key) const {
  return std::any_of(book_.begin(), book_.end(), [&](const auto& entry) {
    const auto& [other, promise] = entry;
    return other != owner && std::find(promise.keys.begin(), promise.keys.end(), key) != promise.keys.end();
  });
}

bool Laws::is_listed(const Promise& promise) const {
  return std::any_of(promise.keys.begin(), promise.keys.end(),
                     [&](const GrantKey& key) { return listed_.contains(key); });
}

/// While something fails, or the table is gone, what was promised may be missing: the guard has its own law.
void Laws::check_promises(const Config& config, const Straw& straw) {
  const bool unheard = !straw.bindings.events.empty() || straw.bindings.overran;
  if (!straw.is_whole() || unheard || is_hurt(straw.now)) return;
  for (const auto& [owner, promise] : book_) {
    if (promise.state != Promise::State::open || promise.vague) continue;
    if (promise.doubted && lately_.broke + kSilence > straw.now) continue; // it is healed once a second
    if (promise.removed) {
      if (promise.heard && straw.bindings.listens)
        breach("came-back", to_string(owner) + " was removed by another process, and is still told open");
      continue;
    }
    const bool given = std::any_of(config.doors.begin(), config.doors.end(),
                                   [&](const Door& door) { return door.enabled && door.name == owner.door; });
    if (!given && promise.told > straw.now) {
      breach("outlives", to_string(owner) + " is open, and its door is gone");
      continue;
    }
    check_promise(owner, promise, straw);
  }
}

void Laws::check_promise(const Owner& owner, const Promise& promise, const Straw& straw) {
  const auto now = straw.now;
  auto until = promise.told;
  if (owner.via == Via::session && !has_connection(promise, straw)) return;
  if (!promise.uses && promise.close == Close::on_disconnect &&
      (promise.came || has_connection(promise, straw))) {
    if (!straw.connections.listening || !has_connection(promise, straw)) return;
    until = std::min(promise.cap, now + kRounding);
  }
  if (promise.uses != 0 && promise.used) return;
  if (until <= now) return;
  for (const auto& key : promise.keys) {
    const auto* set = straw.table->set_of(key);
    if (set == nullptr) continue; // another law
    const auto* placed = straw.table->find(key, now);
    if (placed != nullptr && placed->ends + kRounding >= until &&
        (promise.uses == 0 || key.set != GrantSet::uses || placed->burst > placed->spent))
      continue;
    return breach(is_shared(owner, key) ? "cut" : "lost",
                  fmt::format("{}: {} was promised for {} ms more, and {}", to_string(owner), text_of(key),
                              ms(now, until),
                              placed == nullptr ? std::string("is gone")
                                                : fmt::format("ends in {} ms", ms(now, placed->ends))));
  }
}

/// What the kernel did not take is told, and was no closing knock.
void Laws::check_closed(bool off, const Straw& straw) {
  if (knocks_.since) return; // they wait
  const bool judged = !off && straw.is_whole() && !is_hurt(straw.now);
  for (auto& [owner, promise] : book_) {
    if (promise.to_close && judged && promise.state == Promise::State::open && !promise.vague)
      breach("closed", to_string(owner) + " is open behind a closing knock");
    promise.knocked = promise.to_close = false;
  }
}

void Laws::check_guard(const Config& config, bool off, const Straw& straw) {
  const bool unheard = !straw.bindings.events.empty() || straw.bindings.overran;
  if (unheard || is_hurt(straw.now)) return;
  const bool unknown = lately_.loaded && !straw.bindings.listens;
  if (!any_enabled(config)) {
    const bool whole =
        straw.table && straw.table->sets[Table::index_of(GrantSet::open, Family::ipv4)]; // else a rest
    const bool holds = straw.embed ? straw.guards() : whole;
    if (holds && !unknown) breach("guard", "no door is enabled, and there is a table");
    return;
  }
  if (off) { // nothing is put back then
    if (straw.guards() && !unknown) breach("guard", "off, and ports are guarded");
    return;
  }
  if (!straw.bindings.listens) return;
  if (straw.embed && !straw.is_whole()) return; // the admin's own hand brings it back
  if (!straw.is_whole() || (!straw.embed && straw.table->rules != rules_of(config)) || !straw.table->guarded)
    return breach("guard", "the table is not whole");
  lately_.lost = false;
  std::vector<Port> wanted;
  for (const auto& guarded : static_sets_of(config).guarded)
    if (const auto trial = trials_.find(guarded.port); trial == trials_.end() || trial->second > straw.now)
      wanted.push_back(guarded.port);
  std::vector<Port> found;
  for (const auto& guarded : straw.table->guarded_now(straw.now)) found.push_back(guarded.port);
  const auto is_either = [&](Port port) { return either_.contains(port); };
  std::erase_if(found, is_either);
  std::erase_if(wanted, is_either);
  if (found == wanted) {
    lately_.loaded = false;
    return;
  }
  std::string text;
  for (const auto port : found) text += " " + knock::to_string(port);
  text += ", not";
  for (const auto port : wanted) text += " " + knock::to_string(port);
  breach("guard", "guarded are" + text);
}

/// Nothing is guarded for good that was on trial and not confirmed, or that a plain reload came upon.
void Laws::check_trials(const Config& config, bool off, const Straw& straw) {
  const auto sets = static_sets_of(config).guarded;
  const auto is_wanted = [&](Port port) {
    return std::any_of(sets.begin(), sets.end(), [&](const Guarded& one) { return one.port == port; });
  };
  std::erase_if(trials_, [&](const auto& trial) { return !is_wanted(trial.first); });
  std::erase_if(for_good_, [&](Port port) { return !is_wanted(port); });
  const bool unheard = !straw.bindings.events.empty() || straw.bindings.overran;
  if (!straw.guards() || unheard || is_hurt(straw.now) ||
      (lately_.loaded && (off || !straw.bindings.listens)))
    return;
  for (const auto& [port, ends] : *straw.table->guarded) {
    if ((ends && *ends <= straw.now) || either_.contains(port)) continue;
    const auto trial = trials_.find(port);
    if (!ends && !for_good_.contains(port) && is_wanted(port))
      breach("trial", fmt::format("{} is guarded for good, and nobody confirmed it", knock::to_string(port)));
    if (ends && (trial == trials_.end() || *ends > trial->second + kRounding))
      breach("trial", fmt::format("{} is guarded {} ms too long", knock::to_string(port),
                                  trial == trials_.end() ? 0 : ms(trial->second, *ends)));
  }
}

bool Laws::is_hurt(Instant now) const {
  constexpr std::size_t kCalm = 5; // heals of one minute, at once
  constexpr Millis kMinute{60'000}, kPace{5'000};
  if (lately_.trouble != Instant{} && lately_.trouble + kPatience > now) return true;
  const auto recent =
      std::count_if(breaks_.begin(), breaks_.end(), [&](Instant at) { return at + kMinute > now; });
  return static_cast<std::size_t>(recent) >= kCalm && lately_.broke + kPace + kRounding > now;
}

/// What others load then guards until it is taken away.
void Laws::check_off(bool off, const Straw& straw) {
  if (!off_alone_) return;
  if (!off && lately_.off_heard) return breach("off", "root turned it off alone, and the keeper is on");
  const bool loaded = lately_.broke > lately_.off && (is_hurt(straw.now) || is_unheard(straw));
  const bool troubled = lately_.trouble != Instant{} && lately_.trouble + kPatience > straw.now;
  const bool unknown = !lately_.off_whole && !lately_.off_heard;
  if (straw.guards() && !loaded && !troubled && !unknown)
    breach("off", "root turned it off alone, and ports are guarded");
}

void Laws::disturbed(Straw& straw, bool alive) {
  auto others = std::exchange(straw.others, {});
  if (others.off) {
    off_alone_ = others.off;
    lately_.off = straw.now;
    lately_.off_heard = false;
    lately_.off_learnt.reset();
    lately_.off_whole = others.off_whole;
    lately_.changed = knocks_.unsure = true;
  }
  for (const auto& element : others.put) {
    added(element, straw);
    listed_.insert(element.key);
  }
  if (others.removed.empty() && !others.broke && !others.loaded) return;
  lately_.changed = true;
  if (alive && !straw.bindings.listens) lately_.unheard = straw.now;
  for (const auto& key : others.removed)
    for (auto& [owner, promise] : book_) {
      if (std::find(promise.keys.begin(), promise.keys.end(), key) == promise.keys.end()) continue;
      // Put again in the same moment, or removed while nobody listens: the keeper cannot know which.
      const bool there = straw.table && straw.table->find(key, straw.now) != nullptr;
      promise.removed = promise.removed || !there;
      promise.counted = false; // that went with it
      if (there || (alive && !straw.bindings.listens)) promise.vague = true;
    }
  if (others.broke) {
    lately_.broke = straw.now;
    lately_.lost = true;
    // Counters went with the elements, and no connection was heard of that they counted.
    if (!straw.connections.listening || lately_.flows_lost) uses_left_.clear();
    for (const auto& spent : std::exchange(silent_uses_, {})) uses_left_.erase(spent);
    for (auto& [owner, promise] : book_) promise.counted = false;
    if (alive && !straw.bindings.listens)
      for (auto& [owner, promise] : book_) promise.vague = true;
  }
  if (others.loaded) lately_.loaded = true;
  if (others.loaded) lately_.broke = straw.now;
  std::erase_if(breaks_, [&](Instant at) { return at + kPatience < straw.now; });
  if (others.broke || others.loaded) breaks_.push_back(straw.now);
}

void Laws::lost_events(bool table, bool flows) {
  if (table)
    for (auto& [owner, promise] : book_) {
      promise.doubted = promise.doubted || lately_.lost || (promise.removed && !promise.heard);
      if (!promise.heard) promise.removed = false;
    }
  lately_.flows_lost = lately_.flows_lost || flows;
  if (flows && lately_.lost) uses_left_.clear(); // as when the table broke behind it
}

void Laws::stalled(Instant since) {
  for (auto& [flow, at] : ended_)
    if (at != Instant::max() && at + kSilence > since) at = Instant::max(); // until the next round
}

void Laws::count(std::uint64_t refused, bool waits, Instant now) {
  signed_.rest(waits);
  if (waits) {
    if (!knocks_.since) knocks_.since = now;
    if (*knocks_.since + kPatience < now) breach("told", "knocks wait, and are neither opened nor refused");
    return;
  }
  const auto counted = static_cast<std::int64_t>(refused - knocks_.refused);
  if (knocks_.scans != 0 && !knocks_.unsure)
    breach("told", fmt::format("of {} scanners there is no line", knocks_.scans));
  const bool fits = counted >= knocks_.silent && counted <= knocks_.silent + knocks_.closing;
  if (!fits && !knocks_.unsure)
    breach("told", fmt::format("{} of the knocks and openings by hand opened nothing, and {} are counted",
                               knocks_.silent, counted));
  knocks_.silent = knocks_.closing = knocks_.scans = 0;
  knocks_.refused = refused;
  knocks_.since.reset();
  knocks_.unsure = knocks_.lines >= kAuditLines && now - knocks_.lines_begun < Seconds{2};
}

void Laws::started(const Straw& straw, const Config& config) {
  // The first start of a boot takes nothing over; nor one whose first could not write that it was there.
  const auto last = parse_last_good(straw.disk.last_good);
  if (last && last->boot != straw.boot)
    for (auto& [owner, promise] : book_) {
      promise.state = Promise::State::over;
      promise.why = "boot";
    }
  for (auto& [owner, promise] : book_) {
    if (promise.state == Promise::State::over) continue;
    // Of what it adopts, it knows no terms but those of the door now; and not when a packet came.
    if (const auto* door = enabled_door(config, owner.door); door != nullptr && owner.via != Via::session)
      take_terms(promise, *door);
    promise.adopted = true;
    promise.counted = false; // but for what the kernel still counts
    bool named = true, there = true, any = false;
    for (const auto& key : promise.keys) {
      const auto* placed = straw.table ? straw.table->find(key, straw.now) : nullptr;
      const auto said = placed != nullptr ? parse_comment(placed->comment) : std::nullopt;
      there = there && placed != nullptr;
      any = any || placed != nullptr;
      if (placed != nullptr) promise.arrive = std::max(promise.arrive, placed->ends);
      if (said && listed_.contains(key) && foreign_.contains(key)) // one end for all of its ports
        promise.bound = std::max(promise.bound, std::min(placed->ends, said->cap));
      if (said && foreign_.contains(key)) promise.told = std::min({promise.told, placed->ends, said->cap});
      const bool counted = placed != nullptr && placed->traffic.packets != 0;
      promise.used = promise.used || counted;
      promise.counted = promise.counted || counted;
      named = named && said && said->door == owner.door && said->via == owner.via && said->by == owner.by &&
              !foreign_.contains(key);
    }
    promise.came = promise.came || has_connection(promise, straw);
    if (there && named) continue;
    const auto ended = last_end(promise);
    const bool hung_up = promise.close == Close::on_disconnect && promise.came && ended &&
                         !has_connection(promise, straw) &&
                         (*ended == Instant::max() || *ended + promise.linger <= straw.now);
    const bool due =
        promise.told > straw.now && promise.state == Promise::State::open && !promise.used && !hung_up;
    if (!there && due && !promise.vague && !promise.removed && !promise.doubted && !lately_.lost)
      breach("lost", to_string(owner) + " went in a crash");
    promise.vague = true;
    if (!any && (promise.removed || promise.bound <= straw.now)) promise.state = Promise::State::over;
  }
  std::set<Port> ports;
  for (const auto& guarded : static_sets_of(config).guarded) ports.insert(guarded.port);
  // A start with a configuration that lacks the port ends its trial, unless it fails before.
  for (const auto& [port, until] : trials_)
    if (!ports.contains(port)) either_.insert(port);
  const auto before = last ? parse_config(last->texts).config : std::nullopt;
  std::set<Port> applied;
  if (before)
    for (const auto& guarded : static_sets_of(*before).guarded) applied.insert(guarded.port);
  for (const auto port : ports) {
    const bool guarded = straw.table && straw.table->guarded && straw.table->is_guarded(port, straw.now);
    // A start that failed before it could write that the port waits; then others loaded it.
    const auto trial = trials_.find(port);
    if (trial != trials_.end() && trial->second <= straw.now && guarded &&
        !has_line_of(straw.disk.unconfirmed, port))
      trials_.erase(trial);
    if (trials_.contains(port)) continue;
    if (before && !applied.contains(port) && !guarded) { // a start guards nothing new
      trials_[port] = {};
      continue;
    }
    // A reload that was killed before its rules were loaded: on trial, but it never showed.
    if (has_line_of(straw.disk.unconfirmed, port)) either_.insert(port);
    for_good_.insert(port);
  }
  for (const auto& [key, ends] : foreign_)
    if (straw.table && straw.table->find(key, straw.now) != nullptr) taken_over_.insert(key);
  signed_.follow(config);
  lately_.started = straw.now;
  if (off_alone_) off_alone_ = 0; // any `on` that this daemon hears
  lately_.loaded = false;
  lately_.changed = true;
}

void Laws::rebooted() {
  signed_.rebooted();
  book_.clear();
  uses_left_.clear();
  silent_uses_.clear();
  foreign_.clear();
  taken_over_.clear();
  listed_.clear();
  connected_.clear();
  ended_.clear();
  waiting_.clear();
  removals_heard_.clear();
  knocks_ = {};
  for (auto& [port, until] : trials_) until = {};
  lately_.trouble = lately_.broke = lately_.off = {};
  lately_.off_learnt.reset();
  breaks_.clear();
}

void Laws::let_in(const Address& source, Port port, const Passed& passed, Instant now) {
  for (auto& [owner, promise] : book_) {
    const auto around = masked(source, source.family == Family::ipv4 ? 24 : 64);
    for (const auto& key : promise.keys)
      if (is_to(port, key) && (key.source == source || (key.set == GrantSet::net && key.source == around))) {
        promise.used = true;
        promise.last = now;
        promise.counted = promise.counted || passed.counted == key;
        promise.came = promise.came || (passed.began && (passed.heard || promise.adopted));
      }
  }
  if (!passed.by_use) return;
  if (!passed.began || !passed.heard) silent_uses_.insert({source, port});
  const auto left = uses_left_.find({source, port});
  if (left != uses_left_.end() && --left->second < 0)
    breach("let-in", fmt::format("{} came in at {} more often than was promised", knock::to_string(source),
                                 knock::to_string(port)));
}

void Laws::added(const Change& element, const Straw& straw) {
  const auto* placed = straw.table ? straw.table->find(element.key, straw.now) : nullptr;
  if (placed == nullptr || placed->comment != element.comment) return;
  auto& known = foreign_[element.key];
  if (known.comment != element.comment) taken_over_.erase(element.key);
  if (element.key.set == GrantSet::uses) uses_left_.erase({element.key.source, element.key.port});
  known = {straw.now, placed->ends, placed->comment};
  for (auto& [owner, promise] : book_) {
    if (std::find(promise.keys.begin(), promise.keys.end(), element.key) == promise.keys.end()) continue;
    if (promise.removed) promise.vague = true; // in its place
    promise.used = true;                       // what it had counted looks like a packet
    promise.last = straw.now;
  }
}

} // namespace knock::simulation
