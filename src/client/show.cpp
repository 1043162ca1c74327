// SPDX-License-Identifier: GPL-2.0-or-later
#include "client/show.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

#include <knock/quoted.hpp>

namespace knock::client {

int fail(const ClientLine& given, const Failure& failure) {
  if (given.json)
    fmt::print("{}\n", error_line(failure));
  else
    warn(failure);
  return static_cast<int>(failure.exit);
}

void say(std::string_view text) {
  // Its reader may be gone: no reason to end, or a door would be left as it is.
  while (!text.empty()) {
    const auto put = ::write(STDERR_FILENO, text.data(), text.size());
    if (put <= 0 && errno != EINTR) return;
    text.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(put, 0)));
  }
}

void warn(const Failure& failure) {
  auto text = fmt::format("knockgate: {}\n", to_string(failure));
  for (const auto& hint : failure.hints) text += fmt::format("  {}\n", on_one_line(hint));
  say(text);
}

void tell(const ClientLine& given, const std::string& text) {
  if (given.verbose) say(fmt::format("knockgate: {}\n", on_one_line(text)));
}

Failure denied(std::string text, std::string advice) {
  return {ExitCode::denied, "not-allowed", {}, std::move(text), std::move(advice)};
}

Failure refused(std::string text, std::string advice) {
  return {ExitCode::failed, "failed", {}, std::move(text), std::move(advice)};
}

} // namespace knock::client
