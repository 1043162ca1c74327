// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/policy.hpp>
#include <knock/result.hpp>

using namespace knock;

/// A packet as this kind describes it, whose payload is the image: the words stand in it.
static Packet packet_of(const PacketKind& kind, std::span<const std::byte> image) {
  Packet packet;
  packet.protocol = kind.port.protocol;
  packet.port = kind.port.number;
  packet.tcp_flags = kind.flags;
  packet.length = kind.length.value_or(static_cast<std::uint16_t>(image.size()));
  packet.payload = image;
  return packet;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto image = std::as_bytes(std::span(data, size));
  const auto policy = Policy::decode(image);
  if (!policy) return 0;
  // Whatever it says, following it must stay inside of it.
  for (std::size_t id = 0; id <= policy->node_count(); ++id) {
    const auto& node = policy->node(static_cast<NodeId>(id));
    (void)policy->edge(static_cast<NodeId>(id), node.token);
    (void)policy->on_path(static_cast<NodeId>(id), Token{1});
    if (node.ending != 0) (void)policy->ending(node);
  }
  (void)policy->kinds().copy_bytes();
  for (const auto& kind : policy->kinds().special())
    KNOCK_ASSERT(policy->kinds().token_of(packet_of(kind, image)));
  const auto parsed = parse_packet(image.subspan(image.size() / 2));
  if (parsed.reason == Unparsed::none) (void)policy->kinds().token_of(parsed.packet);
  (void)policy->carry_over(*policy);
  KNOCK_ASSERT(Policy::decode(policy->encode()));
  return 0;
}
