// SPDX-License-Identifier: GPL-2.0-or-later
// The book of promises: what was asked for, what was told.
#include "laws.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <iterator>

#include <fmt/format.h>

#include "history.hpp"

namespace knock::simulation {
namespace {

/// What a door gives to a source, reckoned anew: not by the product's own function.
struct Gift {
  std::vector<GrantKey> keys;
  Address source;
};

Gift gift_of(const Door& door, const Address& source) {
  Gift gift;
  const bool ipv4 = source.family == Family::ipv4;
  const std::uint8_t prefix = ipv4 ? door.prefix4 : door.prefix6;
  const auto set = door.uses != 0               ? GrantSet::uses
                   : prefix < (ipv4 ? 32 : 128) ? GrantSet::net
                                                : GrantSet::open;
  gift.source = set == GrantSet::net ? masked(source, prefix) : source;
  for (const Port port : door.opens) gift.keys.push_back({gift.source, port, set});
  for (const auto& [first, last] : door.ranges)
    gift.keys.push_back({gift.source, first, GrantSet::range, 0, last.number});
  for (const auto& forward : door.forwards) {
    if (!(ipv4 ? forward.ipv4 : forward.ipv6)) continue;
    gift.keys.push_back({gift.source, forward.outer, set});
    gift.keys.push_back({gift.source, forward.outer, GrantSet::forward});
  }
  if (door.opens.empty() && door.ranges.empty() && door.forwards.empty() && !door.run_close.empty())
    gift.keys.push_back({gift.source, kNoPort, set});
  return gift;
}

std::string port_text(const GrantKey& key) {
  return key.set == GrantSet::range ? knock::to_string(range_of(key)) : knock::to_string(key.port);
}

std::optional<std::uint64_t> number_of(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end == text.data()) return std::nullopt;
  return number;
}

/// The value of `key=` in an audit line; empty when it has none.
std::string_view value_of(std::string_view line, std::string_view key) {
  for (auto at = line.find(key); at != line.npos; at = line.find(key, at + 1)) {
    if (at == 0 || line[at - 1] != ' ' || line[at + key.size()] != '=') continue;
    const auto begin = at + key.size() + 1;
    return line.substr(begin, line.find(' ', begin) - begin);
  }
  return {};
}

std::optional<Via> via_named(std::string_view name) {
  for (const auto via : {Via::knock, Via::kn1, Via::hand, Via::session, Via::fleet, Via::foreign})
    if (to_string(via) == name) return via;
  return std::nullopt;
}

/// Whose line it is.
std::optional<Owner> owner_in(std::string_view line) {
  const auto source = parse_prefix(value_of(line, "source"));
  const auto via = via_named(value_of(line, "via"));
  if (!source || !via) return std::nullopt;
  Owner owner{std::string(value_of(line, "door")), *via, source->address, 0, kNoPort,
              std::string(value_of(line, "by"))};
  owner.source_port = static_cast<std::uint16_t>(number_of(value_of(line, "source_port")).value_or(0));
  if (*via == Via::session) owner.port = parse_port(value_of(line, "ports")).value_or(kNoPort);
  return owner;
}

/// A hand's refusal that is counted: by a limit, or by the kernel; not one of the desk, or of the runner.
bool is_counted(const Failure& failure) {
  const auto& text = failure.text;
  return failure.exit != ExitCode::done && failure.exit != ExitCode::usage &&
         !text.starts_with("there is no door") && !text.starts_with("knockgate is off") &&
         text.find("leads nowhere") == text.npos && text != "nothing open matches" &&
         !text.starts_with("no runner");
}

bool is_ours(const Owner& owner) {
  return owner.via != Via::foreign;
}

bool has_flag(const Request& request, std::string_view key) {
  return request.find(key).has_value();
}

} // namespace

std::string to_string(const Owner& owner) {
  return fmt::format("{} of {} by {}{}", owner.door, knock::to_string(owner.source),
                     knock::to_string(owner.via), owner.by == "-" ? "" : " of " + owner.by);
}

