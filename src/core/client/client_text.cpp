// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/client_text.hpp>

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace knock {
namespace {

std::string file_name(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

std::string place_text(const OpeningStory& story) {
  return story.port ? fmt::format("{} {}", story.host, to_string(*story.port)) : story.host;
}

std::string binding_text(const OpeningStory& story) {
  if (!story.signed_packets) return {};
  if (story.bound && story.unbound) return ", bound and unbound";
  return story.bound ? ", bound" : ", unbound";
}

std::vector<std::string> hints_of(const OpeningStory& story, ToLocal to_local) {
  std::vector<std::string> hints;
  if (story.ended) hints.push_back("your access ended " + date_text(*story.ended, to_local));
  if (story.waits_for_admin && !story.ever_opened)
    hints.emplace_back("never opened yet: has the admin run device add?");
  if (story.password) hints.emplace_back("a wrong password is not told: try it once more");
  if (story.clock_is_off)
    hints.emplace_back("this clock is not synchronised; 30 s fast or 2 min slow is refused; timedatectl");
  if (story.rejected)
    hints.push_back(story.rejected->port == 0
                        ? "a firewall rejects icmp; try without --icmp"
                        : fmt::format("a firewall rejects {}; try --icmp", to_string(*story.rejected)));
  if (story.port_unreachable) hints.emplace_back("the router answers (port unreachable): packets arrive");
  if (story.all_refused) hints.emplace_back("each try was refused: shut, or nothing listens");
  if (!story.user.empty())
    hints.push_back(
        fmt::format("the router is silent but knows why: sudo knockctl user show {}", story.user));
  return hints;
}

} // namespace

std::string span_text(Millis span) {
  if (span < Seconds{1}) return fmt::format("{} ms", span.count());
  if (span.count() % 1'000 == 0) return fmt::format("{} s", span.count() / 1'000);
  return fmt::format("{}.{} s", span.count() / 1'000, span.count() % 1'000 / 100);
}

Failure nothing_opened(const OpeningStory& story, ToLocal to_local) {
  std::vector<std::string> routers;
  for (const auto& router : story.routers) routers.push_back(to_string(router));
  auto text = fmt::format("nothing opened at {} within {} ({} knock{} to {}{})", place_text(story),
                          span_text(story.timeout), story.knocks, story.knocks == 1 ? "" : "s",
                          fmt::join(routers, ", "), binding_text(story));
  return {ExitCode::failed, "failed", {}, std::move(text), {}, hints_of(story, to_local)};
}

Failure service_refuses(const OpeningStory& story) {
  const auto what = story.door.empty() ? "it" : story.door;
  return {ExitCode::failed,
          "failed",
          {},
          fmt::format("{} is open, but {} refuses", what, place_text(story)),
          "does the service run?"};
}

Failure no_address(const std::string& host, const std::string& reason, const std::string& profile) {
  const auto file =
      profile.empty() ? std::string("type an address") : fmt::format("put an address into {}.toml", profile);
  return {ExitCode::unreachable,
          "unreachable",
          {},
          fmt::format("{} has no address ({})", host, reason),
          fmt::format("check the network, or {}", file)};
}

Failure no_route(const std::string& host, const std::vector<std::pair<Address, std::string>>& why) {
  std::vector<std::string> each;
  for (const auto& [address, reason] : why) each.push_back(fmt::format("{}: {}", to_string(address), reason));
  return {ExitCode::unreachable,
          "unreachable",
          {},
          fmt::format("no route to {} ({})", host, fmt::join(each, ", ")),
          {}};
}

Failure cannot_bind(const Profile& profile, const Address& local) {
  return {ExitCode::usage,
          "usage",
          {},
          fmt::format("{} is no public address, and the router takes bound packets alone of {}",
                      to_string(local), profile.device),
          fmt::format("write your public address as source into {}.toml, or ask the admin for "
                      "require_source = false",
                      profile.name)};
}

Failure exposed_keys(const std::string& path, unsigned mode) {
  return {ExitCode::denied,
          "not-allowed",
          {},
          fmt::format("{} may be {} by others (mode {:04o})", file_name(path),
                      (mode & 022U) != 0 ? "written" : "read", mode),
          fmt::format("chmod 0600 {}", path)};
}

Failure foreign_keys(const std::string& path, unsigned owner) {
  return {ExitCode::denied,
          "not-allowed",
          {},
          fmt::format("{} belongs to another user ({})", file_name(path), owner),
          fmt::format("as root: chown $USER {0}; chmod 0600 {0}", path)};
}

} // namespace knock
