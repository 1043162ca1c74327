// SPDX-License-Identifier: GPL-2.0-or-later
#include "keeper/control_socket.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include <fmt/format.h>

#include "core/keeper/desk.hpp"
#include "system/close_elsewhere.hpp"
#include "system/process.hpp"
#include "system/unix_address.hpp"

namespace knock::keeper {
namespace {

constexpr int kBacklog = 128; // a burst of clients waits here, not in connect()
// In one wake-up, together well below a millisecond: a knock waits no longer for requests.
constexpr int kTurns = 4;
constexpr int kSentAtOnce = 4; // datagrams
constexpr int kAccepted = 16;
constexpr const char* kReaders = "knockgate"; // members may ask; who may change is the handler's business

std::optional<Peer> peer_of(int fd) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) return std::nullopt;
  Peer peer{credentials.uid, {credentials.gid}};
  socklen_t bytes = 0;
  ::getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, nullptr, &bytes); // ERANGE, and the size it needs
  std::vector<gid_t> groups(bytes / sizeof(gid_t));
  if (!groups.empty() && ::getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &bytes) == 0)
    peer.groups.insert(peer.groups.end(), groups.begin(), groups.end());
  return peer;
}

bool somebody_answers(const sockaddr_un& address) {
  const system::Fd probe(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  return ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ||
         errno == EAGAIN; // it is there, and too many wait already
}

bool has_unread(int fd) {
  int bytes = 0;
  return ::ioctl(fd, FIONREAD, &bytes) == 0 && bytes != 0;
}

/// Whether no client of this listener can queue a descriptor: Linux 6.16 and later. Requires: before listen(2).
/// Else the next best is to look before we receive, and to let another process close (close_elsewhere.hpp).
bool refuse_descriptors(int listener) {
  constexpr int kPassRights = 83; // SO_PASSRIGHTS of asm-generic/socket.h
  const int no = 0;
  return ::setsockopt(listener, SOL_SOCKET, kPassRights, &no, sizeof no) == 0;
}

/// Whether the next datagram brings descriptors. To receive it would close them, here; a look does not.
bool brings_descriptors(int fd) {
  msghdr message{};
  return ::recvmsg(fd, &message, MSG_PEEK | MSG_DONTWAIT) >= 0 && (message.msg_flags & MSG_CTRUNC) != 0;
}

/// Before a client without a place is hung up on; how it reads that: control_client.cpp.
void say_busy(int fd) {
  static const auto datagrams =
      encode(refusal(ExitCode::busy, "busy", "knockgated is busy: no place is free at its control socket",
                     "try again in a moment"));
  (void)::send(fd, datagrams.front().data(), datagrams.front().size(), MSG_NOSIGNAL);
}

} // namespace

Result<ControlSocket> ControlSocket::open(system::EventLoop& loop, const std::string& path,
                                          std::optional<system::Fd> inherited) {
  if (inherited) return ControlSocket(loop, std::move(*inherited), "", false);
  const auto what = fmt::format("listen on {}", path);
  const auto address = system::unix_address(path);
  if (!address) return tl::unexpected(system::system_error(what, "choose a shorter [control] socket"));
  const auto directory = path.substr(0, path.rfind('/'));
  if (!directory.empty()) ::mkdir(directory.c_str(), 0755);
  if (somebody_answers(*address))
    return tl::unexpected(
        system::system_error(what, EADDRINUSE, "another knockgated runs; choose another [control] socket"));
  ::unlink(path.c_str());
  system::Fd listener(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const bool safe = refuse_descriptors(listener.get());
  const auto mask = ::umask(0117); // 0660 from the first moment
  const bool bound =
      ::bind(listener.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) == 0 &&
      ::listen(listener.get(), kBacklog) == 0;
  const int code = errno;
  ::umask(mask);
  if (!bound)
    return tl::unexpected(system::system_error(what, code, "set [control] socket to a path you may write"));
  if (const auto group = system::group_id(kReaders)) [[maybe_unused]]
    const int ignored = ::fchownat(AT_FDCWD, path.c_str(), static_cast<uid_t>(-1), *group,
                                   AT_SYMLINK_NOFOLLOW); // not a member: ours alone
  return ControlSocket(loop, std::move(listener), path, safe);
}

ControlSocket::~ControlSocket() {
  for (auto& [fd, client] : clients_) doomed_.push_back(std::move(client.fd));
  let_go();
  if (listener_ && !path_.empty()) ::unlink(path_.c_str());
}

void ControlSocket::serve(Handler handler) {
  handler_ = std::move(handler);
  watch_ = loop_->watch(listener_.get(), [this](Instant) { callers_ = true; });
}

std::optional<Instant> ControlSocket::work(Instant now) {
  for (const auto& [fd, client] : clients_)
    if (!client.request.empty() && client.again <= now) queue(fd);
  for (int turns = kTurns; turns != 0 && !queue_.empty(); --turns) {
    const int fd = queue_.front();
    queue_.pop_front();
    take_turn(fd, now);
  }
  if (std::exchange(callers_, false)) accept(now);
  const auto next = drop_overdue(now);
  let_go();
  return next;
}

/// Of those that were dropped, all at once.
void ControlSocket::let_go() {
  if (!safe_) system::close_elsewhere(std::exchange(doomed_, {}));
  doomed_.clear();
}

void ControlSocket::accept(Instant now) {
  for (int left = kAccepted; left != 0; --left) {
    system::Fd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd) return;
    auto peer = peer_of(fd.get());
    if (!peer) continue;
    if (!make_place(peer->uid)) {
      say_busy(fd.get());
      doomed_.push_back(std::move(fd));
      continue;
    }
    const int number = fd.get();
    auto& client = clients_[number];
    client.fd = std::move(fd);
    client.peer = std::move(*peer);
    client.deadline = now + kIdleClient;
    client.watch = loop_->watch(number, [this, number](Instant) {
      // One that waits for its answer is watched for its end alone.
      clients_.at(number).request.empty() ? queue(number) : drop(number);
    });
  }
}

