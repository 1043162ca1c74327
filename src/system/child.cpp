// SPDX-License-Identifier: GPL-2.0-or-later
#include "system/child.hpp"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

extern "C" { // glibc 2.36 forgets it
#include <sys/pidfd.h>
}

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include <fmt/format.h>

namespace knock::system {
namespace {

constexpr int kFirst = 3; // behind stdin, stdout, stderr

[[noreturn]] void give_up(const char* what) {
  ::dprintf(STDERR_FILENO, "%s: %s\n", what, std::strerror(errno));
  ::_exit(127);
}

/// Descriptors go to their places over high ones: a place may be the source of another one.
void place(const std::vector<int>& descriptors, int log) {
  std::array<int, 8> high{};
  const int high_log = ::fcntl(log, F_DUPFD_CLOEXEC, 100);
  for (std::size_t i = 0; i < descriptors.size(); ++i)
    if ((high[i] = ::fcntl(descriptors[i], F_DUPFD_CLOEXEC, 100)) < 0) give_up("hand on a descriptor");
  if (::dup2(high_log, STDERR_FILENO) < 0) give_up("hand on a log");
  for (std::size_t i = 0; i < descriptors.size(); ++i)
    if (::dup2(high[i], kFirst + static_cast<int>(i)) < 0) give_up("hand on a descriptor");
  // Without a /dev/null they are closed.
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO})
    if (::dup2(null, fd) < 0) ::close(fd);
  // Also those that our parent left open.
  ::close_range(static_cast<unsigned>(kFirst) + static_cast<unsigned>(descriptors.size()), ~0U, 0);
}

/// Leaving uid 0 leaves every capability behind. A user namespace may know no other user: each role looks for
/// itself whether what it has become will do.
void become(const Identity& identity) {
  if (::setgroups(0, nullptr) != 0 || ::setresgid(identity.gid, identity.gid, identity.gid) != 0) return;
  if (::setresuid(identity.uid, identity.uid, identity.uid) != 0) return;
}

[[noreturn]] void act(const Role& role, pid_t parent) {
  place(role.descriptors, role.log);
  if (role.identity) become(*role.identity);
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  if (role.dies_with_us) { // behind the change of user, which would forget it
    ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (::getppid() != parent) ::_exit(127);
  }
  std::vector<char*> words;
  std::string name = "knockgated";
  words.push_back(name.data());
  for (const auto& word : role.arguments) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  ::execv("/proc/self/exe", words.data());
  give_up("execute /proc/self/exe");
}

} // namespace

std::optional<Identity> identity_of(const std::string& name) {
  std::array<char, 4096> buffer;
  passwd entry{};
  passwd* found = nullptr;
  ::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (found == nullptr) return std::nullopt;
  return Identity{found->pw_uid, found->pw_gid};
}

Result<Child> Child::start(const Role& role) {
  KNOCK_ASSERT(role.descriptors.size() <= 8 && role.log >= 0);
  const auto self = ::getpid();
  const auto pid = ::fork();
  if (pid == 0) act(role, self);
  if (pid < 0) return tl::unexpected(system_error("start a process"));
  auto watched = watch_process(pid);
  if (watched) return Child(std::move(*watched), pid, role.identity);
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
  return tl::unexpected(watched.error());
}

Child::~Child() {
  if (!pidfd_) return;
  kill();
  siginfo_t info{};
  while (::waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &info, WEXITED) != 0 && errno == EINTR) {
  }
}

void Child::kill() const {
  if (!pidfd_ || ::pidfd_send_signal(pidfd_.get(), SIGKILL, nullptr, 0) == 0 || errno != EPERM) return;
  // Without CAP_KILL root may signal only its own: it takes the child's user for the moment.
  KNOCK_ASSERT(identity_ && ::seteuid(identity_->uid) == 0);
  ::pidfd_send_signal(pidfd_.get(), SIGKILL, nullptr, 0);
  KNOCK_ASSERT(::seteuid(0) == 0);
}

void Child::await(Millis patience) const {
  pollfd ended{pidfd_.get(), POLLIN, 0};
  ::poll(&ended, 1, static_cast<int>(patience.count()));
}

std::optional<std::string> Child::reap() {
  siginfo_t info{};
  if (!pidfd_ || ::waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &info, WEXITED | WNOHANG) != 0 ||
      info.si_pid == 0)
    return std::nullopt;
  pidfd_ = Fd();
  return ending_text(info.si_code, info.si_status);
}

Result<Fd> watch_process(pid_t pid) {
  Fd fd(::pidfd_open(pid, 0));
  if (!fd) return tl::unexpected(system_error("watch a process"));
  return fd;
}

std::string ending_text(int code, int status) {
  if (code == CLD_EXITED) return fmt::format("exited with {}", status);
  const char* name = ::sigabbrev_np(status);
  return name != nullptr ? fmt::format("was killed by SIG{}", name)
                         : fmt::format("was killed by signal {}", status);
}

} // namespace knock::system