bool has_line_of(const std::string& unconfirmed, Port port) {
  return unconfirmed.find(knock::to_string(port) + ' ') != std::string::npos;
}

void Laws::breach(std::string law, std::string what) {
  if (!broken_) broken_ = {std::move(law), std::move(what)};
}

void Laws::ask(const Door& door, Owner owner, Millis open_for, Instant now) {
  const auto gift = gift_of(door, owner.source);
  if (gift.keys.empty()) return;
  owner.source = gift.source;
  auto& promise = book_[owner];
  // By another configuration in the same moment: what either of them gives.
  const bool again = promise.state == Promise::State::asked && promise.asked == now;
  const bool alive = again || (promise.state == Promise::State::open && promise.bound > now);
  if (!alive || again || promise.vague) promise.cap = std::max(promise.cap, now + door.max);
  if (!alive && !promise.vague) promise.cap = now + door.max;
  if (!alive && !promise.vague) promise.bound = {};
  if (!alive) take_terms(promise, door);
  if (!alive) {
    promise.keys = gift.keys;
    promise.asked_keys.clear();
    promise.state = Promise::State::asked;
  }
  for (const auto& key : gift.keys)
    if (std::find(promise.keys.begin(), promise.keys.end(), key) == promise.keys.end())
      (promise.state == Promise::State::asked ? promise.keys : promise.asked_keys).push_back(key);
  promise.asked = now;
  promise.to_close = false;
  promise.wished = std::max(again ? promise.wished : Instant{}, now + open_for);
  promise.bound = std::max(promise.bound, std::min(promise.cap, now + open_for));
  promise.arrive = std::min(promise.cap, now + open_for);
  lately_.changed = true;
}

/// As the door says when it is opened or extended; another configuration changes nothing of it.
void Laws::take_terms(Promise& promise, const Door& door) {
  promise.close = door.close;
  promise.idle = door.idle;
  promise.linger = door.linger;
  promise.uses = door.uses;
}

/// Opened or extended on request.
void Laws::begin_anew(Promise& promise, bool opened) {
  for (const auto& key : promise.keys)
    if (key.set == GrantSet::uses) give_uses(key, promise.uses);
  promise.removed = promise.heard = promise.doubted = false;
  promise.used = promise.came = false;
  promise.adopted = promise.adopted && !opened;
  if (opened) promise.counted = false;
}

/// Asked for anew, an owner has all of its uses again, and never more.
void Laws::give_uses(const GrantKey& key, std::uint32_t uses) {
  std::int64_t most = 0;
  for (const auto& [owner, promise] : book_)
    if (promise.state != Promise::State::over &&
        std::find(promise.keys.begin(), promise.keys.end(), key) != promise.keys.end())
      most += promise.uses;
  const auto [left, fresh] = uses_left_.try_emplace({key.source, key.port}, most);
  if (!fresh) left->second = std::min(left->second + uses, most);
}

