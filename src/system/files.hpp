// SPDX-License-Identifier: GPL-2.0-or-later
/// Files: the config as it lies on disk, and small files written whole or not at all.
///
/// In:     paths.   Out: checked values or findings; who may read a file with a secret is judged here.
/// Errors: missing, unreadable, a directory, too large: findings of the file as a whole.
/// Source: knockgate.toml(5) for order and permissions; rename(2) and fsync(2) for the writing side.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <knock/config.hpp>
#include <knock/limits.hpp>
#include <knock/result.hpp>

#include "system/fd.hpp"

namespace knock::system {

/// The whole of a regular file of at most `most` bytes. Errors: code ENOENT when there is none.
Result<std::string> read_file(const std::string& path, std::size_t most = 1U << 20U);

/// Whose a file is, and who else may use it.
struct Access {
  uid_t owner = 0;
  gid_t group = 0;
  mode_t mode = 0;
};

/// The same, with whose it is. A link is judged by what it points at: the descriptor is asked, never the name. What an
/// error says stands behind the path.
struct FileRead {
  std::string text;
  Access access;
};
Result<FileRead> read_whole(const std::string& path, std::size_t most = kMaxFile);

/// What makes a file with secrets, or the directory of such, ours: the line to type.
std::string owner_line(const std::string& path, bool directory);
/// What to do about a file that cannot be read, by errno.
std::string reading_advice(int code, const std::string& path);
/// The same of a directory that cannot be listed.
std::string listing_advice(int code, const std::string& path);

/// What a file is taken to hold before it is written.
struct Draft {
  std::string path;
  std::optional<std::string_view> text; ///< absent: it is gone
};

/// `path`, doors.d/*.toml and users.d/*.toml beside it, then kn1.key; a file inside one of these is checked alone.
/// `seed`: as in parse_config.
ParsedConfig load_config(const std::string& path, std::optional<std::uint64_t> seed = {},
                         std::span<const Draft> drafts = {});

/// Why a file with a secret is refused to `self`, empty when it is safe; `ours` is the group _knockgate.
std::string exposure(const Access& access, uid_t self, std::optional<gid_t> ours);
/// Why a directory of configuration is refused, empty when it is safe: others may write into it; with `closely` its
/// group, or another owner than root and `self`, too.
std::string intrusion(const Access& access, uid_t self, bool closely);

/// Of these paths the ones that `user` may not read; of one in a closed directory, that directory. Requires: root, and
/// one thread.
std::vector<std::string> closed_to(const std::string& user, const std::vector<std::string>& paths);

/// Replaces `path` by a file that is complete on disk, or leaves it alone.
/// Errors: ENOENT, EACCES (directory), ENOSPC, EPERM (not allowed to give it to `group`).
Result<void> write_file_atomically(const std::string& path, std::string_view text, mode_t mode,
                                   std::optional<gid_t> group = {});

/// Writes over what is there, where a full disk takes no other file. A crash may leave a part of both.
/// Errors: ENOENT, ENOSPC (it is longer than its blocks).
Result<void> write_in_place(const std::string& path, std::string_view text);
/// Makes `path` and what it lacks above it; the mode of what is there stays. Errors: EACCES, ENOTDIR.
Result<void> make_directories(const std::string& path, mode_t mode);
/// Removes `path`; one that is not there is fine.
Result<void> remove_file(const std::string& path);
/// By root, in a directory of another user: neither the directory nor the file is a link, the file is its owner's, 0600,
/// and whole or not there.
Result<void> write_for_owner(const std::string& directory, const std::string& name, std::string_view text);
/// Takes a directory for this process alone, as long as the descriptor is open; a process that ends lets go. What is
/// locked is a file in it that others cannot open: a directory that others may read they could lock.
/// Errors: EWOULDBLOCK, another process has it.
Result<Fd> lock_directory(const std::string& path);

} // namespace knock::system
