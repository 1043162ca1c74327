// SPDX-License-Identifier: GPL-2.0-or-later
// knockgate: the client. Opens a door of a router, and gets ssh through it.
#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <string_view>
#include <system_error>
#include <vector>

#include <fmt/format.h>
#include <sodium/core.h>

#include <knock/client_line.hpp>
#include <knock/client_verbs.hpp>

#include "client/show.hpp"
#include "client/verbs.hpp"

namespace {

using namespace knock;

struct Run {
  std::string_view verb;
  int (*run)(const ClientLine&);
};
constexpr std::array kRuns{Run{"join", client::join},       Run{"open", client::open},
                           Run{"connect", client::connect}, Run{"keep", client::keep},
                           Run{"close", client::close},     Run{"list", client::list},
                           Run{"status", client::status},   Run{"knock", client::knock}};

constexpr const Run* run_of(std::string_view verb) {
  const auto* found =
      std::find_if(kRuns.begin(), kRuns.end(), [&](const Run& one) { return one.verb == verb; });
  return found == kRuns.end() ? nullptr : found;
}
static_assert(std::all_of(kClientVerbs.begin(), kClientVerbs.end(),
                          [](const ClientVerb& verb) { return run_of(verb.name); }));

/// Where 0, 1 or 2 is closed the next file that is opened would take its place, and be written to.
void fill_standard_descriptors() {
  int fd = ::open("/dev/null", O_RDWR);
  while (fd >= 0 && fd <= STDERR_FILENO) fd = ::open("/dev/null", O_RDWR);
  if (fd >= 0) ::close(fd);
}

int run(int argc, char** argv) {
  ::prctl(PR_SET_DUMPABLE,
          0); // keys are in this memory: no core file has it, and no program of this user reads it
  if (argc > 1 && std::string_view(argv[1]) == "complete") { // for completions alone: half a word is no error
    const std::vector<std::string_view> words(argv + 2, argv + argc);
    return client::complete(words);
  }
  const auto parsed = parse_client_line({argv + 1, static_cast<std::size_t>(std::max(argc, 1) - 1)});
  const auto& given = parsed.line;
  if (given.help) return fmt::print("{}", client_help(given.verb)), 0;
  if (given.version) return fmt::print("knockgate {}\n", KNOCKGATE_VERSION), 0;
  if (parsed.failure) return client::fail(given, *parsed.failure);
  if (::sodium_init() < 0) return client::fail(given, client::refused("libsodium does not start", {}));
  return run_of(given.verb)->run(given);
}

} // namespace

int main(int argc, char** argv) {
  fill_standard_descriptors();
  try {
    const int code = run(argc, argv);
    if (std::fflush(stdout) == 0) return code;
    throw std::system_error(errno, std::generic_category(), "stdout");
  } catch (const std::system_error& error) { // stdout is full, or its reader is gone
    client::say(fmt::format("knockgate: {}\n", error.what()));
    return static_cast<int>(ExitCode::failed);
  }
}
