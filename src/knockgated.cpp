// SPDX-License-Identifier: GPL-2.0-or-later
// knockgated: the daemon. Wires the rooms together and waits.
#include <linux/capability.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include <fmt/format.h>
#include <sodium/core.h>

#include <knock/control.hpp>

#include "engine/engine.hpp"
#include "host/host_check.hpp"
#include "keeper/control_socket.hpp"
#include "keeper/keeper.hpp"
#include "runner/runner.hpp"
#include "system/files.hpp"
#include "system/log.hpp"
#include "system/process.hpp"
#include "system/sandbox.hpp"

namespace {

using namespace knock;

constexpr const char* kUsage =
    "knockgated: opens doors for who knows the knock\n"
    "\n"
    "usage: knockgated [--config FILE] [--check]\n"
    "  --config FILE  default /etc/knockgate/knockgate.toml; doors.d/*.toml, users.d/*.toml\n"
    "                 and kn1.key beside it are read too\n"
    "  --check        parse and check the configuration, then exit (as `knockctl check FILE`)\n"
    "  --version, --help\n"
    "Runs in the foreground and logs to stderr. SIGTERM leaves table and grants in place; SIGHUP reloads.\n"
    "See knockgated(8), knockgate.toml(5), knockctl(1).\n";

struct Options {
  std::string config = "/etc/knockgate/knockgate.toml";
  bool check = false;
};

int fail(const Error& error, ExitCode code) {
  system::log_line(LogLevel::error, to_string(error));
  return static_cast<int>(code);
}

/// Reads the config and logs every finding. When one is an error, what was applied last runs, if there is any.
std::optional<keeper::Machine::Start> read_config(const Options& options) {
  auto parsed = system::load_config(options.config);
  if (parsed.config)
    for (auto& finding : host::check_host(*parsed.config)) parsed.findings.push_back(std::move(finding));
  for (const auto& finding : parsed.findings)
    system::log_line(finding.level == Finding::Level::error ? LogLevel::error : LogLevel::warn,
                     to_string(finding));
  keeper::Machine::Start start{options.config, {}, system::boot_id(), parsed.texts, {}};
  if (!parsed.config && !options.check) {
    const auto applied = keeper::recall_last_good(parsed.state);
    auto last = applied.empty() ? ParsedConfig{} : parse_users_anew(applied, parsed);
    if (!last.config) return std::nullopt;
    parsed.config = std::move(last.config);
    start.texts = std::move(last.texts);
    start.error = failure_of(parsed.findings.front());
    system::log_line(LogLevel::warn,
                     "the configuration applied last runs; mend the files, then: knockctl reload");
    system::notify_service("STATUS=the files cannot be used, the configuration applied last runs");
  }
  if (!parsed.config) return std::nullopt;
  start.config = std::make_shared<const Config>(std::move(*parsed.config));
  return start;
}

int run(const Options& options) {
  auto signals = system::open_signals();
  if (!signals) return fail(signals.error(), ExitCode::failed);
  auto start = read_config(options);
  if (!start) return static_cast<int>(ExitCode::bad_config);
  if (options.check) return static_cast<int>(ExitCode::done);
  system::set_log_level(start->config->log_level);

  if (auto hidden = system::forbid_inspection(); !hidden) return fail(hidden.error(), ExitCode::failed);
  system::EventLoop loop;
  auto control = keeper::ControlSocket::open(loop, start->config->control.socket, system::inherited_socket());
  if (!control) return fail(control.error(), ExitCode::failed);
  // As root: uid and gid are for the users of engine and runner, files are root's own.
  if (auto dropped = system::keep_capabilities({CAP_NET_ADMIN, CAP_SETUID, CAP_SETGID}); !dropped)
    return fail(dropped.error(), ExitCode::failed);
  auto keeper = keeper::Keeper::start(loop, std::move(*start), system::monotonic_now());
  if (!keeper) {
    system::log_line(LogLevel::error, to_string(keeper.error()));
    return static_cast<int>(keeper.error().exit);
  }
  control->serve(
      [&](const keeper::ControlSocket::Asked& asked, Instant now) { return (*keeper)->answer(asked, now); });

  bool stopping = false;
  const auto signalled = loop.watch(signals->get(), [&](Instant now) {
    const auto [signal, sender] = system::read_signal(signals->get());
    if (signal == SIGHUP) (*keeper)->reload(sender, now);
    stopping = signal == SIGTERM || signal == SIGINT;
  });
  system::notify_service("READY=1");
  system::log_line(LogLevel::info, "ready");

  std::optional<Instant> next = (*keeper)->work(system::monotonic_now());
  while (!stopping) {
    const auto now = loop.wait(next);
    if (!now) return fail(now.error(), ExitCode::failed);
    const auto asked = control->work(*now); // after all that engine and kernel told: grants first
    next = (*keeper)->work(*now);
    if (asked) next = std::min(next.value_or(*asked), *asked);
  }
  system::notify_service("STOPPING=1");
  system::log_line(LogLevel::info, "stop; table and grants stay, grants end by themselves");
  return static_cast<int>(ExitCode::done);
}

/// The other roles of this program, started by the keeper or by systemd. Nothing for the keeper itself.
std::optional<int> play_role(int argc, char** argv) {
  const std::string_view role = argc > 1 ? argv[1] : "";
  if (role == "--engine" && argc == 4)
    return engine::run_engine(static_cast<std::uint16_t>(std::atoi(argv[2])),
                              static_cast<std::uint32_t>(std::atoll(argv[3])));
  if (role == "--runner" && argc == 2) return runner::run_runner();
  return std::nullopt;
}

} // namespace

int main(int argc, char** argv) {
  if (sodium_init() < 0) return fail({"libsodium does not start", 0, ""}, ExitCode::failed);
  if (const auto status = play_role(argc, argv)) return *status;
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--config" && i + 1 < argc) {
      options.config = argv[++i];
    } else if (word.starts_with("--config=")) {
      options.config = word.substr(word.find('=') + 1);
    } else if (word == "--check") {
      options.check = true;
    } else if (word == "--version") {
      fmt::print("knockgated {}\n", KNOCKGATE_VERSION);
      return 0;
    } else if (word == "--help" || word == "-h") {
      fmt::print("{}", kUsage);
      return 0;
    } else {
      fmt::print(stderr, "knockgated: unknown argument {}\n\n{}", word, kUsage);
      return static_cast<int>(ExitCode::usage);
    }
  }
  return run(options);
}
