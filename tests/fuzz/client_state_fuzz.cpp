// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/client_state.hpp>
#include <knock/result.hpp>

using namespace knock;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  auto state = parse_client_state(text);
  if (!state) return 0;
  KNOCK_ASSERT(encode(*state) == text);
  if (!state->knocked.empty()) note(*state, Knocked(state->knocked.front()));
  const auto last = next_stamp(*state, Wall{1'795'508'321'000'000'000}, size % 2 == 0);
  KNOCK_ASSERT(last == state->stamp && parse_client_state(encode(*state)) == state);
  return 0;
}
