// SPDX-License-Identifier: GPL-2.0-or-later
// One door: its keys, and what they demand of each other.
#include "parts.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include <knock/limits.hpp>

namespace knock::grammar {
namespace {

std::optional<WrittenStep> read_step(Reader& in, const Written& item) {
  const auto step = parse_step(item.text);
  if (!step) refuse_port(in, item, "step", "write tcp/N or udp/N with N 1 to 65535");
  return step;
}

void read_knock(Reader& in, const Written& value, Door& door) {
  for (const auto& item : in.strings(value, kKnock)) {
    const auto step = read_step(in, item);
    if (!step) continue;
    if (step->later.empty())
      door.knock.push_back({*step->port});
    else
      in.refuse(item.spot, fmt::format("{} is not in this version: {}", step->later, shown(item)),
                "write tcp/N or udp/N alone");
  }
}

void check_steps(Reader& in, const Written& value) {
  for (const auto& item : in.strings(value, kKnock)) read_step(in, item);
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

void check_names(Reader& in, const Written& value) {
  for (const auto& item : in.strings(value, kUsers))
    if (!is_name(item.text)) in.refuse(item.spot, shown(item) + " is no name", "write a to z, 0 to 9 and -");
}

using In = Reader;
using W = Written;
using D = Door;

constexpr Key<Door> kKeys[] = {
    {"enabled", [](In& in, const W& w, D& d) { set(d.enabled, in.boolean(w)); }},
    {"opens", read_opens},
    {"forward", read_forward},
    {"knock", read_knock},
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
};

constexpr LaterKey kLater[] = {
    {"kn1", [](In& in, const W& w) { in.boolean(w); }, "false"},
    {"order",
     [](In& in, const W& w) {
       in.choice(w, {"strict", "any"});
     },
     "strict"},
    {"close_knock", check_steps, ""},
    {"users", check_names, ""},
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
    {"users", {"kn1", "true"}},
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

/// What a sequence demands of the keys around it.
void check_sequence(Reader& in, const Written& written, const Door& door) {
  const auto* knock = written.find("knock");
  if (knock == nullptr) return;
  Millis pauses{0};
  std::set<std::string_view> steps;
  for (const auto& item : knock->items) {
    const auto step = parse_step(item.text);
    pauses += step ? step->pause : Millis{0};
    steps.insert(item.text);
  }
  if (pauses > Millis{0} && door.within <= pauses)
    in.refuse(
        knock->spot,
        fmt::format("the pauses take {}, within is {}", duration_text(pauses), duration_text(door.within)),
        "write a longer within");
  if (find(written, {"order", "any"}) != nullptr &&
      (knock->items.size() > kMaxAnySteps || steps.size() < knock->items.size() || pauses > Millis{0}))
    in.refuse(knock->spot, "order = \"any\" does not go with this sequence",
              fmt::format("write at most {} steps, no pause, none twice", kMaxAnySteps));
  const auto* closing = written.find("close_knock");
  if (closing != nullptr && !closing->items.empty() && !knock->items.empty() &&
      closing->items[0].text == knock->items[0].text)
    in.refuse(closing->items[0].spot, "close_knock begins like knock", "begin it with another step");
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
  read.door.place = place_of(written.key_spot);
  const auto before = in.complaints();
  if (!is_name(written.key))
    in.refuse(written.key_spot, fmt::format("{} is no name of a door", in_quotes(written.key)),
              "write 1 to 31 of a to z, 0 to 9 and -, no - first");
  if (!in.is_table(written, fmt::format("[door.{}]", one_line(written.key)))) return read;
  in.keys<Door>(written, "door " + one_line(written.key), kKeys, kLater, read.door);
  check_rules(in, written);
  check_max(in, written, read.door, "for", read.door.open_for);
  if (read.door.close == Close::on_idle) check_max(in, written, read.door, "idle", read.door.idle);
  check_uses(in, written, read.door);
  check_ranges(in, written, read.door);
  check_sequence(in, written, read.door);
  read.sound = in.complaints() == before;
  return read;
}

} // namespace knock::grammar
