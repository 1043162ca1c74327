// SPDX-License-Identifier: GPL-2.0-or-later
/// ControlSocket: serves requests of knockctl on a SOCK_SEQPACKET socket.
///
/// In:      one datagram a request, with who sent it.   Out: the datagrams the handler answers.
/// Threads: the event loop's. A slow reader is dropped after 5 s and never blocks anybody else.
/// Source:  unix(7): SO_PEERCRED, SO_PEERGROUPS.
#pragma once

#include <sys/types.h>

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "kernel/event_loop.hpp"
#include "kernel/fd.hpp"

namespace knock::kernel {

/// Who is at the other end, as the kernel vouches for it.
struct Peer {
  uid_t uid = static_cast<uid_t>(-1);
  std::vector<gid_t> groups;
  [[nodiscard]] bool in_group(gid_t group) const;
};

class ControlSocket {
 public:
  using Handler = std::function<std::vector<std::string>(const Peer&, std::string_view request, Instant)>;

  /// Listens at `path`, or on `inherited` when systemd opened it. Requires: `loop` outlives this.
  /// Errors: EADDRINUSE when another daemon answers there; a dead socket file is replaced.
  static Result<ControlSocket> open(EventLoop& loop, const std::string& path, std::optional<Fd> inherited);
  ControlSocket(ControlSocket&&) = default;
  ~ControlSocket();

  void serve(Handler handler);
  /// Drops readers that took too long. Returns when the next one will have.
  std::optional<Instant> drop_slow(Instant now);

 private:
  struct Client {
    Fd fd;
    Peer peer;
    std::deque<std::string> unsent;
    Instant deadline{};
  };

  ControlSocket(EventLoop& loop, Fd listener, std::string path)
      : loop_(&loop), listener_(std::move(listener)), path_(std::move(path)) {}
  void accept();
  void read(int fd, Instant now);
  void write(int fd);
  void drop(int fd);

  EventLoop* loop_;
  Fd listener_;
  std::string path_; // empty: systemd's, and its to remove
  Handler handler_;
  std::map<int, Client> clients_;
};

} // namespace knock::kernel
