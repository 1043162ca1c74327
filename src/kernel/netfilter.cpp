// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/netfilter.hpp"

#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <nftables/libnftables.h>
#include <sys/socket.h>
#include <sys/utsname.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <memory>
#include <sstream>

#include <fmt/format.h>

#include "wire/sock_diag.hpp"

namespace knock::kernel {
namespace {

constexpr const char* kNeedsCapability = "run as root, or give the service AmbientCapabilities=CAP_NET_ADMIN";
constexpr std::size_t kLargeBatch = 1'024;
constexpr int kDumpTries =
    20; // another writer can interrupt a dump; only a permanent one interrupts this many

Error bind_error(std::uint16_t group, int code) {
  if (code == EPERM)
    return system_error(
        fmt::format("bind NFLOG group {}", group), code,
        fmt::format("another program (ulogd2, a second knockgated) has it, or CAP_NET_ADMIN is missing; "
                    "choose [nflog] group so that {}..{} are free",
                    group, group + 3));
  return system_error(fmt::format("bind NFLOG group {}", group), code, "");
}

Error commit_error(const std::string& table, int code) {
  const auto what = fmt::format("put elements into table inet {}", table);
  switch (code) {
  case EPERM: return system_error(what, code, kNeedsCapability);
  case ENOENT:
    return system_error(what, code, "the table or a set of it is gone; run: knockctl reload --now");
  case ENFILE:
    return {what + ": a set is full", code,
            "raise [limits] grants, or close grants with: knockctl close --all"};
  default: return system_error(what, code, "");
  }
}

/// Returns what nft prints.
Result<std::string> run_nft(const std::string& text, bool dry_run, unsigned output_flags = 0) {
  const std::unique_ptr<nft_ctx, void (*)(nft_ctx*)> context(nft_ctx_new(NFT_CTX_DEFAULT), nft_ctx_free);
  if (context == nullptr) return tl::unexpected(Error{"start libnftables", ENOMEM, ""});
  nft_ctx_set_dry_run(context.get(), dry_run);
  nft_ctx_output_set_flags(context.get(), output_flags);
  nft_ctx_buffer_error(context.get());
  nft_ctx_buffer_output(context.get());
  if (nft_run_cmd_from_buffer(context.get(), text.c_str()) == 0)
    return std::string(nft_ctx_get_output_buffer(context.get()));
  std::string message = nft_ctx_get_error_buffer(context.get());
  message.resize(std::min(message.find('\n'), message.size()));
  const bool denied = message.find("Operation not permitted") != std::string::npos;
  return tl::unexpected(Error{"nft: " + message, denied ? EPERM : EINVAL, denied ? kNeedsCapability : ""});
}

/// Linux 6.6 and newer say in every report when it was made. Older ones say when the packet came, as long as
/// any socket of the machine wants to know: a clock read (some 50 ns) for each packet that it receives.
void want_stamps(int fd) {
  utsname system{};
  unsigned major = 0, minor = 0;
  if (::uname(&system) != 0 || std::sscanf(system.release, "%u.%u", &major, &minor) != 2) return;
  const int on = 1;
  if (std::pair(major, minor) < std::pair(6U, 6U))
    ::setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
}

} // namespace

Result<NflogGroups> NflogGroups::open(std::uint16_t first_group, std::uint32_t buffer_bytes) {
  auto socket = NetlinkSocket::open(NETLINK_NETFILTER);
  if (!socket) return tl::unexpected(socket.error());
  const auto buffer = set_receive_buffer(socket->fd(), buffer_bytes);
  if (auto set = socket->ignore_overruns(); !set) return tl::unexpected(set.error());
  want_stamps(socket->fd());
  for (std::uint16_t i = 0; i < kNflogGroups; ++i) {
    const auto group = static_cast<std::uint16_t>(first_group + i);
    for (const auto& message : {wire::encode_nflog_bind(group, socket->next_sequence()),
                                wire::encode_nflog_settings(group, socket->next_sequence(), {})}) {
      const auto code = socket->request(message);
      if (!code) return tl::unexpected(code.error());
      if (*code != 0) return tl::unexpected(bind_error(group, *code));
    }
  }
  return NflogGroups(std::move(*socket).release(), first_group, buffer);
}

void NflogGroups::resize_buffer(std::uint32_t bytes) {
  buffer_bytes_ = set_receive_buffer(fd(), bytes);
}

std::size_t NflogGroups::discard() {
  constexpr std::size_t kMost = 1U << 17U; // a flood brings more than we can take; 64 MiB hold less
  std::byte none{};
  std::size_t datagrams = 0;
  while (datagrams < kMost && ::recv(fd(), &none, sizeof none, MSG_DONTWAIT) >= 0) ++datagrams;
  return datagrams;
}

std::uint64_t NflogGroups::drops() const {
  std::array<std::uint32_t, SK_MEMINFO_VARS> info{};
  socklen_t size = sizeof info;
  if (::getsockopt(fd(), SOL_SOCKET, SO_MEMINFO, info.data(), &size) != 0) return 0;
  return info[SK_MEMINFO_DROPS];
}

std::string NflogGroups::settings_difference() const {
  // group portid qlen mode range timeout use (net/netfilter/nfnetlink_log.c, seq_show); root only
  std::ifstream file("/proc/net/netfilter/nfnetlink_log");
  const wire::NflogSettings wanted;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::uint32_t group = 0, port = 0, queued = 0, mode = 0, range = 0, timeout = 0;
    if (!(words >> group >> port >> queued >> mode >> range >> timeout)) continue;
    if (group - first_group_ >= kNflogGroups) continue;
    if (mode != 2 || range != wanted.copy_bytes || timeout != wanted.timeout_centiseconds)
      return fmt::format("group {} has mode {}, range {}, timeout {}", group, mode, range, timeout);
  }
  return {};
}

