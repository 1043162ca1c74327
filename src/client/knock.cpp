// SPDX-License-Identifier: GPL-2.0-or-later
// knockgate knock: steps that are typed; no profile, and nothing tells what came of them.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <knock/client_text.hpp>
#include <knock/sent_steps.hpp>

#include "client/names.hpp"
#include "client/sender.hpp"
#include "client/session.hpp"
#include "client/show.hpp"
#include "client/verbs.hpp"
#include "core/json_text.hpp"
#include "system/process.hpp"

namespace knock::client {
namespace {

/// All steps to one address. Errors: the first that could not be sent.
Result<void> send_all(const std::vector<SentStep>& steps, const Way& way) {
  system::EventLoop loop;
  Sender sender(loop);
  Millis sent{0};
  for (const auto& step : steps) {
    if (step.at > sent) system::pause(step.at - sent);
    sent = step.at;
    if (auto done = sender.send(way, step.kind); !done) return done;
  }
  return {};
}

} // namespace

int knock(const ClientLine& given) {
  const auto& host = given.words[0];
  const Millis spacing{given.spacing.value_or(static_cast<unsigned>(kSpacing.count()))};
  const auto steps = sent_steps(std::span(given.words).subspan(1), spacing);
  if (!steps) return fail(given, steps.error());
  const auto found = resolve({host}, given);
  if (found.addresses.empty()) return fail(given, no_address(host, found.reason, {}));
  std::vector<std::string> knocked;
  std::vector<std::pair<Address, std::string>> failed;
  for (const auto& address : found.addresses) {
    if (!knocked.empty() || !failed.empty()) system::pause(kSpacing);
    const auto source = source_towards(address);
    auto sent = source ? send_all(*steps, {address, address, *source, {}}) : tl::unexpected(source.error());
    if (!sent && is_forbidden(sent.error())) return fail(given, no_ping_socket());
    if (sent)
      knocked.push_back(to_string(address));
    else
      failed.emplace_back(address, reason_text(sent.error()));
  }
  if (knocked.empty()) return fail(given, no_route(host, failed));
  if (given.json)
    fmt::print("{}\n", json_text({{"schema", 1}, {"state", "sent"}, {"addresses", knocked}}));
  else
    fmt::print("knock sent to {}; cannot be verified\n", fmt::join(knocked, ", "));
  return 0;
}

} // namespace knock::client