void Laws::hear(const keeper::Heard& heard, const Config& config, bool off, bool started,
                const Straw& straw) {
  const auto now = heard.now;
  lately_.off_heard = !heard.off.value_or("").empty(); // root may just have turned it off alone
  if (lately_.off_heard && !lately_.off_learnt) lately_.off_learnt = now;
  off = off || lately_.off_heard;
  for (auto& [flow, at] : ended_)
    if (at == Instant::max()) at = now;
  if (started) // before, what is gone is not adopted
    for (const auto& disturbance : heard.disturbances)
      for (const auto& key : disturbance.removed) {
        removals_heard_.push_back(key);
        for (auto& [owner, promise] : book_)
          promise.heard = promise.heard ||
                          (promise.removed &&
                           std::find(promise.keys.begin(), promise.keys.end(), key) != promise.keys.end());
      }
  if (off) // nothing of others is heeded then, but looked for when it is on again
    for (auto& [owner, promise] : book_) {
      promise.doubted = promise.doubted || promise.removed;
      promise.removed = promise.heard = false;
    }
  // What comes behind a reload is judged by the next configuration.
  std::vector<const Config*> configs{&config};
  const auto reloads = [](const auto& asked) { return asked.request.verb == "reload"; };
  const bool reload = std::any_of(heard.asked.begin(), heard.asked.end(), reloads) ||
                      std::any_of(waiting_.begin(), waiting_.end(),
                                  [&](const auto& entry) { return reloads(entry.second.asked); });
  if (reload && straw.disk.config->config) configs.push_back(&*straw.disk.config->config);
  const auto changes_rules = [](const auto& asked) {
    return asked.request.verb != "open" && asked.request.verb != "close" && asked.request.verb != "status";
  };
  const bool sure = started && !off && std::none_of(heard.asked.begin(), heard.asked.end(), changes_rules) &&
                    std::none_of(waiting_.begin(), waiting_.end(),
                                 [&](const auto& entry) { return changes_rules(entry.second.asked); });
  hear_records(heard.completed, configs, off, sure, now);
  hear_signed(heard.kn1, configs, off, now);
  for (const auto* one : configs)
    for (const auto& asked : heard.asked)
      if (asked.request.verb == "open") hear_open(asked, *one, now);
  for (const auto& asked : heard.asked) hear_request(asked, config, straw, now);
  const bool changes = std::any_of(waiting_.begin(), waiting_.end(), [](const auto& entry) {
    return entry.second.asked.request.verb == "reload" || entry.second.asked.request.verb == "on";
  });
  // What the kernel guards already is not new; others may have loaded it while a request waits.
  const bool asked_now = std::any_of(heard.asked.begin(), heard.asked.end(), [](const auto& asked) {
    return asked.request.verb == "reload" || asked.request.verb == "on";
  });
  if ((asked_now || (changes && lately_.loaded)) && straw.table)
    for (const auto& [port, left] : straw.table->guarded_now(now))
      if (!left) for_good_.insert(port);
  for (const auto& key : straw.connections.tcp()) connected_.insert(key);
}

/// `sure`: judged in the next round, by the configuration that runs.
void Laws::hear_records(const std::vector<Record>& records, const std::vector<const Config*>& configs,
                        bool off, bool sure, Instant now) {
  if (!records.empty() && off) knocks_.unsure = true;
  for (const auto* config : configs)
    for (const auto& record : records) {
      const bool first = config == configs.front();
      if (record.kind == RecordKind::knock) {
        hear_knock(record, *config, off, now);
        if (first) ++knocks_.silent;
      } else if (record.kind == RecordKind::scan) {
        if (first) ++knocks_.scans;
      } else if (const auto door =
                     std::find_if(config->doors.begin(), config->doors.end(),
                                  [&](const Door& one) { return one.enabled && one.id == record.door; });
                 door != config->doors.end() && !door->close_knock.empty()) {
        hear_closing(record, *door, sure);
        if (first) ++knocks_.closing;
      } else if (first) {
        ++(sure ? knocks_.silent : knocks_.closing); // by the next configuration it may be one
      }
    }
}

/// What it may open, if it is let: whether it is, says the keeper's line, or a count.
void Laws::hear_signed(const std::vector<Kn1Record>& records, const std::vector<const Config*>& configs,
                       bool off, Instant now) {
  signed_.hear(records, configs);
  if (!records.empty() && off) knocks_.unsure = true;
  for (const auto& record : records) {
    bool opens = true;
    each_meaning(
        record, configs, [&](const auto&, const auto& device, const auto& door, const auto& request) {
          opens = request.op == kn1::Op::open || request.op == kn1::Op::run;
          if (off || !door.enabled || !door.kn1) return;
          if (request.op == kn1::Op::close) {
            for (auto& [owner, promise] : book_)
              if (owner.door == door.name && owner.via == Via::kn1 && owner.source == record.source &&
                  owner.by == device.label)
                promise.knocked = true;
            return;
          }
          const auto least = door.close == Close::on_idle ? door.idle : door.open_for;
          const auto asked = door.close != Close::on_idle && request.ttl != Seconds{0}
                                 ? std::min<Millis>(request.ttl, std::max(device.ttl_max, door.open_for))
                                 : least;
          ask(door, {door.name, Via::kn1, record.source, 0, kNoPort, device.label}, asked, now);
        });
    ++(opens ? knocks_.silent : knocks_.closing); // what finds nothing open has a count of its own
  }
}