NflogReader::NflogReader(Fd socket, std::uint16_t first_group, NflogCounters& counters)
    : socket_(NetlinkSocket::adopt(std::move(socket))), first_group_(first_group), counters_(&counters) {
  logged_.reserve(1024); // more than a 64 KiB datagram holds
}

Result<std::optional<std::span<const wire::Logged>>> NflogReader::receive() {
  const auto datagram = socket_.receive();
  if (!datagram) return tl::unexpected(datagram.error());
  if (!*datagram) return std::nullopt;
  logged_.clear();
  counters_->malformed.add(wire::parse_nflog(**datagram, logged_).malformed);
  for (const auto& logged : logged_) count(logged);
  return std::span<const wire::Logged>(logged_);
}

void NflogReader::count(const wire::Logged& logged) {
  counters_->packets.add(1);
  const auto index = static_cast<std::uint16_t>(logged.group - first_group_);
  if (index >= kNflogGroups || !logged.sequence) return;
  auto& expected = expected_[index];
  if (expected && *expected != *logged.sequence) {
    counters_->lost.add(*logged.sequence - *expected); // modulo 2^32, as the kernel counts
    counters_->overruns.add(1);
  }
  expected = *logged.sequence + 1;
}

Result<Nftables> Nftables::open() {
  auto socket = NetlinkSocket::open(NETLINK_NETFILTER);
  if (!socket) return tl::unexpected(socket.error());
  set_receive_buffer(socket->fd(), 4U << 20U); // acks of a large refused batch echo every message
  return Nftables(std::move(*socket));
}

Result<void> Nftables::commit(const Batch& batch, const std::string& table) {
  if (batch.empty()) return {};
  if (batch.size() >= kLargeBatch) { // one that ended a moment ago refuses it all; then the longer way
    auto done = transact(wire::encode(batch, table, socket_.next_sequence(), true), table);
    if (done || done.error().code != ENOENT) return done;
  }
  return transact(wire::encode(batch, table, socket_.next_sequence()), table);
}

Result<void> Nftables::transact(const wire::EncodedBatch& encoded, const std::string& table) {
  while (socket_.next_sequence() < encoded.last_sequence + 1) {
  }
  if (auto sent = socket_.send(encoded.bytes); !sent) return sent;
  for (int refused = 0;;) {
    const auto datagram = socket_.receive();
    if (!datagram) return tl::unexpected(datagram.error());
    if (!*datagram) return tl::unexpected(commit_error(table, refused != 0 ? refused : EAGAIN));
    bool last = false;
    wire::for_each_message(**datagram, [&](const nlmsghdr* message) {
      if (message->nlmsg_type != NLMSG_ERROR) return;
      const auto ack = wire::parse_ack(message);
      if (ack.sequence < encoded.first_sequence || ack.sequence > encoded.last_sequence) return;
      if (refused == 0) refused = ack.error;
      last = last || ack.sequence == encoded.last_sequence || ack.sequence == encoded.first_sequence;
    });
    if (!last) continue;
    if (refused != 0) return tl::unexpected(commit_error(table, refused));
    return {};
  }
}

