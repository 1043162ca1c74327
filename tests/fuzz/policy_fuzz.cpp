// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/policy.hpp>

using namespace knock;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto policy = Policy::decode(std::as_bytes(std::span(data, size)));
  if (!policy) return 0;
  // Whatever it says, following it must stay inside of it.
  for (std::size_t id = 0; id <= policy->node_count(); ++id) {
    const auto& node = policy->node(static_cast<NodeId>(id));
    (void)policy->edge(static_cast<NodeId>(id), node.token);
    (void)policy->on_path(static_cast<NodeId>(id), Token{1});
    if (node.ending != 0) (void)policy->ending(node);
  }
  (void)policy->carry_over(*policy);
  KNOCK_ASSERT(Policy::decode(policy->encode()));
  return 0;
}
