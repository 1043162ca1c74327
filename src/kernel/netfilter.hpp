// SPDX-License-Identifier: GPL-2.0-or-later
/// Netfilter: everything Knockgate ever asks of it, on one page.
///
/// Threads: each handle belongs to one thread.
/// Errors:  in plain words with what to do; EPERM, ENOENT, ENFILE and a taken group by name.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <vector>

#include <knock/batch.hpp>

#include "kernel/netlink_socket.hpp"
#include "wire/nflog.hpp"
#include "wire/nftables.hpp"

namespace knock::kernel {

inline constexpr std::uint16_t kNflogGroups =
    4; // by jhash of the source, so that 1, 2 or 4 workers can share

struct NflogCounters {
  std::uint64_t packets = 0;
  std::uint64_t lost = 0;      ///< gaps in the numbers of a group, in packets
  std::uint64_t overruns = 0;  ///< how many gaps
  std::uint64_t malformed = 0; ///< messages that were no logged packet
};

/// Reads reports of four groups. Closing it frees the groups at once.
class NflogReader {
 public:
  /// Errors: EPERM with a taken group named (exit 1: it may pass), or without CAP_NET_ADMIN.
  static Result<NflogReader> open(std::uint16_t first_group, std::uint32_t buffer_bytes);

  /// The packets of the next datagram, valid until the next call; nothing when none waits.
  Result<std::optional<std::span<const wire::Logged>>> receive();

  [[nodiscard]] int fd() const { return socket_.fd(); }
  [[nodiscard]] std::uint16_t first_group() const { return first_group_; }
  [[nodiscard]] std::uint32_t buffer_bytes() const { return buffer_bytes_; }
  [[nodiscard]] const NflogCounters& counters() const { return counters_; }
  /// Reports the socket had no room for.
  [[nodiscard]] std::uint64_t drops() const { return socket_.drops(); }
  /// What /proc says otherwise than we asked, "" when nothing or when it may not be read.
  [[nodiscard]] std::string settings_difference() const;

 private:
  NflogReader(NetlinkSocket socket, std::uint16_t first_group)
      : socket_(std::move(socket)), first_group_(first_group) {}
  void count(const wire::Logged& logged);

  NetlinkSocket socket_;
  std::uint16_t first_group_;
  std::uint32_t buffer_bytes_ = 0;
  NflogCounters counters_;
  std::array<std::optional<std::uint32_t>, kNflogGroups> expected_{};
  std::vector<wire::Logged> logged_;
};

/// Elements of our sets.
class Nftables {
 public:
  static Result<Nftables> open();

  /// All or nothing. Errors: ENOENT (table or set gone), ENFILE (set full), EPERM (no CAP_NET_ADMIN, or the
  /// table has another owner).
  Result<void> commit(const Batch& batch, const std::string& table);
  /// Errors: ENOENT when table or set is missing.
  Result<std::vector<wire::RawElement>> elements(const std::string& table, const std::string& set);
  /// The sets of `inet table` by name; empty when there is no such table.
  Result<std::map<std::string, wire::SetInfo>> sets(const std::string& table);

 private:
  explicit Nftables(NetlinkSocket socket) : socket_(std::move(socket)) {}
  template<class Collect>
  Result<int> dump(const std::function<wire::Bytes(std::uint32_t)>& request, Collect&& collect);

  NetlinkSocket socket_;
};

/// Runs nft statements as one transaction (libnftables). Errors: nft's own first line.
Result<void> load_ruleset(const std::string& text);
/// The same without changing anything.
Result<void> check_ruleset(const std::string& text);

/// Who has an established TCP connection to us, and at which of our ports.
Result<std::vector<GrantKey>> established_peers();

} // namespace knock::kernel
