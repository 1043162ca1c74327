// SPDX-License-Identifier: GPL-2.0-or-later
/// Show: what all verbs do alike: where the daemon is, how an answer and a failure are printed.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <knock/command_line.hpp>
#include <knock/control.hpp>
#include <knock/dates.hpp>
#include <knock/hints.hpp>
#include <knock/status.hpp>

namespace knock::ctl {

std::string config_of(const CommandLine& given);
std::string socket_of(const CommandLine& given);

/// Prints what went wrong where a script or a person looks for it. Returns the exit code, as `show` does.
int fail(const CommandLine& given, Failure failure, std::string_view before = {});
int show(const CommandLine& given, const Reply& reply);
/// The same; then, run by root, what the daemon now guards is also what the next boot guards.
int show_and_save(const CommandLine& given, const Reply& reply);

Failure refused(std::string text, std::string advice);
/// On stderr; what was asked for is done all the same.
void warn(const Hint& hint);
/// Of these doors those that signed packets of the user do not open.
void warn_of_doors(const Config& config, std::string_view user, const std::vector<std::string>& doors);

/// What was typed twice counts once; the order stays.
std::vector<std::string> each_once(std::vector<std::string> words);

/// A moment to the minute, in the zone of this host.
std::string minute_here(Moment moment);

/// Nothing: the daemon did not answer, or is of another version.
std::optional<Status> status_of(const Reply& reply);

} // namespace knock::ctl
