// SPDX-License-Identifier: GPL-2.0-or-later
// NAME.toml as it is read.
#include <knock/profile.hpp>

#include <algorithm>

#include <fmt/format.h>

#include <knock/limits.hpp>

#include "core/client/profile_parts.hpp"
#include "core/config/reader.hpp"
#include "core/config/steps.hpp"
#include "core/spa/line_door.hpp"

namespace knock::profiles {
namespace {

using grammar::in_quotes;
using grammar::Key;
using grammar::one_line;
using grammar::Reader;
using grammar::Written;

// A line holds so many at most, or fewer.
constexpr Range<std::size_t> kHostsOfProfile{1, 4};
constexpr Range<std::size_t> kCarriers{1, 4};
constexpr Range<std::size_t> kPortsOfDoor{0, 64};
constexpr Range<std::size_t> kHostsOfDoor{1, 128};
constexpr Range<std::size_t> kEntries{1, kMaxEntries};
constexpr std::size_t kDoorsOfProfile = 64;

std::vector<std::string> read_hosts(Reader& in, const Written& value, const Range<std::size_t>& allowed) {
  std::vector<std::string> hosts;
  for (const auto& item : in.strings(value, allowed))
    if (is_client_host(item.text))
      hosts.push_back(item.text);
    else
      in.refuse(item.spot, grammar::shown(item) + " is no name or address of a host",
                "write \"router.example\"");
  return hosts;
}

void read_device_name(Reader& in, const Written& value, Profile& profile) {
  const auto text = in.string(value);
  if (!text) return;
  auto device = *text;
  const auto user = line::take_until(device, '/');
  if (!grammar::is_name(user) || !grammar::is_name(device))
    return in.refuse(value.spot, grammar::shown(value) + " is no name of a device",
                     "write \"USER/DEVICE\" as the line had it, like \"alice/laptop\"");
  profile.device = *text;
}

void read_send(Reader& in, const Written& value, Profile& profile) {
  for (const auto& item : in.strings(value, kCarriers))
    if (const auto carrier = parse_carrier(item.text))
      profile.send.push_back(*carrier);
    else
      in.refuse(item.spot, grammar::shown(item) + " carries no packet", "write \"udp/17022\" or \"icmp\"");
}

void read_source(Reader& in, const Written& value, Profile& profile) {
  using Source = Profile::Source;
  const auto text = in.string(value);
  if (!text) return;
  profile.address = parse_address(*text);
  if (profile.address)
    profile.source = Source::address;
  else if (*text == "bound")
    profile.source = Source::bound;
  else if (*text == "unbound")
    profile.source = Source::unbound;
  else if (*text != "auto")
    in.refuse(value.spot, grammar::shown(value) + " is no source",
              "write \"auto\" or \"bound\" or \"unbound\", or your public address");
}

void read_door_ports(Reader& in, const Written& value, LineDoor& door) {
  const auto items = in.strings(value, kPortsOfDoor);
  for (const auto& item : items) {
    if (item.text == "any") {
      door.any = true;
      if (items.size() > 1)
        in.refuse(item.spot, "\"any\" stands with other ports", "write ports = [\"any\"] alone");
    } else if (const auto range = parse_port_range(item.text)) {
      door.ports.push_back(*range);
    } else {
      const auto tcp = "tcp/" + item.text;
      in.refuse(item.spot, grammar::shown(item) + " is no port or range",
                parse_port(tcp) ? fmt::format("did you mean \"{}\"?", tcp)
                                : std::string("write \"tcp/22\", or \"udp/8000-8010\""));
    }
  }
}

void read_door_knock(Reader& in, const Written& value, LineDoor& door) {
  const auto items = in.strings(value, kEntries);
  for (const auto& item : items) door.knock.push_back(one_line(item.text));
  if (const auto fault = fault_of(door.knock)) in.refuse(items[fault->at].spot, fault->text, fault->advice);
}

constexpr Key<LineDoor> kDoorKeys[] = {
    {"ports", read_door_ports},
    {"for", [](Reader& in, const Written& w, LineDoor& d) { d.open_for = in.duration(w, kOpenFor); }},
    {"max", [](Reader& in, const Written& w, LineDoor& d) { d.max = in.duration(w, kOpenFor); }},
    {"cut", [](Reader& in, const Written& w, LineDoor& d) { grammar::set(d.cut, in.boolean(w)); }},
    {"uses", [](Reader& in, const Written& w, LineDoor& d) { grammar::set(d.uses, in.boolean(w)); }},
    {"run", [](Reader& in, const Written& w, LineDoor& d) { grammar::set(d.run, in.boolean(w)); }},
    {"args", [](Reader& in, const Written& w, LineDoor& d) { grammar::set(d.args, in.integer(w, kArgs)); }},
    {"at", [](Reader& in, const Written& w, LineDoor& d) { d.at = read_hosts(in, w, kHostsOfDoor); }},
    {"knock", read_door_knock},
};

void read_profile_door(Reader& in, const Written& written, Profile& profile) {
  auto& door = profile.doors.emplace_back();
  door.name = written.key;
  const auto what = "door " + one_line(written.key);
  if (!grammar::is_name(written.key))
    in.refuse(written.key_spot, fmt::format("{} is no name of a door", in_quotes(written.key)),
              "write 1 to 31 of a to z, 0 to 9 and -, no - first");
  if (!in.is_table(written, fmt::format("[door.{}]", one_line(written.key)))) return;
  in.keys<LineDoor>(written, what, kDoorKeys, {}, door);
  if (written.find("ports") == nullptr)
    in.refuse(written.key_spot, what + " has no ports",
              "add ports = [\"tcp/22\"], or [] where it opens none");
  if (const auto* args = written.find("args"); args != nullptr && door.args != 0 && !door.run)
    in.refuse(args->key_spot, "args needs run = true", "add it, or remove args");
}

void read_profile_doors(Reader& in, const Written& value, Profile& profile) {
  if (!in.is_table(value, "[door.NAME]")) return;
  if (value.items.size() > kDoorsOfProfile)
    return in.refuse(value.items[kDoorsOfProfile].key_spot, fmt::format("{} doors", value.items.size()),
                     fmt::format("write at most {}", kDoorsOfProfile));
  for (const auto& door : value.items) read_profile_door(in, door, profile);
}

constexpr Key<Profile> kProfileKeys[] = {
    {"hosts", [](Reader& in, const Written& w, Profile& p) { p.hosts = read_hosts(in, w, kHostsOfProfile); }},
    {"device", read_device_name},
    {"send", read_send},
    {"source", read_source},
    {"require_source",
     [](Reader& in, const Written& w, Profile& p) { grammar::set(p.require_source, in.boolean(w)); }},
    {"for_src", [](Reader& in, const Written& w, Profile& p) { grammar::set(p.for_src, in.boolean(w)); }},
    {"clock",
     [](Reader& in, const Written& w, Profile& p) {
       grammar::set(p.counter, in.choice(w, {"wall", "none"}));
     }},
    {"claim", [](Reader& in, const Written& w, Profile& p) { p.claim = in.date(w); }},
    {"until", [](Reader& in, const Written& w, Profile& p) { p.until = in.date(w); }},
    {"door", read_profile_doors},
};

/// What a profile must have.
void check_profile(Reader& in, const Written& tree) {
  const grammar::Spot file{tree.spot.file, 0, 0};
  const auto* device = tree.find("device");
  const auto* doors = tree.find("door");
  if (tree.find("hosts") == nullptr)
    in.refuse(file, "the profile has no hosts", "add hosts = [\"router.example\"] at its top");
  if (device != nullptr && tree.find("send") == nullptr)
    in.refuse(device->key_spot, "device needs send", "add send = [\"udp/17022\"], the router's [kn1] ports");
  if (doors == nullptr || (doors->kind == Written::Kind::table && doors->items.empty()))
    return in.refuse(file, "the profile has no door", "add [door.ssh] with ports = [\"tcp/22\"]");
  if (device != nullptr) return;
  for (const auto& door : doors->items)
    if (door.kind == Written::Kind::table && door.find("knock") == nullptr)
      in.refuse(door.key_spot,
                fmt::format("door {} has no knock, and the profile no device", one_line(door.key)),
                "add knock = [\"tcp/7143\", ...] here, or device at the top");
}

} // namespace

std::optional<KnockFault> fault_of(std::span<const std::string> knock) {
  std::size_t steps = 0;
  bool pausing = false;
  for (std::size_t i = 0; i < knock.size(); ++i) {
    const auto step = grammar::parse_step(knock[i]);
    if (!step) return KnockFault{i, in_quotes(knock[i]) + " is no step", grammar::step_advice(knock[i])};
    const bool pauses = !step->kind;
    if (pauses && (steps == 0 || pausing || i + 1 == knock.size()))
      return KnockFault{i, "a pause without a step on both sides", "remove it"};
    pausing = pauses;
    steps += pauses ? 0 : step->count;
    if (steps > kKnock.most)
      return KnockFault{i, "too many steps, each repeat is one",
                        fmt::format("write at most {}", kKnock.most)};
  }
  return std::nullopt;
}

} // namespace knock::profiles

namespace knock {

std::optional<Carrier> parse_carrier(std::string_view text) {
  if (text == "icmp") return Carrier{};
  const auto port = parse_port(text);
  return port && port->protocol == Protocol::udp ? std::optional(Carrier{port->number}) : std::nullopt;
}

std::string to_string(Carrier carrier) {
  return carrier.port == 0 ? "icmp" : fmt::format("udp/{}", carrier.port);
}

bool is_profile_name(std::string_view name) {
  return grammar::is_name(name);
}

ParsedProfile<Profile> parse_profile(const ConfigText& text, std::string_view name,
                                     Moment (*of_local)(LocalMoment)) {
  ParsedProfile<Profile> parsed;
  const auto tree = grammar::parse_written(text);
  if (!tree) {
    parsed.findings.push_back(tree.error());
    return parsed;
  }
  grammar::Reader in(parsed.findings, of_local);
  Profile profile;
  profile.name = name;
  in.keys<Profile>(*tree, "the profile", profiles::kProfileKeys, {}, profile);
  profiles::check_profile(in, *tree);
  if (parsed.findings.empty()) parsed.value = std::move(profile);
  return parsed;
}

} // namespace knock
