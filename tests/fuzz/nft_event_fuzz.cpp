// SPDX-License-Identifier: GPL-2.0-or-later
#include <cstring>
#include <vector>

#include "wire/nft_event.hpp"
#include <knock/result.hpp>

#include <cstddef>
#include <cstdint>

using namespace knock;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  const wire::Bytes exact(bytes, bytes + size); // so that one byte too far is seen
  wire::for_each_message(exact, [&](const nlmsghdr* message) {
    const auto event = wire::parse_nft_event(message);
    if (!event) return;
    const auto grants = wire::grant_set_named(event->set);
    for (const auto& key : event->keys) KNOCK_ASSERT(grants && grants->set == key.set);
    KNOCK_ASSERT((event->keys.size() + event->other_keys.size()) * 4 <= size);
  });
  return 0;
}
