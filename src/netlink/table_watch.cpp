// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/table_watch.hpp"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <unistd.h>

#include <algorithm>

#include <fmt/format.h>

#include <knock/ruleset.hpp>

#include "wire/nft_table.hpp"

namespace knock::netlink {
namespace {

constexpr std::uint32_t kBufferBytes = 4U << 20U; // flushing a set sends 130 bytes an element, and overhead

/// Filled by the rules themselves; nobody misses an element.
bool is_fleeting(std::string_view set) {
  return set == "knocking4" || set == "knocking6" || set == "overflow";
}

/// In a container getpid() says another number than events do.
Result<std::uint32_t> own_process() {
  auto socket = NetlinkSocket::open(NETLINK_NETFILTER);
  if (!socket) return tl::unexpected(socket.error());
  auto process = static_cast<std::uint32_t>(::getpid());
  const auto code =
      socket->request(wire::encode_generation_get(socket->next_sequence()), [&](const nlmsghdr* message) {
        const auto event = wire::parse_nft_event(message);
        if (event && event->process != 0) process = event->process;
      });
  if (!code) return tl::unexpected(code.error());
  return process;
}

} // namespace

Result<TableWatch> TableWatch::open(std::string table, Mode mode) {
  static_assert(kGroup == NFNLGRP_NFTABLES);
  auto events = NetlinkSocket::open(NETLINK_NETFILTER, 1U << (kGroup - 1U));
  if (!events) return tl::unexpected(events.error());
  set_receive_buffer(events->fd(), kBufferBytes);
  const auto own = own_process();
  if (!own) return tl::unexpected(own.error());
  return TableWatch(std::move(*events), std::move(table), mode, *own);
}

TableWatch::TableWatch(NetlinkSocket events, std::string table, Mode mode, std::uint32_t own_process)
    : events_(std::move(events)), table_(std::move(table)), mode_(mode), own_process_(own_process) {}

std::vector<Disturbance> TableWatch::drain(std::uint32_t own_port_id) {
  std::vector<Disturbance> found;
  for (;;) {
    const auto datagram = events_.receive();
    if (!datagram) {
      if (found.empty() || !found.back().overran) {
        found.emplace_back();
        found.back().overran = true;
      }
      if (datagram.error().code != ENOBUFS) return found;
      continue; // what waits is older than what was lost, and whole but for its last commit
    }
    if (!*datagram) return found;
    wire::for_each_message(**datagram, [&](const nlmsghdr* message) { read(message, own_port_id, found); });
  }
}

void TableWatch::read(const nlmsghdr* message, std::uint32_t own_port_id, std::vector<Disturbance>& found) {
  const auto event = wire::parse_nft_event(message);
  if (!event) return;
  if (event->kind != wire::NftEvent::Kind::generation) {
    if (event->port_id != own_port_id) collect(*event);
    return;
  }
  if (auto disturbance = judge(*event, own_port_id)) found.push_back(std::move(*disturbance));
  commit_ = {};
}

void TableWatch::collect(const wire::NftEvent& event) {
  using Kind = wire::NftEvent::Kind;
  if (event.table != table_) return;
  if (event.port_id != commit_.port_id) { // the NEWGEN of another was lost
    commit_ = {};
    commit_.port_id = event.port_id;
  }
  switch (event.kind) {
  case Kind::table_gone:
    commit_ = {event.port_id, true, true, commit_.set_made, commit_.changed, {}, {}};
    break;
  case Kind::set_gone: commit_.broken = commit_.broken || is_our_set(event.set); break;
  case Kind::set_made: commit_.set_made = commit_.set_made || is_our_set(event.set); break;
  case Kind::rules_gone: // in embed mode the admin alone can bring them back
    commit_.broken = commit_.broken || mode_ == Mode::gate;
    commit_.changed = commit_.changed || mode_ == Mode::embed;
    break;
  case Kind::element_gone:
  case Kind::element_made: collect_elements(event); break;
  case Kind::made:
    commit_.changed = true; // in embed mode any chain of the admin may hold the jump to ours
    break;
  case Kind::generation:
  case Kind::other: break;
  }
}

void TableWatch::collect_elements(const wire::NftEvent& event) {
  if (commit_.table_gone) return; // a new table's: what the old one held is gone in any case
  const bool gone = event.kind == wire::NftEvent::Kind::element_gone;
  commit_.changed = commit_.changed || (!gone && is_our_set(event.set) && !is_fleeting(event.set));
  for (const auto& key : event.keys) {
    if (gone)
      commit_.removed.insert(key);
    else
      commit_.removed.erase(key);
  }
  if (event.other_keys.empty() || is_fleeting(event.set) || !is_our_set(event.set)) return;
  for (const auto& key : event.other_keys) {
    if (gone)
      commit_.missing.emplace(event.set, key);
    else
      commit_.missing.erase({event.set, key});
  }
}

std::optional<Disturbance> TableWatch::judge(const wire::NftEvent& generation, std::uint32_t own_port_id) {
  if (generation.port_id == own_port_id || generation.process == own_process_ ||
      generation.port_id != commit_.port_id)
    return std::nullopt;
  Disturbance found{commit_.broken || !commit_.missing.empty(),
                    commit_.set_made,
                    commit_.changed || commit_.set_made,
                    {commit_.removed.begin(), commit_.removed.end()},
                    generation.name.empty() ? fmt::format("process {}", generation.process) : generation.name,
                    false,
                    generation.count};
  if (!found.broken && !found.changed && found.removed.empty()) return std::nullopt;
  return found;
}

bool TableWatch::is_our_set(const std::string& name) const {
  if (name.starts_with("__")) return false; // without a name of its own: part of a rule
  if (mode_ == Mode::gate || wire::grant_set_named(name)) return true;
  const auto shapes = embed_shapes();
  return std::any_of(shapes.begin(), shapes.end(), [&](const SetShape& shape) { return shape.name == name; });
}

} // namespace knock::netlink
