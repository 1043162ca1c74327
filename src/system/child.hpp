// SPDX-License-Identifier: GPL-2.0-or-later
/// Child: another process of this same program, in another role.
///
/// Executed anew (/proc/self/exe: the same version, also over an upgrade), so it shares no secret and no
/// address with us. The handle owns it: its destructor kills and reaps the process.
/// Source:  pidfd_open(2), waitid(2), credentials(7); SIGKILL reaches a stopped process too.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include <knock/time.hpp>

#include "system/fd.hpp"

namespace knock::system {

struct Identity {
  uid_t uid = 0;
  gid_t gid = 0;
};
/// The user `name`, nobody when there is none.
std::optional<Identity> identity_of(const std::string& name);

struct Role {
  std::vector<std::string> arguments; ///< behind the program's name
  std::vector<int> descriptors;       ///< borrowed; 3, 4, 5 ... there, all others are closed
  int log = -1;                       ///< borrowed; its stderr (ChildLog). stdin and stdout lead nowhere
  std::optional<Identity> identity;   ///< only root can give another one
  bool dies_with_us = false;          ///< by SIGKILL, even if it hangs or is stopped
};

class Child {
 public:
  /// Errors: EAGAIN, ENOMEM. What fails behind the fork ends the child with status 127 and a line on its
  /// stderr.
  static Result<Child> start(const Role& role);
  Child(Child&&) = default;
  Child& operator=(Child&&) = delete; // it would have to end the one it had
  ~Child();

  void kill() const;
  /// Waits until it ended, at most `patience`.
  void await(Millis patience) const;
  /// How it ended, as text: "exited with 1", "was killed by SIGSEGV"; nothing while it lives.
  std::optional<std::string> reap();

  [[nodiscard]] int fd() const { return pidfd_.get(); } ///< readable once it ended
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  Child(Fd pidfd, pid_t pid, std::optional<Identity> identity)
      : pidfd_(std::move(pidfd)), pid_(pid), identity_(identity) {}

  Fd pidfd_; // empty: reaped, or moved from
  pid_t pid_ = 0;
  std::optional<Identity> identity_;
};

/// A descriptor that is readable once `pid`, a child of ours, ended. Errors: EMFILE.
Result<Fd> watch_process(pid_t pid);
/// How a process ended, from waitid(2)'s si_code and si_status.
std::string ending_text(int code, int status);

} // namespace knock::system
