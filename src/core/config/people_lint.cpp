// SPDX-License-Identifier: GPL-2.0-or-later
// Signed packets: where they come to, and what is allowed and unwise for those who send them.
#include "people.hpp"

#include <algorithm>
#include <unordered_map>

#include <fmt/format.h>

#include <knock/nearest.hpp>

#include "steps.hpp"

namespace knock::grammar {

void check_kn1_ports(Reader& in, std::span<const ReadDoor> doors, const SetKeys& seen, const Config& config) {
  const auto live = [](const ReadDoor& read) { return read.sound && read.door.enabled; };
  const auto first =
      std::find_if(doors.begin(), doors.end(), [&](const auto& read) { return live(read) && read.door.kn1; });
  if (first == doors.end()) return;
  const auto written = seen.find("kn1.ports");
  const auto refuse = [&](const std::string& port, const Door& door, std::string_view what) {
    in.refuse(written != seen.end() ? written->second : first->written->find("kn1")->spot,
              fmt::format("signed packets come to {}, which is {} of door {} ({})", port, what, door.name,
                          to_string(door.place)),
              "write [kn1] ports = [\"udp/N\"] with a port that no door has");
  };
  const auto is_ours = [&](const Step& step) {
    if (is_ping(step.kind.port)) return config.kn1.icmp;
    return std::find(config.kn1.ports.begin(), config.kn1.ports.end(), step.kind.port) !=
           config.kn1.ports.end();
  };
  for (const auto& read : doors) {
    if (!live(read)) continue;
    for (Port port : config.kn1.ports)
      if (guards(read.door, port)) refuse(to_string(port), read.door, "a port");
    for (const auto* steps : {&read.door.knock, &read.door.close_knock})
      if (const auto step = std::find_if(steps->begin(), steps->end(), is_ours); step != steps->end())
        refuse(is_ping(step->kind.port) ? "icmp" : to_string(step->kind.port), read.door, "a step");
  }
}

namespace {

class Linter {
 public:
  Linter(std::vector<Finding>& findings, std::span<const ReadDoor> doors, const Config& config,
         std::optional<Moment> now)
      : findings_(findings), now_(now), invite_(config.kn1.hosts.empty() ? "--host ROUTER " : "") {
    for (const auto& read : doors) {
      doors_.emplace(read.door.name, &read.door);
      names_.push_back(read.door.name);
    }
  }

  void user(const ReadUser& read) {
    if (read.written == nullptr) return orphans(read);
    for (const auto& name : read.user.doors) way_in(read, name);
    if (!read.user.enabled) return;
    if (now_ && read.user.until && *read.user.until <= *now_)
      ended(fmt::format("access of user {}", read.user.name), *read.written->find("until"),
            fmt::format("knockctl user remove {}", read.user.name), finding::kAccessEnded);
    for (const auto& one : read.devices)
      if (one.device.enabled) device(read.user, one);
  }

  /// Once for all: an invite writes it, and behind NAT it has to be.
  void unbound() {
    if (unbound_ == 0) return;
    const auto& [device, written, sound] = *first_unbound_;
    const auto others = unbound_ == 1   ? std::string(" takes")
                        : unbound_ == 2 ? std::string(" and 1 more device take")
                                        : fmt::format(" and {} more devices take", unbound_ - 1);
    warn(finding::kUnbound, written->find("require_source")->spot,
         fmt::format("{}{} packets from any address: who sees one and is faster gets in", device.label,
                     others),
         "write require_source = true, if it has an address of its own");
  }

  /// Doors that no device may open, once all users are told.
  void doors(std::span<const ReadDoor> doors, const People& people) {
    for (const auto& read : doors)
      if (read.door.users && read.door.enabled)
        for (const auto& item : read.written->find("users")->items)
          if (!people.at.contains(item.text))
            warn(finding::kNoDevice, item.spot, fmt::format("there is no user {}", item.text),
                 fmt::format("sudo knockctl user add {} --door {}", item.text, read.door.name));
    for (const auto& read : doors)
      if (read.door.enabled && read.door.kn1 && !opened_.contains(read.door.name))
        warn(finding::kNoDevice, read.written->find("kn1")->spot,
             fmt::format("no device may open door {}", read.door.name),
             fmt::format("sudo knockctl invite USER {}--door {}", invite_, read.door.name));
  }

 private:
  void orphans(const ReadUser& read) {
    for (const auto& one : read.devices)
      warn(finding::kNoDoor, one.written->key_spot,
           fmt::format("there is no user {}: {} may open no door", read.user.name, one.device.label),
           fmt::format("knockctl user add {} --door DOOR, or: knockctl device remove {}", read.user.name,
                       one.device.label));
  }

