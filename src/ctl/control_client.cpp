// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/control_client.hpp"

#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

#include "system/fd.hpp"
#include "system/process.hpp"
#include "system/unix_address.hpp"

namespace knock::ctl {
namespace {

Reply unreachable(const std::string& socket, int code) {
  if (code == EACCES)
    return {{},
            {ExitCode::denied,
             "not-allowed",
             {},
             fmt::format("{} is not for you", socket),
             "run it with sudo, or: sudo adduser $USER knockgate"}};
  const auto* what = code == EAGAIN       ? "does not answer"
                     : code == ECONNRESET ? "ended before it answered"
                                          : "is not running";
  return {
      {},
      {ExitCode::unreachable,
       "unreachable",
       {},
       fmt::format("knockgated {}; grants in the kernel end by themselves. run: systemctl status knockgated",
                   what),
       ""}};
}

/// One that has no place for us says so and hangs up, maybe before it heard us. What it said is still there.
bool hung_up(int code) {
  return code == EPIPE || code == ECONNRESET;
}

/// Of a listening socket these are the credentials of the process that called listen(2), not of the one that
/// accepts (unix(7)).
bool is_trusted(int fd) {
  if (::geteuid() != 0) return true;
  ucred listener{};
  socklen_t size = sizeof listener;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &listener, &size) != 0) return false;
  return listener.uid == 0 || listener.uid == system::user_id(system::kOurUser);
}

Reply distrusted(const std::string& socket) {
  return {
      {},
      {ExitCode::denied,
       "not-allowed",
       {},
       fmt::format("neither root nor {} listens at {}: root does not ask there", system::kOurUser, socket),
       "name the daemon's: knockctl --socket PATH"}};
}

} // namespace

Reply ask(const std::string& socket, const Request& request, Millis patience) {
  const auto address = system::unix_address(socket);
  if (!address) return unreachable(socket, errno);
  const system::Fd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  const timeval wait{static_cast<std::time_t>(std::chrono::floor<Seconds>(patience).count()),
                     static_cast<suseconds_t>((patience.count() % 1000) * 1000)};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait); // of connect, too: unix(7)
  const auto datagram = encode(request);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0)
    return unreachable(socket, errno);
  if (!is_trusted(fd.get())) return distrusted(socket);
  if (::send(fd.get(), datagram.data(), datagram.size(), MSG_NOSIGNAL) < 0 && !hung_up(errno))
    return unreachable(socket, errno);

  Reply reply;
  std::string buffer(kMaxReplyDatagram, '\0');
  auto room = request.verb == "status" || request.verb == "users" ? kMaxStatus : kMaxAnswer;
  for (;;) {
    const auto size = ::recv(fd.get(), buffer.data(), buffer.size(), 0);
    if (size < 0 && (errno == EINTR || hung_up(errno))) continue; // told once; then comes what was sent
    if (size <= 0) return unreachable(socket, size == 0 ? ECONNRESET : errno);
    const auto last = parse_reply({buffer.data(), static_cast<std::size_t>(size)}, reply);
    room -= std::min(room, static_cast<std::size_t>(size));
    if (!last || room == 0)
      return {{},
              {ExitCode::failed,
               "failed",
               {},
               "the daemon's answer makes no sense",
               "restart it: systemctl restart knockgated"}};
    if (*last) return reply;
  }
}

} // namespace knock::ctl
