// SPDX-License-Identifier: GPL-2.0-or-later
#include "keeper/runner_link.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include <fmt/format.h>

#include "system/log.hpp"
#include "system/unix_address.hpp"

namespace knock::keeper {
namespace {

constexpr const char* kUser = "nobody"; // what commands run as when the runner has no unit of its own

constexpr Millis kTimeToEnd{1'000};

} // namespace

Result<void> RunnerLink::connect() {
  if (fd_) return {};
  if (::geteuid() == 0) return launch();
  system::Fd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  const auto address = system::unix_address(socket_);
  if (!address || ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0)
    return tl::unexpected(system::system_error(fmt::format("reach the runner at {}", socket_),
                                               "sudo systemctl enable --now knockgate-runner.socket"));
  fd_ = std::move(fd);
  watch_ = loop_.watch(fd_.get(), [this](Instant) { drop(); }); // it never says anything: this is its end
  return {};
}

Result<void> RunnerLink::launch() {
  const auto user = system::identity_of(kUser);
  if (!user)
    return tl::unexpected(
        system::system_error(fmt::format("find user {}", kUser), ENOENT, "sudo adduser it"));
  std::array<int, 2> pair{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()) != 0)
    return tl::unexpected(system::system_error("open a pair of sockets"));
  system::Fd ours(pair[0]);
  const system::Fd theirs(pair[1]);
  const auto log = log_.open(true);
  if (!log) return tl::unexpected(log.error());
  auto child = system::Child::start({{"--runner"}, {theirs.get()}, log->get(), *user, false});
  if (!child) return tl::unexpected(child.error());
  child_.emplace(std::move(*child));
  fd_ = std::move(ours);
  watch_ = loop_.watch(child_->fd(), [this](Instant now) {
    const auto how = child_->reap();
    if (!how) return;
    child_.reset();
    drop();
    log_.finish(now);
    system::log_line(LogLevel::warn,
                     fmt::format("restart: the runner {}; another with the next command", *how));
  });
  return {};
}

void RunnerLink::drop() {
  watch_ = {};
  fd_ = {}; // by this the runner knows
  if (child_) {
    child_->await(kTimeToEnd); // and ends what it started
    log_.finish(system::monotonic_now());
  }
  child_.reset();
}

Result<void> RunnerLink::start(const RunRequest& request) {
  const auto datagram = encode(request);
  for (int tries = 0;; ++tries) {
    if (auto connected = connect(); !connected) return connected;
    if (::send(fd_.get(), datagram.data(), datagram.size(), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return {};
    auto error = system::system_error("ask the runner");
    if (tries > 0 || error.code == EAGAIN) return tl::unexpected(std::move(error));
    drop(); // it ended a moment ago
  }
}

} // namespace knock::keeper
