// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/remove.hpp"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "ctl/connections.hpp"
#include "ctl/control_client.hpp"
#include "ctl/enrol_files.hpp"
#include "ctl/show.hpp"
#include "system/files.hpp"

namespace knock::ctl {
namespace {

namespace fs = std::filesystem;

/// Whether `one` is what is meant, or a device of the user who is.
bool is_meant(const std::string& label, const std::string& one) {
  return one == label || one.starts_with(label + "/");
}

/// A device's, or a user's own.
std::string own_file(const std::string& label) {
  const auto slash = label.find('/');
  return slash == label.npos ? user_file(label)
                             : device_file(label.substr(0, slash), label.substr(slash + 1));
}

bool is_own_file(const std::string& label, const std::string& file) {
  if (file == own_file(label)) return true;
  return label.find('/') == label.npos && device_of_file(file, label).has_value();
}

/// What to unlink: devices before their user, so that a power cut leaves none without. A file that cannot be read as TOML
/// is taken by its name. Errors: something of it stands elsewhere; nothing is there.
tl::expected<std::vector<std::string>, Failure> paths_of(const UsersPlace& place, const std::string& label) {
  std::vector<std::string> paths;
  std::error_code error;
  for (fs::directory_iterator at(place.directory, error), end; !error && at != end; at.increment(error)) {
    const auto file = at->path().filename().string();
    if (file.starts_with('.') || !file.ends_with(".toml")) continue;
    const auto text = text_of_file(at->path().string());
    if (!text) continue;
    const auto holds = holds_of(*text);
    for (const auto& [name, where] : holds.places)
      if (is_meant(label, name) && (file != own_file(name) || holds.places.size() != 1))
        return tl::unexpected(stands_elsewhere(name, where));
    const bool broken = !holds.readable || holds.places.empty();
    const bool ours = std::any_of(holds.places.begin(), holds.places.end(),
                                  [&](const auto& held) { return is_meant(label, held.first); });
    if (ours || (broken && is_own_file(label, file))) paths.push_back(place.path_of(file));
  }
  if (paths.empty())
    return tl::unexpected(
        Failure{ExitCode::failed,
                "failed",
                {},
                fmt::format("there is no {} {}", label.find('/') == label.npos ? "user" : "device", label),
                "knockctl user list"});
  std::sort(paths.begin(), paths.end());
  const auto user = std::find(paths.begin(), paths.end(), place.path_of(own_file(label)));
  if (user != paths.end()) std::rotate(user, user + 1, paths.end());
  return paths;
}

struct Ended {
  bool asked = true; ///< the daemon, which ends grants
  std::size_t grants = 0;
  std::optional<std::size_t> live, cut; ///< connections; absent: not known
  std::vector<std::string> cuts{};      ///< what to type to end those that live on
};

/// Connections of sources that a removed device had let in.
std::vector<Lasting> connections_of(const CommandLine& given, const std::vector<StatusGrant>& closed) {
  const auto parsed = system::load_config(config_of(given));
  const auto status = status_of(ask(socket_of(given), {"status", {}}));
  if (!parsed.config || !status) return {};
  auto found = lasting_connections(*parsed.config, *status);
  if (!found) return {};
  std::erase_if(*found, [&](const Lasting& one) {
    return std::none_of(closed.begin(), closed.end(), [&](const StatusGrant& grant) {
      const auto source = parse_prefix(fmt::format("{}/{}", grant.source, grant.prefix));
      return grant.door == one.door && source && source->contains(one.flow.source);
    });
  });
  return std::move(*found);
}

Ended see_to(const CommandLine& given, const std::vector<StatusGrant>& closed, bool asked) {
  Ended ended{asked, closed.size(), {}, {}};
  if (closed.empty()) return ended;
  const auto live = connections_of(given, closed);
  if (!given.cut) {
    ended.live = live.size();
    for (const auto& one : live)
      ended.cuts.push_back(
          fmt::format("sudo knockctl close {} {} --cut", one.door, to_string(one.flow.source)));
    ended.cuts = each_once(std::move(ended.cuts));
  } else if (const auto cut = end_connections(live)) {
    ended.cut = *cut;
  }
  return ended;
}

void say(const CommandLine& given, const std::string& label, const Ended& ended) {
  if (given.json) {
    const auto number = [](const std::optional<std::size_t>& count) {
      return count ? std::to_string(*count) : std::string("null");
    };
    fmt::print("{{\"schema\":1,\"removed\":\"{}\",\"grants\":{},\"connections\":{},\"cut\":{}}}\n", label,
               ended.grants, number(ended.live), number(ended.cut));
    return;
  }
  auto text = fmt::format("{} is out", label);
  if (ended.grants != 0) text += fmt::format(", {} closed", plural(ended.grants, "grant"));
  if (ended.cut) text += fmt::format("; {} ended", plural(*ended.cut, "connection"));
  if (ended.live.value_or(0) != 0)
    text += ended.live == 1U ? std::string("; 1 connection lives on")
                             : fmt::format("; {} connections live on", *ended.live);
  fmt::print("{}.\n", text);
  for (const auto& cut : ended.cuts)
    fmt::print("to end what lives on: {}\n", cut); // a second remove --cut would find no device
  if (!ended.asked)
    fmt::print("What it opened stays open until it ends by itself, or knockgated starts{}.\n",
               given.cut ? "; no connection was cut" : "");
}

} // namespace

int remove_from_users(const CommandLine& given, const std::string& label) {
  const auto place = enter_users(given);
  if (!place) return fail(given, place.error());
  const auto paths = paths_of(*place, label);
  if (!paths) return fail(given, paths.error());
  std::vector<StatusGrant> closed;
  const auto status = status_of(ask(socket_of(given), {"status", {}}));
  if (status)
    for (const auto& grant : status->grants)
      if (is_meant(label, grant.by)) closed.push_back(grant);
  for (const auto& path : *paths)
    if (const auto removed = remove_one(path); !removed) return fail(given, removed.error());
  // The daemon closes what is open; what lives on without is looked for behind that.
  return tell_daemon(given, [&] { say(given, label, see_to(given, closed, status.has_value())); });
}

} // namespace knock::ctl
