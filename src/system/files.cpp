// SPDX-License-Identifier: GPL-2.0-or-later
#include "system/files.hpp"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/file.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include <fmt/format.h>

#include <knock/limits.hpp>

#include "system/child.hpp"
#include "system/fd.hpp"
#include "system/process.hpp"

namespace knock::system {
namespace {

namespace fs = std::filesystem;

/// "user nobody (65534)"
std::string user_text(uid_t uid) {
  const auto* known = ::getpwuid(uid);
  return known == nullptr ? fmt::format("user {}", uid) : fmt::format("user {} ({})", known->pw_name, uid);
}

/// Root without the right to overrule modes, as the daemon has been left, is told the owner.
std::string unless_root(const std::string& line) {
  if (::geteuid() == 0) return "it is to be root's: " + line;
  return group_id(kOurUser) ? "run it as root, or: " + line : std::string("run it as root");
}

tl::unexpected<Error> cannot_read(const std::string& path, int code) {
  return tl::unexpected(system_error("cannot be read", code, reading_advice(code, path)));
}

} // namespace

std::string owner_line(const std::string& path, bool directory) {
  if (group_id(kOurUser))
    return fmt::format("sudo chown root:{0} {1} && sudo chmod {2} {1}", kOurUser, path,
                       directory ? "0750" : "0640");
  const auto* self = ::getpwuid(::geteuid());
  return fmt::format("sudo chown {0} {1} && sudo chmod {2} {1}",
                     self == nullptr ? std::to_string(::geteuid()) : std::string(self->pw_name), path,
                     directory ? "0700" : "0600");
}

std::string reading_advice(int code, const std::string& path) {
  switch (code) {
  case EACCES: return unless_root(owner_line(path, false));
  case ENOENT: return "write it (see /usr/share/doc/knockgate/examples), or name another file";
  case EISDIR: return "name a file in it";
  case EFBIG: return fmt::format("keep it below {} KiB", kMaxFile >> 10U);
  default: return {};
  }
}

std::string listing_advice(int code, const std::string& path) {
  return code == EACCES ? unless_root(owner_line(path, true)) : reading_advice(code, path);
}

Result<FileRead> read_whole(const std::string& path, std::size_t most) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  struct stat about {};
  if (!fd || ::fstat(fd.get(), &about) != 0) return cannot_read(path, errno);
  if (S_ISDIR(about.st_mode)) return cannot_read(path, EISDIR);
  if (!S_ISREG(about.st_mode)) return tl::unexpected(Error{"is no regular file", 0, "name a file"});
  FileRead read{{}, {about.st_uid, about.st_gid, about.st_mode & 07777U}};
  std::array<char, 1U << 14U> chunk;
  for (;;) {
    const auto got = ::read(fd.get(), chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return cannot_read(path, errno);
    if (got == 0) break;
    read.text.append(chunk.data(), static_cast<std::size_t>(got));
    if (read.text.size() > most) return cannot_read(path, EFBIG);
  }
  return read;
}

Result<std::string> read_file(const std::string& path, std::size_t most) {
  auto read = read_whole(path, most);
  if (read) return std::move(read->text);
  read.error().what = path + " " + read.error().what;
  return tl::unexpected(std::move(read.error()));
}

std::string intrusion(const Access& access, uid_t self, bool closely) {
  if ((access.mode & 02U) != 0)
    return fmt::format("anybody may write into it (mode {:04o}), and so let himself in", access.mode);
  if (closely && (access.mode & 020U) != 0)
    return fmt::format("its group {} may write into it (mode {:04o}), and so let itself in", access.group,
                       access.mode);
  if (closely && access.owner != 0 && access.owner != self)
    return fmt::format("it belongs to {}, where root is expected{}", user_text(access.owner),
                       self == 0 ? std::string() : " or " + user_text(self));
  return {};
}

std::string exposure(const Access& access, uid_t self, std::optional<gid_t> ours) {
  if (access.owner != 0 && access.owner != self)
    return fmt::format("it holds a secret and belongs to {}, where root is expected{}",
                       user_text(access.owner), self == 0 ? std::string() : " or " + user_text(self));
  if ((access.mode & 07U) != 0)
    return fmt::format("it holds a secret and others may use it (mode {:04o})", access.mode);
  if ((access.mode & 070U) != 0 && access.group != ours)
    return fmt::format("it holds a secret and its group {} may use it (mode {:04o})", access.group,
                       access.mode);
  return {};
}

/// The kernel is asked as that user, so that access control lists count, too.
std::vector<std::string> closed_to(const std::string& user, const std::vector<std::string>& paths) {
  std::vector<std::string> closed;
  const auto who = identity_of(user);
  std::vector<gid_t> groups(static_cast<std::size_t>(std::max(::getgroups(0, nullptr), 0)));
  if (!who || ::getgroups(static_cast<int>(groups.size()), groups.data()) < 0 ||
      ::initgroups(user.c_str(), who->gid) != 0)
    return closed;
  const auto group = ::setfsgid(who->gid);
  const auto before = ::setfsuid(who->uid);
  for (const auto& path : paths) {
    if (Fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)) || errno != EACCES) continue;
    fs::path at, first = path;
    for (const auto& part : first.parent_path()) {
      at /= part;
      if (::faccessat(AT_FDCWD, at.c_str(), X_OK, AT_EACCESS) == 0) continue;
      first = at;
      break;
    }
    if (std::find(closed.begin(), closed.end(), first) == closed.end()) closed.push_back(first);
  }
  ::setfsuid(static_cast<uid_t>(before));
  ::setfsgid(static_cast<gid_t>(group));
  (void)::setgroups(groups.size(), groups.data());
  return closed;
}

