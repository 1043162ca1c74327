// SPDX-License-Identifier: GPL-2.0-or-later
/// ControlSocket: serves requests of knockctl on a SOCK_SEQPACKET socket.
///
/// In:      one datagram a request, with who sent it.   Out: the datagrams the handler answers.
/// Places:  64, of which 8 are root's alone; another uid has at most 8 of the rest. When none is left, the
///          oldest idle client of that uid, else of any but root, gives way; one without a place is told so.
/// Threads: the event loop's. Its callbacks only note which clients wait: `work` serves some of them, in
///          turn, so that all else of a wake-up comes first, and waits for few requests.
/// Time:    an idle client is dropped after 60 s, one that takes its answer slowly after 5 s.
/// Source:  unix(7): SO_PEERCRED, SO_PEERGROUPS.
#pragma once

#include <sys/types.h>

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "keeper/answer.hpp"
#include "system/event_loop.hpp"
#include "system/fd.hpp"

namespace knock::keeper {

/// Who is at the other end, as the kernel vouches for it.
struct Peer {
  uid_t uid = static_cast<uid_t>(-1);
  std::vector<gid_t> groups;
};

class ControlSocket {
 public:
  struct Asked {
    std::uint64_t ticket = 0; ///< of this request alone
    const Peer& peer;
    std::string_view request;
    Instant at; ///< when it came
  };
  /// One that says "not yet" is called again with the same.
  using Handler = std::function<Answer(const Asked&, Instant now)>;

  /// Listens at `path`, or on `inherited` when systemd opened it. Requires: `loop` outlives this.
  /// Errors: EADDRINUSE when another daemon answers there; a dead socket file is replaced.
  static Result<ControlSocket> open(system::EventLoop& loop, const std::string& path,
                                    std::optional<system::Fd> inherited);
  ControlSocket(ControlSocket&&) = default;
  ~ControlSocket();

  void serve(Handler handler);
  /// Serves some clients that wait, and drops those that took too long. Returns when to call again, ready or
  /// not.
  std::optional<Instant> work(Instant now);

 private:
  struct Client {
    system::Fd fd;
    system::Watch watch;
    Peer peer;
    Instant deadline{};  // while idle, or while the answer is sent
    std::string request; // that has no answer yet; else empty
    std::uint64_t ticket = 0;
    Instant asked{}, again{};
    Datagrams answer; // null: none to be sent
    std::size_t sent = 0;
    bool queued = false;
  };

  ControlSocket(system::EventLoop& loop, system::Fd listener, std::string path, bool safe)
      : loop_(&loop), listener_(std::move(listener)), path_(std::move(path)), safe_(safe) {}
  void accept(Instant now);
  bool make_place(uid_t uid);
  bool put_out_oldest(std::optional<uid_t> uid);
  void queue(int fd);
  void take_turn(int fd, Instant now);
  bool read(int fd, Instant now);
  bool ask(int fd, Instant now);
  void write(int fd, Instant now);
  void drop(int fd, bool ended = false);
  void let_go();
  std::optional<Instant> drop_overdue(Instant now);

  system::EventLoop* loop_;
  system::Fd listener_;
  system::Watch watch_; // of the listener
  std::string path_;    // empty: systemd's, and its to remove
  bool safe_;           // a client can queue no descriptor, so to close its socket never waits
  Handler handler_;
  std::map<int, Client> clients_;
  std::deque<int> queue_;          // clients that wait for their turn
  std::vector<system::Fd> doomed_; // of clients that were dropped
  std::uint64_t last_ticket_ = 0;
  bool callers_ = false; // there are connections to accept
};

} // namespace knock::keeper
