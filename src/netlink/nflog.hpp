// SPDX-License-Identifier: GPL-2.0-or-later
/// Nflog: the groups that the kernel reports packets to, and how they are read.
///
/// Threads: each handle belongs to one thread.
/// Errors:  in plain words with what to do; EPERM and a taken group by name.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "netlink/socket.hpp"
#include "system/memory.hpp"
#include "wire/nflog.hpp"

namespace knock::netlink {

inline constexpr std::uint16_t kNflogGroups =
    4; // by jhash of the source, so that 1, 2 or 4 workers can share

/// Four groups bound to one socket. The keeper holds them, also while an engine reads; closing the last descriptor
/// frees them.
class NflogGroups {
 public:
  /// Errors: EPERM with a taken group named (exit 1: it may pass), or without CAP_NET_ADMIN.
  static Result<NflogGroups> open(std::uint16_t first_group, std::uint32_t buffer_bytes);

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] std::uint16_t first_group() const { return first_group_; }
  [[nodiscard]] std::uint32_t buffer_bytes() const { return buffer_bytes_; }
  void resize_buffer(std::uint32_t bytes);
  /// How much of each packet is reported, from its network header on. Errors: as open.
  Result<void> set_copy(std::uint32_t bytes);
  /// Throws away what waits. Returns how many datagrams that were, of one report or more.
  std::size_t discard();
  /// Reports the socket had no room for (sock_diag.h, SK_MEMINFO_DROPS).
  [[nodiscard]] std::uint64_t drops() const;
  /// What /proc says otherwise than we asked, "" when nothing or when it may not be read.
  [[nodiscard]] std::string settings_difference() const;

 private:
  NflogGroups(system::Fd fd, std::uint16_t first_group, std::uint32_t buffer_bytes)
      : fd_(std::move(fd)), first_group_(first_group), buffer_bytes_(buffer_bytes) {}

  system::Fd fd_;
  std::uint16_t first_group_;
  std::uint32_t buffer_bytes_;
  std::uint32_t copy_bytes_ = wire::NflogSettings{}.copy_bytes;
};

/// Counted where the packets are read, looked at elsewhere.
struct NflogCounters {
  system::Counter packets;
  system::Counter lost;      ///< gaps in the numbers of a group, in packets
  system::Counter overruns;  ///< how many gaps
  system::Counter malformed; ///< messages that were no logged packet
};

/// Reads the reports of NflogGroups; needs no capability.
class NflogReader {
 public:
  /// `socket`: of NflogGroups with this `first_group`. Requires: `counters` outlives this.
  NflogReader(system::Fd socket, std::uint16_t first_group, NflogCounters& counters);

  /// The packets of the next datagram, valid until the next call; nothing when none waits.
  Result<std::optional<std::span<const wire::Logged>>> receive();
  [[nodiscard]] int fd() const { return socket_.fd(); }

 private:
  void count(const wire::Logged& logged);

  NetlinkSocket socket_;
  std::uint16_t first_group_;
  NflogCounters* counters_;
  std::array<std::optional<std::uint32_t>, kNflogGroups> expected_{};
  std::vector<wire::Logged> logged_;
};

} // namespace knock::netlink
