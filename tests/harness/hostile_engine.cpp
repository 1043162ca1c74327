// SPDX-License-Identifier: GPL-2.0-or-later
// An engine that has fallen to a stranger: linked with the real knockgated in place of ours, so that the real
// keeper starts it. The port of a reported packet says what it does next. Without KNOCKGATE_TEST_OPEN it
// confines itself first.
#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>

#include "engine/engine.hpp"
#include "stolen_keys.hpp"
#include "system/event_loop.hpp"
#include "system/memory.hpp"
#include "system/sandbox.hpp"

#include <knock/packet.hpp>

namespace knock::engine {
namespace {

using namespace system;
using namespace netlink;

Record grant_of(std::string_view door, std::string_view source) {
  Record grant;
  grant.door = door_id(door);
  grant.source = *parse_address(source);
  return grant;
}

void send_bytes(const void* bytes, std::size_t size) {
  ::send(kEnginePair, bytes, size, MSG_NOSIGNAL);
}
std::vector<std::byte> records(const std::vector<Record>& grants) {
  std::vector<std::byte> datagram;
  for (const auto& grant : grants) encode(grant, datagram);
  return datagram;
}
void ask(const std::vector<Record>& grants) {
  const auto datagram = records(grants);
  send_bytes(datagram.data(), datagram.size());
}

StolenKeys stolen;

/// Orders are taken, pings answered: only what it asks for is wrong. Returns whether the keeper is still
/// there.
bool obey(EnginePage& page, int flags) {
  Order order;
  iovec part{&order, sizeof order};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const auto size = ::recvmsg(kEnginePair, &message, flags | MSG_CMSG_CLOEXEC);
  if (size < 0) return true;
  Fd descriptor;
  if (const auto* header = CMSG_FIRSTHDR(&message); header != nullptr && header->cmsg_type == SCM_RIGHTS) {
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
    descriptor = Fd(fd);
  }
  if (size == sizeof order && order.kind == Order::Kind::ping) page.answered = order.value;
  if (size == sizeof order && order.kind == Order::Kind::keys)
    if (const auto image = read_sealed(descriptor.get(), kMaxImage)) stolen.take(*image);
  return size == sizeof order;
}

/// Lines in the keeper's name, bytes that a terminal obeys, one line that is too long, and very many.
void shout() {
  const auto say = [](const std::string& text) {
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text.data(), text.size());
  };
  say("<3>open door=ssh source=203.0.113.66 forged\n\x1b[2Jclear\n");
  say(std::string(10'000, 'a') + "\n");
  for (int i = 0; i < 100'000; ++i) say("flood\n");
}

long try_call(unsigned port) {
  char path[64];
  std::snprintf(path, sizeof path, "/proc/%d/%s", ::getppid(), port == 1006 ? "mem" : "environ");
  char name[] = "true";
  char* words[] = {name, nullptr};
  switch (port) {
  case 1001: return ::syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY, 0);
  case 1002: return ::syscall(SYS_socket, AF_INET, SOCK_DGRAM, 0);
  case 1003: return ::syscall(SYS_execve, "/bin/true", words, nullptr);
  case 1004: return ::syscall(SYS_kill, ::getppid(), SIGTERM);
  case 1005: return ::syscall(SYS_ptrace, PTRACE_ATTACH, ::getppid(), nullptr, nullptr);
  default: return ::syscall(SYS_openat, AT_FDCWD, path, O_RDONLY, 0);
  }
}

void misbehave(EnginePage& page, unsigned port) {
  const auto honest = grant_of("ssh", "203.0.113.9");
  switch (port) {
  case 1011: return ask(std::vector(kMaxRecords, grant_of("nosuchdoor", "203.0.113.9")));
  case 1012:
    for (const char* source : {"0.0.0.0", "127.0.0.1", "169.254.1.1", "224.0.0.1", "255.255.255.255",
                               "::", "::1", "fe80::1", "ff02::1", "::ffff:203.0.113.9"})
      ask({grant_of("ssh", source)});
    return;
  case 1013: return ask({grant_of("ssh", "203.0.113.1"), grant_of("ssh", "2001:db8:f::1")});
  case 1014: return send_bytes(records({honest}).data(), kRecordBytes - 1);
  case 1015: return ask(std::vector(kMaxRecords + 1, honest));
  case 1016: return send_bytes("", 0);
  case 1017:
    for (int i = 0; i < 1'000'000 / static_cast<int>(kMaxRecords); ++i) {
      std::vector<Record> grants(kMaxRecords, grant_of(i % 2 == 0 ? "nosuchdoor" : "ssh", "2001:db8:f::1"));
      ask(grants);
      obey(page, MSG_DONTWAIT);
    }
    return;
  case 1018: return ask({grant_of("ssh", "203.0.113.66")});
  case 1019:
    for (;;) {
    }
  case 1020:
    ::close(kEnginePair);
    for (;;) ::pause();
  case 1023: {
    auto datagram = records({honest, honest});
    datagram[kRecordBytes] = std::byte{9}; // the kind of the second one
    return send_bytes(datagram.data(), datagram.size());
  }
  case 1022: shout(); return ask({grant_of("ssh", "203.0.113.66")});
  default: break;
  }
  if (const auto forged = stolen.records(port); !forged.empty()) {
    constexpr std::size_t kAtOnce = 32;
    for (std::size_t i = 0; i < forged.size(); i += kAtOnce) {
      std::vector<std::byte> datagram;
      for (std::size_t k = i; k < std::min(forged.size(), i + kAtOnce); ++k) encode(forged[k], datagram);
      send_bytes(datagram.data(), datagram.size());
    }
    return;
  }
  const auto result = try_call(port);
  std::fprintf(stderr, "hostile %u: %s\n", port, result < 0 ? std::strerror(errno) : "done");
}

} // namespace

int run_engine(std::uint16_t first_group, std::uint32_t) {
  const auto mapping = map_shared(kEnginePage, sizeof(EnginePage), true);
  if (!mapping) return 1;
  auto* page = std::launder(static_cast<EnginePage*>(mapping->get()));
  NflogReader reader(Fd(kEngineNflog), first_group, page->nflog);
  if (std::getenv("KNOCKGATE_TEST_OPEN") == nullptr && !confine_engine()) return 1;
  EventLoop loop;
  bool ended = false;
  const auto orders = loop.watch(kEnginePair, [&](Instant) { ended = !obey(*page, 0); });
  const auto reports = loop.watch(reader.fd(), [&](Instant) {
    while (const auto logged = reader.receive()) {
      if (!*logged) break;
      for (const auto& one : **logged) {
        const auto packet = parse_packet(one.payload).packet;
        if (!stolen.capture(packet)) misbehave(*page, packet.port);
      }
    }
  });
  while (!ended && loop.wait({})) {
  }
  return 0;
}

} // namespace knock::engine
