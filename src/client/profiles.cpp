// SPDX-License-Identifier: GPL-2.0-or-later
#include "client/profiles.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>

#include <fmt/format.h>
#include <sodium/utils.h>

#include <knock/client_text.hpp>
#include <knock/kn1_client.hpp>

#include "client/show.hpp"
#include "system/files.hpp"
#include "system/terminal.hpp"
#include "system/zone.hpp"

namespace knock::client {
namespace {

constexpr std::size_t kMaxPassword = 1'024;
constexpr mode_t kSecret = 0600;

/// `variable`, if it is an absolute path (XDG base directories), else `otherwise` below the home directory.
std::optional<std::string> directory(const char* variable, const char* otherwise) {
  const char* set = std::getenv(variable);
  if (set != nullptr && *set == '/') return std::string(set) + "/knockgate";
  const char* home = std::getenv("HOME");
  if (home == nullptr || *home != '/') return std::nullopt;
  return fmt::format("{}/{}/knockgate", home, otherwise);
}

/// The names of the profiles there, sorted.
std::vector<std::string> names_in(const std::string& path) {
  constexpr std::string_view kEnding = ".toml";
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> open(::opendir(path.c_str()), ::closedir);
  while (const auto* entry = open ? ::readdir(open.get()) : nullptr) {
    std::string_view name = entry->d_name;
    if (!name.ends_with(kEnding)) continue;
    name.remove_suffix(kEnding.size());
    if (is_profile_name(name)) names.emplace_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

/// Others may not read a secret, and not write what says where it is sent.
std::optional<Failure> exposed(const std::string& path, const system::Access& access, bool secret) {
  if (access.owner != ::geteuid() && access.owner != 0) return foreign_keys(path, access.owner);
  if ((access.mode & (secret ? 077U : 022U)) != 0) return exposed_keys(path, access.mode);
  return std::nullopt;
}

/// Who may write there may put another profile in the place of one.
std::optional<Failure> open_directory(const std::string& path) {
  struct stat about {};
  if (::stat(path.c_str(), &about) != 0) return std::nullopt;
  if (about.st_uid != ::geteuid() && about.st_uid != 0) return foreign_keys(path, about.st_uid);
  if ((about.st_mode & 022U) == 0) return std::nullopt;
  return denied(fmt::format("{} may be written by others (mode {:04o})", path, about.st_mode & 07777U),
                "chmod 0700 " + path);
}

Failure unreadable(const std::string& path, const Error& error) {
  const auto exit = error.code == EACCES ? ExitCode::denied : ExitCode::bad_config;
  const auto* code = error.code == EACCES ? "not-allowed" : "bad-config";
  return {exit, code, {path, 0, 0}, error.what, error.advice};
}

template<class T>
tl::expected<T, Failure> taken(ParsedProfile<T>&& parsed) {
  if (parsed.value) return std::move(*parsed.value);
  return tl::unexpected(failure_of(parsed.findings.front()));
}

tl::expected<Profile, Failure> load_profile(const Places& places, const std::string& name) {
  if (auto failure = open_directory(places.config)) return tl::unexpected(std::move(*failure));
  const auto path = fmt::format("{}/{}.toml", places.config, name);
  auto read = system::read_whole(path);
  if (!read) return tl::unexpected(unreadable(path, read.error()));
  auto profile = taken(parse_profile({path, std::move(read->text)}, name, system::of_local));
  if (!profile) return profile;
  // A knock is a secret, too.
  const bool secret = std::any_of(profile->doors.begin(), profile->doors.end(),
                                  [](const LineDoor& door) { return !door.knock.empty(); });
  if (auto failure = exposed(path, read->access, secret)) return tl::unexpected(std::move(*failure));
  return profile;
}

tl::expected<ProfileKeys, Failure> keys_in(const std::string& path, std::string text) {
  ConfigText written{path, std::move(text)};
  auto keys = taken(parse_profile_keys(written));
  sodium_memzero(written.text.data(), written.text.size());
  return keys;
}

/// What keep runs does not inherit it.
void keep_from_commands(int fd) {
  if (fd > STDERR_FILENO) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
}

} // namespace

tl::expected<Places, Failure> places() {
  auto config = directory("XDG_CONFIG_HOME", ".config");
  auto state = directory("XDG_STATE_HOME", ".local/state");
  if (config && state) return Places{std::move(*config), std::move(*state)};
  return tl::unexpected(
      refused("HOME is not set: there is no place for profiles", "HOME=/home/you knockgate ..."));
}

Profiles load_profiles(const Places& places) {
  Profiles profiles;
  for (const auto& name : names_in(places.config))
    if (auto profile = load_profile(places, name))
      profiles.sound.push_back(std::move(*profile));
    else
      profiles.broken.push_back(std::move(profile.error()));
  return profiles;
}

tl::expected<Profile, Failure> profile_for(const ClientLine& given, const Places& places,
                                           std::string_view host) {
  if (given.profile) {
    auto profile = load_profile(places, *given.profile);
    if (profile || profile.error().exit != ExitCode::bad_config || profile.error().place.line != 0)
      return profile;
  }
  const auto profiles = load_profiles(places);
  const auto found = find_profile(profiles.sound, given.profile ? std::string_view(*given.profile) : host);
  if (found) return **found;
  return tl::unexpected(profiles.broken.empty() ? found.error() : profiles.broken.front());
}

tl::expected<Profiles, Failure> asked_profiles(const ClientLine& given, const Places& places) {
  auto profiles = load_profiles(places);
  for (const auto& failure : profiles.broken) warn(failure);
  if (!given.profile) return profiles;
  const auto named = profile_for(given, places, "");
  if (!named) return tl::unexpected(named.error());
  std::erase_if(profiles.sound, [&](const Profile& one) { return one.name != named->name; });
  return profiles;
}

tl::expected<std::optional<ProfileKeys>, Failure> load_keys(const ClientLine& given, const Places& places,
                                                            const Profile& profile) {
  if (profile.device.empty()) return std::nullopt;
  if (given.key_fd) {
    keep_from_commands(*given.key_fd);
    const auto text = system::read_all(*given.key_fd, kMaxFile);
    if (!text)
      return tl::unexpected(
          refused(fmt::format("no keys come from descriptor {}", *given.key_fd), "--key-fd 3 3<FILE"));
    return keys_in(fmt::format("descriptor {}", *given.key_fd), text->text);
  }
  const auto path = given.key.value_or(fmt::format("{}/{}.key", places.config, profile.name));
  auto read = system::read_whole(path);
  if (!read) return tl::unexpected(unreadable(path, read.error()));
  if (auto failure = exposed(path, read->access, true)) return tl::unexpected(std::move(*failure));
  return keys_in(path, std::move(read->text));
}

tl::expected<Sensitive, Failure> ask_password(const ClientLine& given, std::string_view device) {
  const auto prompt = fmt::format("Password of {}: ", device);
  std::optional<Sensitive> typed;
  if (given.password_fd) keep_from_commands(*given.password_fd);
  if (given.password_fd)
    typed = system::read_line(*given.password_fd, kMaxPassword);
  else if (const auto terminal = system::open_terminal())
    typed = system::ask_hidden(*terminal, prompt, kMaxPassword);
  else
    typed = system::ask_program(prompt, kMaxPassword);
  if (!typed || typed->text.empty())
    return tl::unexpected(refused(fmt::format("no password for {}", device), "--password-fd 3 3<FILE"));
  return *typed;
}

tl::expected<std::optional<ProfileKeys>, Failure> ready_keys(const ClientLine& given, const Places& places,
                                                             const Profile& profile) {
  auto keys = load_keys(given, places, profile);
  if (!keys || !*keys || (*keys)->seed || (*keys)->psk) return keys;
  const auto password = ask_password(given, profile.device);
  if (!password) return tl::unexpected(password.error());
  const auto argon2 = kn1::argon2id(password->text, (*keys)->secret);
  if (!argon2)
    return tl::unexpected(
        refused("no memory for the password: Argon2id takes 64 MiB", "free some, try again"));
  (*keys)->psk = kn1::password_psk((*keys)->secret, *argon2);
  (*keys)->password = true;
  return keys;
}

Result<void> save_profile(const Places& places, const Profile& profile,
                          const std::optional<ProfileKeys>& keys) {
  if (auto made = system::make_directories(places.config, 0700); !made) return made;
  const auto base = fmt::format("{}/{}", places.config, profile.name);
  if (keys)
    if (auto written = system::write_file_atomically(base + ".key", profile_keys_text(*keys).text, kSecret);
        !written)
      return written;
  return system::write_file_atomically(base + ".toml", profile_text(profile), kSecret);
}

} // namespace knock::client
