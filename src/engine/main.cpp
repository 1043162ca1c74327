// SPDX-License-Identifier: GPL-2.0-or-later
// The engine as a process: orders in, completed sequences out, nothing else within reach.
#include <linux/futex.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <new>

#include <fmt/format.h>
#include <sodium/utils.h>

#include "engine/engine.hpp"
#include "system/event_loop.hpp"
#include "system/log.hpp"
#include "system/sandbox.hpp"

namespace knock::engine {
namespace {

struct Received {
  Order order;
  system::Fd descriptor;
};

/// The next order, if one waits; an error when the keeper is gone, or sends what no keeper sends.
tl::expected<std::optional<Received>, int> receive_order(int pair) {
  Received received;
  iovec part{&received.order, sizeof received.order};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t size = 0;
  do size = ::recvmsg(pair, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  while (size < 0 && errno == EINTR);
  if (size < 0 && errno == EAGAIN) return std::nullopt;
  if (size != sizeof received.order) return tl::unexpected(errno);
  if (const auto* header = CMSG_FIRSTHDR(&message); header != nullptr && header->cmsg_type == SCM_RIGHTS) {
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
    received.descriptor = system::Fd(fd);
  }
  return received;
}

bool order_waits() {
  char byte = 0;
  return ::recv(kEnginePair, &byte, sizeof byte, MSG_PEEK | MSG_DONTWAIT) >= 0;
}

class EngineMain {
 public:
  EngineMain(EnginePage& page, std::uint16_t first_group, std::uint32_t attempts)
      : page_(page),
        engine_(netlink::NflogReader(system::Fd(kEngineNflog), first_group, page.nflog), attempts, page) {
    records_.completed.reserve(1'024 *
                               Outcome::kMaxOpened); // more than the reports of a 64 KiB datagram complete
    datagram_.reserve(kMaxRecordBytes);
  }

  int run() {
    const auto orders = loop_.watch(kEnginePair, [this](Instant now) { obey(now); });
    std::optional<Instant> next;
    while (!ended_) {
      const auto now = loop_.wait(next);
      if (!now) return 1;
      next = engine_.sweep(*now);
    }
    return 0;
  }

 private:
  void obey(Instant now) {
    while (!ended_) {
      auto received = receive_order(kEnginePair);
      ended_ = !received;
      if (ended_ || !*received) return;
      obey(**received, now);
    }
  }

  void obey(Received& received, Instant now) {
    const auto& [kind, value] = received.order;
    if (kind == Order::Kind::ping) {
      page_.attempts.set(engine_.attempts(now));
      page_.answered.store(value, std::memory_order_release); // pairs with the keeper's look at `attempts`
      ::syscall(SYS_futex, &page_.answered, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
    } else if (kind == Order::Kind::nflog) {
      engine_.rebind(netlink::NflogReader(std::move(received.descriptor), static_cast<std::uint16_t>(value),
                                          page_.nflog));
      listen();
    } else if (kind == Order::Kind::stamps) {
      engine_.set_stamps(std::move(received.descriptor));
    } else if (auto image = system::read_sealed(received.descriptor.get(), kMaxImage); !image) {
      ended_ = true;
    } else if (kind == Order::Kind::keys) {
      auto keys = Kn1Keys::decode(*image);
      sodium_memzero(image->data(), image->size());
      KNOCK_ASSERT(keys);
      engine_.follow(std::move(*keys));
    } else {
      auto policy = Policy::decode(*image);
      KNOCK_ASSERT(policy);
      engine_.follow(std::move(*policy));
      listen();
    }
  }

  void listen() {
    reports_ = loop_.watch(engine_.fd(), [this](Instant now) {
      if (order_waits()) return; // first: what was ordered before a packet came is true for it
      records_.clear();
      if (const auto drained = engine_.drain(now, records_); !drained)
        system::log_line(LogLevel::error, to_string(drained.error()));
      tell();
    });
  }

  /// Blocks while the keeper is busy: reports wait in their own socket.
  void tell() {
    tell_all(records_.completed, kMaxRecords);
    tell_all(records_.kn1, kMaxRecords / 2); // of 64 KiB
  }

  template<class AnyRecord>
  void tell_all(const std::vector<AnyRecord>& records, std::size_t at_once) {
    for (auto rest = std::span<const AnyRecord>(records); !rest.empty() && !ended_;) {
      const auto some = rest.first(std::min(at_once, rest.size()));
      rest = rest.subspan(some.size());
      datagram_.clear();
      for (const auto& record : some) encode(record, datagram_);
      while (::send(kEnginePair, datagram_.data(), datagram_.size(), MSG_NOSIGNAL) < 0 && !ended_)
        ended_ = errno != EINTR;
    }
  }

  EnginePage& page_;
  Engine engine_;
  system::EventLoop loop_;
  system::Watch reports_; // of nothing before the first policy: a packet would be no step
  Records records_;       // of one wake-up; both keep their capacity
  std::vector<std::byte> datagram_;
  bool ended_ = false;
};

} // namespace

int run_engine(std::uint16_t first_group, std::uint32_t attempts) {
  const auto fail = [](const Error& error) {
    system::log_line(LogLevel::error, to_string(error));
    return 1;
  };
  const auto page = system::map_shared(kEnginePage, sizeof(EnginePage), true);
  if (!page) return fail(page.error());
  // The keeper made it, an engine before us may have used it: what it counted goes on.
  EngineMain engine(*std::launder(static_cast<EnginePage*>(page->get())), first_group, attempts);
  const auto gaps = system::confine_engine();
  if (!gaps) return fail(gaps.error());
  for (const auto& gap : *gaps) system::log_line(LogLevel::warn, "sandbox: " + gap);
  return engine.run();
}

} // namespace knock::engine
