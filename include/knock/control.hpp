// SPDX-License-Identifier: GPL-2.0-or-later
/// Control: what knockctl and the daemon say to each other.
///
/// Request: one datagram of at most 4 KiB, `1 VERB key=value ...`, values percent-escaped.
/// Reply:   datagrams of at most 64 KiB of JSON lines; the last line is `{"end":true,"exit":N,"error":...}`.
/// Source:  unix(7). Hostile input: a client that may connect may send anything.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <knock/config.hpp>
#include <knock/limits.hpp>
#include <knock/result.hpp>

namespace knock {

inline constexpr std::string_view kControlVersion = "1";

/// Exit codes of all programs (69 to 78 as in sysexits.h).
enum class ExitCode : int {
  done = 0,
  failed = 1,
  usage = 2,
  unreachable = 69,
  busy = 75,
  denied = 77,
  bad_config = 78,
};

struct Request {
  std::string verb;
  std::map<std::string, std::string, std::less<>> values;

  /// The value of `key`, nothing when it is absent.
  [[nodiscard]] std::optional<std::string_view> find(std::string_view key) const;
};

std::string encode(const Request& request);

struct ParsedRequest {
  std::optional<Request> request; ///< absent: malformed, or of another version
  std::string version;            ///< as written, at most 16 bytes; empty when there is none
};
ParsedRequest parse_request(std::string_view datagram);

/// Why a verb was not done.
struct Failure {
  ExitCode exit = ExitCode::done;
  std::string code; ///< "bad-config", "not-allowed", "failed", "usage", "unreachable", "busy"
  Place place;      ///< of a bad config
  std::string text;
  std::string advice;
  std::vector<std::string> hints{}; ///< what may be the reason; of the client alone
};
Failure failure_of(const Error& error);
Failure failure_of(const Finding& finding);
/// One line for a person.
std::string to_string(const Failure& failure);
/// `{"schema":1,"error":{...}}`
std::string error_line(const Failure& failure);
/// `{"schema":1,"doors":2,"error":null,"findings":[...]}`; `doors` null and the first error where there is one.
std::string check_line(const ParsedConfig& parsed);

struct Reply {
  std::vector<std::string> lines; ///< JSON, each at most kMaxReplyLine
  Failure failure;                ///< exit 0: none
};
/// The datagrams of a reply, the end line included.
std::vector<std::string> encode(const Reply& reply);
/// Adds one datagram to `reply`. Returns whether it was the last; nothing when it is no reply of ours.
std::optional<bool> parse_reply(std::string_view datagram, Reply& reply);

/// `text` without what a terminal obeys: control bytes as \x1b; ends of lines and tabs stay.
std::string printable(std::string_view text);

/// A line that carries text for a person.
std::string text_line(std::string_view text);
/// The text such a line carries, printable; nothing when it is another.
std::optional<std::string> text_of(std::string_view line);

/// Whether a reload changed anything: `{"changed":true,"guarded":["tcp/22"],"unguarded":[]}`
std::string changed_line(bool changed, const std::vector<Port>& guarded, const std::vector<Port>& unguarded);

/// What `clock accept` takes for right, in seconds of the epoch: `{"now":1795421921,"latest":1795508321}`
struct Clocks {
  Moment now;    ///< by the clock of the router
  Moment latest; ///< of what was accepted, or the same
};
std::string clock_line(const Clocks& clocks);
std::optional<Clocks> parse_clocks(std::string_view line);
/// How many grants a change closed: `{"closed":1}`
std::string closed_line(std::size_t closed);

/// What root asks before it writes the boot file: values, never a path or text.
struct SaveFacts {
  std::string config;            ///< hash of the configuration that runs
  bool off = false;              ///< knockctl off holds
  std::vector<Port> unconfirmed; ///< not for the boot file
};
std::vector<std::string> encode(const SaveFacts& facts);
/// Returns nothing for lines that are anything else.
std::optional<SaveFacts> parse_save_facts(const std::vector<std::string>& lines);

} // namespace knock