void Laws::read_signed(std::string_view verb, const Owner& owner, const Config& config, const Straw& straw) {
  const SignedLaws::Wish wish{owner.by, owner.door, owner.source, verb == "close"};
  if (auto broken = signed_.told(verb, wish, config, straw)) breach(broken->first, broken->second);
}

/// Of knocks the order counts; requests that wait come behind it.
void Laws::hear_closing(const Record& record, const Door& door, bool sure) {
  const auto around = masked(record.source, record.source.family == Family::ipv4 ? 24 : 64);
  for (auto& [owner, promise] : book_) {
    const bool net = std::any_of(promise.keys.begin(), promise.keys.end(),
                                 [](const GrantKey& key) { return key.set == GrantSet::net; });
    if (owner.door != door.name || owner.source != (net ? around : record.source)) continue;
    const bool waits = std::any_of(waiting_.begin(), waiting_.end(), [&](const auto& entry) {
      const auto& [asked, means, at, now, exact] = entry.second;
      return asked.request.verb == "open" && std::find(means.begin(), means.end(), owner) != means.end();
    });
    promise.knocked = true;
    promise.to_close = sure && !waits;
  }
}

void Laws::hear_knock(const Record& record, const Config& config, bool off, Instant now) {
  const auto found = std::find_if(config.doors.begin(), config.doors.end(),
                                  [&](const Door& door) { return door.enabled && door.id == record.door; });
  if (off || found == config.doors.end() || found->knock.empty() || record.source == own_address() ||
      !grantable(record.source))
    return;
  ask(*found, {found->name, Via::knock, record.source},
      found->close == Close::on_idle ? found->idle : found->open_for, now);
}

void Laws::hear_open(const keeper::Asked& asked, const Config& config, Instant now) {
  const auto& request = asked.request;
  const auto* door = enabled_door(config, request.find("door").value_or(""));
  const auto source = parse_address(request.find("source").value_or(""));
  if (door == nullptr || !source || *source == own_address()) return;
  const auto span = parse_duration(request.find("for").value_or(""));
  ask(*door, {door->name, Via::hand, *source},
      span.value_or(door->close == Close::on_idle ? door->idle : door->open_for), now);
  if (const auto gift = gift_of(*door, *source); !gift.keys.empty())
    waiting_[asked.ticket].means = {{door->name, Via::hand, gift.source}};
}

void Laws::hear_request(const keeper::Asked& asked, const Config& config, const Straw& straw, Instant now) {
  const auto& request = asked.request;
  auto& waits = waiting_[asked.ticket];
  waits.asked = asked;
  waits.at = now;
  if (request.verb == "close") {
    const auto what = request.find("what").value_or("");
    const auto source = parse_address(request.find("source").value_or(""));
    waits.exact = !number_of(what) && !source;
    for (auto& [owner, promise] : book_) {
      if (promise.state == Promise::State::over) continue;
      const bool named = has_flag(request, "all") || owner.door == what || number_of(what);
      if (!named) continue;
      promise.close_asked = true;
      waits.means.push_back(owner);
    }
  } else if (request.verb == "reload" || request.verb == "on") {
    const auto* next = request.verb == "on"        ? &config
                       : straw.disk.config->config ? &*straw.disk.config->config
                                                   : nullptr;
    if (next == nullptr) return;
    if (!has_flag(request, "now")) return;
    for (const auto& guarded : static_sets_of(*next).guarded) {
      for_good_.insert(guarded.port);
      waits.now = true;
    }
  }
}

