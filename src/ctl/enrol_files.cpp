// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/enrol_files.hpp"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include <fmt/format.h>

#include "ctl/control_client.hpp"
#include "ctl/show.hpp"
#include "system/files.hpp"
#include "system/process.hpp"

namespace knock::ctl {
namespace {

namespace fs = std::filesystem;

constexpr Millis kPatience = Seconds{10}; // for another knockctl
constexpr Millis kBetween{50};

/// "alice.toml.draft-k2Xq0b". A power cut may leave one, with a key in it.
bool is_left_over(const std::string& name) {
  constexpr std::string_view kBefore = ".toml.draft-";
  constexpr std::size_t kRandom = 6;
  return name.size() > kBefore.size() + kRandom &&
         name.compare(name.size() - kRandom - kBefore.size(), kBefore.size(), kBefore) == 0;
}

void sweep(const std::string& directory) {
  std::error_code error;
  for (fs::directory_iterator at(directory, error), end; !error && at != end; at.increment(error))
    if (is_left_over(at->path().filename().string())) ::unlink(at->path().c_str());
}

/// As the package makes it.
Result<void> make_directory(const std::string& directory) {
  if (::mkdir(directory.c_str(), 0700) != 0)
    return errno == EEXIST
               ? Result<void>{}
               : tl::unexpected(system::system_error("make " + directory, "name another: --config FILE"));
  if (const auto group = system::group_id(system::kOurUser);
      group && ::chown(directory.c_str(), static_cast<uid_t>(-1), *group) == 0)
    ::chmod(directory.c_str(), 0750);
  return {};
}

Result<system::Fd> lock_patiently(const std::string& directory) {
  auto lock = system::lock_directory(directory);
  for (Millis waited{0}; !lock && lock.error().code == EWOULDBLOCK && waited < kPatience;
       waited += kBetween) {
    system::pause(kBetween);
    lock = system::lock_directory(directory);
  }
  return lock;
}

/// Whether the service manager is told to hand out our keys (knockgated(8), SIGNED PACKETS). Of another configuration
/// than the installed one knockctl cannot tell.
bool is_sealed(const Config& config) {
  std::error_code error;
  if (config.kn1.key != Config{}.kn1.key) return false;
  return fs::exists("/etc/credstore.encrypted/kn1.key", error) || fs::exists("/etc/credstore/kn1.key", error);
}

/// `told` by the daemon, from where it runs: a credential always has its whole path.
bool is_same_file(const std::string& told, const std::string& ours) {
  const fs::path path(told);
  std::error_code error;
  return !path.is_absolute() || path.lexically_normal() == fs::absolute(ours, error).lexically_normal();
}

Failure busy(const std::string& directory) {
  return {ExitCode::busy, "busy", {}, "another knockctl changes " + directory, "try again"};
}

} // namespace

tl::expected<UsersPlace, Failure> enter_users(const CommandLine& given) {
  if (::geteuid() != 0)
    return tl::unexpected(Failure{ExitCode::denied,
                                  "not-allowed",
                                  {},
                                  given.verb + " reads and writes keys, which are root's",
                                  "run it with sudo"});
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none); // keys are read from here on
  UsersPlace place{config_of(given), {}, {}};
  place.directory = (fs::path(place.config).parent_path() / "users.d").string();
  if (const auto made = make_directory(place.directory); !made)
    return tl::unexpected(failure_of(made.error()));
  auto lock = lock_patiently(place.directory);
  if (!lock)
    return tl::unexpected(lock.error().code == EWOULDBLOCK ? busy(place.directory)
                                                           : failure_of(lock.error()));
  place.lock = std::move(*lock);
  sweep(place.directory);
  return place;
}

tl::expected<Config, Failure> check_with(const UsersPlace& place, const std::vector<NewFile>& files) {
  std::vector<system::Draft> drafts;
  for (const auto& file : files) drafts.push_back({file.path, file.text.text});
  auto parsed = system::load_config(place.config, {}, drafts);
  if (parsed.config) return std::move(*parsed.config);
  auto failure = failure_of(parsed.findings.front());
  std::error_code error;
  const bool draft = std::any_of(files.begin(), files.end(),
                                 [&](const NewFile& file) { return file.path == failure.place.file; });
  if (draft && !fs::exists(failure.place.file, error)) failure.place = {}; // it was never written
  return tl::unexpected(std::move(failure));
}

