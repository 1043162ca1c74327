// SPDX-License-Identifier: GPL-2.0-or-later
/// Password: asked twice on the terminal, or read from a descriptor; never an argument, which others see.
#pragma once

#include <knock/command_line.hpp>
#include <knock/enrol.hpp>

namespace knock::ctl {

/// Errors: too short, not the same twice, no terminal.
tl::expected<Sensitive, Failure> read_password(const CommandLine& given);

/// What the client makes of it and the device's secret. A quarter of a second, 64 MiB. Errors: no memory.
tl::expected<kn1::Secret, Failure> psk_of(const Sensitive& password, const kn1::Secret& device);

} // namespace knock::ctl