/// Whether `uid` has a place for one more.
bool ControlSocket::make_place(uid_t uid) {
  std::size_t own = 0, of_root = 0;
  for (const auto& [fd, client] : clients_) {
    own += client.peer.uid == uid ? 1 : 0;
    of_root += client.peer.uid == 0 ? 1 : 0;
  }
  if (uid == 0 && of_root < kPlacesOfRoot) return true;
  if (uid != 0 && own >= kPlacesOfUser) return put_out_oldest(uid);
  const auto in_root_places = std::min(of_root, kPlacesOfRoot);
  return clients_.size() - in_root_places < kPlaces - kPlacesOfRoot || put_out_oldest(uid) ||
         put_out_oldest(std::nullopt);
}

/// Of the idle clients of `uid`, or of all but root.
bool ControlSocket::put_out_oldest(std::optional<uid_t> uid) {
  auto oldest = clients_.end();
  for (auto it = clients_.begin(); it != clients_.end(); ++it) {
    const auto& client = it->second;
    if (uid ? client.peer.uid != *uid : client.peer.uid == 0) continue;
    const bool idle = client.request.empty() && !client.answer && !has_unread(it->first);
    if (idle && (oldest == clients_.end() || client.deadline < oldest->second.deadline)) oldest = it;
  }
  if (oldest == clients_.end()) return false;
  say_busy(oldest->first);
  drop(oldest->first);
  return true;
}

void ControlSocket::queue(int fd) {
  if (!std::exchange(clients_.at(fd).queued, true)) queue_.push_back(fd);
}

/// One request at most, and as much of the answer as goes at once.
void ControlSocket::take_turn(int fd, Instant now) {
  auto& client = clients_.at(fd);
  client.queued = false;
  if (client.answer || ((!client.request.empty() || read(fd, now)) && ask(fd, now))) write(fd, now);
}

bool ControlSocket::read(int fd, Instant now) {
  std::array<char, kMaxRequest + 1> buffer;
  if (!safe_ && brings_descriptors(fd)) {
    drop(fd);
    return false;
  }
  const auto size = ::recv(fd, buffer.data(), buffer.size(), 0);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (size <= 0) {
    drop(fd, size == 0);
    return false;
  }
  auto& client = clients_.at(fd);
  client.request.assign(buffer.data(), static_cast<std::size_t>(size));
  client.ticket = ++last_ticket_;
  client.asked = now;
  return true;
}

bool ControlSocket::ask(int fd, Instant now) {
  auto& client = clients_.at(fd);
  auto answer = handler_({client.ticket, client.peer, client.request, client.asked}, now);
  if (!answer.datagrams) {
    client.again = answer.again;
    client.watch.want(system::Watch::Want::end);
    return false;
  }
  client.request.clear();
  client.answer = std::move(answer.datagrams);
  client.sent = 0;
  client.deadline = now + kSlowReader;
  return true;
}

void ControlSocket::write(int fd, Instant now) {
  auto& client = clients_.at(fd);
  const auto& datagrams = *client.answer;
  for (int left = kSentAtOnce; left != 0 && client.sent < datagrams.size(); --left, ++client.sent) {
    const auto& datagram = datagrams[client.sent];
    if (::send(fd, datagram.data(), datagram.size(), MSG_NOSIGNAL) >= 0) continue;
    if (errno == EAGAIN || errno == EINTR) break;
    return drop(fd);
  }
  const bool done = client.sent == datagrams.size();
  client.watch.want(done ? system::Watch::Want::read : system::Watch::Want::write);
  if (!done) return;
  client.answer.reset();
  client.deadline = now + kIdleClient;
}

/// `ended`: it hung up, and nothing is queued any more.
void ControlSocket::drop(int fd, bool ended) {
  std::erase(queue_, fd);
  if (!ended) doomed_.push_back(std::move(clients_.at(fd).fd));
  clients_.erase(fd);
}

/// Returns when the next one is, or something is to be done.
std::optional<Instant> ControlSocket::drop_overdue(Instant now) {
  std::optional<Instant> next;
  std::vector<int> overdue;
  for (const auto& [fd, client] : clients_) {
    const auto due = client.request.empty() ? client.deadline : client.again;
    if (client.request.empty() && due <= now)
      overdue.push_back(fd);
    else
      next = std::min(next.value_or(due), due);
  }
  for (int fd : overdue) drop(fd);
  return next;
}

} // namespace knock::keeper
