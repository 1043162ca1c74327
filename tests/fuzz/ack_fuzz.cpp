// SPDX-License-Identifier: GPL-2.0-or-later
#include "wire/nftables.hpp"
#include <knock/result.hpp>

#include <cstddef>
#include <cstdint>

using namespace knock;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Batch batch(300, {Change::Kind::put, {*parse_address("203.0.113.9"), {Protocol::tcp, 22}}});
  static const auto encoded = wire::encode(batch, "knockgate", 1);
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  const wire::Bytes exact(bytes, bytes + size); // so that one byte too far is seen
  std::vector<wire::Ack> acks;
  wire::for_each_message(exact, [&](const nlmsghdr* message) {
    if (message->nlmsg_type == NLMSG_ERROR) acks.push_back(wire::parse_ack(message));
  });
  for (const auto& refused : wire::refused_changes(batch, encoded, acks))
    KNOCK_ASSERT(refused.at < batch.size() && refused.code > 0);
  return 0;
}