/// The daemon was killed behind this commit.
void Laws::not_said(const Change& change) {
  if (change.kind == Change::Kind::put) {
    if (change.key.set == GrantSet::uses) uses_left_[{change.key.source, change.key.port}] = change.uses;
    return;
  }
  for (auto& [owner, promise] : book_)
    if (std::find(promise.keys.begin(), promise.keys.end(), change.key) != promise.keys.end())
      promise.vague = true;
}

void Laws::act(const keeper::Steps& steps, const keeper::Outcome& outcome, const Straw& straw, bool killed) {
  lately_.changed = lately_.changed || !steps.empty();
  signed_.act(steps, outcome.done);
  if (off_alone_ && straw.disk.off.empty()) {
    const bool asked = std::any_of(waiting_.begin(), waiting_.end(),
                                   [&](const auto& entry) { return is_on_behind(entry.second); });
    if (!asked) breach("off", "root turned it off alone, and the disk has forgotten it");
    off_alone_.reset();
  }
  if (!outcome.refused.empty())
    if (const auto* commit = std::get_if<keeper::Commit>(&steps[outcome.done]))
      for (const auto& refused : outcome.refused) check_refusal(commit->batch[refused.at].key, straw);
  if (outcome.error && outcome.error->code != ECANCELED) lately_.trouble = straw.now;
  for (std::size_t at = 0; killed && at < outcome.done; ++at)
    if (const auto* commit = std::get_if<keeper::Commit>(&steps[at]))
      for (const auto& change : commit->batch) not_said(change);
  for (std::size_t at = 0; killed && at < outcome.done; ++at)
    if (const auto* load = std::get_if<keeper::Load>(&steps[at]))
      for (const auto& change : load->grants)
        if (change.key.set == GrantSet::session) untold_.insert(change.key);
  for (std::size_t at = 0; at < outcome.done; ++at)
    if (const auto* remember = std::get_if<keeper::Remember>(&steps[at]);
        remember != nullptr && remember->file == keeper::Remember::File::unconfirmed)
      for (const auto& trial : trials_) // its end is on disk, and no word of it
        if ((killed || outcome.error) && !has_line_of(remember->text, trial.first))
          either_.insert(trial.first);
  for (std::size_t at = 0; at < outcome.done; ++at)
    if (const auto* load = std::get_if<keeper::Load>(&steps[at]))
      for (const auto& [port, left] : load->sets.guarded)
        if (left) {
          if (outcome.error)
            either_.insert(port); // the change failed behind its rules: the old ones come back
          const auto known = trials_.find(port);
          if (known != trials_.end() && known->second > straw.now) continue;
          trials_[port] = straw.now + *left;
          for_good_.erase(port);
        }
  if (!killed) return;
  signed_.killed(steps, outcome.done);
  for (auto& [owner, promise] : book_) {
    if (promise.state == Promise::State::asked || promise.close_asked || promise.knocked || promise.removed ||
        !waiting_.empty())
      promise.vague = true;
    promise.close_asked = promise.knocked = promise.to_close = false;
  }
  for (const auto& [ticket, waits] : waiting_)
    if (waits.asked.request.verb == "confirm" || waits.now)
      for (const auto& trial : trials_) either_.insert(trial.first);
  waiting_.clear();
  knocks_ = {};
  removals_heard_.clear();
}

