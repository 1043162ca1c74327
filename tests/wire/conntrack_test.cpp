// SPDX-License-Identifier: GPL-2.0-or-later
// Golden bytes: what Linux 6.18 sent to the groups NEW, UPDATE and DESTROY in a namespace with a rule that
// uses ct; each block is headed by what had just happened.
#include "wire/conntrack.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>

#include "../harness/recorded.hpp"

using namespace knock;
using namespace std::string_view_literals;

namespace {

// tcp connect from 203.0.113.9:40000 to 192.0.2.1:22, its SYN
constexpr auto kNew =
    "c400000000010006000000000000000002000000340001801400018008000100cb00710908000200c00002011c000280"
    "0500010006000000060002009c4000000600030000160000340002801400018008000100c000020108000200cb007109"
    "1c00028005000100060000000600020000160000060003009c40000008000c0082124679080003000000018808000700"
    "00000078300004802c0001800500010001000000050002000a0000000500030000000000060004000300000006000500"
    "00000000"sv;
// the same, its third packet
constexpr auto kEstablished =
    "c400000000010000000000000000000002000000340001801400018008000100cb00710908000200c00002011c000280"
    "0500010006000000060002009c4000000600030000160000340002801400018008000100c000020108000200cb007109"
    "1c00028005000100060000000600020000160000060003009c40000008000c0082124679080003000000018e08000700"
    "00069780300004802c0001800500010003000000050002000a000000050003000a000000060004002300000006000500"
    "23000000"sv;
// the same, the client's close()
constexpr auto kFinWait =
    "c400000000010000000000000000000002000000340001801400018008000100cb00710908000200c00002011c000280"
    "0500010006000000060002009c4000000600030000160000340002801400018008000100c000020108000200cb007109"
    "1c00028005000100060000000600020000160000060003009c40000008000c0082124679080003000000018e08000700"
    "00000078300004802c0001800500010004000000050002000a000000050003000a000000060004003700000006000500"
    "23000000"sv;
// the same, the service's close()
constexpr auto kLastAck =
    "c400000000010000000000000000000002000000340001801400018008000100cb00710908000200c00002011c000280"
    "0500010006000000060002009c4000000600030000160000340002801400018008000100c000020108000200cb007109"
    "1c00028005000100060000000600020000160000060003009c40000008000c0082124679080003000000018e08000700"
    "0000001e300004802c0001800500010006000000050002000a000000050003000a000000060004002700000006000500"
    "33000000"sv;
// the same, the ACK of that
constexpr auto kTimeWait =
    "c400000000010000000000000000000002000000340001801400018008000100cb00710908000200c00002011c000280"
    "0500010006000000060002009c4000000600030000160000340002801400018008000100c000020108000200cb007109"
    "1c00028005000100060000000600020000160000060003009c40000008000c0082124679080003000000018e08000700"
    "00000078300004802c0001800500010007000000050002000a000000050003000a000000060004002700000006000500"
    "23000000"sv;
// the same, conntrack -D
constexpr auto kDestroy =
    "a400000002010000000000008ee970d502000000340001801400018008000100cb00710908000200c00002011c000280"
    "0500010006000000060002009c4000000600030000160000340002801400018008000100c000020108000200cb007109"
    "1c00028005000100060000000600020000160000060003009c40000008000c0082124679080003000000038e08000700"
    "00000077100004800c0001800500010007000000"sv;
// tcp connect to 192.0.2.1:23, then the client's RST (SO_LINGER 0)
constexpr auto kReset =
    "c400000000010000000000000000000002000000340001801400018008000100cb00710908000200c00002011c000280"
    "0500010006000000060002009c4000000600030000170000340002801400018008000100c000020108000200cb007109"
    "1c00028005000100060000000600020000170000060003009c40000008000c00bf96c0a2080003000000018e08000700"
    "0000000a300004802c0001800500010008000000050002000a000000050003000a000000060004002300000006000500"
    "23000000"sv;
// nft ... ip daddr 192.0.2.1 tcp dport 8022 dnat ip to 192.0.2.1:22; tcp connect to 192.0.2.1:8022
constexpr auto kDnat =
    "c400000000010006000000000000000002000000340001801400018008000100cb00710908000200c00002011c000280"
    "0500010006000000060002009c400000060003001f560000340002801400018008000100c000020108000200cb007109"
    "1c00028005000100060000000600020000160000060003009c40000008000c00427f8bbf08000300000001a808000700"
    "00000078300004802c0001800500010001000000050002000a0000000500030000000000060004000300000006000500"
    "00000000"sv;
// nft ... tcp dport 8023 ct zone set 7; tcp connect to 192.0.2.1:8023
constexpr auto kZone =
    "cc00000000010006000000000000000002000000340001801400018008000100cb00710908000200c00002011c000280"
    "0500010006000000060002009c400000060003001f570000340002801400018008000100c000020108000200cb007109"
    "1c0002800500010006000000060002001f570000060003009c400000060012000007000008000c000eebbe8808000300"
    "000001880800070000000078300004802c0001800500010001000000050002000a000000050003000000000006000400"
    "030000000600050000000000"sv;
// nft ... tcp dport 8024 ct original zone set 9; tcp connect to 192.0.2.1:8024
constexpr auto kOriginalZone =
    "cc000000000100060000000000000000020000003c0001801400018008000100cb00710908000200c00002011c000280"
    "0500010006000000060002009c400000060003001f5800000600030000090000340002801400018008000100c0000201"
    "08000200cb0071091c0002800500010006000000060002001f580000060003009c40000008000c005df9980f08000300"
    "000001880800070000000078300004802c0001800500010001000000050002000a000000050003000000000006000400"
    "030000000600050000000000"sv;
// tcp connect from [2001:db8:9::9]:40000 to [2001:db8:f::1]:22
constexpr auto kNew6 =
    "f40000000001000600000000000000000a0000004c0001802c0001801400030020010db8000900000000000000000009"
    "1400040020010db8000f000000000000000000011c0002800500010006000000060002009c4000000600030000160000"
    "4c0002802c0001801400030020010db8000f000000000000000000011400040020010db8000900000000000000000009"
    "1c00028005000100060000000600020000160000060003009c40000008000c009438cdd3080003000000018808000700"
    "00000078300004802c0001800500010001000000050002000a0000000500030000000000060004000300000006000500"
    "00000000"sv;
// the same, closed by both
constexpr auto kTimeWait6 =
    "f40000000001000000000000000000000a0000004c0001802c0001801400030020010db8000900000000000000000009"
    "1400040020010db8000f000000000000000000011c0002800500010006000000060002009c4000000600030000160000"
    "4c0002802c0001801400030020010db8000f000000000000000000011400040020010db8000900000000000000000009"
    "1c00028005000100060000000600020000160000060003009c40000008000c009438cdd3080003000000018e08000700"
    "00000078300004802c0001800500010007000000050002000a000000050003000a000000060004002700000006000500"
    "23000000"sv;
// sendto 192.0.2.1:53 from 203.0.113.9:40000
constexpr auto kUdp =
    "9400000000010006000000000000000002000000340001801400018008000100cb00710908000200c00002011c000280"
    "0500010011000000060002009c4000000600030000350000340002801400018008000100c000020108000200cb007109"
    "1c00028005000100110000000600020000350000060003009c40000008000c00e24fbf7b080003000000018808000700"
    "0000001e"sv;
// the same, the service's answer
constexpr auto kUdpAnswered =
    "9400000000010000000000000000000002000000340001801400018008000100cb00710908000200c00002011c000280"
    "0500010011000000060002009c4000000600030000350000340002801400018008000100c000020108000200cb007109"
    "1c00028005000100110000000600020000350000060003009c40000008000c00e24fbf7b080003000000018a08000700"
    "0000001e"sv;
// the same, conntrack -D -p udp
constexpr auto kUdpDestroy =
    "94000000020100000000000052a7c58102000000340001801400018008000100cb00710908000200c00002011c000280"
    "0500010011000000060002009c4000000600030000350000340002801400018008000100c000020108000200cb007109"
    "1c00028005000100110000000600020000350000060003009c40000008000c00e24fbf7b080003000000038a08000700"
    "0000001d"sv;
// an echo request to 192.0.2.1
constexpr auto kIcmp =
    "a4000000000100060000000000000000020000003c0001801400018008000100cb00710908000200c000020124000280"
    "05000100010000000600040000010000050005000800000005000600000000003c0002801400018008000100c0000201"
    "08000200cb00710924000280050001000100000006000400000100000500050000000000050006000000000008000c00"
    "76eaa49b0800030000000188080007000000001e"sv;

wire::Bytes bytes_of(std::string_view hex) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  wire::Bytes bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes.push_back(static_cast<std::byte>(digit(hex[i]) << 4 | digit(hex[i + 1])));
  return bytes;
}

