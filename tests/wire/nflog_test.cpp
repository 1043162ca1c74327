// SPDX-License-Identifier: GPL-2.0-or-later
#include "wire/nflog.hpp"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>

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

TEST_CASE("the settings are in the range that the kernel takes without clamping") {
  const wire::NflogSettings settings;
  CHECK(settings.buffer_bytes >= 4096);
  CHECK(settings.buffer_bytes <= 131'072);
  const auto bytes = wire::encode_nflog_settings(40, 3, settings);
  const auto* message = reinterpret_cast<const nlmsghdr*>(bytes.data());
  CHECK(message->nlmsg_len == bytes.size());
  CHECK((message->nlmsg_flags & NLM_F_ACK) != 0);
}
