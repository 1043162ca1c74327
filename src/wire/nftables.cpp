// SPDX-License-Identifier: GPL-2.0-or-later
#include "wire/nftables.hpp"

#include <arpa/inet.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/set.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "wire/nft_table.hpp"

namespace knock::wire {
namespace {

struct FreeSet {
  void operator()(nftnl_set* set) const { nftnl_set_free(set); }
};
using Set = std::unique_ptr<nftnl_set, FreeSet>;

constexpr std::size_t kElementBytes = 352; // key 24, its end or data 24, timeout 8, comment <= 130, limit 32,
                                           // counter 16, headers
constexpr std::uint64_t kWeek = 7 * 24 * 3'600; // seconds: the longest unit that nft can print
constexpr std::size_t kMessageBytes = 256;      // header, table and set name

Set make_set(const std::string& table, std::string_view name) {
  Set set(nftnl_set_alloc());
  nftnl_set_set_u32(set.get(), NFTNL_SET_FAMILY, NFPROTO_INET);
  nftnl_set_set_str(set.get(), NFTNL_SET_TABLE, table.c_str());
  nftnl_set_set_str(set.get(), NFTNL_SET_NAME, std::string(name).c_str());
  return set;
}

/// Concatenated key: each part padded to four bytes (nft_set_desc_concat, linux/netfilter/nf_tables.h).
Bytes encode_key(const GrantKey& key) {
  const auto source = key.source.bytes();
  Bytes bytes(source.size() + 8);
  std::memcpy(bytes.data(), source.data(), source.size());
  const std::uint16_t source_port = htons(key.source_port);
  if (key.set == GrantSet::session)
    std::memcpy(bytes.data() + source.size(), &source_port, sizeof source_port);
  else
    bytes[source.size()] = static_cast<std::byte>(key.port.protocol);
  const std::uint16_t number = htons(key.port.number);
  std::memcpy(bytes.data() + source.size() + 4, &number, sizeof number);
  return bytes;
}

/// address . port, padded likewise: what a forward map leads to.
Bytes encode_target(const Target& target) {
  const auto address = target.address.bytes();
  Bytes bytes(address.size() + 4);
  std::memcpy(bytes.data(), address.data(), address.size());
  const std::uint16_t number = htons(target.port);
  std::memcpy(bytes.data() + address.size(), &number, sizeof number);
  return bytes;
}

/// The counter goes on where the old element's stood.
void put_traffic(nftnl_set_elem* element, const Traffic& traffic) {
  auto* counter = nftnl_expr_alloc("counter");
  nftnl_expr_set_u64(counter, NFTNL_EXPR_CTR_PACKETS, traffic.packets);
  nftnl_expr_set_u64(counter, NFTNL_EXPR_CTR_BYTES, traffic.bytes);
  nftnl_set_elem_add_expr(element, counter);
}

/// `limit rate 1/week burst N packets`: a packet takes one of the burst under the kernel's lock, and none
/// comes back before the grant's `max` is over (net/netfilter/nft_limit.c).
void put_limit(nftnl_set_elem* element, std::uint32_t uses) {
  auto* limit = nftnl_expr_alloc("limit");
  nftnl_expr_set_u64(limit, NFTNL_EXPR_LIMIT_RATE, 1);
  nftnl_expr_set_u64(limit, NFTNL_EXPR_LIMIT_UNIT, kWeek);
  nftnl_expr_set_u32(limit, NFTNL_EXPR_LIMIT_BURST, uses);
  nftnl_expr_set_u32(limit, NFTNL_EXPR_LIMIT_TYPE, NFT_LIMIT_PKTS);
  nftnl_expr_set_u32(limit, NFTNL_EXPR_LIMIT_FLAGS, 0);
  nftnl_set_elem_add_expr(element, limit);
}

void put_comment(nftnl_set_elem* element, const std::string& comment) {
  std::unique_ptr<nftnl_udata_buf, void (*)(const nftnl_udata_buf*)> data(
      nftnl_udata_buf_alloc(NFT_USERDATA_MAXLEN), nftnl_udata_buf_free);
  if (!nftnl_udata_put_strz(data.get(), NFTNL_UDATA_SET_ELEM_COMMENT, comment.c_str())) return;
  nftnl_set_elem_set(element, NFTNL_SET_ELEM_USERDATA, nftnl_udata_buf_data(data.get()),
                     nftnl_udata_buf_len(data.get()));
}

using Act = BatchPart::Act;

void add_element(nftnl_set* set, const Change& change, Act act) {
  auto* element = nftnl_set_elem_alloc();
  const auto key = encode_key(change.key);
  nftnl_set_elem_set(element, NFTNL_SET_ELEM_KEY, key.data(), static_cast<std::uint32_t>(key.size()));
  if (change.key.set == GrantSet::range) {
    auto last = change.key;
    last.port.number = last.last;
    const auto end = encode_key(last);
    nftnl_set_elem_set(element, NFTNL_SET_ELEM_KEY_END, end.data(), static_cast<std::uint32_t>(end.size()));
  }
  if (change.key.set == GrantSet::forward && act != Act::remove) {
    const auto data = encode_target(act == Act::hold ? change.held : change.target);
    nftnl_set_elem_set(element, NFTNL_SET_ELEM_DATA, data.data(), static_cast<std::uint32_t>(data.size()));
  }
  if (act == Act::put) {
    nftnl_set_elem_set_u64(element, NFTNL_SET_ELEM_TIMEOUT,
                           static_cast<std::uint64_t>(change.timeout.count()));
    if (!change.comment.empty()) put_comment(element, change.comment);
    // The kernel wants all statements of the set, or none: `uses` has a limit, then a counter.
    if (change.key.set == GrantSet::uses) put_limit(element, change.uses);
    if (change.key.set == GrantSet::uses || change.traffic != Traffic{}) put_traffic(element, change.traffic);
  }
  nftnl_set_elem_add(set, element);
}

/// Writes the messages of one batch, numbered from its first.
class BatchWriter {
 public:
  BatchWriter(std::size_t capacity, const std::string& table, std::uint32_t sequence)
      : writer_(capacity), table_(table), sequence_(sequence) {
    writer_.finish(nftnl_batch_begin(writer_.next(), sequence_++));
  }