bool Laws::is_on_behind(const Request& waits) const {
  const auto& request = waits.asked.request;
  constexpr Millis kWaited{
      60'000}; // no command that was typed before waits so long, where the keeper has time
  if (request.verb == "on" && lately_.off_learnt && waits.at >= *lately_.off_learnt + kWaited) return true;
  return request.verb == "on" &&
         static_cast<std::int64_t>(number_of(request.find("at").value_or("")).value_or(0)) >= *off_alone_;
}

void Laws::say(const keeper::Said& said, const Config& config, const Straw& straw) {
  signed_.follow(config);
  for (const auto& line : said.lines) read_line(line.text, config, straw);
  for (const auto& told : said.told) answered(told, config, straw);
  if (!said.told.empty() || !said.lines.empty()) lately_.changed = true;
}

/// Of very many, the keeper says only sums, and a second later.
void Laws::note_line(std::string_view text, Instant now) {
  const auto via = value_of(text, "via");
  if ((via == "knock" || via == "kn1") && (text.starts_with("open ") || text.starts_with("extend ")))
    --knocks_.silent;
  if (now - knocks_.lines_begun >= Seconds{1}) {
    knocks_.lines_begun = now;
    knocks_.lines = 0;
  }
  if (++knocks_.lines >= kAuditLines) not_told();
}

/// Something happened, and there is no line of it.
void Laws::not_told() {
  for (auto& [owner, promise] : book_) promise.vague = true;
  uses_left_.clear();
  knocks_.unsure = true;
}

void Laws::read_line(const std::string& text, const Config& config, const Straw& straw) {
  const auto verb = std::string_view(text).substr(0, text.find(' '));
  if (verb == "summed") {
    not_told();
    return;
  }
  if (verb == "refused")
    if (auto broken = signed_.refused(std::string(value_of(text, "by")), value_of(text, "reason")))
      breach(broken->first, broken->second);
  if (verb == "scan" && --knocks_.scans < 0) breach("told", "nobody heard of it: " + text);
  if (verb != "open" && verb != "extend" && verb != "close" && verb != "expire") return;
  note_line(text, straw.now);
  const auto owner = owner_in(text);
  if (!owner || !is_ours(*owner)) return;
  const auto now = straw.now;
  if (owner->via == Via::kn1 &&
      (verb == "open" || verb == "extend" || (verb == "close" && value_of(text, "reason") == "client")))
    read_signed(verb, *owner, config, straw);
  const auto ports = value_of(text, "ports");
  const auto is_of = [&](const GrantKey& key) {
    return (key.port == kNoPort && ports == "-") ||
           (',' + std::string(ports) + ',').find(',' + port_text(key) + ',') != std::string::npos;
  };
  if (verb == "close" || verb == "expire") {
    const auto found = book_.find(*owner);
    // Of one owner, a list that was loaded brought another grant, as the door was before.
    const bool another =
        found != book_.end() && std::none_of(found->second.keys.begin(), found->second.keys.end(), is_of) &&
        std::any_of(listed_.begin(), listed_.end(),
                    [&](const GrantKey& key) { return key.source == owner->source && is_of(key); });
    if (found != book_.end() && !another)
      end(*owner, found->second, verb, value_of(text, "reason"), config, straw);
    return;
  }
  const auto span = value_of(text, "for");
  auto told = now + Millis{static_cast<std::int64_t>(number_of(span).value_or(0))};
  auto& promise = book_[*owner];
  for (const auto& key : std::exchange(promise.asked_keys, {})) promise.keys.push_back(key);
  const auto* door = enabled_door(config, owner->door);
  if (door != nullptr && owner->via != Via::session) take_terms(promise, *door);
  if (owner->via == Via::session) {
    promise.asked = now;
    promise.removed = promise.heard = false;
    promise.bound = promise.cap = std::max(promise.bound, now + (door != nullptr ? door->max : Millis{0}));
    // Its opening was one of very many, and told by a sum: the door may have had another max then.
    if (verb == "extend" && (promise.state != Promise::State::open || promise.vague))
      promise.bound = promise.cap = std::max(promise.cap, told);
  }
  const bool anew =
      verb == "open" && promise.state == Promise::State::over; // it ended since it was asked for
  if (anew && door != nullptr) {
    promise.cap = std::max(promise.cap, now + door->max);
    promise.bound = std::max(promise.bound, std::min(promise.cap, promise.wished));
    promise.arrive = std::max(promise.arrive, std::min(promise.cap, promise.wished));
  }
  const auto brought = [&](const GrantKey& key) {
    return listed_.contains(key) && taken_over_.contains(key);
  };
  if (verb == "extend" && told > promise.bound &&
      std::any_of(promise.keys.begin(), promise.keys.end(), brought))
    promise.bound = told; // what a listing brought stays
  if (told > promise.bound + kRounding && !may_go_on(promise, told, straw))
    breach("outlives", fmt::format("{} was told {}, asked for were {} ms", to_string(*owner), span,
                                   std::chrono::floor<Millis>(promise.bound - now).count()));
  if (promise.close == Close::on_disconnect) told = std::min(told, promise.arrive); // the rest is a lease
  // One that a start did not find is opened anew; else each is open once.
  const bool goes_on = verb == "extend" && promise.state == Promise::State::open;
  if (verb == "open" && promise.state == Promise::State::open && promise.told > now && !promise.vague)
    breach("lost", fmt::format("{} was open for {} ms more, and is opened anew", to_string(*owner),
                               std::chrono::floor<Millis>(promise.told - now).count()));
  // The arrival that was awaited may have come: from now on another one is.
  const bool awaits = promise.close != Close::on_disconnect || !promise.came;
  promise.told = std::max(goes_on && awaits ? promise.told : Instant{}, told);
  promise.state = Promise::State::open;
  if (owner->via != Via::session) begin_anew(promise, verb == "open");
  promise.vague = lately_.unheard == now; // behind the commit
  promise.id = number_of(value_of(text, "id")).value_or(0);
  std::vector<GrantKey> keys;
  std::copy_if(promise.keys.begin(), promise.keys.end(), std::back_inserter(keys), is_of);
  if (owner->via == Via::session)
    for (auto rest = ports; !rest.empty(); rest.remove_prefix(std::min(rest.find(','), rest.size() - 1) + 1))
      if (const auto port = parse_port(rest.substr(0, rest.find(','))))
        keys.push_back({owner->source, *port, GrantSet::session, owner->source_port});
  promise.keys = std::move(keys);
}

/// An end that nothing explains is a promise lost.
void Laws::end(const Owner& owner, Promise& promise, std::string_view verb, std::string_view reason,
               const Config& config, const Straw& straw) {
  const auto now = straw.now;
  const bool came_back = promise.state == Promise::State::over && is_listed(promise);
  const auto lost = [&](std::string_view why) {
    if (!promise.vague && !came_back)
      breach("lost", fmt::format("{} {} reason={}: {}", to_string(owner), verb, reason, why));
  };
  const auto* door = enabled_door(config, owner.door);
  if (verb == "expire") {
    const bool by_flows = promise.close == Close::on_disconnect; // a connection may be older than the promise
    if (now < promise.told && !by_flows) lost("before it was over");
  } else if (reason == "hand") {
    const bool waits = std::any_of(waiting_.begin(), waiting_.end(), [](const auto& entry) {
      return entry.second.asked.request.verb == "close";
    });
    if (!promise.close_asked && !waits) lost("no hand asked for it");
  } else if (reason == "knock" || reason == "client") {
    if (!promise.knocked) lost("no closing knock of its source came");
  } else if (reason == "foreign") {
    const auto heard = [&](const GrantKey& key) {
      return std::find(removals_heard_.begin(), removals_heard_.end(), key) != removals_heard_.end();
    };
    if (!promise.removed && !promise.doubted && std::none_of(promise.keys.begin(), promise.keys.end(), heard))
      lost("nobody removed it");
  } else if (reason == "revoked") {
    if (owner.via != Via::kn1) lost("no device had it");
  } else if (reason == "door-removed") {
    if (door != nullptr) lost("the door is there");
  } else if (reason == "door-changed") {
    const auto gives = [&](const GrantKey& key) {
      const auto ports = door == nullptr ? std::vector<Port>{} : guarded_by(*door);
      if (key.set == GrantSet::range)
        return door != nullptr && std::count(door->ranges.begin(), door->ranges.end(), range_of(key)) != 0;
      return key.port == kNoPort || std::find(ports.begin(), ports.end(), key.port) != ports.end();
    };
    // A list that was loaded brought a port of it that the door gives no more: a start finds one grant.
    const bool brought = std::any_of(listed_.begin(), listed_.end(), [&](const GrantKey& key) {
      return key.source == owner.source && taken_over_.contains(key) && !gives(key);
    });
    if (!brought && std::all_of(promise.keys.begin(), promise.keys.end(), gives))
      lost("the door gives all of it");
  } else if (reason == "share") {
    // Of several owners of an element of `uses`, the one that ends first pays.
    const bool shared = std::any_of(promise.keys.begin(), promise.keys.end(), [&](const GrantKey& key) {
      return key.set == GrantSet::uses && is_shared(owner, key);
    });
    if (promise.counted && !shared) lost("it was used");
  } else if (reason == "uses") {
    if (!promise.used && promise.asked < straw.now)
      lost("no connection came"); // one asked for anew begins anew
  } else if (reason == "disconnect") {
    const auto alive = straw.connections.tcp();
    if (std::any_of(promise.keys.begin(), promise.keys.end(),
                    [&](const GrantKey& key) { return std::binary_search(alive.begin(), alive.end(), key); }))
      lost("the connection lives");
  } else {
    lost("no reason that is known");
  }
  promise.state = Promise::State::over;
  promise.ended = now;
  promise.why = reason;
  promise.vague = promise.close_asked = promise.removed = promise.heard = promise.doubted = false;
}

void Laws::answered(const keeper::Told& told, const Config& config, const Straw& straw) {
  const auto found = waiting_.find(told.ticket);
  if (found == waiting_.end())
    return breach("told", fmt::format("ticket {} was answered, and nobody asked, or it was answered before",
                                      told.ticket));
  const auto waits = std::move(found->second);
  waiting_.erase(found);
  const auto& verb = waits.asked.request.verb;
  if (off_alone_ && is_on_behind(waits) && told.reply.failure.text.starts_with("root turned it off"))
    breach("told", "an on that was typed behind root's off was answered as one from before");
  const bool done = told.reply.failure.exit == ExitCode::done;
  if ((verb == "open" || verb == "close") && is_counted(told.reply.failure)) ++knocks_.silent;
  if (verb == "off" || verb == "on" || verb == "start") knocks_.unsure = true;
  for (const auto& owner : waits.means) {
    auto& promise = book_[owner];
    const bool closed_again = promise.state == Promise::State::over && promise.ended == straw.now;
    if (verb == "open" && done && !closed_again &&
        (promise.state != Promise::State::open || promise.told <= straw.now))
      breach("told", to_string(owner) + " was answered open, and is not");
    const bool again = std::any_of(waiting_.begin(), waiting_.end(), [&](const auto& entry) {
      return entry.second.asked.request.verb == "open" && entry.second.means == waits.means;
    });
    if (verb == "open" && !done && !again && promise.state == Promise::State::asked) promise.bound = {};
    if (verb != "close") continue;
    // What another process removed is closed already, and told behind the next load.
    const bool taken = promise.removed || promise.doubted;
    if (done && waits.exact && promise.state == Promise::State::open && !promise.vague && !taken &&
        promise.asked < waits.at)
      breach("told", to_string(owner) + " was answered closed, and is open");
    promise.close_asked = false;
  }
  if (verb == "close" && done && count_enabled(config) != 0) check_foreign_closed(waits, straw);
  if (verb == "reload" && done && straw.disk.config->config && straw.disk.config->config->hash != config.hash)
    breach("told", "reload was answered done, and another configuration runs");
  if (verb == "reload" && done && waits.now) {
    trials_.clear();
    for (const auto& guarded : static_sets_of(config).guarded) for_good_.insert(guarded.port);
  }
  if (verb == "confirm" && done)
    std::erase_if(trials_, [&](const auto& trial) {
      if (trial.second > straw.now) for_good_.insert(trial.first);
      return trial.second > straw.now;
    });
}

} // namespace knock::simulation
