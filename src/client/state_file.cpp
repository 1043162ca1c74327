// SPDX-License-Identifier: GPL-2.0-or-later
#include "client/state_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include <fmt/format.h>

#include "system/event_loop.hpp"
#include "system/files.hpp"
#include "system/process.hpp"

namespace knock::client {
namespace {

std::string state_path(const std::string& directory, const std::string& profile) {
  return fmt::format("{}/{}.state", directory, profile);
}

bool locked(int fd, int how) {
  int got = -1;
  do got = ::flock(fd, how | LOCK_NB);
  while (got != 0 && errno == EINTR);
  return got == 0;
}

/// One that is stopped, or hangs, does not keep the others for ever.
bool locked_in_time(int fd, int how, Millis patience) {
  constexpr Millis kLook{2};
  const auto until = system::monotonic_now() + patience;
  while (!locked(fd, how)) {
    if (errno != EWOULDBLOCK || system::monotonic_now() >= until) return false;
    system::pause(kLook);
  }
  return true;
}

Result<system::Fd> open_own(const std::string& directory, const std::string& path) {
  constexpr int kFlags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW;
  const auto open_it = [&] {
    system::Fd fd(::open(path.c_str(), kFlags, 0600));
    if (fd) ::fchmod(fd.get(), 0600); // whatever the umask
    return fd;
  };
  auto fd = open_it();
  // A lock needs no right to write.
  if (!fd && (errno == EROFS || errno == EACCES))
    fd = system::Fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (fd || errno != ENOENT)
    return fd ? Result<system::Fd>(std::move(fd)) : tl::unexpected(system::system_error("open " + path));
  if (auto made = system::make_directories(directory, 0700); !made) return tl::unexpected(made.error());
  fd = open_it();
  if (!fd) return tl::unexpected(system::system_error("open " + path));
  return fd;
}

} // namespace

Result<StateFile> StateFile::lock(const std::string& directory, const std::string& profile, bool counter,
                                  Millis patience) {
  const auto path = state_path(directory, profile);
  // A file of its own: the state is replaced, and a lock stays with the file that was locked.
  auto fd = open_own(directory, fmt::format("{}/{}.lock", directory, profile));
  if (!fd) return tl::unexpected(std::move(fd.error()));
  if (!locked_in_time(fd->get(), LOCK_EX, patience))
    return tl::unexpected(system::system_error("lock " + path));
  StateFile file(std::move(*fd), path);
  const auto text = system::read_file(path, kMaxClientState);
  const auto state = text ? parse_client_state(*text) : std::nullopt;
  if (!state && counter)
    return tl::unexpected(Error{path + " is lost or damaged: nobody knows the last stamp of this device", 0,
                                "ask the admin for: knockctl device rotate"});
  file.state = state.value_or(ClientState{});
  return file;
}

Result<void> StateFile::store(bool lasting) {
  if (lasting) return system::write_file_atomically(path_, encode(state), 0600);
  // Whole or not at all, but no disk is waited for: what is lost with the power is of no use behind it.
  const auto draft = path_ + ".draft";
  const auto text = encode(state);
  const system::Fd fd(::open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd || ::fchmod(fd.get(), 0600) != 0) return tl::unexpected(system::system_error("write " + draft));
  const auto put = ::write(fd.get(), text.data(), text.size());
  const bool whole = put == static_cast<ssize_t>(text.size());
  if (whole && ::rename(draft.c_str(), path_.c_str()) == 0) return {};
  auto error = whole     ? system::system_error("rename " + draft)
               : put < 0 ? system::system_error("write " + draft)
                         : system::system_error("write " + draft, ENOSPC, {});
  ::unlink(draft.c_str());
  return tl::unexpected(std::move(error));
}

Result<void> begin_state(const std::string& directory, const std::string& profile) {
  const auto path = state_path(directory, profile);
  if (look_at_state(directory, profile)) return {};
  if (auto made = system::make_directories(directory, 0700); !made) return made;
  return system::write_file_atomically(path, encode(ClientState{}), 0600);
}

std::optional<ClientState> look_at_state(const std::string& directory, const std::string& profile) {
  const auto text = system::read_file(state_path(directory, profile), kMaxClientState);
  return text ? parse_client_state(*text) : std::nullopt;
}

Result<Hold> Hold::take(const std::string& directory, const std::string& profile, const std::string& door) {
  const auto path = fmt::format("{}/{}.{}.hold", directory, profile, door);
  auto fd = open_own(directory, path);
  if (!fd) return tl::unexpected(std::move(fd.error()));
  if (!locked_in_time(fd->get(), LOCK_SH, kLockPatience))
    return tl::unexpected(system::system_error("lock " + path));
  return Hold(std::move(*fd));
}

bool Hold::was_last() {
  // Where another holds it, this lets go of ours, too (flock(2)): of two that end at once, the second is the last.
  return !fd_ || locked(fd_.get(), LOCK_EX);
}

} // namespace knock::client
