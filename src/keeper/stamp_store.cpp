// SPDX-License-Identifier: GPL-2.0-or-later
#include "keeper/stamp_store.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include <fmt/format.h>

#include "system/files.hpp"
#include "system/process.hpp"

namespace knock::keeper {
namespace {

std::string directory_of(const std::string& socket) {
  if (const char* own = std::getenv("RUNTIME_DIRECTORY"); own != nullptr && *own == '/') return own;
  return socket.substr(0, socket.rfind('/'));
}

/// Others may write into that directory: the runner's user.
bool is_ours(const struct stat& file) {
  return S_ISREG(file.st_mode) && file.st_uid == ::geteuid() && file.st_nlink == 1;
}

template<class Value>
bool put(const system::Fd& file, std::size_t offset, const Value& value) {
  return ::pwrite(file.get(), &value, sizeof value, static_cast<off_t>(offset)) ==
         static_cast<ssize_t>(sizeof value);
}

} // namespace

StampStore::StampStore(const std::string& socket)
    : path_(directory_of(socket) + "/kn1.run"), boot_(system::boot_id()) {}

Result<std::optional<StampRun>> StampStore::read() const {
  if (struct stat there{}; ::lstat(path_.c_str(), &there) == 0 && !is_ours(there))
    return tl::unexpected(system::system_error("read " + path_, EPERM, "sudo rm " + path_));
  const auto text = system::read_file(path_, kMaxStampFile);
  if (!text && text.error().code == ENOENT) return std::nullopt;
  if (!text) return tl::unexpected(text.error());
  return parse_stamp_file(std::as_bytes(std::span(*text)), boot_);
}

/// One of another boot is not written on: an engine may read it still.
Result<void> StampStore::begin(Stamp good_since) {
  const auto ours = read();
  if (!ours || !*ours) ::unlink(path_.c_str());
  file_ = system::Fd(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  struct stat made {};
  if (file_ && (::fstat(file_.get(), &made) != 0 || !is_ours(made))) {
    file_ = {};
    errno = EPERM;
  }
  if (!file_ || ::fchmod(file_.get(), 0600) != 0 || !put(file_, 0, encode_stamp_header(boot_, good_since))) {
    auto error = system::system_error("write " + path_, "df -h " + path_);
    file_ = {};
    return tl::unexpected(std::move(error));
  }
  return {};
}

Result<void> StampStore::write(const Mark& mark) {
  if (!file_)
    if (auto begun = begin(mark.good_since); !begun) return begun;
  bool whole = put(file_, 0, encode_stamp_header(boot_, mark.good_since));
  for (const auto& [slot, kid, line] : mark.marks)
    whole = whole && put(file_, line_offset(slot), line) && put(file_, kid_offset(slot), kid);
  if (!whole) return tl::unexpected(system::system_error("write " + path_, "df -h " + path_));
  return {};
}

Result<system::Fd> StampStore::reader() const {
  system::Fd reader(::open(fmt::format("/proc/self/fd/{}", file_.get()).c_str(), O_RDONLY | O_CLOEXEC));
  if (!reader) reader = system::Fd(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!reader) return tl::unexpected(system::system_error("open " + path_));
  return reader;
}

} // namespace knock::keeper
