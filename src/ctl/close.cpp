// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/verbs.hpp"

#include <unistd.h>

#include <algorithm>

#include <fmt/format.h>

#include "ctl/connections.hpp"
#include "ctl/control_client.hpp"
#include "ctl/show.hpp"
#include "system/files.hpp"

namespace knock::ctl {
namespace {

/// Whose connections are meant; empty: all.
struct Meant {
  std::optional<std::string> door;
  std::optional<Prefix> source;
};

Meant meant_by(const CommandLine& given, const Status& before) {
  Meant meant;
  if (given.all) return meant;
  meant.door = given.words[0];
  const auto grant = std::find_if(before.grants.begin(), before.grants.end(), [&](const StatusGrant& one) {
    return std::to_string(one.id) == given.words[0];
  });
  const auto whole = [](const Address& address) {
    return Prefix{address, static_cast<std::uint8_t>(address.family == Family::ipv4 ? 32 : 128)};
  };
  if (grant != before.grants.end()) {
    meant.door = grant->door;
    if (const auto source = parse_address(grant->source))
      meant.source = Prefix{*source, static_cast<std::uint8_t>(grant->prefix)};
  }
  if (given.words.size() < 2) return meant;
  meant.source = parse_prefix(given.words[1]);
  if (const auto connection = parse_target(given.words[1]); !meant.source && connection)
    meant.source = whole(connection->address);
  return meant;
}

bool is_meant(const Meant& meant, const Lasting& one) {
  return (!meant.door || *meant.door == one.door) &&
         (!meant.source || meant.source->contains(one.flow.source));
}

std::string typed(const CommandLine& given) {
  std::string text = "sudo knockctl close --cut";
  for (const auto& word : given.words) text += " " + word;
  return text + (given.all ? " --all" : "");
}

/// Says what lives on, or ends it. Only root can look.
void see_to(const CommandLine& given, const Meant& meant, Reply& reply) {
  const auto say = [&](const std::string& text) { reply.lines.push_back(text_line(text)); };
  if (::geteuid() != 0)
    return say("what is connected lives on where flows = \"keep\"; to end it: " + typed(given));
  const auto parsed = system::load_config(config_of(given));
  const auto status = status_of(ask(socket_of(given), {"status", {}}));
  if (!parsed.config || !status) {
    if (given.cut)
      reply.failure = {ExitCode::bad_config,
                       "bad-config",
                       {},
                       "no connection is ended: the configuration cannot be read",
                       "sudo knockctl check"};
    return;
  }
  auto found = lasting_connections(*parsed.config, *status);
  if (found) std::erase_if(*found, [&](const Lasting& one) { return !is_meant(meant, one); });
  if (found && !given.cut && !found->empty())
    return say(fmt::format("{} on without a grant; to end {}: {}",
                           found->size() == 1 ? "1 connection lives"
                                              : fmt::format("{} connections live", found->size()),
                           found->size() == 1 ? "it" : "them", typed(given)));
  if (!given.cut) return;
  const auto ended = found ? end_connections(*found) : tl::unexpected(found.error());
  if (!ended) {
    reply.failure = failure_of(ended.error());
    return;
  }
  say(fmt::format("{} ended.", plural(*ended, "connection")));
  if (*ended != 0) reply.failure = {}; // no grant was left, but they were
}

} // namespace

int close(const CommandLine& given) {
  Request request{"close", {}};
  if (given.all == !given.words.empty() || given.words.size() > 2)
    return fail(given,
                usage_failure("close what?", "knockctl close DOOR|ID [ADDRESS], or knockctl close --all"));
  if (given.cut && ::geteuid() != 0)
    return fail(
        given,
        {ExitCode::denied, "not-allowed", {}, "--cut ends connections, which is root's", typed(given)});
  if (given.all) request.values["all"] = "1";
  if (!given.words.empty()) request.values["what"] = given.words[0];
  if (given.words.size() == 2) request.values["source"] = given.words[1];
  std::optional<Status> before; // whose grant an id is, it tells
  if (!given.all && given.words[0].find_first_not_of("0123456789") == std::string::npos)
    before = status_of(ask(socket_of(given), {"status", {}}));
  auto reply = ask(socket_of(given), request);
  const auto& failure = reply.failure;
  const bool nothing_open = failure.exit == ExitCode::failed && failure.text == "nothing open matches";
  if (failure.exit == ExitCode::done || (given.cut && nothing_open))
    see_to(given, meant_by(given, before.value_or(Status{})), reply);
  return show(given, reply);
}

} // namespace knock::ctl
