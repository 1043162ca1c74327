// SPDX-License-Identifier: GPL-2.0-or-later
#include "system/files.hpp"

#include <fcntl.h>
#include <grp.h>
#include <sys/file.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <system_error>

#include <fmt/format.h>

#include <knock/limits.hpp>

#include "system/child.hpp"
#include "system/fd.hpp"
#include "system/process.hpp"

namespace knock::system {
namespace {

namespace fs = std::filesystem;

struct FileRead {
  std::string text;
  Access access;
};

std::string advice_for(int code, const std::string& path) {
  switch (code) {
  case EACCES:
    return fmt::format("run it as root, or: sudo chown root:{0} {1} && sudo chmod 0640 {1}", kOurUser, path);
  case ENOENT: return "write it (see /usr/share/doc/knockgate/examples), or name another file";
  case EISDIR: return "name a file in it";
  case EFBIG: return fmt::format("keep it below {} KiB", kMaxFile >> 10U);
  default: return {};
  }
}

tl::unexpected<Error> cannot_read(const std::string& path, int code) {
  return tl::unexpected(system_error("cannot be read", code, advice_for(code, path)));
}

/// A link is judged by what it points at: the descriptor is asked, never the name.
Result<FileRead> read_whole(const std::string& path, std::size_t most = kMaxFile) {
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

struct Loading {
  std::vector<ConfigText> texts;
  std::map<std::string, Access> access;
  std::vector<Finding> findings;

  void refuse(const std::string& path, std::string text, std::string advice) {
    findings.push_back({Finding::Level::error, {path, 0, 0}, std::move(text), std::move(advice)});
  }

  void read(const std::string& path, ConfigText::Part part) {
    auto file = read_whole(path);
    if (!file) return refuse(path, file.error().what, file.error().advice);
    access[path] = file->access;
    texts.push_back({path, std::move(file->text), part});
  }

  /// *.toml in order of their names, as a shell would list them.
  void read_directory(const fs::path& directory, ConfigText::Part part) {
    std::error_code error;
    std::vector<std::string> paths;
    for (fs::directory_iterator at(directory, error), end; !error && at != end; at.increment(error)) {
      const auto name = at->path().filename().string();
      if (!name.starts_with('.') && name.ends_with(".toml")) paths.push_back(at->path().string());
    }
    if (error && error.value() != ENOENT)
      refuse(directory.string(), "cannot be listed: " + error.message(),
             advice_for(error.value(), directory.string()));
    std::sort(paths.begin(), paths.end());
    for (const auto& path : paths) read(path, part);
  }
};

ConfigText::Part part_of(const std::string& path) {
  std::error_code error;
  const auto directory = fs::absolute(path, error).lexically_normal().parent_path().filename();
  if (directory == "doors.d") return ConfigText::Part::doors;
  return directory == "users.d" ? ConfigText::Part::users : ConfigText::Part::main;
}

void judge_secrets(const ParsedConfig& parsed, Loading& loading) {
  const auto ours = group_id(kOurUser);
  for (const auto& path : parsed.secret_files) {
    const auto& access = loading.access[path];
    const auto why = exposure(access, ::geteuid(), ours);
    if (why.empty()) continue;
    if (access.owner != 0 && access.owner != ::geteuid())
      loading.refuse(path, why, fmt::format("sudo chown root {0} && sudo chmod 0600 {0}", path));
    else if (access.owner == 0 && ours)
      loading.refuse(path, why,
                     fmt::format("sudo chown root:{0} {1} && sudo chmod 0640 {1}", kOurUser, path));
    else
      loading.refuse(path, why, fmt::format("chmod 0600 {}", path));
  }
}

} // namespace

Result<std::string> read_file(const std::string& path, std::size_t most) {
  auto read = read_whole(path, most);
  if (read) return std::move(read->text);
  read.error().what = path + " " + read.error().what;
  return tl::unexpected(std::move(read.error()));
}

ParsedConfig load_config(const std::string& path, std::optional<std::uint64_t> seed) {
  Loading loading;
  const auto part = part_of(path);
  loading.read(path, part);
  if (part == ConfigText::Part::main && !loading.texts.empty()) {
    const auto beside = fs::path(path).parent_path();
    loading.read_directory(beside / "doors.d", ConfigText::Part::doors);
    loading.read_directory(beside / "users.d", ConfigText::Part::users);
  }
  auto parsed = parse_config(loading.texts, seed);
  judge_secrets(parsed, loading);
  if (parsed.config && !parsed.config->control.write_group.empty() &&
      !group_id(parsed.config->control.write_group))
    loading.findings.push_back({Finding::Level::error, parsed.config->control.write_group_place,
                                fmt::format("there is no group \"{}\"", parsed.config->control.write_group),
                                "sudo groupadd it, or name another"});
  if (!loading.findings.empty()) parsed.config.reset();
  parsed.findings.insert(parsed.findings.begin(), loading.findings.begin(), loading.findings.end());
  return parsed;
}

std::string exposure(const Access& access, uid_t self, std::optional<gid_t> ours) {
  if (access.owner != 0 && access.owner != self)
    return fmt::format("it holds a knock and belongs to user {}, neither root nor you", access.owner);
  if ((access.mode & 07U) != 0)
    return fmt::format("it holds a knock and others may use it (mode {:04o})", access.mode);
  if ((access.mode & 070U) != 0 && access.group != ours)
    return fmt::format("it holds a knock and its group {} may use it (mode {:04o})", access.group,
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
  std::string draft = path + ".XXXXXX"; // no glob for *.nft or *.toml takes it
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
