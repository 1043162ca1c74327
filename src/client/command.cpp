// SPDX-License-Identifier: GPL-2.0-or-later
#include "client/command.hpp"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "client/show.hpp"
#include "system/child.hpp"

namespace knock::client {
namespace {

[[noreturn]] void become(const std::vector<std::string>& words) {
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr); // ours are blocked, to be read from a descriptor
  ::signal(SIGPIPE, SIG_DFL);
  std::vector<char*> arguments;
  for (const auto& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  ::execvp(arguments[0], arguments.data());
  const int error = errno;
  warn({ExitCode::failed, "failed", {}, words[0] + ": " + std::strerror(error), {}});
  ::_exit(error == ENOENT ? 127 : 126); // as shells do
}

} // namespace

Result<std::unique_ptr<Command>> Command::start(system::EventLoop& loop,
                                                const std::vector<std::string>& words) {
  const auto pid = ::fork();
  if (pid == 0) become(words);
  if (pid < 0) return tl::unexpected(system::system_error("start " + words[0]));
  std::unique_ptr<Command> command(new Command(pid));
  auto ends = system::watch_process(pid);
  if (!ends) return tl::unexpected(std::move(ends.error()));
  command->ends_ = std::move(*ends);
  command->watch_ = loop.watch(command->ends_.get(), [at = command.get()](Instant) { at->end(); });
  return command;
}

void Command::pass_on(int signal) const {
  if (!code_) ::kill(pid_, signal);
}

void Command::end() {
  int status = 0;
  if (::waitpid(pid_, &status, WNOHANG) != pid_) return;
  code_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  watch_ = {};
}

} // namespace knock::client
