// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/verbs.hpp"

#include <unistd.h>

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "ctl/enrol_files.hpp"
#include "ctl/fresh.hpp"
#include "ctl/password.hpp"
#include "ctl/print_line.hpp"
#include "ctl/show.hpp"
#include "system/files.hpp"
#include "system/zone.hpp"

namespace knock::ctl {
namespace {

int invite_by_knock(const CommandLine& given) {
  if (::geteuid() != 0)
    return fail(given,
                {ExitCode::denied, "not-allowed", {}, "a knock is root's to hand out", "run it with sudo"});
  const auto parsed = system::load_config(config_of(given));
  if (!parsed.config) return fail(given, failure_of(parsed.findings.front()));
  if (const auto wrong = misnamed(*parsed.config, {&*given.knock, 1})) return fail(given, *wrong);
  const auto* door = enabled_door(*parsed.config, *given.knock);
  if (door == nullptr)
    return fail(given, refused(fmt::format("door {} is off", *given.knock),
                               fmt::format("write enabled = true in [door.{}]", *given.knock)));
  return print_knock_line(given, *parsed.config, *door);
}

std::optional<Failure> misused(const CommandLine& given) {
  const std::pair<bool, std::string_view> later[] = {
      {given.rotating, "--rotating"}, {given.one_time.has_value(), "--one-time"}, {given.fwknop, "--fwknop"}};
  for (const auto& [is_given, name] : later)
    if (is_given)
      return usage_failure(fmt::format("{} is not in this version", name), "knockctl invite --help");
  if (given.psk && given.password) return usage_failure("--psk or --password", "one of them");
  if (given.password_fd && !given.password) return usage_failure("--password-fd needs --password");
  if (given.clock && *given.clock != "none" && *given.clock != "wall")
    return usage_failure("--clock is none or wall");
  if (given.words.size() != 1)
    return usage_failure("invite whom?", "knockctl invite USER[/DEVICE] [--door DOOR]");
  return std::nullopt;
}

/// What is asked for, without its keys. Errors: usage.
tl::expected<Device, Failure> wanted(const CommandLine& given, Moment now) {
  Device device;
  const std::string_view label = given.words[0];
  const auto slash = std::min(label.find('/'), label.size());
  device.user = label.substr(0, slash);
  if (slash < label.size()) device.name = label.substr(slash + 1);
  for (const auto& name : {device.user, slash < label.size() ? device.name : device.user})
    if (!is_user_name(name))
      return tl::unexpected(usage_failure(fmt::format("\"{}\" is no name", name),
                                          "1 to 31 of a to z, 0 to 9 and -, no - first"));
  device.accepts = given.psk ? Accepts::psk : given.password ? Accepts::password : Accepts::kn1;
  if (given.for_time) {
    const auto span = parse_duration(*given.for_time);
    if (!span || *span < Seconds{1}) return tl::unexpected(usage_failure("--for is no duration", "--for 2d"));
    if (*span > kDates.most - now.time_since_epoch())
      return tl::unexpected(usage_failure("--for leads beyond the year 2199", "--for 2d"));
    device.until = now + std::chrono::floor<Seconds>(*span);
  }
  if (device.accepts == Accepts::kn1)
    device.claim = std::min(now + kClaim, device.until.value_or(now + kClaim));
  if (given.openings) {
    const auto* end = given.openings->data() + given.openings->size();
    const auto [at, error] = std::from_chars(given.openings->data(), end, device.openings);
    if (error != std::errc{} || at != end || device.openings == 0)
      return tl::unexpected(usage_failure("--openings is no count", "--openings 3"));
  }
  device.counter = given.clock == "none";
  device.require_source = given.require_source;
  return device;
}

/// Which files an invite makes: the first one the server key, too.
tl::expected<std::vector<NewFile>, Failure> files_of(const CommandLine& given, const UsersPlace& place,
                                                     const Config& config, Device& device) {
  std::vector<NewFile> files;
  if (config.server_keys.empty())
    files.push_back({config.kn1.key, keys_text(std::vector{fresh_server_key(system::now())})});
  if (find_user(config, device.user) == nullptr) {
    if (given.doors.empty())
      return tl::unexpected(usage_failure(fmt::format("which doors may {} open?", device.user),
                                          fmt::format("knockctl invite {} --door DOOR", given.words[0])));
    User user;
    user.name = device.user;
    user.doors = each_once(given.doors);
    files.push_back({place.path_of(user_file(user.name)), Sensitive(user_text(user))});
  } else {
    device.doors = each_once(given.doors);
  }
  if (device.name.empty()) device.name = next_device(config, device.user);
  device.label = fmt::format("{}/{}", device.user, device.name);
  if (const auto* there = find_device(config, device.label); there != nullptr)
    return tl::unexpected(refused(
        fmt::format("there is a device {} already", device.label),
        fmt::format("for a new key: knockctl device rotate {}; for another door edit doors in {}, then: "
                    "knockctl reload",
                    device.label, place.path_of(user_file(device.user)))));
  files.push_back({place.path_of(device_file(device.user, device.name)), device_text(device)});
  for (const auto& file : files)
    if (file.path != config.kn1.key && text_of_file(file.path))
      return tl::unexpected(refused(file.path + " is there, and holds something else", "rename it"));
  return files;
}

} // namespace

int invite(const CommandLine& given) {
  if (given.knock) return invite_by_knock(given);
  if (const auto failure = misused(given)) return fail(given, *failure);
  auto device = wanted(given, system::now());
  if (!device) return fail(given, device.error());
  const auto place = enter_users(given);
  if (!place) return fail(given, place.error());
  auto before = check_with(*place, {});
  if (!before) return fail(given, before.error());
  if (const auto wrong = misnamed(*before, given.doors)) return fail(given, *wrong);
  // Else a second key would be made, and all lines with the first were void.
  if (const auto lent = borrow_keys(given, *before); !lent) return fail(given, lent.error());
  if (const auto keyed = give_key(given, *device); !keyed) return fail(given, keyed.error());
  const auto files = files_of(given, *place, *before, *device);
  if (!files) return fail(given, files.error());
  auto after = check_with(*place, *files);
  if (!after) return fail(given, after.error());
  if (after->server_keys.empty()) after->server_keys = before->server_keys;
  const auto* made = find_device(*after, device->label);
  if (const auto line = line_of(*after, *made, given.hosts); !line) return fail(given, line.error());
  if (const auto written = write_all(*files); !written) return fail(given, written.error());
  const int code = print_line(given, *after, *made);
  return std::max(code, tell_daemon(
                            given, [] {}, device->label));
}

} // namespace knock::ctl