const nlmsghdr* message_in(const wire::Bytes& bytes) {
  return reinterpret_cast<const nlmsghdr*>(bytes.data());
}

std::optional<FlowEvent> event(std::string_view hex) {
  return wire::parse_flow_event(message_in(bytes_of(hex)));
}
std::optional<Flow> flow(std::string_view hex) {
  return wire::parse_flow(message_in(bytes_of(hex)));
}

/// The flow of an event of the kind that is expected, else one of nobody.
Flow begun(std::string_view hex) {
  const auto found = event(hex);
  return found && found->kind == FlowEvent::Kind::begun ? found->flow : Flow{};
}
Flow answered(std::string_view hex) {
  const auto found = event(hex);
  return found && found->kind == FlowEvent::Kind::answered ? found->flow : Flow{};
}
Flow ended(std::string_view hex) {
  const auto found = event(hex);
  return found && found->kind == FlowEvent::Kind::ended ? found->flow : Flow{};
}

/// A flow from 203.0.113.9:40000 or its IPv6 sister to 192.0.2.1 or its, with the id and zone of `like`.
Flow to(Port port, const Flow& like, bool ipv6 = false) {
  return {*parse_address(ipv6 ? "2001:db8:9::9" : "203.0.113.9"),
          40'000,
          *parse_address(ipv6 ? "2001:db8:f::1" : "192.0.2.1"),
          port,
          like.id,
          like.zone};
}

