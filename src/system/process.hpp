// SPDX-License-Identifier: GPL-2.0-or-later
/// Process: what the operating system knows of us and tells us: signals, service manager, users, chance.
///
/// Source: sd_notify(3), signalfd(2), unix(7), getrandom(2).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <knock/time.hpp>

#include "system/fd.hpp"

namespace knock::system {

/// User and group of the packaged daemon.
inline constexpr const char* kOurUser = "_knockgate";

/// SIGTERM, SIGINT and SIGHUP as a descriptor; SIGPIPE is ignored. Requires: called before any thread starts.
Result<Fd> open_signals();
struct Signal {
  int number = 0; ///< 0: none waits
  uid_t sender = 0;
};
/// The next signal waiting.
Signal read_signal(int fd);

/// Tells the service manager, when there is one: "READY=1", "STATUS=...".
void notify_service(std::string_view state);
/// How often to say "WATCHDOG=1": a fourth of $WATCHDOG_USEC, so that one missed answer costs nothing.
/// Nothing when nobody wants to hear it.
std::optional<Millis> watchdog_period();
/// The control socket systemd opened for us ($LISTEN_FDS), if it did.
std::optional<Fd> inherited_socket();

/// 16 random bytes, for hashes that hostile sources must not steer.
std::array<std::uint8_t, 16> random_key();
/// Random bytes of the kernel, for keys.
void fill_random(std::span<std::uint8_t> bytes);
/// Changes with every boot: monotonic times of another boot mean nothing. Under our unit it is a credential,
/// since /proc/sys is hidden there. If it is found nowhere, a new random one: no old time is believed.
std::string boot_id();

/// Does nothing for `span`. Only where there is no loop to wait in.
void pause(Millis span);

std::optional<gid_t> group_id(const std::string& name);
std::optional<uid_t> user_id(const std::string& name);
/// `[control] state`, else $STATE_DIRECTORY, else /var/lib/knockgate.
std::string state_path(const std::string& configured);
/// The same; made (0700) when missing.
Result<std::string> state_directory(const std::string& configured);

} // namespace knock::system
