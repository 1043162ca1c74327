// SPDX-License-Identifier: GPL-2.0-or-later
#include "runner/runner.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <map>

#include <fmt/format.h>

#include <knock/quoted.hpp>

#include <knock/run.hpp>

#include "system/child.hpp"
#include "system/event_loop.hpp"
#include "system/log.hpp"
#include "system/process.hpp"
#include "system/sandbox.hpp"

namespace knock::runner {
namespace {

struct Limit {
  __rlimit_resource_t resource;
  rlim_t most;
};
constexpr Limit kLimits[] = {
    {RLIMIT_CORE, 0}, {RLIMIT_NOFILE, 256}, {RLIMIT_NPROC, 256}, {RLIMIT_FSIZE, 64U << 20U}};

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> all;
  for (auto& text : texts) all.push_back(text.data());
  all.push_back(nullptr);
  return all;
}

/// What a command reads: the bytes and then the end, or nothing.
system::Fd input_of(const std::string& bytes) {
  std::array<int, 2> pipe{};
  if (bytes.empty() || ::pipe2(pipe.data(), O_CLOEXEC) != 0) return system::Fd(::open("/dev/null", O_RDWR));
  const system::Fd writes(pipe[1]); // they fit into the pipe: PIPE_BUF
  [[maybe_unused]] const auto written = ::write(writes.get(), bytes.data(), bytes.size());
  return system::Fd(pipe[0]);
}

/// Behind the fork: becomes the command, with nothing of ours but its stderr.
[[noreturn]] void become(RunRequest request, pid_t runner) {
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  std::signal(SIGPIPE, SIG_DFL);
  ::setsid();
  ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  if (::getppid() != runner) ::_exit(127);
  ::dup2(input_of(request.input).get(), STDIN_FILENO);
  ::dup2(STDERR_FILENO, STDOUT_FILENO);
  ::close_range(STDERR_FILENO + 1, ~0U, 0);
  for (const auto& [resource, most] : kLimits) {
    const rlimit limit{most, most};
    ::setrlimit(resource, &limit);
  }
  ::umask(022);
  auto environment = environment_of(request);
  if (::chdir("/") == 0)
    ::execve(request.argv[0].c_str(), pointers(request.argv).data(), pointers(environment).data());
  ::dprintf(STDERR_FILENO, "knockgate: cannot run %s: %s\n", request.argv[0].c_str(), std::strerror(errno));
  ::_exit(127);
}

struct Keeper {
  system::Fd fd;
  system::Watch watch;
};

struct Command {
  system::Fd pidfd;
  system::Watch watch;
  pid_t pid = 0;
  int keeper = -1; // who asked for it
  std::string door;
  std::string source;
  Instant started{};
  Instant deadline{};
  bool overdue = false;
};

class Runner {
 public:
  int run(system::Fd signals, std::optional<system::Fd> listener) {
    const auto signalled = loop_.watch(signals.get(), [&](Instant) {
      const int signal = system::read_signal(signals.get()).number;
      stopping_ = stopping_ || signal == SIGTERM || signal == SIGINT;
    });
    system::Watch callers;
    if (listener)
      callers = loop_.watch(listener->get(), [&](Instant) {
        welcome(system::Fd(::accept4(listener->get(), nullptr, nullptr, SOCK_CLOEXEC)));
      });
    else
      welcome(system::Fd(kRunnerPair));
    bool served = !listener; // systemd starts us for a connection that waits
    while (!stopping_ && (!served || !keepers_.empty() || !commands_.empty())) {
      const auto now = loop_.wait(next_deadline());
      if (!now) break;
      served = served || !keepers_.empty();
      end_overdue(*now);
    }
    for (const auto& [fd, command] : commands_) ::kill(-command.pid, SIGKILL);
    return 0;
  }

 private:
  void welcome(system::Fd keeper) {
    if (!keeper) return;
    const int fd = keeper.get();
    ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    keepers_[fd] = {std::move(keeper), loop_.watch(fd, [this, fd](Instant now) { read(fd, now); })};
  }

  void read(int keeper, Instant now) {
    std::string datagram(kMaxRunRequest, '\0');
    const auto size = ::recv(keeper, datagram.data(), datagram.size(), MSG_DONTWAIT | MSG_TRUNC);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (size <= 0) return leave(keeper);
    datagram.resize(std::min(static_cast<std::size_t>(size), datagram.size()));
    auto request = parse_run(datagram);
    if (!request) return system::log_line(LogLevel::error, "a request that is none");
    start(*request, keeper, now);
  }

  void leave(int keeper) {
    keepers_.erase(keeper);
    for (const auto& [fd, command] : commands_)
      if (command.keeper == keeper) ::kill(-command.pid, SIGKILL);
  }

  void start(const RunRequest& request, int keeper, Instant now) {
    if (commands_.size() >= kMaxCommands)
      return system::log_line(
          LogLevel::error,
          fmt::format("{} commands run already, that of door {} does not start", kMaxCommands, request.door));
    const auto runner = ::getpid();
    const auto pid = ::fork();
    if (pid == 0) become(request, runner);
    if (pid < 0) return system::log_line(LogLevel::error, to_string(system::system_error("start a command")));
    auto watched = system::watch_process(pid);
    if (!watched) {
      ::kill(pid, SIGKILL);
      return system::log_line(LogLevel::error, to_string(watched.error()));
    }
    const int fd = watched->get();
    Command command;
    command.pidfd = std::move(*watched);
    command.pid = pid;
    command.keeper = keeper;
    command.door = request.door;
    command.source = request.source;
    command.started = now;
    command.deadline = now + request.time;
    command.watch = loop_.watch(fd, [this, fd](Instant at) { ended(fd, at); });
    commands_[fd] = std::move(command);
  }

  void ended(int fd, Instant now) {
    const auto& command = commands_.at(fd);
    // Not reaped yet, so its number, which is the group's, cannot be anybody else's.
    ::kill(-command.pid, SIGKILL);
    siginfo_t info{};
    if (::waitid(P_PIDFD, static_cast<id_t>(fd), &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0) return;
    system::log_line(LogLevel::info,
                     fmt::format("ran door={} source={} result={} ms={}{}", command.door, command.source,
                                 in_quotes(system::ending_text(info.si_code, info.si_status)),
                                 std::chrono::round<Millis>(now - command.started).count(),
                                 command.overdue ? " reason=time" : ""));
    commands_.erase(fd);
  }

  [[nodiscard]] std::optional<Instant> next_deadline() const {
    std::optional<Instant> next;
    for (const auto& [fd, command] : commands_)
      if (!command.overdue) next = sooner(next, command.deadline);
    return next;
  }

  void end_overdue(Instant now) {
    for (auto& [fd, command] : commands_) {
      if (command.overdue || command.deadline > now) continue;
      command.overdue = true;
      ::kill(-command.pid, SIGKILL);
    }
  }

  system::EventLoop loop_;
  std::map<int, Keeper> keepers_;   // by descriptor
  std::map<int, Command> commands_; // by pidfd
  bool stopping_ = false;
};

} // namespace

int run_runner() {
  const auto fail = [](const Error& error) {
    system::log_line(LogLevel::error, to_string(error));
    return 1;
  };
  if (::geteuid() == 0) return fail({"it does not run as root", 0, "give the unit a User="});
  auto signals = system::open_signals();
  if (!signals) return fail(signals.error());
  if (auto dropped = system::keep_capabilities({}); !dropped) return fail(dropped.error());
  if (auto hidden = system::forbid_inspection(); !hidden) return fail(hidden.error());
  return Runner().run(std::move(*signals), system::inherited_socket());
}

} // namespace knock::runner
