// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/firewall.hpp"

using namespace knock;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text{reinterpret_cast<const char*>(data), size};
  auto firewall = host::parse_firewall({text}, {});
  host::read_elements(text, firewall);
  std::size_t budget = 10'000;
  for (const auto protocol : {Protocol::tcp, Protocol::udp})
    for (const auto& [name, chain] : firewall.chains) {
      host::Packet packet;
      packet.protocol = protocol;
      packet.ports = {{22, 22}};
      (void)host::fate_of(packet, firewall, chain, budget);
    }
  return 0;
}
