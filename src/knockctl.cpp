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

#include <knock/config.hpp>
#include <knock/nearest.hpp>
#include <knock/ruleset.hpp>
#include <knock/status.hpp>

#include "kernel/boot_file.hpp"
#include "kernel/control_client.hpp"
#include "kernel/event_loop.hpp"
#include "kernel/files.hpp"
#include "kernel/process.hpp"

namespace {

using namespace knock;
using namespace knock::kernel;

constexpr const char* kDefaultConfig = "/etc/knockgate/knockgate.toml";

struct Arguments {
  std::string verb = "status";
  std::vector<std::string> words;
  std::string socket = "/run/knockgate/control.sock";
  std::optional<std::string> for_time, confirm, timeout;
  bool json = false, now = false, all = false, strict = false;
};

Failure usage(std::string text, std::string advice = "see: knockctl --help") {
  return {ExitCode::usage, "usage", {}, std::move(text), std::move(advice)};
}

/// Prints what went wrong where a script or a person looks for it.
int fail(const Arguments& given, const Failure& failure) {
  if (given.json)
    fmt::print("{}\n", error_line(failure));
  else
    fmt::print(stderr, "{}\n", to_string(failure));
  return static_cast<int>(failure.exit);
}

int show_status(const Arguments& given, const Reply& reply) {
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

int show(const Arguments& given, const Reply& reply) {
  if (reply.failure.exit != ExitCode::done) return fail(given, reply.failure);
  for (const auto& line : reply.lines)
    if (const auto text = text_of(line)) fmt::print("{}\n", given.json ? line : *text);
  return 0;
}

int run_status(const Arguments& given) {
  const auto reply = ask(given.socket, {"status", {}});
  return reply.failure.exit == ExitCode::done ? show_status(given, reply) : fail(given, reply.failure);
}

int run_check(const Arguments& given) {
  const auto key = random_key();
  std::uint64_t seed = 0;
  std::copy_n(key.begin(), sizeof seed, reinterpret_cast<std::uint8_t*>(&seed));
  const auto parsed = load_config(given.words.empty() ? kDefaultConfig : given.words[0], seed);
  for (const auto& finding : parsed.findings) {
    if (!given.json)
      fmt::print(stderr, "{}\n", to_string(finding));
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

int run_wait(const Arguments& given) {
  const auto patience = parse_duration(given.timeout.value_or("10s"));
  if (!patience) return fail(given, usage(*given.timeout + " is no time", "write --timeout 10s"));
  const auto deadline = monotonic_now() + *patience;
  for (;;) {
    const auto reply = ask(given.socket, {"wait", {}}, Millis{1000});
    if (reply.failure.exit != ExitCode::unreachable) return show(given, reply);
    if (monotonic_now() >= deadline)
      return fail(
          given, {ExitCode::failed, "timeout", {}, "knockgated is not ready", "systemctl status knockgated"});
    ::usleep(20'000); // nothing announces a socket that is not there yet
  }
}

int run_open(const Arguments& given) {
  if (given.words.size() != 2)
    return fail(given, usage("open needs a door and an address", "knockctl open DOOR ADDRESS [--for 30m]"));
  Request request{"open", {{"door", given.words[0]}, {"source", given.words[1]}}};
  if (given.for_time) request.values["for"] = *given.for_time;
  return show(given, ask(given.socket, request));
}

int run_close(const Arguments& given) {
  Request request{"close", {}};
  if (given.all == !given.words.empty() || given.words.size() > 2)
    return fail(given, usage("close what?", "knockctl close DOOR|ID [ADDRESS], or knockctl close --all"));
  if (given.all) request.values["all"] = "1";
  if (!given.words.empty()) request.values["what"] = given.words[0];
  if (given.words.size() == 2) request.values["source"] = given.words[1];
  return show(given, ask(given.socket, request));
}

/// As root, what the daemon now guards is also what the next boot guards.
int save_after(const Arguments& given, const Reply& reply) {
  const int code = show(given, reply);
  if (code != 0) return code;
  if (::geteuid() != 0) {
    fmt::print(stderr, "the boot file is not written: run sudo knockctl save\n");
    return 0;
  }
  const auto saved = save_boot_file(given.socket);
  if (!saved.failure.text.empty()) fmt::print(stderr, "{}\n", to_string(saved.failure));
  return given.json ? 0 : show(given, {saved.lines, {}});
}

int run_reload(const Arguments& given) {
  Request request{"reload", {}};
  if (given.confirm && given.now) return fail(given, usage("--confirm and --now exclude each other"));
  if (given.confirm) request.values["confirm"] = *given.confirm;
  const bool person = ::isatty(STDIN_FILENO) != 0 && ::isatty(STDOUT_FILENO) != 0;
  if (!given.confirm) request.values[!given.now && person ? "ask" : "now"] = "1";
  return save_after(given, ask(given.socket, request));
}

int run_simple(const Arguments& given) {
  const auto reply = ask(given.socket, {given.verb, {}});
  return given.verb == "confirm" || given.verb == "off" || given.verb == "on" ? save_after(given, reply)
                                                                              : show(given, reply);
}

int run_save(const Arguments& given) {
  if (::geteuid() != 0)
    return fail(given,
                {ExitCode::denied, "not-allowed", {}, "save writes a file of root's", "sudo knockctl save"});
  return show(given, save_boot_file(given.socket));
}

int run_template(const Arguments& given) {
  const auto name = given.words.empty() ? std::string("gate") : given.words[0];
  const auto parsed = load_config(kDefaultConfig); // a bad or unreadable one: the shipped values
  const auto text = template_text(name, parsed.config ? tokens_of(*parsed.config) : TemplateTokens{});
  if (!text) return fail(given, usage("there is no template " + name, "gate and embed are in this version"));
  fmt::print("{}", *text);
  return 0;
}

struct Verb {
  std::string_view name, arguments, what;
  std::size_t most_words;
  int (*run)(const Arguments&);
};

constexpr std::array kVerbs{
    Verb{"status", "", "what is open, for whom, and how the gate is (also without a verb)", 0, run_status},
    Verb{"check", "[FILE] [--strict]", "read the configuration and say what is wrong with it", 1, run_check},
    Verb{"open", "DOOR ADDRESS [--for T]", "open a door by hand", 2, run_open},
    Verb{"close", "DOOR|ID [ADDRESS] | --all", "close grants", 2, run_close},
    Verb{"reload", "[--confirm T | --now]",
         "read the configuration anew; guard new ports on trial, or for good", 0, run_reload},
    Verb{"confirm", "", "what reload --confirm guards stays guarded", 0, run_simple},
    Verb{"save", "", "write the boot file (root)", 0, run_save},
    Verb{"off", "", "guard nothing until on, also after a reboot (root)", 0, run_simple},
    Verb{"on", "", "guard again (root)", 0, run_simple},
    Verb{"wait", "[--timeout 10s]", "wait until the daemon is ready", 0, run_wait},
    Verb{"template", "[gate|embed]", "print the nft rules as the daemon would load them", 1, run_template}};

void print_help() {
  fmt::print("knockctl: what is open, for whom, why not\n\nusage: knockctl [--socket PATH] [--json] VERB\n");
  for (const auto& verb : kVerbs)
    fmt::print("  {:<34}{}\n", fmt::format("{} {}", verb.name, verb.arguments), verb.what);
  fmt::print(
      "\nThe socket is also taken from KNOCKGATE_SOCKET. Exit: 0 done, 1 failed or timed out, 2 usage,\n"
      "69 daemon not reachable, 77 not allowed, 78 bad config. See knockctl(1).\n");
}

/// Nothing when the arguments are fine.
std::optional<Failure> parse(int argc, char** argv, Arguments& given) {
  bool verb_seen = false;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    std::string value;
    const auto takes = [&](std::string_view name) {
      if (word != name || i + 1 >= argc) return false;
      value = argv[++i];
      return true;
    };
    if (takes("--socket"))
      given.socket = value;
    else if (takes("--for"))
      given.for_time = value;
    else if (takes("--confirm"))
      given.confirm = value;
    else if (takes("--timeout"))
      given.timeout = value;
    else if (word == "--json")
      given.json = true;
    else if (word == "--now")
      given.now = true;
    else if (word == "--all")
      given.all = true;
    else if (word == "--strict")
      given.strict = true;
    else if (word.starts_with("-"))
      return usage(fmt::format("unknown or incomplete option {}", word));
    else if (!verb_seen)
      given.verb = word, verb_seen = true;
    else
      given.words.push_back(word);
  }
  return std::nullopt;
}

int dispatch(const Arguments& given) {
  std::vector<std::string_view> names;
  for (const auto& verb : kVerbs) {
    names.push_back(verb.name);
    if (verb.name != given.verb) continue;
    if (given.words.size() > verb.most_words)
      return fail(given, usage(fmt::format("{} takes no \"{}\"", verb.name, given.words.back())));
    return verb.run(given);
  }
  const auto near = nearest(given.verb, names);
  return fail(given, usage("unknown verb " + given.verb,
                           near.empty() ? "see: knockctl --help" : fmt::format("did you mean {}?", near)));
}

} // namespace

int main(int argc, char** argv) {
  Arguments given;
  if (const char* socket = std::getenv("KNOCKGATE_SOCKET")) given.socket = socket;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--help" || word == "-h" || (word == "help" && i == 1)) return print_help(), 0;
    if (word == "--version") return fmt::print("knockctl {}\n", KNOCKGATE_VERSION), 0;
  }
  if (const auto wrong = parse(argc, argv, given)) return fail(given, *wrong);
  return dispatch(given);
}
