// SPDX-License-Identifier: GPL-2.0-or-later
// Users: their own keys, all of them together, and what doors say of them.
#include "people.hpp"

#include <algorithm>
#include <cstring>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>

namespace knock::grammar {
namespace {

template<class Out>
void keep(std::optional<Out>& out, const std::optional<Out>& value) {
  if (value) out = value;
}

using In = Reader;
using W = Written;
using U = User;

constexpr Key<User> kUserKeys[] = {
    {"enabled", [](In& in, const W& w, U& u) { set(u.enabled, in.boolean(w)); }},
    {"doors", [](In& in, const W& w, U& u) { read_user_doors(in, w, u.doors); }},
    {"from", [](In& in, const W& w, U& u) { keep(u.from, in.date(w)); }},
    {"until", [](In& in, const W& w, U& u) { keep(u.until, in.date(w)); }},
    {"sources", [](In& in, const W& w, U& u) { read_sources(in, w, u.sources); }},
};

ReadUser& user_named(Reader& in, const Written& written, People& people) {
  const auto [at, fresh] = people.at.try_emplace(written.key, people.users.size());
  if (!fresh) return people.users[at->second];
  if (!is_name(written.key))
    in.refuse(written.key_spot, fmt::format("{} is no name of a user", in_quotes(written.key)),
              "write 1 to 31 of a to z, 0 to 9 and -, no - first");
  auto& read = people.users.emplace_back();
  read.user.name = written.key;
  read.user.place = place_of(written.key_spot);
  return read;
}

void read_own(Reader& in, const Written& written, ReadUser& read) {
  if (read.written != nullptr)
    return in.refuse(written.key_spot,
                     fmt::format("user {} stands twice, first at {}", one_line(written.key),
                                 to_string(read.written->key_spot)),
                     "remove one of them");
  read.written = &written;
  read.user.place = place_of(written.key_spot);
  Written own = written; // its devices are read each for itself
  std::erase_if(own.items, [](const Written& item) { return item.kind == Written::Kind::table; });
  in.keys<User>(own, "user " + one_line(written.key), kUserKeys, {}, read.user);
  check_dates(in, written, read.user.from, read.user.until);
}

void take_device(Reader& in, const Written& written, ReadUser& read) {
  const auto before = in.complaints();
  auto device = read_device(in, written, read.user.name);
  read.devices.push_back({std::move(device), &written, in.complaints() == before});
}

void read_user(Reader& in, const Written& written, People& people) {
  if (!in.is_table(written, fmt::format("[user.{}]", one_line(written.key)))) return;
  auto& read = user_named(in, written, people);
  const auto is_device = [](const Written& item) { return item.kind == Written::Kind::table; };
  if (written.items.empty() || !std::all_of(written.items.begin(), written.items.end(), is_device))
    read_own(in, written, read);
  for (const auto& item : written.items) {
    if (!is_device(item)) continue;
    const auto first = std::find_if(read.devices.begin(), read.devices.end(),
                                    [&](const ReadDevice& other) { return other.device.name == item.key; });
    if (first != read.devices.end())
      in.refuse(item.key_spot,
                fmt::format("device {} stands twice, first at {}", first->device.label,
                            to_string(first->device.place)),
                "rename or remove one of them");
    else
      take_device(in, item, read);
  }
}

const Written* doors_of(const Written* table) {
  return table == nullptr ? nullptr : table->find("doors");
}

/// Where `doors` of a table names `door`; the table itself where it does not.
Spot spot_in(const Written& table, std::string_view door) {
  if (const auto* doors = doors_of(&table); doors != nullptr)
    for (const auto& item : doors->items)
      if (item.text == door) return item.spot;
  return table.key_spot;
}

bool holds(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// A device may open what its user may, and less.
void check_rights(Reader& in, const ReadUser& read) {
  for (const auto& [device, written, sound] : read.devices)
    for (const auto& door : device.doors)
      if (!holds(read.user.doors, door))
        in.refuse(spot_in(*written, door),
                  fmt::format("{} names door {}, and {} ({}) does not", device.label, door, read.user.name,
                              to_string(read.user.place)),
                  "add it to the doors of the user, or remove it here");
}

void check_declared(Reader& in, const ReadUser& read) {
  if (read.written != nullptr && doors_of(read.written) == nullptr)
    in.refuse(read.written->key_spot, fmt::format("user {} has no doors", read.user.name),
              "add doors = [\"ssh\"], the doors it may open");
}

/// A door that says who may open it says so of all who name it.
void check_admitted(Reader& in, const People& people, std::span<const ReadDoor> doors) {
  std::unordered_map<std::string_view, std::pair<const Door*, std::unordered_set<std::string_view>>> choosy;
  for (const auto& read : doors)
    if (read.door.users)
      choosy[read.door.name] = {&read.door, {read.door.users->begin(), read.door.users->end()}};
  for (const auto& read : people.users)
    for (const auto& name : read.user.doors) {
      const auto found = choosy.find(name);
      if (found == choosy.end() || read.written == nullptr || found->second.second.contains(read.user.name))
        continue;
      in.refuse(spot_in(*read.written, name),
                fmt::format("user {} names door {}, whose users ({}) do not hold {}", read.user.name, name,
                            to_string(found->second.first->place), read.user.name),
                "add the name there, or remove the door here");
    }
}

/// What must be one device's alone: compared where it lies, no copy is made.
template<class Bytes>
class Once {
 public:
  Once(Reader& in, std::string_view key) : in_(in), key_(key) {}

  void take(const Bytes& bytes, const ReadDevice& read, const Written& table) {
    const auto [first, fresh] = seen_.try_emplace(&bytes, &read);
    const auto* own = table.find(key_);
    if (fresh || own == nullptr) return;
    in_.refuse(own->spot,
               fmt::format("{} of {} is that of {}, too ({})", key_, read.device.label,
                           first->second->device.label, to_string(first->second->device.place)),
               fmt::format("a key belongs to one device: knockctl device rotate {}", read.device.label));
  }

 private:
  struct Less {
    bool operator()(const Bytes* a, const Bytes* b) const { return std::memcmp(a, b, sizeof *a) < 0; }
  };
  Reader& in_;
  std::string_view key_;
  std::map<const Bytes*, const ReadDevice*, Less> seen_;
};

void check_keys(Reader& in, const People& people) {
  Once<kn1::Kid> kids(in, "kid");
  Once<kn1::Secret> secrets(in, "secret");
  Once<kn1::Public> publics(in, "public");
  const auto take = [&](const DeviceKey& key, const ReadDevice& read, const Written& table) {
    kids.take(key.kid, read, table);
    secrets.take(key.secret, read, table);
    if (key.public_key) publics.take(*key.public_key, read, table);
  };
  for (const auto& user : people.users)
    for (const auto& read : user.devices) {
      if (!read.sound) continue;
      take(read.device.key, read, *read.written);
      if (read.device.old) take(read.device.old->key, read, *read.written->find("old"));
    }
}

void check_counts(Reader& in, const People& people) {
  std::size_t devices = 0;
  for (const auto& user : people.users) devices += user.devices.size();
  const auto most = std::max(devices, people.users.size());
  if (most > kMaxUsers)
    in.refuse({people.users.back().user.place.file, 0, 0},
              fmt::format("{} users, {} devices", people.users.size(), devices),
              fmt::format("write at most {} of each", kMaxUsers));
}

} // namespace

void read_user_doors(Reader& in, const Written& value, std::vector<std::string>& doors) {
  for (const auto& item : in.strings(value, kUserDoors))
    if (!is_name(item.text))
      in.refuse(item.spot, shown(item) + " is no name", "write a to z, 0 to 9 and -");
    else if (!holds(doors, item.text))
      doors.push_back(item.text);
}

void read_sources(Reader& in, const Written& value, std::vector<Prefix>& sources) {
  for (const auto& item : in.strings(value, kSources))
    if (const auto prefix = parse_prefix(item.text))
      sources.push_back(*prefix);
    else
      in.refuse(item.spot, shown(item) + " is no prefix",
                "write a prefix like \"192.0.2.0/24\" with no bit set behind its length");
}

void check_dates(Reader& in, const Written& table, std::optional<Moment> from, std::optional<Moment> until) {
  if (from && until && *until <= *from)
    in.refuse(table.find("until")->spot, "until is not behind from", "write a later date, or remove one");
}

void read_people(Reader& in, const Written& tree, People& people) {
  for (const auto& item : tree.items)
    if (item.key != "user")
      in.refuse(item.key_spot,
                fmt::format("{} stands in users.d, which holds users alone", in_quotes(item.key)),
                "move it to knockgate.toml or doors.d");
    else if (in.is_table(item, "[user.NAME]"))
      for (const auto& user : item.items) read_user(in, user, people);
}

void check_people(Reader& in, const People& people, std::span<const ReadDoor> doors) {
  check_counts(in, people);
  check_keys(in, people);
  for (const auto& read : people.users) {
    check_declared(in, read);
    if (doors_of(read.written) != nullptr) check_rights(in, read);
  }
  check_admitted(in, people, doors);
}

std::vector<User> merge_people(People& people, bool alone) {
  std::vector<User> users;
  for (auto& [user, written, devices] : people.users) {
    // Whose user is gone opens nothing: to remove that file is enough, no error stands in its way.
    user.enabled = user.enabled && (written != nullptr || alone);
    for (auto& read : devices) {
      auto& device = read.device;
      device.enabled = device.enabled && user.enabled;
      if (device.doors.empty()) device.doors = user.doors;
      if (user.from) device.from = std::max(device.from.value_or(*user.from), *user.from);
      if (user.until) device.until = std::min(device.until.value_or(*user.until), *user.until);
      device.user_sources = user.sources;
      user.devices.push_back(std::move(device));
    }
    users.push_back(std::move(user));
  }
  return users;
}

} // namespace knock::grammar
