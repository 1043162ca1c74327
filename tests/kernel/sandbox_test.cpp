// SPDX-License-Identifier: GPL-2.0-or-later
// Each part of the sandbox alone, against a process that tries: the whole is tested by engine.sh.
#include <doctest/doctest.h>

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <fstream>

#include "system/fd.hpp"
#include "system/log.hpp"
#include "system/memory.hpp"
#include "system/sandbox.hpp"

using namespace knock::system;

namespace {

/// What became of a child that confined itself and then tried: its exit status, or -signal.
template<class Confine, class Try>
int tried(Confine&& confine, Try&& attempt) {
  const auto pid = ::fork();
  if (pid == 0) {
    confine();
    const auto result = attempt();
    ::_exit(result == -1 ? errno : 0);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

void nothing() {}
void files() {
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  (void)forbid_files();
}
void calls() {
  (void)allow_engine_calls();
}

long landlock() {
  return ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

long read_passwd() {
  return ::syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY, 0);
}
long write_file() {
  return ::syscall(SYS_openat, AT_FDCWD, "/tmp/knockgate-sandbox-test", O_WRONLY | O_CREAT, 0600);
}
long open_socket() {
  return ::syscall(SYS_socket, AF_INET, SOCK_DGRAM, 0);
}
long connect_somewhere() {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(1);
  return ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
}
long execute() {
  char name[] = "true";
  char* words[] = {name, nullptr};
  return ::syscall(SYS_execve, "/bin/true", words, nullptr);
}
long signal_parent() {
  return ::syscall(SYS_kill, ::getppid(), 0);
}
long trace_parent() {
  return ::syscall(SYS_ptrace, PTRACE_ATTACH, ::getppid(), 0, 0);
}
long map_code() {
  return ::syscall(SYS_mmap, nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}
long fork_again() {
  return ::syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr);
}
long say_something() {
  log_line(knock::LogLevel::debug, "not shown");
  log_line(knock::LogLevel::info, "said behind the sandbox");
  return 0;
}
long map_memory() {
  return ::syscall(SYS_mmap, nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}
long write_more() {
  return ::write(::memfd_create("test", 0), "x", 1);
}
long write_to_pipe() {
  int ends[2];
  return ::pipe(ends) == 0 ? ::write(ends[1], "x", 1) : -1;
}
long open_many() {
  long last = 0;
  for (int i = 0; i < 16 && last != -1; ++i) last = ::dup(STDERR_FILENO);
  return last;
}
#if !defined(__SANITIZE_ADDRESS__)
long map_much() {
  return ::syscall(SYS_mmap, nullptr, 1U << 30U, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}
#endif
long oom_score() {
  long score = 0;
  std::ifstream("/proc/self/oom_score_adj") >> score;
  return score;
}

} // namespace

TEST_CASE("without a sandbox every one of these succeeds, or is refused by nobody of ours") {
  CHECK(tried(nothing, read_passwd) == 0);
  CHECK(tried(nothing, open_socket) == 0);
  CHECK(tried(nothing, connect_somewhere) == ECONNREFUSED);
  CHECK(tried(nothing, execute) == 0);
  CHECK(tried(nothing, signal_parent) == 0);
  CHECK(tried(nothing, map_code) == 0);
}

TEST_CASE("limits: no process, no file, few descriptors, and so much more memory") {
  const auto limited = [] {
    if (::setresuid(65534, 65534, 65534) != 0) ::_exit(1); // root may have as many processes as it likes
    if (!limit_resources(64U << 20U).empty()) ::_exit(2);
  };
  CHECK(tried(limited, fork_again) == EAGAIN);
  CHECK(tried(limited, write_more) == -SIGXFSZ);
  CHECK(tried(limited, write_to_pipe) == 0);
  CHECK(tried(limited, open_many) == EMFILE);
  CHECK(tried(limited, map_memory) == 0);
#if !defined(__SANITIZE_ADDRESS__)
  CHECK(tried(limited, map_much) == ENOMEM);
#endif
}

TEST_CASE("memory that runs out takes it before the one that started it") {
  const auto before = oom_score();
  CHECK(tried([] { (void)volunteer_for_oom(); },
              [&] {
                errno = oom_score() == std::min(before + 500, 1000L) ? 1 : 2;
                return -1;
              }) == 1);
}

TEST_CASE("Landlock closes files, and on newer kernels network and signals") {
  const auto abi = landlock();
  if (abi < 1) {
    MESSAGE("skipped: no Landlock in this kernel");
    return;
  }
  CHECK(tried(files, read_passwd) == EACCES);
  CHECK(tried(files, write_file) == EACCES);
  CHECK(tried(files, execute) == EACCES);
  CHECK(tried(files, connect_somewhere) == (abi >= 4 ? EACCES : ECONNREFUSED));
  CHECK(tried(files, signal_parent) == (abi >= 6 ? EPERM : 0));
}

TEST_CASE("what Landlock of this kernel lacks is said") {
  const auto abi = landlock();
  const auto silent = tried([] { ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); },
                            [] {
                              const auto gaps = forbid_files();
                              errno = static_cast<int>(gaps.size()) + 100;
                              return -1;
                            });
  CHECK(silent == (abi >= 6 ? 100 : 101));
}

TEST_CASE("seccomp kills who calls what no engine calls") {
  for (const auto attempt :
       {read_passwd, write_file, open_socket, execute, signal_parent, trace_parent, map_code, fork_again})
    CHECK(tried(calls, attempt) == -SIGSYS);
  CHECK(tried(calls, map_memory) == 0);
}

TEST_CASE("an engine may log, under a journal too") {
  ::setenv("JOURNAL_STREAM", "1:1", 1);
  CHECK(tried(calls, say_something) == 0);
  ::unsetenv("JOURNAL_STREAM");
}

TEST_CASE("no capability is left, for good") {
  const auto bits = [] {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3]{};
    ::syscall(SYS_capget, &header, sets);
    return (sets[0].effective | sets[0].permitted | sets[0].inheritable | sets[1].permitted) != 0;
  };
  if (!bits()) {
    MESSAGE("skipped: we hold none");
    return;
  }
  const auto left = tried([] { (void)keep_capabilities({}); },
                          [&] {
                            errno = bits() ? 1 : 2;
                            return -1;
                          });
  CHECK(left == 2);
  const auto kept = tried([] { (void)keep_capabilities({CAP_NET_ADMIN}); },
                          [&] {
                            errno = bits() ? 1 : 2;
                            return -1;
                          });
  CHECK(kept == 1);
}

TEST_CASE("a sealed file can be read and neither written nor cut") {
  const std::vector<std::byte> bytes(100'000, std::byte{7});
  const auto fd = seal("test", bytes);
  REQUIRE(fd);
  CHECK(*read_sealed(fd->get(), 1U << 20U) == bytes);
  CHECK_FALSE(read_sealed(fd->get(), 99'999));
  CHECK(::pwrite(fd->get(), "x", 1, 0) == -1);
  CHECK(::ftruncate(fd->get(), 0) == -1);
  const auto shared = open_shared("test", 4096);
  REQUIRE(shared);
  CHECK(::ftruncate(shared->get(), 0) == -1);
}