constexpr Port kSsh{Protocol::tcp, 22};

} // namespace

TEST_SUITE_BEGIN("recorded" * doctest::skip(kOtherByteOrder));

TEST_CASE("a first packet begins a flow, with both ends and an id") {
  const auto found = begun(kNew);
  CHECK(found == to(kSsh, found));
  CHECK(found.id != 0);
  CHECK(found.zone == 0);
}

TEST_CASE("what a connection does while it lives says that it was answered, and neither begins nor ends it") {
  CHECK(answered(kEstablished) == begun(kNew));
  CHECK(answered(kFinWait) == begun(kNew)); // half closed: the other half may go on for hours
  CHECK(answered(kUdpAnswered).port.protocol == Protocol::udp);
}

TEST_CASE("a closed connection has ended before the kernel forgets it, and is the one that began") {
  const auto first = begun(kNew);
  CHECK(ended(kLastAck) == first);
  CHECK(ended(kTimeWait) == first);
  CHECK(ended(kDestroy) == first);
}

TEST_CASE("a reset ends a connection") {
  const auto found = ended(kReset);
  CHECK(found == to({Protocol::tcp, 23}, found));
}

TEST_CASE("a flow to a published port has the port that the client sees") {
  const auto found = begun(kDnat);
  CHECK(found == to({Protocol::tcp, 8022}, found));
}

TEST_CASE("IPv6 and UDP flows begin and end likewise") {
  const auto six = begun(kNew6);
  CHECK(six == to(kSsh, six, true));
  CHECK(six.id != 0);
  CHECK(ended(kTimeWait6) == six);
  const auto udp = begun(kUdp);
  CHECK(udp == to({Protocol::udp, 53}, udp));
  CHECK(udp.id != 0);
  CHECK(ended(kUdpDestroy) == udp);
}

