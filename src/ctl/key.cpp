// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/verbs.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <knock/dates.hpp>

#include "ctl/enrol_files.hpp"
#include "ctl/fresh.hpp"
#include "ctl/show.hpp"
#include "ctl/users_of.hpp"
#include "system/zone.hpp"

namespace knock::ctl {
namespace {

Failure no_key(const Config& config) {
  return refused("there is no " + config.kn1.key, "sudo knockctl invite USER --door DOOR makes it");
}

int show_keys(const CommandLine& given, const Config& config) {
  if (config.server_keys.empty()) return fail(given, no_key(config));
  const auto users = users_of(given); // who knocked with which, the daemon knows
  const auto* known = users ? &*users : nullptr;
  const auto keys = keys_of(config);
  if (given.json)
    fmt::print("{}\n", keys_json(keys, known));
  else
    fmt::print("{}", keys_text(keys, known, system::to_local));
  return 0;
}

/// Of many the first.
std::string some_of(const std::vector<std::string>& names) {
  constexpr std::size_t kNamed = 10;
  const auto shown = std::min(names.size(), kNamed);
  auto text =
      fmt::format("{}", fmt::join(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(shown), " "));
  return names.size() > shown ? text + fmt::format(" and {} more", names.size() - shown) : text;
}

/// Devices that open something by their line of today: none of it holds the new key.
std::vector<std::string> outdated(const Config& config, Moment now) {
  std::vector<std::string> names;
  for (const auto& user : config.users)
    for (const auto& device : user.devices)
      if (const auto lack = lack_of(device, now); lack != Lack::off && lack != Lack::ended)
        names.push_back(device.label);
  return names;
}

/// A grace that a rotation before this one gave, and this one ends sooner.
void warn_of_cut(const CommandLine& given, const Config& before, const std::vector<ServerKey>& after,
                 Moment now) {
  const auto users = users_of(given); // who knocked with which, the daemon knows
  for (const auto& key : before.server_keys) {
    const auto name = key_name(key.key.server.pub);
    const auto stays = std::find_if(after.begin(), after.end(), [&](const ServerKey& one) {
      return one.key.server.pub == key.key.server.pub;
    });
    const auto until = stays == after.end() ? now : *stays->until;
    if (!key.until || *key.until <= until) continue;
    std::vector<std::string> devices;
    for (const auto& user : users.value_or(std::vector<UserReport>{}))
      for (const auto& device : user.devices)
        if (device.server_key == name) devices.push_back(device.device);
    warn({fmt::format("key {} was to be accepted until {}, and ends {}", name, minute_here(*key.until),
                      stays == after.end() ? "now" : minute_here(until)),
          devices.empty() ? "who has a line that old needs a new one first: knockctl device line"
                          : "these knocked with it last, and need a new line first: " + some_of(devices)});
  }
}

/// Of keys that are sealed the daemon lends what is public: the file is made anew by its owner.
int print_sealed(const CommandLine& given, const Config& config, Moment now, Moment until) {
  const std::array fresh{fresh_server_key(now)};
  const auto text = keys_text(fresh);
  if (given.json)
    fmt::print("{}\n", nlohmann::json{{"schema", 1}, {"file", text.text}}.dump());
  else
    fmt::print("{}", text.text);
  fmt::print(
      stderr,
      "The keys are sealed, and nothing was changed. Put this before the {} in the file that was sealed, "
      "end those with\n    until = {}\nand seal it again:\n"
      "    systemd-creds encrypt --name=kn1.key FILE /etc/credstore.encrypted/kn1.key && shred -u FILE\n"
      "    systemctl restart knockgated\nThen: knockctl device line for each, before that date: {}\n",
      config.server_keys.size() == 1 ? "key" : "keys", rfc3339(until), some_of(outdated(config, now)));
  return 0;
}

void say_rotated(const Config& config, const std::vector<ServerKey>& keys, Moment now) {
  const bool soon = keys.size() > 1 && *keys[1].until - now < std::chrono::days{2}; // a date would say little
  std::vector<std::string> former;
  for (std::size_t i = 1; i < keys.size(); ++i)
    former.push_back(
        fmt::format("{} until {}", key_name(keys[i].key.server.pub),
                    soon ? minute_here(*keys[i].until) : date_text(*keys[i].until, system::to_local)));
  fmt::print("key {} from now{}{}. Next: knockctl device line for each{}\n",
             key_name(keys.front().key.server.pub), former.empty() ? "" : ", ", fmt::join(former, ", "),
             former.empty() ? ", now" : ", before then");
  if (const auto devices = outdated(config, now); !devices.empty())
    fmt::print("{} a new line{}: {}\n",
               devices.size() == 1 ? std::string("1 device needs")
                                   : fmt::format("{} devices need", devices.size()),
               former.empty() ? fmt::format(", and open{} nothing before", devices.size() == 1 ? "s" : "")
                              : " before " + minute_here(*keys[1].until),
               some_of(devices));
}

int rotate(const CommandLine& given, const UsersPlace& place, Config& config) {
  const auto grace = parse_duration(given.grace.value_or("30d"));
  if (!grace || *grace > std::chrono::days{365})
    return fail(given, usage_failure("--grace is no duration", "--grace 30d, at most 365d; 0s: none"));
  const auto now = system::now();
  const bool here = !config.server_keys.empty();
  const auto lent = borrow_keys(given, config);
  // It is gone for good, as the admin says by --grace 0s: all lines end now.
  const bool anew = !lent && lent.error().exit == ExitCode::failed && given.grace && *grace == Millis{0};
  if (!lent && !anew) return fail(given, lent.error());
  if (config.server_keys.empty() && !anew) return fail(given, no_key(config));
  if (!here && !anew) return print_sealed(given, config, now, now + std::chrono::ceil<Seconds>(*grace));
  const auto keys =
      rotated(config.server_keys, fresh_server_key(now), now, now + std::chrono::ceil<Seconds>(*grace));
  if (keys.size() > kMaxServerKeys)
    return fail(given, refused(fmt::format("{} keys are accepted still", kMaxServerKeys),
                               fmt::format("wait until {}, or: knockctl key rotate --grace 0s",
                                           date_text(*keys.back().until, system::to_local))));
  std::vector<NewFile> files;
  files.push_back({config.kn1.key, keys_text(keys)});
  if (const auto after = check_with(place, files); !after) return fail(given, after.error());
  if (const auto written = write_all(files); !written) return fail(given, written.error());
  warn_of_cut(given, config, keys, now);
  if (given.json) {
    fmt::print("{}\n", keys_json(keys_of(*check_with(place, {})), nullptr));
    return tell_daemon(given);
  }
  say_rotated(config, keys, now);
  return tell_daemon(given);
}

} // namespace

int key(const CommandLine& given) {
  const auto verb = given.words.empty() ? std::string("show") : given.words[0];
  if (verb != "show" && verb != "rotate") return fail(given, misused_part(given));
  const auto place = enter_users(given);
  if (!place) return fail(given, place.error());
  auto config = check_with(*place, {});
  if (!config) return fail(given, config.error());
  if (verb == "show")
    if (const auto lent = borrow_keys(given, *config); !lent) return fail(given, lent.error());
  return verb == "show" ? show_keys(given, *config) : rotate(given, *place, *config);
}

} // namespace knock::ctl
