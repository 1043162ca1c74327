// SPDX-License-Identifier: GPL-2.0-or-later
// knockctl: what is open, for whom, why not; and the few things a person does by hand.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#include <fmt/format.h>

#include <knock/command_line.hpp>
#include <knock/config.hpp>
#include <knock/ruleset.hpp>
#include <knock/status.hpp>

#include "ctl/boot_file.hpp"
#include "ctl/control_client.hpp"
#include "host/host_check.hpp"
#include "system/event_loop.hpp"
#include "system/files.hpp"
#include "system/process.hpp"

namespace {

using namespace knock;

std::string config_of(const CommandLine& given) {
  return given.config.value_or("/etc/knockgate/knockgate.toml");
}
std::string socket_of(const CommandLine& given) {
  const char* set = std::getenv("KNOCKGATE_SOCKET");
  return given.socket.value_or(set != nullptr ? set : "/run/knockgate/control.sock");
}

/// Prints what went wrong where a script or a person looks for it.
int fail(const CommandLine& given, Failure failure, std::string_view before = {}) {
  if (!given.json) fmt::print(stderr, "{}{}\n", before, to_string(failure));
  failure.text.insert(0, before);
  if (given.json) fmt::print("{}\n", error_line(failure));
  return static_cast<int>(failure.exit);
}

int show_status(const CommandLine& given, const Reply& reply) {
  Status status;
  for (const auto& line : reply.lines) {
    if (given.json)
      fmt::print("{}\n", line);
    else if (!parse_status(line, status))
      return fail(given, {ExitCode::failed,
                          "version",
                          {},
                          "the daemon's status makes no sense",
                          "install the same version of both"});
  }
  if (given.json) return 0;
  const bool colour = ::isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr;
  fmt::print("{}", to_text(status, std::time(nullptr), colour));
  return 0;
}

int show(const CommandLine& given, const Reply& reply) {
  if (reply.failure.exit != ExitCode::done) return fail(given, reply.failure);
  for (const auto& line : reply.lines)
    if (const auto text = text_of(line); given.json || text) fmt::print("{}\n", given.json ? line : *text);
  return 0;
}

int run_status(const CommandLine& given) {
  const auto reply = ctl::ask(socket_of(given), {"status", {}});
  return reply.failure.exit == ExitCode::done ? show_status(given, reply) : fail(given, reply.failure);
}

int run_check(const CommandLine& given) {
  const auto key = system::random_key();
  std::uint64_t seed = 0;
  std::copy_n(key.begin(), sizeof seed, reinterpret_cast<std::uint8_t*>(&seed));
  auto parsed = system::load_config(given.words.empty() ? config_of(given) : given.words[0], seed);
  if (parsed.config)
    for (auto& finding : host::check_host(*parsed.config)) parsed.findings.push_back(std::move(finding));
  for (const auto& finding : parsed.findings) {
    if (!given.json)
      fmt::print(stderr, "{}\n", printable(to_string(finding))); // names in foreign tables may be hostile
    else if (finding.level == Finding::Level::error)
      fmt::print("{}\n", error_line(failure_of(finding)));
  }
  if (!parsed.config || (given.strict && !parsed.findings.empty()))
    return static_cast<int>(ExitCode::bad_config);
  const auto enabled = std::count_if(parsed.config->doors.begin(), parsed.config->doors.end(),
                                     [](const Door& door) { return door.enabled; });
  if (!given.json) fmt::print("ok: {} door{} enabled\n", enabled, enabled == 1 ? "" : "s");
  return 0;
}

int run_wait(const CommandLine& given) {
  const auto patience = parse_duration(given.timeout.value_or("10s"));
  if (!patience) return fail(given, usage_failure(*given.timeout + " is no time", "write --timeout 10s"));
  const auto deadline = system::monotonic_now() + *patience;
  for (;;) {
    const auto reply = ctl::ask(socket_of(given), {"wait", {}}, Millis{1000});
    const bool busy = reply.failure.exit == ExitCode::busy;
    if (!busy && reply.failure.exit != ExitCode::unreachable) return show(given, reply);
    const Failure late{
        ExitCode::failed, "timeout", {}, "knockgated is not ready", "systemctl status knockgated"};
    if (system::monotonic_now() >= deadline) return fail(given, busy ? reply.failure : late);
    ::usleep(20'000); // nothing announces a socket that is not there yet
  }
}

int run_open(const CommandLine& given) {
  if (given.words.size() != 2)
    return fail(given,
                usage_failure("open needs a door and an address", "knockctl open DOOR ADDRESS [--for 30m]"));
  Request request{"open", {{"door", given.words[0]}, {"source", given.words[1]}}};
  if (given.for_time) request.values["for"] = *given.for_time;
  return show(given, ctl::ask(socket_of(given), request));
}

int run_close(const CommandLine& given) {
  Request request{"close", {}};
  if (given.all == !given.words.empty() || given.words.size() > 2)
    return fail(given,
                usage_failure("close what?", "knockctl close DOOR|ID [ADDRESS], or knockctl close --all"));
  if (given.all) request.values["all"] = "1";
  if (!given.words.empty()) request.values["what"] = given.words[0];
  if (given.words.size() == 2) request.values["source"] = given.words[1];
  return show(given, ctl::ask(socket_of(given), request));
}

/// As root, what the daemon now guards is also what the next boot guards.
int save_after(const CommandLine& given, const Reply& reply) {
  const int code = show(given, reply);
  if (code != 0) return code;
  if (::geteuid() != 0) {
    fmt::print(stderr, "the boot file is not written: run sudo knockctl save{}\n",
               given.config ? " --config " + *given.config : "");
    return 0;
  }
  const auto saved = ctl::save_boot_file(socket_of(given), config_of(given));
  if (saved.failure.exit != ExitCode::done && saved.failure.code != "no-boot-file")
    return fail(given, saved.failure, "done, but the boot file is not written: ");
  return given.json ? 0 : show(given, {saved.lines, {}});
}

int run_reload(const CommandLine& given) {
  Request request{"reload", {}};
  if (given.confirm && given.now) return fail(given, usage_failure("--confirm and --now exclude each other"));
  if (given.confirm) request.values["confirm"] = *given.confirm;
  if (given.now) request.values["now"] = "1";
  return save_after(given, ctl::ask(socket_of(given), request));
}

/// confirm, off, on
int run_switch(const CommandLine& given) {
  Request request{given.verb, {}};
  if (given.anyway) request.values["anyway"] = "1";
  return save_after(given, ctl::ask(socket_of(given), request));
}

int run_save(const CommandLine& given) {
  if (::geteuid() != 0)
    return fail(given,
                {ExitCode::denied, "not-allowed", {}, "save writes a file of root's", "sudo knockctl save"});
  return show(given, ctl::save_boot_file(socket_of(given), config_of(given)));
}

int run_template(const CommandLine& given) {
  const auto name = given.words.empty() ? std::string("gate") : given.words[0];
  const auto parsed = system::load_config(config_of(given)); // a bad or unreadable one: the shipped values
  const auto text = template_text(name, parsed.config ? tokens_of(*parsed.config) : TemplateTokens{});
  if (!text)
    return fail(given, usage_failure("there is no template " + name, "name gate, forward, cut or embed"));
  fmt::print("{}", *text);
  return 0;
}

struct Verb {
  std::string_view name;
  int (*run)(const CommandLine&);
};
constexpr std::array kVerbs{Verb{"status", run_status}, Verb{"check", run_check},      Verb{"open", run_open},
                            Verb{"close", run_close},   Verb{"reload", run_reload},    Verb{"save", run_save},
                            Verb{"wait", run_wait},     Verb{"template", run_template}};

} // namespace

int main(int argc, char** argv) {
  const auto parsed = parse_command_line({argv + 1, static_cast<std::size_t>(std::max(argc, 1) - 1)});
  const auto& given = parsed.line;
  if (given.help) return fmt::print("{}", help_text()), 0;
  if (given.version) return fmt::print("knockctl {}\n", KNOCKGATE_VERSION), 0;
  if (parsed.failure) return fail(given, *parsed.failure);
  const auto verb =
      std::find_if(kVerbs.begin(), kVerbs.end(), [&](const Verb& one) { return one.name == given.verb; });
  return verb == kVerbs.end() ? run_switch(given) : verb->run(given);
}
