// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/verbs.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>

#include <fmt/format.h>

#include <knock/status.hpp>

#include "ctl/connections.hpp"
#include "ctl/control_client.hpp"
#include "ctl/show.hpp"
#include "system/boot_path.hpp"
#include "system/files.hpp"

namespace knock::ctl {
namespace {

/// The configuration on disk; for who may not read it, what status itself says of the one that runs.
Config config_for(const CommandLine& given, const Status& status) {
  if (auto parsed = system::load_config(config_of(given)); parsed.config) return std::move(*parsed.config);
  Config config;
  for (const auto& name : status.gate.trust)
    if (!parse_prefix(name)) config.gate.trust_interfaces.push_back(name);
  Door door;
  for (const auto& guarded : status.gate.guarded)
    if (const auto range = parse_port_range(guarded.port)) door.ranges.push_back(*range);
  config.doors.push_back(std::move(door));
  return config;
}

/// What stands in the way on this host now. Status has a line of its own for the boot file.
void add_findings(const CommandLine& given, Look look, Status& status) {
  if (status.state != "enforcing") return;
  status.findings_hidden = ::geteuid() != 0;
  constexpr std::string_view kRun = "run: ";
  for (auto& finding : look(config_for(given, status))) {
    if (finding.name == finding::kBootFile || finding.name == finding::kNotJudged) continue;
    StatusWarning warning{std::string(finding.name), printable(finding.text), ""};
    if (finding.advice.starts_with(kRun))
      warning.run = printable(finding.advice.substr(kRun.size()));
    else
      warning.text += "; " + printable(finding.advice);
    status.warnings.push_back(std::move(warning));
  }
}

/// Systemd's files say it, which the daemon does not read.
void add_boot(const CommandLine& given, Status& status) {
  if (status.config.boot_file == "none") return;
  const auto boot = system::boot_path(config_for(given, status).nft.boot_file);
  if (!boot.by.empty() || !boot.fault.empty()) status.config.boot_by = boot.by;
}

/// An edit that nobody loaded: root can read both the files and what runs.
void add_unloaded(const CommandLine& given, Status& status) {
  const auto path = config_of(given);
  if (::geteuid() != 0 || !status.config.ok) return;
  if (!given.config && ::access(path.c_str(), F_OK) != 0) return; // the daemon has another one
  const auto facts = parse_save_facts(ask(socket_of(given), {"save", {{"look", "1"}}}).lines);
  const auto parsed = system::load_config(path);
  if (!facts || (parsed.config && parsed.config->hash == facts->config)) return;
  if (parsed.config)
    status.warnings.push_back({"not-loaded",
                               fmt::format("{}, or a file beside it, was edited and is not loaded", path),
                               "sudo knockctl reload --confirm 10m"});
  else
    status.warnings.push_back({"not-loaded",
                               "the configuration on disk cannot be loaded: " +
                                   printable(to_string(failure_of(parsed.findings.front()))),
                               "sudo knockctl check"});
}

/// Who may not ask is not told: the table then shows grants alone.
void add_connections(const CommandLine& given, Status& status) {
  if (::geteuid() != 0 || status.state != "enforcing") return;
  const auto parsed = system::load_config(config_of(given));
  if (!parsed.config) return;
  if (const auto found = lasting_connections(*parsed.config, status)) status.connections = counted(*found);
}

/// What a row must fit into: a terminal; a pipe takes any.
Screen screen_of(const CommandLine& given) {
  if (::isatty(STDOUT_FILENO) == 0) return {std::string::npos, false, given.ids};
  winsize size{};
  const bool known = ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col != 0;
  return {known ? size.ws_col : Screen{}.width, std::getenv("NO_COLOR") == nullptr, given.ids};
}

int show_status(const CommandLine& given, const Reply& reply, Look look) {
  auto known = status_of(reply);
  if (!known)
    return fail(given, {ExitCode::failed,
                        "version",
                        {},
                        "the daemon's status makes no sense",
                        "install the same version of both"});
  auto& status = *known;
  add_connections(given, status);
  add_boot(given, status);
  add_unloaded(given, status);
  add_findings(given, look, status);
  if (given.json) return fmt::print("{}\n", to_json(status)), 0;
  fmt::print("{}", to_text(status, std::time(nullptr), screen_of(given)));
  return 0;
}

} // namespace

int status(const CommandLine& given, Look look) {
  const auto reply = ask(socket_of(given), {"status", {}});
  return reply.failure.exit == ExitCode::done ? show_status(given, reply, look) : fail(given, reply.failure);
}

} // namespace knock::ctl