TEST_CASE("the zone is that of the first direction, however it was set") {
  CHECK(begun(kZone).zone == 7);
  CHECK(begun(kOriginalZone).zone == 9);
}

TEST_CASE("what is neither tcp nor udp is no flow of ours") {
  CHECK_FALSE(event(kIcmp));
  CHECK_FALSE(flow(kIcmp));
  std::string sctp(kUdp); // it has ports too
  const auto protocol = sctp.find("0500010011");
  REQUIRE(protocol != std::string::npos);
  sctp.replace(protocol, 10, "0500010084");
  CHECK_FALSE(event(sctp));
}

TEST_CASE("an answer is a flow while it is not closed") {
  // The messages of an answer are those of an UPDATE.
  CHECK(flow(kEstablished) == begun(kNew));
  CHECK(flow(kFinWait) == begun(kNew));
  for (const auto closed : {kLastAck, kTimeWait, kReset, kDestroy}) CHECK_FALSE(flow(closed));
}

TEST_CASE("a get names the ends as the kernel named them") {
  for (const auto golden : {kNew, kNew6, kUdp, kDnat}) {
    const auto wanted = bytes_of(golden);
    // The tuple of the first direction stands first in what the kernel sends, and it names the zone beside
    // it.
    const auto* tuple =
        static_cast<const nlattr*>(mnl_nlmsg_get_payload_offset(message_in(wanted), 4 /* nfgenmsg */));
    const auto asked = wire::encode_flow_get(begun(golden), 5);
    CHECK(message_in(asked)->nlmsg_len == asked.size());
    CHECK(message_in(asked)->nlmsg_seq == 5);
    CHECK(asked[sizeof(nlmsghdr)] == wanted[sizeof(nlmsghdr)]); // the family
    const auto* begin = reinterpret_cast<const std::byte*>(tuple);
    CHECK(std::equal(begin, begin + tuple->nla_len, asked.begin() + sizeof(nlmsghdr) + 4, asked.end()));
  }
  const auto zoned = wire::encode_flow_get(begun(kZone), 6);
  const auto zone = bytes_of("0600120000070000"sv); // CTA_ZONE 7
  CHECK(std::search(zoned.begin(), zoned.end(), zone.begin(), zone.end()) != zoned.end());
}

TEST_CASE("a flow is forgotten by its id, so that another one between the same ends lives") {
  auto flow = begun(kZone);
  flow.id = 0x01020304;
  const auto asked = wire::encode_flow_delete(flow, 7);
  CHECK(message_in(asked)->nlmsg_type == 0x0102); // NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_DELETE
  const auto id = bytes_of("08000c0001020304"sv); // CTA_ID, in network order
  CHECK(std::search(asked.begin(), asked.end(), id.begin(), id.end()) != asked.end());
}

TEST_CASE("every prefix of a message is survived, and none invents a flow") {
  const auto whole = bytes_of(kNew);
  const auto first = begun(kNew);
  for (std::size_t size = sizeof(nlmsghdr); size < whole.size(); ++size) {
    wire::Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    const auto length = static_cast<std::uint32_t>(size);
    std::memcpy(cut.data(), &length, sizeof length);
    const auto found = wire::parse_flow_event(message_in(cut));
    if (found) CHECK(found->flow == first);
  }
}

TEST_CASE("an attribute of the wrong length is refused, not the end of the process") {
  auto bytes = bytes_of(kNew);
  auto* tuple = static_cast<nlattr*>(mnl_nlmsg_get_payload_offset(message_in(bytes), 4));
  auto* source =
      static_cast<nlattr*>(mnl_attr_get_payload(static_cast<nlattr*>(mnl_attr_get_payload(tuple))));
  REQUIRE(source->nla_len == 8);
  source->nla_len = 6;
  CHECK_FALSE(wire::parse_flow_event(message_in(bytes)));
}

TEST_SUITE_END();