template<class Collect>
Result<int> Nftables::dump(const std::function<wire::Bytes(std::uint32_t)>& request, Collect&& collect) {
  Result<int> code = EINTR;
  for (int tries = 0; tries < kDumpTries && code && *code == EINTR; ++tries) {
    collect(nullptr); // begin anew
    code = socket_.dump(request(socket_.next_sequence()), collect);
  }
  return code;
}

Result<std::vector<wire::RawElement>> Nftables::elements(const std::string& table, const std::string& set) {
  std::vector<wire::RawElement> found;
  const auto code =
      dump([&](std::uint32_t sequence) { return wire::encode_element_dump(table, set, sequence); },
           [&](const nlmsghdr* message) {
             if (message == nullptr)
               found.clear();
             else
               wire::parse_elements(message, found);
           });
  if (!code) return tl::unexpected(code.error());
  if (*code != 0)
    return tl::unexpected(system_error(fmt::format("list set {} of table inet {}", set, table), *code, ""));
  return found;
}

Result<std::vector<wire::RawElement>> Nftables::find(const std::string& table,
                                                     std::span<const GrantKey> keys) {
  std::vector<wire::RawElement> found;
  while (!keys.empty()) {
    const auto some = keys.first(std::min(keys.size(), wire::kElementsPerMessage));
    const auto before = found.size();
    const auto code = socket_.request(wire::encode_element_get(table, some, socket_.next_sequence()),
                                      [&](const nlmsghdr* message) { wire::parse_elements(message, found); });
    if (!code) return tl::unexpected(code.error());
    if (*code != 0 && *code != ENOENT)
      return tl::unexpected(system_error(fmt::format("read elements of table inet {}", table), *code, ""));
    // Behind the first that is gone the kernel answers no more.
    keys = keys.subspan(*code == 0 ? some.size() : found.size() - before + 1);
  }
  return found;
}

Result<std::map<std::string, wire::SetInfo>> Nftables::sets(const std::string& table) {
  std::map<std::string, wire::SetInfo> found;
  const auto code = dump([&](std::uint32_t sequence) { return wire::encode_set_dump(table, sequence); },
                         [&](const nlmsghdr* message) {
                           if (message == nullptr) return found.clear();
                           if (auto set = wire::parse_set(message)) found.emplace(set->name, *set);
                         });
  if (!code) return tl::unexpected(code.error());
  if (*code == ENOENT) return found;
  if (*code != 0)
    return tl::unexpected(system_error(fmt::format("list table inet {}", table), *code, kNeedsCapability));
  return found;
}

Result<std::size_t> Nftables::rules(const std::string& table) {
  std::size_t found = 0;
  const auto code = dump([&](std::uint32_t sequence) { return wire::encode_rule_dump(table, sequence); },
                         [&](const nlmsghdr* message) {
                           if (message == nullptr)
                             found = 0;
                           else if (wire::is_rule(message))
                             ++found;
                         });
  if (!code) return tl::unexpected(code.error());
  if (*code != 0 && *code != ENOENT)
    return tl::unexpected(system_error(fmt::format("list rules of table inet {}", table), *code, ""));
  return found;
}

Result<void> load_ruleset(const std::string& text) {
  return run_nft(text, false).map([](const std::string&) {});
}
Result<void> check_ruleset(const std::string& text) {
  return run_nft(text, true).map([](const std::string&) {});
}
Result<std::string> list_ruleset(const std::string& statement) {
  return run_nft(statement, false, NFT_CTX_OUTPUT_JSON);
}

Result<std::vector<GrantKey>> open_connections() {
  std::vector<GrantKey> peers;
  auto socket = NetlinkSocket::open(NETLINK_SOCK_DIAG);
  if (!socket) return tl::unexpected(socket.error());
  for (const auto family : {Family::ipv4, Family::ipv6}) {
    const auto code = socket->dump(wire::encode_connection_dump(family, socket->next_sequence()),
                                   [&](const nlmsghdr* message) {
                                     if (auto peer = wire::parse_connection(message)) peers.push_back(*peer);
                                   });
    if (!code) return tl::unexpected(code.error());
    if (*code != 0 && *code != EINTR && *code != ENOENT)
      return tl::unexpected(system_error("list open connections", *code, ""));
  }
  std::sort(peers.begin(), peers.end());
  peers.erase(std::unique(peers.begin(), peers.end()), peers.end());
  return peers;
}

} // namespace knock::kernel
