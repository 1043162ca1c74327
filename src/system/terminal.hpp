// SPDX-License-Identifier: GPL-2.0-or-later
/// Terminal: what is asked of a person, and secrets from descriptors; never an argument, which others see.
///
/// Source: termios(3), tty(4); ssh(1), SSH_ASKPASS.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <knock/enrol.hpp>

#include "system/fd.hpp"

namespace knock::system {

/// The terminal of this process, wherever its input comes from. Errors: there is none.
Result<Fd> open_terminal();

/// Up to the end of a line or of the input, at most `most` bytes; nothing behind it is taken. Errors: longer, EIO.
std::optional<Sensitive> read_line(int fd, std::size_t most);

/// All up to the end of the input, at most `most` bytes. Errors: more, EIO.
std::optional<Sensitive> read_all(int fd, std::size_t most);

/// Writes `prompt`, reads an answer that is not shown. A signal that ends or stops the program finds a terminal that shows
/// letters.
std::optional<Sensitive> ask_hidden(const Fd& terminal, std::string_view prompt, std::size_t most);
/// Several lines, without what ends them, up to one that makes a whole of them or that is blank.
std::optional<Sensitive> ask_hidden(const Fd& terminal, std::string_view prompt, std::size_t most,
                                    bool (*is_whole)(std::string_view));
/// One line, shown.
std::optional<Sensitive> ask_shown(const Fd& terminal, std::string_view prompt, std::size_t most);
/// By the program of $SSH_ASKPASS; nothing: there is none, or it was cancelled.
std::optional<Sensitive> ask_program(const std::string& prompt, std::size_t most);

} // namespace knock::system
