// SPDX-License-Identifier: GPL-2.0-or-later
#include "wire/nflog.hpp"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <endian.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>

#include <cerrno>
#include <chrono>
#include <limits>
#include <string_view>

using namespace knock;

namespace {

/// A report as nfnetlink_log.c builds it: header, packet header, number, payload; then NLMSG_DONE.
wire::Bytes report(std::uint16_t group, std::uint32_t sequence, std::string_view payload) {
  wire::MessageWriter writer(1024);
  auto* message = mnl_nlmsg_put_header(writer.next());
  message->nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET;
  auto* header = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(nfgenmsg)));
  header->res_id = htons(group);
  mnl_attr_put_u32(message, NFULA_SEQ, htonl(sequence));
  mnl_attr_put(message, NFULA_PAYLOAD, payload.size(), payload.data());
  writer.finish(message);
  auto* done = mnl_nlmsg_put_header(writer.next());
  done->nlmsg_type = NLMSG_DONE;
  writer.finish(done);
  return std::move(writer).take();
}

} // namespace

TEST_CASE("a report gives group, number and payload") {
  std::vector<wire::Logged> logged;
  const auto bytes = report(41, 7, "packet");
  const auto datagram = wire::parse_nflog(bytes, logged);
  CHECK(datagram.malformed == 0);
  REQUIRE(logged.size() == 1);
  CHECK(logged[0].group == 41);
  CHECK(logged[0].sequence == 7);
  CHECK(std::string_view(reinterpret_cast<const char*>(logged[0].payload.data()), logged[0].payload.size()) ==
        "packet");
}

TEST_CASE("every prefix of a report is survived, and none invents a packet") {
  const auto whole = report(40, 1, "payload");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    std::vector<wire::Logged> logged;
    const wire::Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    wire::parse_nflog(cut, logged);
    CHECK(logged.size() <= 1);
  }
}

TEST_CASE("a report without payload is counted, not passed on") {
  auto bytes = report(40, 1, "x");
  auto* message = reinterpret_cast<nlmsghdr*>(bytes.data());
  auto* attribute = static_cast<nlattr*>(mnl_nlmsg_get_payload_offset(message, sizeof(nfgenmsg)));
  mnl_attr_next(attribute)->nla_type = NFULA_PREFIX;
  std::vector<wire::Logged> logged;
  CHECK(wire::parse_nflog(bytes, logged).malformed == 1);
  CHECK(logged.empty());
}

TEST_CASE("an attribute that ends behind its message makes it no report, however little it is") {
  for (const unsigned missing : {1U, 2U, 3U}) {
    auto bytes = report(40, 1, "eight by");
    reinterpret_cast<nlmsghdr*>(bytes.data())->nlmsg_len -= missing;
    std::vector<wire::Logged> logged;
    CHECK(wire::parse_nflog(bytes, logged).malformed == 1);
    CHECK(logged.empty());
  }
}

TEST_CASE("the time of a report is the kernel's, and one that cannot be is none") {
  using namespace std::chrono_literals;
  const auto stamp_of = [](std::uint64_t seconds, std::uint64_t micros, std::size_t bytes) {
    wire::MessageWriter writer(1024);
    auto* message = mnl_nlmsg_put_header(writer.next());
    message->nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET;
    mnl_nlmsg_put_extra_header(message, sizeof(nfgenmsg));
    const nfulnl_msg_packet_timestamp stamp{htobe64(seconds), htobe64(micros)};
    mnl_attr_put(message, NFULA_TIMESTAMP, bytes, &stamp);
    mnl_attr_put(message, NFULA_PAYLOAD, 1, "x");
    writer.finish(message);
    const auto whole = std::move(writer).take();
    std::vector<wire::Logged> logged;
    wire::parse_nflog(whole, logged);
    REQUIRE(logged.size() == 1);
    return logged[0].stamp;
  };
  CHECK(stamp_of(1'764'103'938, 250'000, 16) == 1'764'103'938s + 250ms);
  CHECK(stamp_of(1, 1'000'000, 16) == std::nullopt);
  CHECK(stamp_of(~std::uint64_t{0}, 0, 16) == std::nullopt);
  CHECK(stamp_of(1, 0, 8) == std::nullopt);
}

TEST_CASE("an error with a number that is no errno reads as a broken message") {
  const auto ack_of = [](int error) {
    wire::MessageWriter writer(1024);
    auto* message = mnl_nlmsg_put_header(writer.next());
    message->nlmsg_type = NLMSG_ERROR;
    static_cast<nlmsgerr*>(mnl_nlmsg_put_extra_header(message, sizeof(nlmsgerr)))->error = error;
    writer.finish(message);
    const auto bytes = std::move(writer).take();
    std::vector<wire::Logged> logged;
    return wire::parse_nflog(bytes, logged).ack.value().error;
  };
  CHECK(ack_of(0) == 0);
  CHECK(ack_of(-EPERM) == EPERM);
  CHECK(ack_of(-4095) == 4095);
  for (const int none : {std::numeric_limits<int>::min(), -4096, 1, std::numeric_limits<int>::max()})
    CHECK(ack_of(none) == EBADMSG);
}

TEST_CASE("the settings are in the range that the kernel takes without clamping") {
  const wire::NflogSettings settings;
  CHECK(settings.buffer_bytes >= 4096);
  CHECK(settings.buffer_bytes <= 131'072);
  const auto bytes = wire::encode_nflog_settings(40, 3, settings);
  const auto* message = reinterpret_cast<const nlmsghdr*>(bytes.data());
  CHECK(message->nlmsg_len == bytes.size());
  CHECK((message->nlmsg_flags & NLM_F_ACK) != 0);
}
