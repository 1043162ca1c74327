// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/nftables.hpp"

#include <linux/netlink.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <unordered_set>

#include <fmt/format.h>

#include "wire/nft_event.hpp"

namespace knock::netlink {
namespace {

constexpr std::size_t kLargeBatch = 1'024;
constexpr int kDumpTries =
    20; // another writer can interrupt a dump; only a permanent one interrupts this many
/// Elements of ours that the smallest part of a dump has room for.
constexpr std::size_t kInOnePart = 8;

using Keys = std::unordered_set<std::string_view>;

std::string_view key_of(const wire::RawElement& element) {
  return {reinterpret_cast<const char*>(element.key.data()), element.key.size()};
}

/// Their keys, which point into `elements`; of those that stand twice one stays.
Keys drop_twice(std::vector<wire::RawElement>& elements) {
  Keys keys;
  keys.reserve(elements.size());
  std::erase_if(elements,
                [&](const wire::RawElement& element) { return !keys.insert(key_of(element)).second; });
  return keys;
}

Error commit_error(const std::string& table, int code) {
  const auto what = fmt::format("put elements into table inet {}", table);
  switch (code) {
  case EPERM: return system::system_error(what, code, kNeedsCapability);
  case ENOENT:
    return system::system_error(what, code, "the table or a set of it is gone; run: knockctl reload --now");
  case EEXIST:
    return system::system_error(
        what, code,
        "a range of another hand overlaps it, run: knockctl status, then knockctl close foreign ADDRESS");
  case ENFILE:
    return {what + ": a set is full", code,
            "raise [limits] grants, or close grants with: knockctl close --all"};
  default: return system::system_error(what, code, "");
  }
}

} // namespace

Result<Nftables> Nftables::open() {
  auto socket = NetlinkSocket::open(NETLINK_NETFILTER);
  if (!socket) return tl::unexpected(socket.error());
  socket->explain_errors();
  set_receive_buffer(socket->fd(), 4U << 20U); // every message of a large refused batch has an ack
  return Nftables(std::move(*socket));
}

Result<void> Nftables::commit(const Batch& batch, const std::string& table, std::vector<Refused>* refused) {
  if (batch.empty()) return {};
  if (batch.size() >= kLargeBatch) { // one that ended a moment ago refuses it all; then the longer way
    auto done = transact(batch, table, true, refused);
    if (done || done.error().code != ENOENT) return done;
  }
  return transact(batch, table, false, refused);
}

Result<void> Nftables::transact(const Batch& batch, const std::string& table, bool removals_there,
                                std::vector<Refused>* refused) {
  const auto encoded = wire::encode(batch, table, socket_.next_sequence(), removals_there);
  while (socket_.next_sequence() < encoded.last_sequence + 1) {
  }
  if (auto sent = socket_.send(encoded.bytes); !sent) return sent;
  std::vector<wire::Ack> errors;
  for (bool last = false; !last;) {
    const auto datagram = socket_.receive();
    if (!datagram) return tl::unexpected(datagram.error());
    if (!*datagram && errors.empty()) return tl::unexpected(commit_error(table, EAGAIN));
    if (!*datagram) break;
    wire::for_each_message(**datagram, [&](const nlmsghdr* message) {
      if (message->nlmsg_type != NLMSG_ERROR) return;
      const auto ack = wire::parse_ack(message);
      if (ack.sequence < encoded.first_sequence || ack.sequence > encoded.last_sequence) return;
      if (ack.error != 0) errors.push_back(ack);
      last = last || ack.sequence == encoded.last_sequence || ack.sequence == encoded.first_sequence;
    });
  }
  if (errors.empty()) return {};
  if (refused != nullptr) *refused = wire::refused_changes(batch, encoded, errors);
  return tl::unexpected(commit_error(table, errors.front().error));
}

template<class Collect>
Result<int> Nftables::dump(const std::function<wire::Bytes(std::uint32_t)>& request, Collect&& collect) {
  Result<int> code = EINTR;
  for (int tries = 0; tries < kDumpTries && code && *code == EINTR; ++tries) {
    collect(nullptr);
    code = socket_.dump(request(socket_.next_sequence()), collect);
  }
  return code;
}

Result<std::vector<wire::RawElement>> Nftables::list_once(const std::string& table, const std::string& set) {
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
    return tl::unexpected(
        system::system_error(fmt::format("list set {} of table inet {}", set, table), *code, ""));
  return found;
}

Result<std::vector<wire::RawElement>> Nftables::elements(const std::string& table, const std::string& set) {
  auto found = list_once(table, set);
  const auto grants = wire::grant_set_named(set);
  const bool in_parts = grants && grants->set != GrantSet::range; // which is no hash set
  if (!in_parts || !found || found->size() <= kInOnePart) return found;
  auto before = drop_twice(*found);
  for (int tries = 0; tries < kDumpTries; ++tries) {
    auto again = list_once(table, set);
    if (!again) return again;
    const auto listed = again->size();
    auto keys = drop_twice(*again);
    std::vector<GrantKey> lacking;
    for (const auto& element : *found)
      if (const auto key = wire::decode_grant_key(element.key, grants->set))
        if (!keys.contains(key_of(element))) lacking.push_back(*key);
    auto there = find(table, lacking);
    if (!there) return there;
    const bool agrees = there->empty() && listed == again->size() &&
                        std::all_of(keys.begin(), keys.end(), [&](auto key) { return before.contains(key); });
    for (auto& element : *there) {
      keys.insert(key_of(element));
      again->push_back(std::move(element));
    }
    found = std::move(again);
    before = std::move(keys);
    if (agrees) break;
  }
  return found;
}

Result<std::vector<wire::RawElement>> Nftables::find(const std::string& table,
                                                     std::span<const GrantKey> keys) {
  std::vector<wire::RawElement> found;
  // Behind the first that is gone the kernel answers no more: the next request is short, then they grow again.
  for (std::size_t most = wire::kElementsPerMessage; !keys.empty();) {
    const auto some = keys.first(std::min(keys.size(), most));
    const auto before = found.size();
    const auto code = socket_.request(wire::encode_element_get(table, some, socket_.next_sequence()),
                                      [&](const nlmsghdr* message) { wire::parse_elements(message, found); });
    if (!code) return tl::unexpected(code.error());
    if (*code != 0 && *code != ENOENT)
      return tl::unexpected(
          system::system_error(fmt::format("read elements of table inet {}", table), *code, ""));
    most = *code == 0 ? std::min(2 * most, wire::kElementsPerMessage) : 1;
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
    return tl::unexpected(
        system::system_error(fmt::format("list table inet {}", table), *code, kNeedsCapability));
  return found;
}

Result<std::vector<wire::RuleInfo>> Nftables::rules(const std::string& table) {
  std::vector<wire::RuleInfo> found;
  const auto code = dump([&](std::uint32_t sequence) { return wire::encode_rule_dump(table, sequence); },
                         [&](const nlmsghdr* message) {
                           if (message == nullptr) return found.clear();
                           if (const auto rule = wire::parse_rule(message)) found.push_back(*rule);
                         });
  if (!code) return tl::unexpected(code.error());
  if (*code != 0 && *code != ENOENT)
    return tl::unexpected(system::system_error(fmt::format("list rules of table inet {}", table), *code, ""));
  return found;
}

Result<std::vector<wire::ChainInfo>> Nftables::chains(const std::string& table) {
  std::vector<wire::ChainInfo> found;
  const auto code = dump([&](std::uint32_t sequence) { return wire::encode_chain_dump(table, sequence); },
                         [&](const nlmsghdr* message) {
                           if (message == nullptr) return found.clear();
                           auto chain = wire::parse_chain(message);
                           if (chain && chain->table == table)
                             found.push_back(std::move(*chain)); // of all tables
                         });
  if (!code) return tl::unexpected(code.error());
  if (*code != 0 && *code != ENOENT)
    return tl::unexpected(
        system::system_error(fmt::format("list chains of table inet {}", table), *code, ""));
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return found;
}

Result<std::uint32_t> Nftables::generation() {
  std::optional<std::uint32_t> found;
  const auto code =
      socket_.request(wire::encode_generation_get(socket_.next_sequence()), [&](const nlmsghdr* message) {
        const auto event = wire::parse_nft_event(message);
        if (event && event->kind == wire::NftEvent::Kind::generation) found = event->count;
      });
  if (!code) return tl::unexpected(code.error());
  if (*code != 0 || !found)
    return tl::unexpected(system::system_error("read the generation of nf_tables", *code, kNeedsCapability));
  return *found;
}

Result<std::vector<wire::TableInfo>> Nftables::tables() {
  std::vector<wire::TableInfo> found;
  const auto code = dump([](std::uint32_t sequence) { return wire::encode_table_dump(sequence); },
                         [&](const nlmsghdr* message) {
                           if (message == nullptr) return found.clear();
                           if (auto table = wire::parse_table(message)) found.push_back(std::move(*table));
                         });
  if (!code) return tl::unexpected(code.error());
  if (*code != 0) return tl::unexpected(system::system_error("list tables", *code, kNeedsCapability));
  return found;
}

Result<wire::TableInfo> Nftables::table(const std::string& name) {
  auto all = tables();
  if (!all) return tl::unexpected(all.error());
  const auto found =
      std::find_if(all->begin(), all->end(), [&](const wire::TableInfo& one) { return one.name == name; });
  return found == all->end() ? wire::TableInfo{} : std::move(*found);
}

} // namespace knock::netlink