  void put(const BatchPart& part) {
    const auto set = make_set(table_, set_name(part.set, part.family));
    for (const auto* change : part.changes) add_element(set.get(), *change, part.act);
    const bool adds = part.act != Act::remove;
    last_ = nftnl_nlmsg_build_hdr(writer_.next(), adds ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM,
                                  NFPROTO_INET, adds ? NLM_F_CREATE : 0, sequence_++);
    nftnl_set_elems_nlmsg_build_payload(last_, set.get());
    writer_.finish(last_);
  }

  EncodedBatch finish(std::uint32_t first, bool removals_there) && {
    if (last_ != nullptr) last_->nlmsg_flags |= NLM_F_ACK;
    const auto last = sequence_ - 1;
    writer_.finish(nftnl_batch_end(writer_.next(), sequence_));
    return {std::move(writer_).take(), first, last, removals_there};
  }

 private:
  MessageWriter writer_;
  const std::string& table_;
  std::uint32_t sequence_;
  nlmsghdr* last_ = nullptr;
};

/// Which element of its list a byte of a message belongs to.
std::optional<std::size_t> element_at(const nlmsghdr* message, std::size_t offset) {
  const auto elements = elements_of(attributes_of(message, sizeof(nfgenmsg)));
  const auto* byte = reinterpret_cast<const std::byte*>(message) + offset;
  const auto found = std::find_if(elements.begin(), elements.end(), [&](std::span<const std::byte> element) {
    return byte >= element.data() - sizeof(nlattr) && byte < element.data() + element.size();
  });
  return found == elements.end() ? std::nullopt
                                 : std::optional(static_cast<std::size_t>(found - elements.begin()));
}

/// One statement of an element; those of `uses` are a limit and a counter.
int add_statement(nftnl_expr* expression, void* data) {
  auto& element = *static_cast<RawElement*>(data);
  ++element.statements;
  const std::string_view name = nftnl_expr_get_str(expression, NFTNL_EXPR_NAME);
  if (name != "counter" || !nftnl_expr_is_set(expression, NFTNL_EXPR_CTR_PACKETS)) return 0;
  element.traffic = {nftnl_expr_get_u64(expression, NFTNL_EXPR_CTR_PACKETS),
                     nftnl_expr_get_u64(expression, NFTNL_EXPR_CTR_BYTES)};
  return 0;
}

RawElement decode_element(nftnl_set_elem* element) {
  RawElement raw;
  std::uint32_t size = 0;
  const auto* key = static_cast<const std::byte*>(nftnl_set_elem_get(element, NFTNL_SET_ELEM_KEY, &size));
  if (key != nullptr) raw.key.assign(key, key + size);
  const auto* end = static_cast<const std::byte*>(nftnl_set_elem_get(element, NFTNL_SET_ELEM_KEY_END, &size));
  if (end != nullptr) raw.key_end.assign(end, end + size);
  const auto* data = static_cast<const std::byte*>(nftnl_set_elem_get(element, NFTNL_SET_ELEM_DATA, &size));
  if (data != nullptr) raw.data.assign(data, data + size);
  if (nftnl_set_elem_is_set(element, NFTNL_SET_ELEM_EXPIRATION))
    raw.left = Millis{nftnl_set_elem_get_u64(element, NFTNL_SET_ELEM_EXPIRATION)};
  const auto* userdata =
      static_cast<const std::byte*>(nftnl_set_elem_get(element, NFTNL_SET_ELEM_USERDATA, &size));
  if (userdata != nullptr) raw.comment = comment_of({userdata, size});
  if (nftnl_set_elem_is_set(element, NFTNL_SET_ELEM_FLAGS))
    raw.flags = nftnl_set_elem_get_u32(element, NFTNL_SET_ELEM_FLAGS);
  nftnl_set_elem_expr_foreach(element, add_statement, &raw);
  return raw;
}

/// A port of a concatenation.
std::uint16_t decode_number(std::span<const std::byte> padded) {
  std::uint16_t number = 0;
  std::memcpy(&number, padded.data(), sizeof number);
  return ntohs(number);
}

} // namespace

EncodedBatch encode(const Batch& batch, const std::string& table, std::uint32_t sequence,
                    bool removals_there) {
  const auto parts = parts_of(batch, kElementsPerMessage, removals_there); // a message each
  BatchWriter writer((parts.size() + 2) * (kMessageBytes + table.size()) + 3 * batch.size() * kElementBytes,
                     table, sequence);
  for (const auto& part : parts) writer.put(part);
  return std::move(writer).finish(sequence, removals_there);
}

std::vector<Refused> refused_changes(const Batch& batch, const EncodedBatch& encoded,
                                     std::span<const Ack> acks) {
  std::vector<const nlmsghdr*> messages;
  for_each_message(encoded.bytes, [&](const nlmsghdr* message) { messages.push_back(message); });
  std::vector<Refused> refused;
  std::size_t at = 0;
  bool failed = false;        // an earlier message of the chunk
  std::string_view unremoved; // a set where removals were not carried out: it may be full for their sake
  for (const auto& part : parts_of(batch, kElementsPerMessage, encoded.removals_there)) {
    const auto* message = messages.at(++at);
    if (part.begins) failed = false;
    const auto ack = std::find_if(acks.begin(), acks.end(), [&](const Ack& one) {
      return one.sequence == message->nlmsg_seq && one.error != 0;
    });
    if (ack == acks.end() || std::exchange(failed, true)) continue;
    const auto set = set_name(part.set, part.family);
    const bool consequence = set == unremoved && ack->error == ENFILE;
    if (part.removes) unremoved = set;
    const auto element = ack->offset ? element_at(message, *ack->offset) : std::nullopt;
    if (element && !consequence)
      refused.push_back({static_cast<std::size_t>(part.changes[*element] - batch.data()), ack->error});
  }
  return refused;
}

Bytes encode_element_dump(const std::string& table, const std::string& set, std::uint32_t sequence) {
  return encode_dump(NFT_MSG_GETSETELEM, table, set.c_str(), sequence);
}

Bytes encode_element_get(const std::string& table, std::span<const GrantKey> keys, std::uint32_t sequence) {
  MessageWriter writer(kMessageBytes + table.size() + keys.size() * kElementBytes);
  const auto set = make_set(table, set_name(keys.front().set, keys.front().source.family));
  for (const auto& key : keys) add_element(set.get(), {Change::Kind::remove, key}, Act::remove);
  auto* message = nftnl_nlmsg_build_hdr(writer.next(), NFT_MSG_GETSETELEM, NFPROTO_INET, NLM_F_ACK, sequence);
  nftnl_set_elems_nlmsg_build_payload(message, set.get());
  writer.finish(message);
  return std::move(writer).take();
}

void parse_elements(const nlmsghdr* message, std::vector<RawElement>& out) {
  if (!is_message(message, NFT_MSG_NEWSETELEM)) return;
  const Set set(nftnl_set_alloc());
  if (nftnl_set_elems_nlmsg_parse(message, set.get()) < 0) return;
  std::unique_ptr<nftnl_set_elems_iter, void (*)(nftnl_set_elems_iter*)> iter(
      nftnl_set_elems_iter_create(set.get()), nftnl_set_elems_iter_destroy);
  while (auto* element = nftnl_set_elems_iter_next(iter.get())) out.push_back(decode_element(element));
}

std::vector<std::span<const std::byte>> elements_of(std::span<const std::byte> attributes) {
  std::vector<std::span<const std::byte>> elements;
  for_each_attribute(attributes, [&](std::uint16_t type, std::span<const std::byte> list) {
    if (type != NFTA_SET_ELEM_LIST_ELEMENTS) return;
    for_each_attribute(list, [&](std::uint16_t, std::span<const std::byte> one) { elements.push_back(one); });
  });
  return elements;
}

std::optional<Port> decode_port_key(std::span<const std::byte> key) {
  if (key.size() != 8) return std::nullopt;
  const auto protocol = static_cast<Protocol>(key[0]);
  if (protocol != Protocol::tcp && protocol != Protocol::udp) return std::nullopt;
  return Port{protocol, decode_number(key.last(4))};
}

std::optional<GrantKey> decode_grant_key(std::span<const std::byte> key, GrantSet set,
                                         std::span<const std::byte> key_end) {
  if (key.size() != 12 && key.size() != 24) return std::nullopt;
  GrantKey decoded{{key.size() == 12 ? Family::ipv4 : Family::ipv6, {}}, kNoPort, set};
  if (set == GrantSet::session) {
    decoded.source_port = decode_number(key.last(8));
    decoded.port = {Protocol::tcp, decode_number(key.last(4))};
  } else if (std::any_of(key.end() - 8, key.end(), [](std::byte b) { return b != std::byte{0}; })) {
    const auto port = decode_port_key(key.last(8));
    if (!port) return std::nullopt;
    decoded.port = *port;
  }
  std::memcpy(decoded.source.octets.data(), key.data(), key.size() - 8);
  if (set == GrantSet::range) { // of one source and protocol: anything else is not ours
    const auto same = key.size() - 4;
    if (key_end.size() != key.size() || std::memcmp(key.data(), key_end.data(), same) != 0)
      return std::nullopt;
    decoded.last = decode_number(key_end.last(4));
    if (decoded.last < decoded.port.number) return std::nullopt;
  }
  return decoded;
}

std::optional<Target> decode_target(std::span<const std::byte> data) {
  if (data.size() != 8 && data.size() != 20) return std::nullopt;
  Target target{{data.size() == 8 ? Family::ipv4 : Family::ipv6, {}}, 0};
  std::memcpy(target.address.octets.data(), data.data(), data.size() - 4);
  target.port = decode_number(data.last(4));
  return target;
}

} // namespace knock::wire