  void warn(std::string_view name, const Spot& spot, std::string text, std::string advice) {
    findings_.push_back({Finding::Level::warning, place_of(spot), std::move(text), std::move(advice), name});
  }

  void ended(const std::string& what, const Written& date, std::string advice, std::string_view name) {
    warn(name, date.spot, fmt::format("the {} ended: {}", what, shown(date)), std::move(advice));
  }

  const Door* way(std::string_view name) const {
    const auto found = doors_.find(name);
    return found != doors_.end() && found->second->enabled && found->second->kn1 ? found->second : nullptr;
  }

  void way_in(const ReadUser& read, const std::string& name) {
    const auto found = doors_.find(name);
    const auto* doors = read.written->find("doors");
    const auto item = std::find_if(doors->items.begin(), doors->items.end(),
                                   [&](const Written& one) { return one.text == name; });
    if (found == doors_.end())
      warn(finding::kNoDoor, item->spot, fmt::format("there is no door {}", name), advice_for(name));
    else if (!found->second->kn1)
      warn(finding::kNoDoor, item->spot, fmt::format("door {} takes no signed packets", name),
           fmt::format("write kn1 = true in [door.{}]", name));
  }

  /// Asked once a name: ten thousand users may have the same wrong one.
  std::string advice_for(const std::string& name) {
    const auto [known, fresh] = advice_.try_emplace(name);
    if (!fresh) return known->second;
    const auto meant = nearest(name, names_);
    return known->second =
               meant.empty() ? "add the door, or remove the name" : fmt::format("did you mean {}?", meant);
  }

  void device(const User& user, const ReadDevice& read) {
    const auto& [device, written, sound] = read;
    const auto& doors = device.doors.empty() ? user.doors : device.doors;
    const bool over = dates(read) || (now_ && user.until && *user.until <= *now_);
    for (const auto& name : doors)
      if (!over && way(name) != nullptr) opened_.insert(name);
    if (is_symmetric(device.accepts))
      warn(finding::kSymmetric, written->find("accepts")->spot,
           fmt::format("who reads this file can knock as {}", device.label),
           "accepts = \"kn1\" keeps no such key here: knockctl invite");
    if (device.require_source) return;
    const auto& unbound = written->find("require_source")->spot;
    if (unbound_++ == 0) first_unbound_ = &read;
    for (const auto& name : doors)
      if (const auto* door = way(name); door != nullptr && !door->run.empty())
        warn(finding::kRunUnbound, unbound, fmt::format("door {} runs a command", name),
             fmt::format("write require_source = true for {}", device.label));
  }

  /// Whether its access ended.
  bool dates(const ReadDevice& read) {
    const auto& [device, written, sound] = read;
    if (!now_) return false;
    const bool over = device.until && *device.until <= *now_;
    if (over)
      ended("access of " + device.label, *written->find("until"), "knockctl device remove " + device.label,
            finding::kAccessEnded);
    else if (device.claim && *device.claim <= *now_)
      ended("invite of " + device.label, *written->find("claim"), "knockctl device rotate " + device.label,
            finding::kInviteEnded);
    return over;
  }

  std::vector<Finding>& findings_;
  std::optional<Moment> now_;
  std::string_view invite_; // what an invite needs here beside its door
  std::unordered_map<std::string_view, const Door*> doors_;
  std::vector<std::string_view> names_;
  std::map<std::string, std::string> advice_;
  std::set<std::string_view> opened_;
  std::size_t unbound_ = 0;
  const ReadDevice* first_unbound_ = nullptr;
};

} // namespace

void lint_people(std::vector<Finding>& findings, const Config& config, const People& people,
                 std::span<const ReadDoor> doors, std::optional<Moment> now) {
  Linter linter(findings, doors, config, now);
  for (const auto& read : people.users) linter.user(read);
  linter.unbound();
  linter.doors(doors, people);
  const auto first = std::find_if(doors.begin(), doors.end(),
                                  [](const ReadDoor& read) { return read.door.enabled && read.door.kn1; });
  if (first == doors.end() || !config.server_keys.empty()) return;
  const bool invited = std::any_of(people.users.begin(), people.users.end(),
                                   [](const ReadUser& read) { return !read.devices.empty(); });
  findings.push_back(
      {Finding::Level::warning, place_of(first->written->find("kn1")->spot),
       fmt::format("door {} takes signed packets, and there is no {}{}", first->door.name, config.kn1.key,
                   invited ? ", by which devices were invited: they open nothing" : ""),
       invited ? "put it back; or, for a new one and a new line for each device: sudo knockctl key rotate "
                 "--grace 0s"
               : "sudo knockctl invite makes it",
       finding::kNoServerKey});
}

} // namespace knock::grammar
