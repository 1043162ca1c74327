// SPDX-License-Identifier: GPL-2.0-or-later
// Golden bytes: each block is headed by the nft command it was traced from (strace -xx -e sendmsg,
// nft 1.0.6).
#include "wire/nftables.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "../harness/recorded.hpp"

using namespace knock;
using namespace std::string_view_literals;

namespace {

struct Message {
  std::uint16_t type;
  std::uint16_t flags;
  std::uint32_t sequence;
  std::string body; // behind nlmsghdr and nfgenmsg
};

std::vector<Message> messages_of(const wire::Bytes& bytes) {
  std::vector<Message> found;
  wire::for_each_message(bytes, [&](const nlmsghdr* message) {
    const auto* body = reinterpret_cast<const char*>(message) + sizeof(nlmsghdr) + sizeof(nfgenmsg);
    found.push_back({static_cast<std::uint16_t>(message->nlmsg_type & 0xff),
                     message->nlmsg_flags,
                     message->nlmsg_seq,
                     {body, message->nlmsg_len - sizeof(nlmsghdr) - sizeof(nfgenmsg)}});
  });
  return found;
}

GrantKey key(std::string_view address, std::uint16_t port) {
  return {*parse_address(address), {Protocol::tcp, port}};
}

// nft add element inet knockgate open4 { 203.0.113.9 . tcp . 22 timeout 30s comment "ssh - knock 100 86500" }
constexpr auto kNftElement = "\x40\x00\x01\x80\x0c\x00\x04\x00\x00\x00\x00\x00\x00\x00\x75\x30\x14\x00\x01"
                             "\x80\x10\x00\x01\x00\xcb\x00\x71"
                             "\x09\x06\x00\x00\x00\x00\x16\x00\x00\x1c\x00\x06\x00\x00\x16\x73\x73\x68\x20"
                             "\x2d\x20\x6b\x6e\x6f\x63\x6b\x20"
                             "\x31\x30\x30\x20\x38\x36\x35\x30\x30\x00"sv;

} // namespace

