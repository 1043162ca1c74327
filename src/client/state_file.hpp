// SPDX-License-Identifier: GPL-2.0-or-later
/// StateFile: NAME.state, shared by all processes of one profile; and who holds a door.
///
/// Locks:  the state is locked from a stamp until its packets are sent, so that stamps go out in order. A hold is
///         shared as long as a connection lives; the last one that ends closes the door.
/// Source: flock(2): a process that ends lets go, however it ends.
#pragma once

#include <optional>
#include <string>

#include <knock/client_state.hpp>

#include "system/fd.hpp"

namespace knock::client {

inline constexpr Millis kLockPatience{3'000}; // signals wait as long; a holder takes milliseconds

class StateFile {
 public:
  /// Waits for the lock. `counter`: stamps count, so a file that is lost or damaged is an error, else it
  /// begins anew. Errors: EACCES, ENOSPC, EWOULDBLOCK.
  static Result<StateFile> lock(const std::string& directory, const std::string& profile, bool counter,
                                Millis patience = kLockPatience);

  ClientState state;
  /// With `lasting` it is on the disk when this returns.
  Result<void> store(bool lasting);

 private:
  StateFile(system::Fd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
  system::Fd fd_; // the lock
  std::string path_;
};

/// For a new device whose stamps count: its first state, if there is none.
Result<void> begin_state(const std::string& directory, const std::string& profile);
/// As it is now, without a lock; nothing: none, or none that can be read.
std::optional<ClientState> look_at_state(const std::string& directory, const std::string& profile);

class Hold {
 public:
  /// Knows of no other holder.
  Hold() = default;
  /// Waits while the last holder closes the door, for kLockPatience. Errors: EACCES, ENOSPC, EWOULDBLOCK.
  static Result<Hold> take(const std::string& directory, const std::string& profile, const std::string& door);
  /// Lets go. Returns whether no other is known to hold it; then a new holder waits until this object ends.
  bool was_last();

 private:
  explicit Hold(system::Fd fd) : fd_(std::move(fd)) {}
  system::Fd fd_;
};

} // namespace knock::client