tl::expected<void, Failure> borrow_keys(const CommandLine& given, Config& config) {
  if (!config.server_keys.empty()) return {};
  const auto reply = ask(socket_of(given), {"keys", {}});
  const bool asked = reply.failure.exit == ExitCode::done;
  auto keys = asked ? parse_keys(reply.lines).value_or(std::vector<ServerKey>{}) : std::vector<ServerKey>{};
  // One that it read from the file that is gone is in its memory alone, and gone when it reads anew.
  std::erase_if(keys, [&](const ServerKey& key) { return is_same_file(key.place.file, config.kn1.key); });
  if (!keys.empty()) {
    config.server_keys = std::move(keys);
    return {};
  }
  std::size_t devices = 0;
  for (const auto& user : config.users) devices += user.devices.size();
  if (devices == 0 && (asked || !is_sealed(config))) return {};
  const auto text = fmt::format(
      "there is no {}{}", config.kn1.key,
      devices == 0 ? std::string(": the keys are sealed")
                   : fmt::format(", and by it {} invited",
                                 devices == 1 ? "1 device was" : fmt::format("{} devices were", devices)));
  if (!asked)
    return tl::unexpected(Failure{ExitCode::unreachable,
                                  "unreachable",
                                  {},
                                  text + ", and knockgated, which may have it sealed, does not answer",
                                  "start it: sudo systemctl start knockgated; or put the file back"});
  return tl::unexpected(refused(
      text,
      "put it back; or, for a new one and a new line for each device: sudo knockctl key rotate --grace 0s"));
}

tl::expected<void, Failure> write_all(const std::vector<NewFile>& files) {
  const auto group = system::group_id(system::kOurUser);
  for (const auto& file : files)
    if (const auto written =
            system::write_file_atomically(file.path, file.text.text, group ? 0640 : 0600, group);
        !written)
      return tl::unexpected(failure_of(written.error()));
  return {};
}

tl::expected<void, Failure> remove_one(const std::string& path) {
  if (const auto removed = system::remove_file(path); !removed)
    return tl::unexpected(failure_of(removed.error()));
  return {};
}

Failure stands_elsewhere(const std::string& label, const Place& place) {
  const auto beside = fs::path(place.file).parent_path().filename() / fs::path(place.file).filename();
  return {ExitCode::failed,
          "failed",
          {},
          fmt::format("{} stands in {}:{}: change it there, then: knockctl reload", label, beside.string(),
                      place.line),
          ""};
}

std::optional<ConfigText> text_of_file(const std::string& path) {
  auto text = system::read_file(path);
  if (!text && text.error().code == ENOENT) return std::nullopt;
  return ConfigText{path, std::move(text).value_or(""), ConfigText::Part::users};
}

std::optional<Place> place_of(const UsersPlace& place, const std::string& label) {
  std::error_code error;
  for (fs::directory_iterator at(place.directory, error), end; !error && at != end; at.increment(error)) {
    const auto name = at->path().filename().string();
    if (name.starts_with('.') || !name.ends_with(".toml")) continue;
    const auto text = text_of_file(at->path().string());
    if (!text) continue;
    for (const auto& [held, where] : holds_of(*text).places)
      if (held == label) return where;
  }
  return std::nullopt;
}

int tell_daemon(const CommandLine& given, const std::function<void()>& say, const std::string& fresh) {
  Request request{"users-read", {}};
  if (!fresh.empty()) request.values["fresh"] = fresh;
  const auto reply = ask(socket_of(given), request);
  say();
  if (reply.failure.exit == ExitCode::done) return 0;
  if (reply.failure.exit != ExitCode::unreachable)
    return fail(given, reply.failure, "written, but the daemon does not take it: ");
  if (!given.json) fmt::print("knockgated is not running: it counts when it starts\n");
  return 0;
}

} // namespace knock::ctl