TEST_CASE("an element is encoded byte for byte as nft encodes it" * doctest::skip(kOtherByteOrder)) {
  const Batch batch{{Change::Kind::put, key("203.0.113.9", 22), Millis{30'000}, "ssh - knock 100 86500"}};
  const auto messages = messages_of(wire::encode(batch, "knockgate", 7).bytes);
  REQUIRE(messages.size() == 5);
  CHECK(messages[3].body.find(kNftElement) != std::string::npos);
}

TEST_CASE("a put is add, delete, add between begin and end, and only the last asks for an ack") {
  const Batch batch{{Change::Kind::put, key("203.0.113.9", 22), Millis{30'000}, "ssh - knock 1 2"}};
  const auto encoded = wire::encode(batch, "knockgate", 7);
  const auto messages = messages_of(encoded.bytes);
  REQUIRE(messages.size() == 5);
  CHECK(messages[1].type == NFT_MSG_NEWSETELEM);
  CHECK(messages[2].type == NFT_MSG_DELSETELEM);
  CHECK(messages[3].type == NFT_MSG_NEWSETELEM);
  CHECK((messages[2].flags & NLM_F_ACK) == 0);
  CHECK((messages[3].flags & NLM_F_ACK) != 0);
  CHECK(messages[0].sequence == encoded.first_sequence);
  CHECK(messages[3].sequence == encoded.last_sequence);
}

TEST_CASE("a removal adds first, so that an absent key does not undo the batch") {
  const Batch batch{{Change::Kind::remove, key("203.0.113.9", 22), {}, {}}};
  const auto messages = messages_of(wire::encode(batch, "knockgate", 1).bytes);
  REQUIRE(messages.size() == 4);
  CHECK(messages[1].type == NFT_MSG_NEWSETELEM);
  CHECK(messages[2].type == NFT_MSG_DELSETELEM);
}

TEST_CASE("families go to their own sets and long batches into several messages") {
  Batch batch;
  for (std::uint16_t port = 1; port <= 200; ++port) {
    batch.push_back({Change::Kind::put, key("203.0.113.9", port), Millis{1'000}, std::string(128, 'c')});
    batch.push_back({Change::Kind::put, key("2001:db8::9", port), Millis{1'000}, std::string(128, 'c')});
  }
  const auto messages = messages_of(wire::encode(batch, "knockgate", 1).bytes);
  CHECK(messages.size() == 2 + 2 * 2 * 3);
  CHECK(std::count_if(messages.begin(), messages.end(), [](const Message& message) {
          return message.body.find("open6\0"sv) != std::string::npos;
        }) == 6);
}

TEST_CASE("what is encoded parses back to the same element") {
  const Change put{Change::Kind::put, key("2001:db8::9", 8443), Millis{12'345}, "nas - hand 5 9"};
  std::vector<wire::RawElement> elements;
  wire::for_each_message(wire::encode({put}, "knockgate", 1).bytes,
                         [&](const nlmsghdr* message) { wire::parse_elements(message, elements); });
  REQUIRE(elements.size() == 2); // the bare add and the whole one
  CHECK(wire::decode_grant_key(elements[1].key) == put.key);
  CHECK(elements[1].comment == put.comment);
}

TEST_CASE("keys of another length or protocol are none of ours") {
  wire::Bytes bytes(12, std::byte{0});
  CHECK(wire::decode_grant_key(bytes)->port == kNoPort); // the one element of a grant that opens none
  bytes[4] = std::byte{1};
  CHECK_FALSE(wire::decode_grant_key(bytes)); // icmp
  bytes[4] = std::byte{6};
  CHECK(wire::decode_grant_key(bytes));
  bytes.pop_back();
  CHECK_FALSE(wire::decode_grant_key(bytes));
  CHECK_FALSE(wire::decode_port_key(bytes));
}

TEST_CASE("prefix, uses and forward grants go to their own sets, a forward first to where it led") {
  const Target old_target{*parse_address("192.0.2.20"), 443};
  const Target new_target{*parse_address("192.0.2.21"), 8443};
  Batch batch;
  for (const auto set : {GrantSet::net, GrantSet::uses, GrantSet::forward}) {
    auto at = key("203.0.113.9", 8443);
    at.set = set;
    batch.push_back({Change::Kind::put, at, Millis{1'000}, "web - knock 1 2"});
  }
  batch[2].held = old_target;
  batch[2].target = new_target;
  std::vector<std::pair<std::uint16_t, std::vector<wire::RawElement>>> parsed;
  wire::for_each_message(wire::encode(batch, "knockgate", 1).bytes, [&](const nlmsghdr* message) {
    std::vector<wire::RawElement> elements;
    wire::parse_elements(message, elements);
    if (!elements.empty()) parsed.emplace_back(message->nlmsg_type, std::move(elements));
  });
  REQUIRE(parsed.size() == 6); // of each set the first add and the last
  CHECK(wire::decode_target(parsed[4].second[0].data) == old_target);
  CHECK(wire::decode_target(parsed[5].second[0].data) == new_target);
  CHECK(wire::decode_target(parsed[0].second[0].data) == std::nullopt);
  const auto bytes = wire::encode(batch, "knockgate", 1).bytes;
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  for (const auto name : {"net4\0"sv, "uses4\0"sv, "forward4\0"sv}) CHECK(text.find(name) != text.npos);
}

TEST_CASE("an element put anew counts on from where the old one stood") {
  Change put{Change::Kind::put, key("203.0.113.9", 22), Millis{1'000}, "ssh - knock 1 2"};
  put.traffic = {105, 105'468};
  std::vector<wire::RawElement> elements;
  wire::for_each_message(wire::encode({put}, "knockgate", 1).bytes,
                         [&](const nlmsghdr* message) { wire::parse_elements(message, elements); });
  REQUIRE(elements.size() == 2);
  CHECK(elements[1].traffic == put.traffic);
}

TEST_CASE("elements are asked for by key alone, many in one message of their set") {
  std::vector<GrantKey> keys{key("203.0.113.9", 22), key("203.0.113.10", 22)};
  for (auto& one : keys) one.set = GrantSet::net;
  const auto messages = messages_of(wire::encode_element_get("knockgate", keys, 7));
  REQUIRE(messages.size() == 1);
  CHECK(messages[0].type == NFT_MSG_GETSETELEM);
  CHECK((messages[0].flags & NLM_F_ACK) != 0);
  CHECK(messages[0].sequence == 7);
  CHECK(messages[0].body.find("net4\0"sv) != std::string::npos);
  CHECK(messages[0].body.find("\xcb\0\x71\x09"sv) < messages[0].body.find("\xcb\0\x71\x0a"sv));
  CHECK(messages[0].body.find("\xcb\0\x71\x0a"sv) != std::string::npos);
}

TEST_CASE("a removal of what is surely there is a delete alone, a put beside it stays an upsert") {
  const Batch batch{{Change::Kind::remove, key("203.0.113.9", 22)},
                    {Change::Kind::put, key("203.0.113.9", 80), Millis{1'000}, "ssh - knock 1 2"}};
  const auto messages = messages_of(wire::encode(batch, "knockgate", 1, true).bytes);
  REQUIRE(messages.size() == 5);
  const auto port_22 = "\x06\0\0\0\0\x16"sv;
  CHECK(messages[1].body.find(port_22) == std::string::npos); // not added first
  CHECK(messages[2].body.find(port_22) != std::string::npos);
  const auto careful = messages_of(wire::encode(batch, "knockgate", 1).bytes);
  CHECK(careful[1].body.find(port_22) != std::string::npos);
}

namespace {

// nft add element inet t forward4 { ... }, where an element of that key leads elsewhere: the answer to a socket
// with NETLINK_EXT_ACK and NETLINK_CAP_ACK (strace -e recvfrom, Linux 6.18).
constexpr auto kRefusal = "\x2c\0\0\0\x02\0\0\x03\x02\0\0\0\xd6\x58\0\0"
                          "\xef\xff\xff\xff\xa8\0\0\0\x0c\x0a\x01\x04\x02\0\0\0\0\0\0\0"
                          "\x08\0\x02\0\x58\0\0\0"sv;

wire::Ack ack_of(std::string bytes) {
  bytes.resize(std::max(bytes.size(), sizeof(nlmsghdr)));
  const auto size = static_cast<std::uint32_t>(bytes.size());
  std::memcpy(bytes.data(), &size, sizeof size);
  return wire::parse_ack(reinterpret_cast<const nlmsghdr*>(bytes.data()));
}

/// Where the element of this port stands in the `nth` message of the batch (the begin is 0).
wire::Ack refusal(const wire::EncodedBatch& encoded, std::uint32_t nth, std::uint16_t port, int error) {
  const auto body = messages_of(encoded.bytes).at(nth).body;
  const char number[]{6, 0, 0, 0, static_cast<char>(port >> 8U), static_cast<char>(port & 0xffU)};
  const auto at = body.find(std::string_view(number, sizeof number));
  REQUIRE(at != body.npos);
  return {encoded.first_sequence + nth, error,
          static_cast<std::uint32_t>(at + sizeof(nlmsghdr) + sizeof(nfgenmsg))};
}

Batch puts(std::string_view address, std::uint16_t first, std::uint16_t last) {
  Batch batch;
  for (auto port = first; port <= last; ++port)
    batch.push_back({Change::Kind::put, key(address, port), Millis{1'000}, "ssh - knock 1 2"});
  return batch;
}

} // namespace

TEST_CASE("an ack tells what was refused, and where; what is not whole tells no place" *
          doctest::skip(kOtherByteOrder)) {
  const std::string golden(kRefusal);
  CHECK(ack_of(golden).sequence == 2);
  CHECK(ack_of(golden).error == EEXIST);
  CHECK(ack_of(golden).offset == 0x58);
  for (std::size_t size = 36; size < golden.size(); ++size) {
    CHECK(ack_of(golden.substr(0, size)).error == EEXIST);
    CHECK_FALSE(ack_of(golden.substr(0, size)).offset);
  }
  auto silent = golden;
  silent[7] = 1; // no NLM_F_ACK_TLVS
  CHECK_FALSE(ack_of(silent).offset);
  auto echoed = golden;
  echoed[7] = 2; // not capped: all 168 bytes of the request stand before the attribute
  CHECK_FALSE(ack_of(echoed).offset);
  echoed.insert(36, 168 - 16, 'x');
  CHECK(ack_of(echoed).offset == 0x58);
  for (const char* length : {"\0\0\0\0", "\xff\xff\xff\xff", "\xfd\xff\xff\xff"}) // of the request
    (void)ack_of(std::string(echoed).replace(20, 4, length, 4));
  CHECK(ack_of(golden.substr(0, 35)).error == EBADMSG);
}

TEST_CASE("the change is named that the offset of an ack stands in, in every set and message") {
  auto batch = puts("203.0.113.9", 1, 200);
  for (const auto& change : puts("2001:db8::9", 1, 200)) batch.insert(batch.begin(), change); // backwards
  for (const bool removals_there : {false, true}) {
    const auto encoded = wire::encode(batch, "knockgate", 7, removals_there);
    // of each family 128 and 72 puts, three messages each
    for (const auto& [nth, port] : {std::pair{1U, 1}, {2U, 128}, {3U, 77}, {4U, 129}, {6U, 200}}) {
      const auto number = static_cast<std::uint16_t>(port);
      const std::vector v4{refusal(encoded, nth, number, ENFILE)};
      CHECK(wire::refused_changes(batch, encoded, v4) == std::vector{Refused{199U + number, ENFILE}});
      const std::vector v6{refusal(encoded, nth + 6, static_cast<std::uint16_t>(201 - port), EINVAL)};
      CHECK(wire::refused_changes(batch, encoded, v6) == std::vector{Refused{number - 1U, EINVAL}});
    }
    const std::vector all{refusal(encoded, 1, 5, ENFILE), refusal(encoded, 4, 130, ENFILE),
                          refusal(encoded, 12, 2, EINVAL)};
    CHECK(wire::refused_changes(batch, encoded, all) ==
          std::vector{Refused{204, ENFILE}, Refused{329, ENFILE}, Refused{198, EINVAL}});
  }
}

TEST_CASE("an ack that speaks of no element names none") {
  const auto batch = puts("203.0.113.9", 22, 22);
  const auto encoded = wire::encode(batch, "knockgate", 7);
  auto ack = refusal(encoded, 1, 22, ENOENT);
  const auto size = messages_of(encoded.bytes)[1].body.size() + sizeof(nlmsghdr) + sizeof(nfgenmsg);
  REQUIRE(wire::refused_changes(batch, encoded, {&ack, 1}).size() == 1);
  for (const std::uint32_t offset : {0U, 20U, static_cast<std::uint32_t>(size), 0xffff'ffffU}) {
    ack.offset = offset; // the header, the name of the table, behind the end
    CHECK(wire::refused_changes(batch, encoded, {&ack, 1}).empty());
  }
  ack.offset.reset();
  CHECK(wire::refused_changes(batch, encoded, {&ack, 1}).empty());
  for (const std::uint32_t sequence : {7U, 11U, 6U, 400U}) { // the begin, the end, others
    const wire::Ack other{sequence, EPERM, 40};
    CHECK(wire::refused_changes(batch, encoded, {&other, 1}).empty());
  }
}

TEST_CASE("what failed for the sake of an earlier message is not named") {
  const auto few = puts("203.0.113.9", 1, 3);
  auto encoded = wire::encode(few, "knockgate", 7);
  std::vector acks{refusal(encoded, 1, 2, EEXIST), refusal(encoded, 2, 3, ENOENT)}; // 3 was not added
  CHECK(wire::refused_changes(few, encoded, acks) == std::vector{Refused{1, EEXIST}});

  auto many = puts("203.0.113.9", 1, 200);
  many[100].kind = Change::Kind::remove; // would have made room for what comes later
  encoded = wire::encode(many, "knockgate", 7);
  acks = {refusal(encoded, 1, 50, ENFILE), refusal(encoded, 4, 150, ENFILE)};
  CHECK(wire::refused_changes(many, encoded, acks) == std::vector{Refused{49, ENFILE}});
  acks[1].error = EINVAL;
  CHECK(wire::refused_changes(many, encoded, acks).size() == 2);
}

// nft add element inet knockgate range4 { 203.0.113.9 . udp . 60000-61000 }, as strace shows it
TEST_CASE("a range has its first port in the key and its last in the end of it" *
          doctest::skip(kOtherByteOrder)) {
  constexpr auto kNftRange =
      "\x14\x00\x01\x80\x10\x00\x01\x00\xcb\x00\x71\x09\x11\x00\x00\x00\xea\x60\x00\x00"
      "\x14\x00\x0a\x80\x10\x00\x01\x00\xcb\x00\x71\x09\x11\x00\x00\x00\xee\x48\x00\x00"sv;
  const GrantKey range{*parse_address("203.0.113.9"), {Protocol::udp, 60'000}, GrantSet::range, 0, 61'000};
  const auto bytes =
      wire::encode({{Change::Kind::put, range, Millis{1'000}, "mosh - knock 1 2"}}, "knockgate", 1).bytes;
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  CHECK(text.find(kNftRange) != text.npos);
  std::vector<wire::RawElement> elements;
  wire::for_each_message(bytes, [&](const nlmsghdr* message) { wire::parse_elements(message, elements); });
  REQUIRE(elements.size() == 2);
  CHECK(wire::decode_grant_key(elements[1].key, GrantSet::range, elements[1].key_end) == range);
  CHECK_FALSE(wire::decode_grant_key(elements[1].key, GrantSet::range));
  auto other = elements[1].key_end;
  other[3] = std::byte{10}; // from one source to the next
  CHECK_FALSE(wire::decode_grant_key(elements[1].key, GrantSet::range, other));
  CHECK_FALSE(wire::decode_grant_key(elements[1].key_end, GrantSet::range, elements[1].key));
}

TEST_CASE("of ranges the removals come first, by themselves: what is put may overlap them") {
  const GrantKey old{*parse_address("203.0.113.9"), {Protocol::udp, 60'000}, GrantSet::range, 0, 61'000};
  auto piece = old;
  piece.last = 60'499;
  const Batch batch{{Change::Kind::put, piece, Millis{1'000}, "mosh - knock 1 2"},
                    {Change::Kind::remove, old}};
  const auto parts = parts_of(batch, 128);
  REQUIRE(parts.size() == 5); // hold and remove the old one; hold, remove, put the new one
  CHECK(parts[1].act == BatchPart::Act::remove);
  CHECK(parts[1].changes == std::vector<const Change*>{&batch[1]});
  CHECK(parts[2].changes == std::vector<const Change*>{&batch[0]});
}
