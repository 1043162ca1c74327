// SPDX-License-Identifier: GPL-2.0-or-later
/// TableWatch: what others do to our table.
///
/// In:      the events of nf_tables, from the kernel.   Out: one Disturbance for each commit that harmed the table.
/// Threads: one, the same that commits (the kernel names threads, not processes).
/// Source:  measured on 6.18 with nft 1.0.6 (tests/kernel/table_watch_test.cpp): the messages of a commit come
///          whole, in order, all with the port id of the committer, then its NEWGEN.
///            flush ruleset, delete table   DELRULE, DELSET, DELCHAIN of all, then DELTABLE; elements untold
///            flush ruleset + load, one transaction   these, then NEWTABLE, NEWSET, ... before the one NEWGEN
///            the template over itself      DELRULE of all, NEWSET of each set though it was there, NEWRULE
///            delete set                    DELSET; its elements untold
///            flush set                     one DELSETELEM for each element that had not ended
///            delete element                DELSETELEM;   refresh: NEWSETELEM, DELSETELEM, NEWSETELEM
///            expiry, `delete @once4` by a packet     nothing
#pragma once

#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <knock/config.hpp>
#include <knock/disturbance.hpp>

#include "netlink/socket.hpp"
#include "wire/nft_event.hpp"

namespace knock::netlink {

class TableWatch {
 public:
  /// Watches `inet table`. In embed mode the table is the admin's: ours are the sets of the contract, and
  /// any rule or chain may be what leads to them. Errors: EPERM without CAP_NET_ADMIN.
  static Result<TableWatch> open(std::string table, Mode mode = Mode::gate);

  [[nodiscard]] int fd() const { return events_.fd(); }
  /// For the length of a large commit of ours: the kernel builds a message of 4 KiB for every single element
  /// as soon as one socket listens. What other processes do meanwhile is not heard.
  void pause() { events_.hear(kGroup, false); }
  void resume() { events_.hear(kGroup, true); }
  /// All that happened since the last call. `own_port_id`: Nftables::port_id(), whose commits are ours. So are
  /// those of libnftables in this process, by its process id.
  std::vector<Disturbance> drain(std::uint32_t own_port_id);

 private:
  static constexpr int kGroup = 7; // NFNLGRP_NFTABLES

  /// A commit whose NEWGEN has not come yet.
  struct Commit {
    std::uint32_t port_id = 0;
    bool table_gone = false;
    bool broken = false;
    bool set_made = false;
    bool changed = false;
    std::set<GrantKey> removed;
    std::set<std::pair<std::string, wire::Bytes>> missing; ///< elements of sets that the config fills
  };

  TableWatch(NetlinkSocket events, std::string table, Mode mode, std::uint32_t own_process);
  void read(const nlmsghdr* message, std::uint32_t own_port_id, std::vector<Disturbance>& found);
  void collect(const wire::NftEvent& event);
  void collect_elements(const wire::NftEvent& event);
  std::optional<Disturbance> judge(const wire::NftEvent& generation, std::uint32_t own_port_id);
  [[nodiscard]] bool is_our_set(const std::string& name) const;

  NetlinkSocket events_;
  std::string table_;
  Mode mode_;
  std::uint32_t own_process_;
  Commit commit_;
};

} // namespace knock::netlink
