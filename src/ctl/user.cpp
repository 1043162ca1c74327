// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/verbs.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "ctl/control_client.hpp"
#include "ctl/enrol_files.hpp"
#include "ctl/remove.hpp"
#include "ctl/show.hpp"
#include "ctl/users_of.hpp"
#include "system/files.hpp"
#include "system/zone.hpp"

namespace knock::ctl {
namespace {

Failure unknown_user(std::string_view name) {
  const auto slash = name.find('/');
  return {ExitCode::failed,
          "failed",
          {},
          fmt::format("there is no user {}", name),
          slash == name.npos ? "knockctl user list"
                             : fmt::format("knockctl user show {}", name.substr(0, slash))};
}

int add_user(const CommandLine& given, const std::string& name) {
  if (!is_user_name(name))
    return fail(given, usage_failure(fmt::format("\"{}\" is no name", name),
                                     "1 to 31 of a to z, 0 to 9 and -, no - first"));
  if (given.doors.empty())
    return fail(given, usage_failure(fmt::format("which doors may {} open?", name),
                                     fmt::format("knockctl user add {} --door DOOR", name)));
  if (given.until && !is_date(*given.until))
    return fail(given, usage_failure("--until is no date", "--until 2026-12-24, or 2026-12-24T18:00:00Z"));
  const auto place = enter_users(given);
  if (!place) return fail(given, place.error());
  if (const auto there = place_of(*place, name); there || text_of_file(place->path_of(user_file(name))))
    return fail(given, {ExitCode::failed,
                        "failed",
                        {},
                        fmt::format("there is a user {} already", name),
                        fmt::format("for another door edit doors in {}, then: knockctl reload",
                                    place->path_of(user_file(name)))});
  const auto before = check_with(*place, {});
  if (!before) return fail(given, before.error());
  if (const auto wrong = misnamed(*before, given.doors)) return fail(given, *wrong);
  User user;
  user.name = name;
  user.doors = each_once(given.doors);
  Sensitive text(user_text(user));
  if (given.until) text.text += fmt::format("until = {}\n", *given.until);
  const std::vector<NewFile> files{{place->path_of(user_file(name)), std::move(text)}};
  const auto after = check_with(*place, files);
  if (!after) return fail(given, after.error());
  if (const auto written = write_all(files); !written) return fail(given, written.error());
  warn_of_doors(*after, name, user.doors);
  if (const auto until = find_user(*after, name)->until; until && *until <= system::now())
    warn({fmt::format("{} is past: {} opens nothing", *given.until, name),
          fmt::format("write a later until in {}, then: sudo knockctl reload", files.front().path)});
  if (given.json)
    fmt::print("{{\"schema\":1,\"user\":\"{}\"}}\n", name);
  else
    fmt::print("{} may open {}, once a device is there: sudo knockctl invite {}\n", name,
               fmt::join(user.doors, " "), name);
  return tell_daemon(given);
}

/// Of a packet whose key no device has (any more), no device can be told.
std::string nameless_text(const CommandLine& given) {
  const auto status = status_of(ask(socket_of(given), {"status", {}}));
  if (!status) return {};
  const auto found = status->counters.find("refused_kn1_kid");
  if (found == status->counters.end() || found->second == 0) return {};
  return fmt::format(
      "{} since the start named no device of this router: by a key that was rotated or removed, for "
      "another router, or junk.\n",
      plural(found->second, "packet"));
}

int show_user(const CommandLine& given, const std::string& name) {
  const auto users = users_or_files(given);
  if (!users) return fail(given, users.error());
  const auto found =
      std::find_if(users->begin(), users->end(), [&](const UserReport& user) { return user.user == name; });
  if (found == users->end()) return fail(given, unknown_user(name));
  if (given.json)
    fmt::print("{}\n", to_json({&*found, 1}));
  else
    fmt::print("{}{}", user_text(*found, system::now(), system::to_local), nameless_text(given));
  return 0;
}

} // namespace

tl::expected<std::vector<UserReport>, Failure> users_of(const CommandLine& given, Millis patience) {
  const auto reply = ask(socket_of(given), {"users", {}}, patience);
  if (reply.failure.exit != ExitCode::done) return tl::unexpected(reply.failure);
  std::vector<UserReport> users;
  for (const auto& line : reply.lines)
    if (!parse_users(line, users))
      return tl::unexpected(Failure{ExitCode::failed,
                                    "failed",
                                    {},
                                    "the daemon's answer makes no sense",
                                    "install the same version of both"});
  return users;
}

tl::expected<std::vector<UserReport>, Failure> users_or_files(const CommandLine& given) {
  auto users = users_of(given);
  if (users || users.error().exit != ExitCode::unreachable) return users;
  const auto parsed = system::load_config(config_of(given));
  // Who may not read the files learns only that no daemon answers.
  if (!parsed.config && !parsed.closed.empty()) return users;
  if (!parsed.config) return tl::unexpected(failure_of(parsed.findings.front()));
  fmt::print(stderr,
             "knockgated does not answer: this is what the files say, not what was opened or refused\n");
  auto report = report_of(*parsed.config, system::now());
  for (auto& one : report)
    for (auto& device : one.devices) device.openings_left.reset(); // files do not count
  return report;
}

int list_users(const CommandLine& given, std::string_view only) {
  auto users = users_or_files(given);
  if (!users) return fail(given, users.error());
  if (!only.empty()) {
    std::erase_if(*users, [&](const UserReport& user) { return user.user != only; });
    if (users->empty()) return fail(given, unknown_user(only));
  }
  if (given.json)
    fmt::print("{}\n", to_json(*users));
  else
    fmt::print("{}", users_text(*users, only, system::now(), system::to_local));
  return 0;
}

int user(const CommandLine& given) {
  const auto verb = given.words.empty() ? std::string() : given.words[0];
  const auto name = given.words.size() < 2 ? std::string() : given.words[1];
  if (verb == "list" && name.empty()) return list_users(given, {});
  if (verb == "add" && !name.empty()) return add_user(given, name);
  if (verb == "show" && !name.empty()) return show_user(given, name);
  if (verb == "remove" && is_user_name(name)) return remove_from_users(given, name);
  return fail(given, misused_part(given));
}

} // namespace knock::ctl
