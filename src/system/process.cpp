// SPDX-License-Identifier: GPL-2.0-or-later
#include "system/process.hpp"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include <fmt/format.h>

#include "system/unix_address.hpp"

namespace knock::system {

Result<Fd> open_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (int signal : {SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&set, signal);
  if (::sigprocmask(SIG_BLOCK, &set, nullptr) != 0) return tl::unexpected(system_error("block signals"));
  std::signal(SIGPIPE, SIG_IGN);
  Fd fd(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!fd) return tl::unexpected(system_error("open a signal descriptor"));
  return fd;
}

Signal read_signal(int fd) {
  signalfd_siginfo info{};
  if (::read(fd, &info, sizeof info) != sizeof info) return {};
  return {static_cast<int>(info.ssi_signo), info.ssi_uid};
}

void notify_service(std::string_view state) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  auto address = path == nullptr ? std::nullopt : unix_address(path);
  if (!address) return;
  if (address->sun_path[0] == '@') address->sun_path[0] = '\0'; // an abstract name
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + std::strlen(path));
  const Fd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ::sendto(fd.get(), state.data(), state.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&*address),
           size);
}

std::optional<Millis> watchdog_period() {
  const char* micros = std::getenv("WATCHDOG_USEC");
  const char* pid = std::getenv("WATCHDOG_PID");
  if (micros == nullptr || (pid != nullptr && std::to_string(::getpid()) != pid)) return std::nullopt;
  const auto period = Millis{std::atoll(micros) / 4'000};
  return period > Millis{0} ? std::optional(period) : std::nullopt;
}

std::optional<Fd> inherited_socket() {
  const char* pid = std::getenv("LISTEN_PID");
  const char* count = std::getenv("LISTEN_FDS");
  if (pid == nullptr || count == nullptr || std::to_string(::getpid()) != pid || std::atoi(count) < 1)
    return {};
  constexpr int kFirst = 3; // SD_LISTEN_FDS_START
  ::fcntl(kFirst, F_SETFD, FD_CLOEXEC);
  ::fcntl(kFirst, F_SETFL, O_NONBLOCK);
  return Fd(kFirst);
}

std::array<std::uint8_t, 16> random_key() {
  std::array<std::uint8_t, 16> key{};
  KNOCK_ASSERT(::getrandom(key.data(), key.size(), 0) == static_cast<ssize_t>(key.size()));
  return key;
}

void fill_random(std::span<std::uint8_t> bytes) {
  KNOCK_ASSERT(::getrandom(bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
}

void pause(Millis span) {
  ::poll(nullptr, 0, static_cast<int>(span.count()));
}

std::string boot_id() {
  std::string id;
  std::getline(std::ifstream("/proc/sys/kernel/random/boot_id"), id);
  if (const char* directory = std::getenv("CREDENTIALS_DIRECTORY"); id.empty() && directory != nullptr)
    std::getline(std::ifstream(fmt::format("{}/boot_id", directory)), id);
  if (!id.empty()) return id;
  id = "unknown-";
  for (const auto byte : random_key()) id += fmt::format("{:02x}", byte);
  return id;
}

std::optional<gid_t> group_id(const std::string& name) {
  std::array<char, 4096> buffer;
  group entry{};
  group* found = nullptr;
  ::getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (found == nullptr) return std::nullopt;
  return found->gr_gid;
}

std::optional<uid_t> user_id(const std::string& name) {
  std::array<char, 4096> buffer;
  passwd entry{};
  passwd* found = nullptr;
  ::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (found == nullptr) return std::nullopt;
  return found->pw_uid;
}

std::string state_path(const std::string& configured) {
  const char* given = std::getenv("STATE_DIRECTORY");
  return !configured.empty() ? configured : given != nullptr ? given : "/var/lib/knockgate";
}

Result<std::string> state_directory(const std::string& configured) {
  const auto path = state_path(configured);
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
    return tl::unexpected(system_error(fmt::format("make state directory {}", path),
                                       "set [control] state to a directory that exists"));
  return path;
}

} // namespace knock::system
