// SPDX-License-Identifier: GPL-2.0-or-later
#include "../harness/kn1_vectors.hpp"

using namespace knock::kn1;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Kn1Vectors vectors(KNOCKGATE_VECTORS);
  const Bytes packet(data, size);
  if (!is_size(size)) return 0;
  const auto head = unmask(packet, vectors.server.server);
  const auto* known = vectors.find(head.kid);
  const auto& device = known != nullptr ? *known : vectors.devices.front(); // to reach what lies behind, too
  const bool fits =
      mac_fits(packet, head, make_mac_key(device.secret, device.mode, vectors.server.server.pub));
  Plain plain;
  const bool opened = open(packet, head, vectors.server, device.psk, device.mode, plain);
  KNOCK_ASSERT(opened ? fits && known != nullptr : plain.m(device.mode).empty());
  if (opened) (void)parse_request(plain.m(device.mode));
  return 0;
}
