// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/result.hpp>

#include <sstream>
#include <string>

#include "host/host_facts.hpp"

using namespace knock;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  host::HostFacts facts;
  std::istringstream text(std::string(reinterpret_cast<const char*>(data), size));
  host::read_listeners(text, Protocol::tcp, facts);
  for (const auto& port : facts.listening) KNOCK_ASSERT(port.protocol == Protocol::tcp && port.number != 0);
  return 0;
}
