// SPDX-License-Identifier: GPL-2.0-or-later
#include "client/pipe.hpp"

#include <fcntl.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace knock::client {
namespace {

bool is_socket(int fd) {
  struct stat about {};
  return ::fstat(fd, &about) == 0 && S_ISSOCK(about.st_mode);
}

bool is_to_come_again(int error) {
  return error == EAGAIN || error == EINTR;
}

} // namespace

Pipe::Pipe(system::EventLoop& loop, system::Fd connection, int input, int output)
    : loop_(loop), connection_(std::move(connection)), ours_{input, output, is_socket(output)} {
  settle();
}

void Pipe::take_input() {
  // The descriptor is not ours alone, so it is not made non-blocking: it is read only when it has something.
  const auto got = ::read(ours_.input, up_.bytes.data(), up_.bytes.size());
  if (got < 0 && is_to_come_again(errno)) return;
  up_.eof = got <= 0;
  up_.begin = 0;
  up_.end = static_cast<std::size_t>(std::max<ssize_t>(got, 0));
  give_connection();
}

void Pipe::give_connection() {
  while (!up_.empty()) {
    const auto put = ::send(connection_.get(), up_.bytes.data() + up_.begin, up_.end - up_.begin,
                            MSG_DONTWAIT | MSG_NOSIGNAL);
    if (put < 0 && is_to_come_again(errno)) break;
    if (put < 0) {
      broken_ = true;
      return;
    }
    up_.begin += static_cast<std::size_t>(put);
  }
  settle();
}

void Pipe::take_connection() {
  const auto got = ::recv(connection_.get(), down_.bytes.data(), down_.bytes.size(), MSG_DONTWAIT);
  if (got < 0 && is_to_come_again(errno)) return;
  if (got < 0) {
    broken_ = true;
    return;
  }
  if (unread_) { // the end of it is all that is waited for
    broken_ = got == 0;
    return;
  }
  down_.eof = got == 0;
  down_.begin = 0;
  down_.end = static_cast<std::size_t>(got);
  settle();
}

void Pipe::give_output() {
  const auto* from = down_.bytes.data() + down_.begin;
  const auto size = down_.end - down_.begin;
  // A pipe that says it can be written to takes PIPE_BUF bytes without waiting (pipe(7)).
  const auto put = ours_.output_is_socket
                       ? ::send(ours_.output, from, size, MSG_DONTWAIT | MSG_NOSIGNAL)
                       : ::write(ours_.output, from, std::min<std::size_t>(size, PIPE_BUF));
  if (put < 0 && is_to_come_again(errno)) return;
  if (put < 0) return lose_output();
  down_.begin += static_cast<std::size_t>(put);
  settle();
}

/// Passes ends on, and waits for what can go on.
void Pipe::settle() {
  if (up_.eof && up_.empty() && !up_.over) {
    ::shutdown(connection_.get(), SHUT_WR);
    up_.over = true;
  }
  if (down_.eof && down_.empty() && !down_.over) {
    if (ours_.output_is_socket)
      ::shutdown(ours_.output, SHUT_WR);
    else
      ::close(ours_.output);
    down_.over = true;
  }
  using Want = system::Watch::Want;
  const auto watch = [&](system::Watch& watch, bool wanted, int fd, Want want, void (Pipe::*then)()) {
    watch = {};
    if (!wanted) return;
    watch = loop_.watch(fd, [this, then](Instant) { (this->*then)(); });
    watch.want(want);
  };
  watch(input_ready_, up_.wants_more(), ours_.input, Want::read, &Pipe::take_input);
  watch(connection_writable_, !up_.empty(), connection_.get(), Want::write, &Pipe::give_connection);
  watch(connection_readable_, down_.wants_more() || unread_, connection_.get(), Want::read,
        &Pipe::take_connection);
  if (!down_.over && down_.empty())
    watch(output_ready_, true, ours_.output, Want::end, &Pipe::lose_output);
  else
    watch(output_ready_, !down_.over, ours_.output, Want::write, &Pipe::give_output);
}

/// The reader of our output is gone. What comes in still goes out.
void Pipe::lose_output() {
  down_.over = unread_ = true;
  settle();
}

} // namespace knock::client