Result<void> write_file_atomically(const std::string& path, std::string_view text, mode_t mode,
                                   std::optional<gid_t> group) {
  std::string draft = path + ".draft-XXXXXX"; // no glob for *.nft or *.toml takes it
  const Fd fd(::mkostemp(draft.data(), O_CLOEXEC));
  if (!fd) return tl::unexpected(system_error("write " + path));
  const auto fail = [&]() -> Result<void> {
    auto error = system_error("write " + path);
    ::unlink(draft.c_str());
    return tl::unexpected(std::move(error));
  };
  while (!text.empty()) {
    const auto put = ::write(fd.get(), text.data(), text.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return fail();
    text.remove_prefix(static_cast<std::size_t>(put));
  }
  // The group first: the mode may give it rights.
  if (group && ::fchown(fd.get(), static_cast<uid_t>(-1), *group) != 0) return fail();
  if (::fchmod(fd.get(), mode) != 0 || ::fsync(fd.get()) != 0) return fail();
  if (::rename(draft.c_str(), path.c_str()) != 0) return fail();
  // Without this the name may be lost with the power, the old file still there: no reason to fail.
  const Fd directory(::open(fs::path(path).parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory) ::fsync(directory.get());
  return {};
}

Result<void> write_in_place(const std::string& path, std::string_view text) {
  const Fd fd(::open(path.c_str(), O_WRONLY | O_NOFOLLOW | O_CLOEXEC));
  const auto size = static_cast<off_t>(text.size());
  // All of its room, or nothing is changed.
  const bool written = fd && ::fallocate(fd.get(), 0, 0, size) == 0 &&
                       ::pwrite(fd.get(), text.data(), text.size(), 0) == size &&
                       ::ftruncate(fd.get(), size) == 0 && ::fsync(fd.get()) == 0;
  return written ? Result<void>{} : tl::unexpected(system_error("write " + path));
}

Result<void> make_directories(const std::string& path, mode_t mode) {
  for (auto at = path.find('/', 1);; at = path.find('/', at + 1)) {
    const auto part = path.substr(0, at);
    if (::mkdir(part.c_str(), mode) != 0 && errno != EEXIST)
      return tl::unexpected(system_error("make directory " + part));
    if (at == std::string::npos) return {};
  }
}

Result<void> remove_file(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return tl::unexpected(system_error("remove " + path));
  return {};
}

Result<void> write_for_owner(const std::string& directory, const std::string& name, std::string_view text) {
  const auto what = fmt::format("write {}/{}", directory, name);
  const Fd place(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat owner {};
  if (!place || ::fstat(place.get(), &owner) != 0) return tl::unexpected(system_error(what));
  const auto draft = name + ".draft";
  ::unlinkat(place.get(), draft.c_str(), 0);
  const Fd fd(
      ::openat(place.get(), draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  const bool written = fd &&
                       ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                       ::fchown(fd.get(), owner.st_uid, owner.st_gid) == 0 && ::fsync(fd.get()) == 0 &&
                       ::renameat(place.get(), draft.c_str(), place.get(), name.c_str()) == 0;
  if (!written) return tl::unexpected(system_error(what));
  ::fsync(place.get());
  return {};
}

Result<Fd> lock_directory(const std::string& path) {
  Fd fd(::open((path + "/lock").c_str(), O_RDONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600));
  if (!fd) fd = Fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)); // a full disk, a file of root's
  if (!fd) return tl::unexpected(system_error("open " + path));
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) return tl::unexpected(system_error("lock " + path));
  return fd;
}

} // namespace knock::system
