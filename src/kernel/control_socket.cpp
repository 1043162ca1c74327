// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/control_socket.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "kernel/process.hpp"

namespace knock::kernel {
namespace {

constexpr std::size_t kMaxRequest = 4096;
constexpr std::size_t kMaxClients = 64;
constexpr Seconds kSlowReader{5};
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

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{AF_UNIX, {}};
  std::memcpy(address.sun_path, path.data(), std::min(path.size(), sizeof address.sun_path - 1));
  return address;
}

bool somebody_answers(const sockaddr_un& address) {
  const Fd probe(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  return ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

} // namespace

bool Peer::in_group(gid_t group) const {
  return std::find(groups.begin(), groups.end(), group) != groups.end();
}

Result<ControlSocket> ControlSocket::open(EventLoop& loop, const std::string& path,
                                          std::optional<Fd> inherited) {
  if (inherited) return ControlSocket(loop, std::move(*inherited), "");
  const auto what = fmt::format("listen on {}", path);
  const auto address = address_of(path);
  const auto directory = path.substr(0, path.rfind('/'));
  if (!directory.empty()) ::mkdir(directory.c_str(), 0755);
  if (somebody_answers(address))
    return tl::unexpected(
        system_error(what, EADDRINUSE, "another knockgated runs; choose another [control] socket"));
  ::unlink(path.c_str());
  Fd listener(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const auto mask = ::umask(0117); // 0660 from the first moment
  const bool bound =
      ::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
      ::listen(listener.get(), 16) == 0;
  const int code = errno;
  ::umask(mask);
  if (!bound) return tl::unexpected(system_error(what, code, "set [control] socket to a path you may write"));
  if (const auto group = group_id(kReaders)) [[maybe_unused]]
    const int ignored = ::fchownat(AT_FDCWD, path.c_str(), static_cast<uid_t>(-1), *group,
                                   AT_SYMLINK_NOFOLLOW); // not a member: ours alone
  return ControlSocket(loop, std::move(listener), path);
}

ControlSocket::~ControlSocket() {
  if (listener_ && !path_.empty()) ::unlink(path_.c_str());
}

void ControlSocket::serve(Handler handler) {
  handler_ = std::move(handler);
  loop_->watch(listener_.get(), [this](Instant) { accept(); });
}

void ControlSocket::accept() {
  Fd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd || clients_.size() >= kMaxClients) return;
  auto peer = peer_of(fd.get());
  if (!peer) return;
  const int number = fd.get();
  clients_[number] = {std::move(fd), std::move(*peer), {}, {}};
  loop_->watch(number, [this, number](Instant now) { read(number, now); });
}

void ControlSocket::read(int fd, Instant now) {
  auto& client = clients_.at(fd);
  if (!client.unsent.empty()) return write(fd);
  std::array<char, kMaxRequest + 1> buffer;
  const auto size = ::recv(fd, buffer.data(), buffer.size(), 0);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size <= 0) return drop(fd);
  for (auto& datagram : handler_(client.peer, {buffer.data(), static_cast<std::size_t>(size)}, now))
    client.unsent.push_back(std::move(datagram));
  client.deadline = now + kSlowReader;
  write(fd);
}

void ControlSocket::write(int fd) {
  auto& unsent = clients_.at(fd).unsent;
  while (!unsent.empty()) {
    if (::send(fd, unsent.front().data(), unsent.front().size(), MSG_NOSIGNAL) < 0) {
      if (errno == EAGAIN || errno == EINTR) break;
      return drop(fd);
    }
    unsent.pop_front();
  }
  loop_->want_write(fd, !unsent.empty());
}

void ControlSocket::drop(int fd) {
  loop_->unwatch(fd);
  clients_.erase(fd);
}

std::optional<Instant> ControlSocket::drop_slow(Instant now) {
  std::optional<Instant> next;
  std::vector<int> slow;
  for (const auto& [fd, client] : clients_) {
    if (client.unsent.empty()) continue;
    if (client.deadline <= now)
      slow.push_back(fd);
    else
      next = std::min(next.value_or(client.deadline), client.deadline);
  }
  for (int fd : slow) drop(fd);
  return next;
}

} // namespace knock::kernel
