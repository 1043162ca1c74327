// SPDX-License-Identifier: GPL-2.0-or-later
#include "system/terminal.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>

namespace knock::system {
namespace {

// What a signal handler needs of the one Quiet there is.
struct Shown {
  int fd = -1;
  termios before{}, quiet{};
} shown_now;
volatile std::sig_atomic_t ended_by = 0;

void on_signal(int number) {
  if (number != SIGTSTP) {
    ended_by = number; // read(2) ends, and the terminal shows letters again before the signal does its work
    return;
  }
  ::tcsetattr(shown_now.fd, TCSANOW, &shown_now.before);
  ::raise(SIGSTOP);
  ::tcsetattr(shown_now.fd, TCSANOW, &shown_now.quiet);
}

/// Shows no letter as long as it lives, whatever signal comes.
class Quiet {
 public:
  explicit Quiet(int fd) : known_(::tcgetattr(fd, &shown_now.before) == 0) {
    shown_now.fd = fd;
    shown_now.quiet = shown_now.before;
    shown_now.quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    ended_by = 0;
    struct sigaction action {};
    action.sa_handler = on_signal; // without SA_RESTART
    for (std::size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &action, &before_[i]);
    if (known_) ::tcsetattr(fd, TCSAFLUSH, &shown_now.quiet);
  }
  ~Quiet() {
    if (known_) ::tcsetattr(shown_now.fd, TCSAFLUSH, &shown_now.before);
    for (std::size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &before_[i], nullptr);
    if (const int number = ended_by; number != 0) ::raise(number);
  }
  Quiet(const Quiet&) = delete;
  Quiet& operator=(const Quiet&) = delete;

 private:
  static constexpr std::array kSignals{SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
  std::array<struct sigaction, kSignals.size()> before_{};
  bool known_;
};

bool say(int fd, std::string_view text) {
  return ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

} // namespace

Result<Fd> open_terminal() {
  Fd terminal(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY));
  if (!terminal) return tl::unexpected(system_error("open /dev/tty"));
  return terminal;
}

std::optional<Sensitive> read_line(int fd, std::size_t most) {
  Sensitive line;
  line.text.reserve(most); // so that no copy of it stays behind
  for (;;) {
    char c = 0;
    const auto got = ::read(fd, &c, 1);
    if (got < 0 && errno == EINTR && ended_by == 0) continue;
    if (got < 0) return std::nullopt;
    if (got == 0 || c == '\n') return line;
    if (line.text.size() == most) return std::nullopt;
    line.text += c;
  }
}

std::optional<Sensitive> read_all(int fd, std::size_t most) {
  Sensitive all;
  all.text.resize(most + 1); // at once, for the same reason
  std::size_t size = 0;
  while (size <= most) {
    const auto got = ::read(fd, all.text.data() + size, all.text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::nullopt;
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  if (size > most) return std::nullopt;
  all.text.resize(size);
  return all;
}

std::optional<Sensitive> ask_hidden(const Fd& terminal, std::string_view prompt, std::size_t most) {
  const Quiet quiet(terminal.get());
  if (!say(terminal.get(), prompt)) return std::nullopt;
  auto line = read_line(terminal.get(), most);
  say(terminal.get(), "\n");
  return line;
}

std::optional<Sensitive> ask_hidden(const Fd& terminal, std::string_view prompt, std::size_t most,
                                    bool (*is_whole)(std::string_view)) {
  const Quiet quiet(terminal.get()); // over all lines: what is typed ahead is lost where it changes
  Sensitive all;
  all.text.reserve(most);
  for (bool more = say(terminal.get(), prompt); more;) {
    const auto line = read_line(terminal.get(), most - all.text.size());
    if (!line) return std::nullopt;
    const bool blank = line->text.find_first_not_of(" \t\r") == std::string::npos;
    all.text += line->text;
    more = !blank && !is_whole(all.text);
    say(terminal.get(), more ? "\nIt goes on (a blank line ends it): " : "\n");
  }
  return all;
}

std::optional<Sensitive> ask_shown(const Fd& terminal, std::string_view prompt, std::size_t most) {
  if (!say(terminal.get(), prompt)) return std::nullopt;
  return read_line(terminal.get(), most);
}

std::optional<Sensitive> ask_program(const std::string& prompt, std::size_t most) {
  const char* program = std::getenv("SSH_ASKPASS");
  int ends[2];
  if (program == nullptr || *program == '\0' || ::pipe2(ends, O_CLOEXEC) != 0) return std::nullopt;
  const Fd reading(ends[0]);
  Fd writing(ends[1]);
  const auto child = ::fork();
  if (child == 0) {
    ::dup2(writing.get(), STDOUT_FILENO);
    ::execlp(program, program, prompt.c_str(), nullptr);
    ::_exit(127);
  }
  writing = Fd();
  if (child < 0) return std::nullopt;
  auto line = read_line(reading.get(), most);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  const bool done = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  return done ? std::move(line) : std::nullopt;
}

} // namespace knock::system
