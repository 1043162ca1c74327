// SPDX-License-Identifier: GPL-2.0-or-later
/// RunRequest: one command that a door starts, as the keeper asks the runner for it.
///
/// In:      one datagram: fields that end in NUL, in the order of the members, behind a version; `input` in hexadecimal.
/// Out:     a request in which nothing is left to judge, or nothing.
/// The words of the command stand in the config; nobody who knocks can change or add one. What a client does
/// control goes into the environment (its address, and is one) or to stdin (the bytes that a door with `args` takes).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <knock/limits.hpp>

namespace knock {

struct RunRequest {
  Millis time{10'000}; ///< then the process group is killed
  std::string door;
  std::string source;
  std::string by = "-";
  std::string via;
  std::string event = "open";
  std::string input;             ///< what the client sent, for stdin: any bytes, at most kArgs
  std::vector<std::string> argv; ///< 1 to 16 words, the first an absolute path
  bool operator==(const RunRequest&) const = default;
};

std::string encode(const RunRequest& request);
std::optional<RunRequest> parse_run(std::string_view datagram);

/// What the command finds in its environment, and nothing else: PATH and KNOCKGATE_*.
std::vector<std::string> environment_of(const RunRequest& request);

/// Whether `words` can be started: 1 to 16, each at most kMaxWord bytes and without NUL, an absolute path
/// first.
bool is_command(const std::vector<std::string>& words);

} // namespace knock
