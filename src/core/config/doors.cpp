// SPDX-License-Identifier: GPL-2.0-or-later
// One door: its keys, and what they demand of each other.
#include "parts.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include <knock/limits.hpp>
#include <knock/sequence.hpp>

#include "steps.hpp"

namespace knock::grammar {
namespace {

/// A pause belongs to the step behind it, and a repeat is as many steps.
std::vector<Step> read_steps(Reader& in, const Written& value) {
  std::vector<Step> steps;
  Millis pause{0};
  const Written* pausing = nullptr;
  for (const auto& item : in.strings(value, kKnock)) {
    const auto written = parse_step(item.text);
    if (!written) {
      in.refuse(item.spot, shown(item) + " is no step", step_advice(item.text));
      continue;
    }
    if (!written->kind && (steps.empty() || pausing != nullptr))
      in.refuse(item.spot, pausing != nullptr ? "two pauses in a row" : value.key + " begins with a pause",
                pausing != nullptr ? "write one of them, as long as both"
                                   : "remove it: time counts from the first packet");
    if (!written->kind) {
      pause = written->pause;
      pausing = &item;
      continue;
    }
    for (unsigned i = 0; i < written->count; ++i)
      steps.push_back({*written->kind, std::exchange(pause, Millis{0})});
    pausing = nullptr;
  }
  if (pausing != nullptr && !steps.empty())
    in.refuse(pausing->spot, value.key + " ends with a pause", "remove it, or add a step behind it");
  if (steps.size() > kKnock.most)
    in.refuse(value.spot, fmt::format("{} has {} steps, each repeat is one", value.key, steps.size()),
              fmt::format("write at most {}", kKnock.most));
  return steps;
}

std::vector<std::string> read_words(Reader& in, const Written& value) {
  std::vector<std::string> words;
  for (const auto& item : in.strings(value, kCommandWords)) {
    if (words.empty() && !item.text.starts_with('/'))
      in.refuse(item.spot, shown(item) + " is no absolute path", "begin the first word with /");
    else if (item.text.size() > kMaxWord || item.text.find('\0') != item.text.npos)
      in.refuse(item.spot, fmt::format("a word of {} holds a NUL or is too long", value.key),
                fmt::format("write at most {} bytes, none of them 0", kMaxWord));
    words.push_back(item.text);
  }
  return words;
}

void read_users(Reader& in, const Written& value, Door& door) {
  door.users.emplace();
  for (const auto& item : in.strings(value, kUsers))
    if (is_name(item.text))
      door.users->push_back(item.text);
    else
      in.refuse(item.spot, shown(item) + " is no name", "write a to z, 0 to 9 and -");
}

using In = Reader;
using W = Written;
using D = Door;

constexpr Key<Door> kKeys[] = {
    {"enabled", [](In& in, const W& w, D& d) { set(d.enabled, in.boolean(w)); }},
    {"opens", read_opens},
    {"forward", read_forward},
    {"knock", [](In& in, const W& w, D& d) { d.knock = read_steps(in, w); }},
    {"close_knock", [](In& in, const W& w, D& d) { d.close_knock = read_steps(in, w); }},
    {"order",
     [](In& in, const W& w, D& d) {
       set(d.any_order, in.choice(w, {"strict", "any"}));
     }},
    {"within", [](In& in, const W& w, D& d) { set(d.within, in.duration(w, kWithin)); }},
    {"strays", [](In& in, const W& w, D& d) { set(d.strays, in.integer(w, kStrays)); }},
    {"reorder", [](In& in, const W& w, D& d) { set(d.reorder, in.duration(w, kReorder)); }},
    {"for", [](In& in, const W& w, D& d) { set(d.open_for, in.duration(w, kOpenFor)); }},
    {"max", [](In& in, const W& w, D& d) { set(d.max, in.duration(w, kOpenFor)); }},
    {"close",
     [](In& in, const W& w, D& d) {
       set(d.close, in.choice(w, {"after", "on-idle", "on-disconnect"}));
     }},
    {"idle", [](In& in, const W& w, D& d) { set(d.idle, in.duration(w, kIdle)); }},
    {"linger", [](In& in, const W& w, D& d) { set(d.linger, in.duration(w, kLinger)); }},
    {"uses", [](In& in, const W& w, D& d) { set(d.uses, in.integer(w, kUses)); }},
    {"grants", [](In& in, const W& w, D& d) { set(d.grants, in.integer(w, kGrants)); }},
    {"flows",
     [](In& in, const W& w, D& d) {
       set(d.cut, in.choice(w, {"keep", "cut"}));
     }},
    {"grant", read_grant},
    {"run", [](In& in, const W& w, D& d) { d.run = read_words(in, w); }},
    {"run_close", [](In& in, const W& w, D& d) { d.run_close = read_words(in, w); }},
    {"cooldown", [](In& in, const W& w, D& d) { set(d.cooldown, in.duration(w, kCooldown)); }},
    {"kn1", [](In& in, const W& w, D& d) { set(d.kn1, in.boolean(w)); }},
    {"args", [](In& in, const W& w, D& d) { set(d.args, in.integer(w, kArgs)); }},
    {"users", read_users},
};

constexpr LaterKey kLater[] = {
    {"device_knock", [](In& in, const W& w) { in.boolean(w); }, "false"},
};

/// A key, or a key with that very value.
struct Says {
  std::string_view key;
  std::string_view value;
};

const Written* find(const Written& door, const Says& says) {
  const auto* found = door.find(says.key);
  if (found == nullptr || says.value.empty() || found->text == says.value) return found;
  const bool among = std::any_of(found->items.begin(), found->items.end(),
                                 [&](const Written& item) { return item.text == says.value; });
  return among ? found : nullptr;
}

struct Rule {
  std::string_view key;
  Says other;
};

constexpr Rule kNeeds[] = {
    {"within", {"knock", ""}},  {"strays", {"knock", ""}},      {"run_close", {"run", ""}},
    {"cooldown", {"run", ""}},  {"idle", {"close", "on-idle"}}, {"linger", {"close", "on-disconnect"}},
    {"users", {"kn1", "true"}}, {"order", {"knock", ""}},       {"close_knock", {"knock", ""}},
    {"args", {"run", ""}},      {"args", {"kn1", "true"}},
};

constexpr Rule kNotWith[] = {
    {"uses", {"close", "on-idle"}}, {"uses", {"close", "on-disconnect"}}, {"uses", {"flows", "cut"}},
    {"uses", {"grant", ""}},        {"uses", {"opens", "any"}},           {"forward", {"grant", ""}},
    {"forward", {"opens", "any"}},  {"flows", {"opens", "any"}},
};

struct NotEmbedded {
  Says what;
  std::string_view why;
  std::string_view advice;
};

constexpr NotEmbedded kNotEmbedded[] = {
    {{"close", "on-idle"},
     "the established rule of your table hides all packets but the first",
     "write close = \"after\" or \"on-disconnect\""},
    {{"opens", "any"}, "it opens what the table of mode = \"gate\" guards", "name the ports"},
    {{"forward", ""}, "it needs rules outside of your table", "remove it, or write mode = \"gate\""},
    {{"flows", "cut"}, "it needs rules outside of your table", "remove it, or write mode = \"gate\""},
};

std::string spelled(const Says& says) {
  if (says.value.empty()) return std::string(says.key);
  if (says.value == "true") return fmt::format("{} = true", says.key);
  return says.key == "opens" ? fmt::format("opens = [\"{}\"]", says.value)
                             : fmt::format("{} = \"{}\"", says.key, says.value);
}

void check_rules(Reader& in, const Written& door) {
  for (const auto& [key, other] : kNeeds)
    if (const auto* found = door.find(key); found != nullptr && find(door, other) == nullptr)
      in.refuse(found->key_spot, fmt::format("{} needs {}", key, spelled(other)),
                fmt::format("add it, or remove {}", key));
  for (const auto& [key, other] : kNotWith)
    if (const auto* found = door.find(key); found != nullptr && find(door, other) != nullptr)
      in.refuse(found->key_spot, fmt::format("{} does not go with {}", key, spelled(other)),
                "remove one of them");
  if (!door.find("opens") && !door.find("forward") && !door.find("run"))
    in.refuse(door.key_spot, fmt::format("door {} opens nothing", one_line(door.key)),
              "add opens = [\"tcp/22\"]");
}

/// Whether `value` is what the file says, or the default: a key that was refused is not complained of twice.
bool is_read(const Written* written, Millis value) {
  return written == nullptr || parse_duration(written->text) == value;
}

/// The kernel gives one use back in a week (a limit's longest unit): no grant of this kind may live longer.
void check_uses(Reader& in, const Written& written, const Door& door) {
  const auto* max = written.find("max");
  if (door.uses != 0 && max != nullptr && door.max > kMaxWithUses)
    in.refuse(max->spot, shown(*max) + " is more than 7d, the most with uses", "write max = \"7d\" or less");
}

/// An element of a range is of one address, whose packets stay here, as many connections as come.
void check_ranges(Reader& in, const Written& written, const Door& door) {
  if (door.ranges.empty()) return;
  for (const auto* key : {"uses", "grant", "forward"})
    if (const auto* found = written.find(key); found != nullptr)
      in.refuse(found->key_spot,
                fmt::format("{} does not go with opens of more than {} ports", key, kMaxPorts),
                "remove one of them, or split the door in two");
}

/// `max` is the end of everything, so `span` must fit into it.
void check_max(Reader& in, const Written& written, const Door& door, std::string_view key, Millis span) {
  const auto* own = written.find(key);
  const auto* max = written.find("max");
  if (door.max >= span || !is_read(own, span) || !is_read(max, door.max)) return;
  const auto enough = fmt::format("max = \"{}\" or more", duration_text(span));
  if (max != nullptr)
    in.refuse(max->spot,
              fmt::format("{} is less than {}, \"{}\"{}", shown(*max), key, duration_text(span),
                          own == nullptr ? " by default" : ""),
              "write " + enough);
  else
    in.refuse(own->spot,
              fmt::format("{} is more than max, \"{}\" by default", shown(*own), duration_text(door.max)),
              "add " + enough);
}

bool has_twice(std::span<const Step> steps) {
  std::set<PacketKind> kinds;
  return std::any_of(steps.begin(), steps.end(),
                     [&](const Step& step) { return !kinds.insert(step.kind).second; });
}

/// What a sequence demands of the keys around it.
void check_sequence(Reader& in, const Written& written, std::string_view key, std::span<const Step> steps,
                    const Door& door) {
  const auto* knock = written.find(key);
  if (knock == nullptr) return;
  Millis pauses{0};
  for (const auto& step : steps) pauses += step.pause;
  if (pauses > Millis{0} && door.within <= pauses)
    in.refuse(
        knock->spot,
        fmt::format("the pauses take {}, within is {}", duration_text(pauses), duration_text(door.within)),
        "write a longer within");
  const auto has = [&](Protocol protocol) {
    return std::any_of(steps.begin(), steps.end(),
                       [&](const Step& step) { return step.kind.port.protocol == protocol; });
  };
  if (has(Protocol::icmp) && has(Protocol::icmp6))
    in.refuse(knock->spot, fmt::format("{} holds icmp and icmp6: no source sends both", key),
              "write a door for each family");
  if (door.any_order && (steps.size() > kMaxAnySteps || has_twice(steps) || pauses > Millis{0}))
    in.refuse(knock->spot, "order = \"any\" does not go with this sequence",
              fmt::format("write at most {} steps, no pause, none twice", kMaxAnySteps));
}

/// Whether neighbours of `sent` that come swapped make it `other`.
bool swaps_into(std::span<const Step> sent, std::span<const Step> other) {
  if (sent.size() != other.size()) return false;
  for (std::size_t i = 0; i < sent.size(); ++i) {
    if (sent[i].kind == other[i].kind) continue;
    if (i + 1 == sent.size() || sent[i].kind != other[i + 1].kind || sent[i + 1].kind != other[i].kind)
      return false;
    ++i;
  }
  return true;
}

void check_closing(Reader& in, const Written& written, const Door& door) {
  const auto* closing = written.find("close_knock");
  if (closing == nullptr || door.close_knock.empty() || door.knock.empty()) return;
  const auto sequences = sequences_of(door);
  if (door.close_knock[0].kind == door.knock[0].kind && !door.any_order)
    in.refuse(closing->items[0].spot, "close_knock begins like knock", "begin it with another step");
  else if (holds(door.knock, door.close_knock, door.any_order))
    in.refuse(closing->spot, "who sends knock sends close_knock with it: the door would close at once",
              door.any_order ? "give close_knock a step that knock does not have"
                             : "begin close_knock with a step that knock does not have");
  else if (holds(door.close_knock, door.knock, door.any_order))
    in.refuse(closing->spot, "who sends close_knock sends knock with it: the door would open",
              "leave one step of knock out of close_knock");
  else if (takes_swaps(sequences.front()) && swaps_into(door.knock, door.close_knock))
    in.refuse(closing->spot, "a knock whose packets come swapped is close_knock: the door would close",
              "begin close_knock with a step that knock does not have, or write reorder = \"0s\"");
}

} // namespace

void check_embedded(Reader& in, const Written& door) {
  for (const auto& [what, why, advice] : kNotEmbedded)
    if (const auto* found = find(door, what); found != nullptr)
      in.refuse(found->spot, fmt::format("{} does not work in embed mode: {}", spelled(what), why),
                std::string(advice));
}

ReadDoor read_door(Reader& in, const Written& written) {
  ReadDoor read;
  read.written = &written;
  read.door.name = written.key;
  read.door.id = door_id(written.key);
  read.door.wire = kn1::wire_id(written.key);
  read.door.place = place_of(written.key_spot);
  const auto before = in.complaints();
  if (!is_name(written.key))
    in.refuse(written.key_spot, fmt::format("{} is no name of a door", in_quotes(written.key)),
              "write 1 to 31 of a to z, 0 to 9 and -, no - first");
  if (written.key == kForeignDoor)
    in.refuse(written.key_spot, "\"foreign\" is what elements of another hand are listed under",
              "take another name");
  if (!in.is_table(written, fmt::format("[door.{}]", one_line(written.key)))) return read;
  in.keys<Door>(written, "door " + one_line(written.key), kKeys, kLater, read.door);
  check_rules(in, written);
  check_max(in, written, read.door, "for", read.door.open_for);
  if (read.door.close == Close::on_idle) check_max(in, written, read.door, "idle", read.door.idle);
  check_uses(in, written, read.door);
  check_ranges(in, written, read.door);
  check_sequence(in, written, "knock", read.door.knock, read.door);
  check_sequence(in, written, "close_knock", read.door.close_knock, read.door);
  check_closing(in, written, read.door);
  read.sound = in.complaints() == before;
  return read;
}

} // namespace knock::grammar
