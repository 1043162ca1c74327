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

#include "kernel/memory.hpp"
#include "kernel/netlink_socket.hpp"
#include "wire/nflog.hpp"
#include "wire/nftables.hpp"

namespace knock::kernel {

inline constexpr std::uint16_t kNflogGroups =
    4; // by jhash of the source, so that 1, 2 or 4 workers can share

/// Four groups bound to one socket. The keeper holds them, whoever reads; closing the last descriptor frees
/// them.
class NflogGroups {
 public:
  /// Errors: EPERM with a taken group named (exit 1: it may pass), or without CAP_NET_ADMIN.
  static Result<NflogGroups> open(std::uint16_t first_group, std::uint32_t buffer_bytes);

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] std::uint16_t first_group() const { return first_group_; }
  [[nodiscard]] std::uint32_t buffer_bytes() const { return buffer_bytes_; }
  void resize_buffer(std::uint32_t bytes);
  /// Throws away what waits. Returns how many datagrams that were, of one report or more.
  std::size_t discard();
  /// Reports the socket had no room for (sock_diag.h, SK_MEMINFO_DROPS).
  [[nodiscard]] std::uint64_t drops() const;
  /// What /proc says otherwise than we asked, "" when nothing or when it may not be read.
  [[nodiscard]] std::string settings_difference() const;

 private:
  NflogGroups(Fd fd, std::uint16_t first_group, std::uint32_t buffer_bytes)
      : fd_(std::move(fd)), first_group_(first_group), buffer_bytes_(buffer_bytes) {}

  Fd fd_;
  std::uint16_t first_group_;
  std::uint32_t buffer_bytes_;
};

/// Counted where the packets are read, looked at elsewhere.
struct NflogCounters {
  Counter packets;
  Counter lost;      ///< gaps in the numbers of a group, in packets
  Counter overruns;  ///< how many gaps
  Counter malformed; ///< messages that were no logged packet
};

/// Reads the reports of NflogGroups; needs no capability.
class NflogReader {
 public:
  /// `socket`: of NflogGroups with this `first_group`. Requires: `counters` outlives this.
  NflogReader(Fd socket, std::uint16_t first_group, NflogCounters& counters);

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

/// Elements of our sets.
class Nftables {
 public:
  static Result<Nftables> open();

  /// How others see who committed (TableWatch).
  [[nodiscard]] std::uint32_t port_id() const { return socket_.port_id(); }
  /// All or nothing. Errors: ENOENT (table or set gone), ENFILE (set full), EPERM (no CAP_NET_ADMIN, or the
  /// table has another owner).
  Result<void> commit(const Batch& batch, const std::string& table);
  /// Errors: ENOENT when table or set is missing.
  Result<std::vector<wire::RawElement>> elements(const std::string& table, const std::string& set);
  /// Of these elements, which are of one set and family, the ones that are there. A dump of a large set takes
  /// quadratic time in the kernel (nft_rhash_walk begins anew for every 32 KiB); this does not.
  Result<std::vector<wire::RawElement>> find(const std::string& table, std::span<const GrantKey> keys);
  /// How many rules `inet table` has; 0 when there is no such table.
  Result<std::size_t> rules(const std::string& table);
  /// The sets of `inet table` by name; empty when there is no such table.
  Result<std::map<std::string, wire::SetInfo>> sets(const std::string& table);

 private:
  explicit Nftables(NetlinkSocket socket) : socket_(std::move(socket)) {}
  Result<void> transact(const wire::EncodedBatch& encoded, const std::string& table);
  template<class Collect>
  Result<int> dump(const std::function<wire::Bytes(std::uint32_t)>& request, Collect&& collect);

  NetlinkSocket socket_;
};

/// Runs nft statements as one transaction (libnftables). Errors: nft's own first line.
Result<void> load_ruleset(const std::string& text);
/// The same without changing anything.
Result<void> check_ruleset(const std::string& text);
/// What nft says to a `list` statement, as JSON. Errors: EPERM without CAP_NET_ADMIN.
Result<std::string> list_ruleset(const std::string& statement);

/// The TCP connections of this host, each as the key of its `session` element; sorted.
Result<std::vector<GrantKey>> open_connections();

} // namespace knock::kernel
