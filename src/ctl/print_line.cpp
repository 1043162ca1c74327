// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/print_line.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <knock/dates.hpp>
#include <knock/enrol.hpp>
#include <knock/hints.hpp>

#include "ctl/show.hpp"
#include "system/zone.hpp"

namespace knock::ctl {
namespace {

constexpr unsigned kQrColumns = 69; // of the longest line that has a code

bool fits_terminal() {
  winsize size{};
  return ::isatty(STDOUT_FILENO) != 0 && ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 &&
         size.ws_col >= kQrColumns;
}

/// From when until when.
std::string span_of(const Device& device) {
  const bool waits = device.from && *device.from > system::now();
  auto text = waits ? "from " + minute_here(*device.from) : std::string("from now");
  return device.until ? text + " until " + minute_here(*device.until) : text;
}

std::string heading(const Device& device, const std::optional<Hint>& shut) {
  const auto what =
      fmt::format("{}  {}  {}   ", device.label, to_string(device.accepts), fmt::join(device.doors, " "));
  if (shut) return what + "opens nothing: " + shut->text;
  if (device.accepts == Accepts::psk)
    return what + fmt::format("opens {}. The line IS the key:", span_of(device));
  if (device.accepts == Accepts::password)
    return what + fmt::format("opens {}. The line and the password are the key:", span_of(device));
  if (device.key.public_key) return what + fmt::format("opens {}, with the key it has", span_of(device));
  return what + fmt::format("{} before {}{}", device.old ? "its new key opens nothing" : "opens nothing",
                            device.old ? "it is back" : "its key is back",
                            device.claim ? fmt::format(" (until {})", minute_here(*device.claim)) : "");
}

Failure too_long() {
  return {ExitCode::failed,
          "failed",
          {},
          "the line gets too long",
          "fewer doors for the device (at most 16), or fewer hosts: --host"};
}

void print_qr(const CommandLine& given, const std::string& line) {
  if (given.no_qr || (!given.qr && !fits_terminal())) return;
  if (line.size() > kQrLine) {
    fmt::print("(too long for a QR code: {} characters, {} is the most)\n", line.size(), kQrLine);
    return;
  }
  const Sensitive code(qr_text(line));
  fmt::print("{}", code.text);
}

} // namespace

int print_line(const CommandLine& given, const Config& config, const Device& device) {
  const auto made = line_of(config, device, given.hosts);
  if (!made) return fail(given, made.error());
  auto encoded = encode(*made);
  if (!encoded) return fail(given, too_long());
  const Sensitive line(std::move(*encoded));
  warn_of_doors(config, device.user, device.doors);
  const auto shut = shut_out(config, device, system::now(), system::to_local);
  if (given.json) {
    if (shut) warn(*shut);
    fmt::print("{{\"schema\":1,\"device\":\"{}\",\"line\":\"{}\",\"claim\":{}}}\n", device.label, line.text,
               made->claim ? fmt::format("\"{}\"", rfc3339(*device.claim)) : "null");
    return 0;
  }
  fmt::print("{}\n", heading(device, shut));
  const bool back = device.accepts == Accepts::kn1;
  if (back) fmt::print("On the device: `knockgate join`, paste (send it privately):\n");
  fmt::print("{}\n", line.text);
  print_qr(given, line.text);
  if (!back) fmt::print("On the device: `knockgate join`, paste it there.\n");
  if (back && !device.key.public_key)
    fmt::print("Then here: sudo knockctl device add LINE (which join prints)\n");
  if (shut) fmt::print("Before it opens anything: {}\n", shut->advice);
  if (device.old && !shut)
    fmt::print("Until {} it opens by the key it had (--grace 0s: no more).\n",
               minute_here(device.old->until));
  return 0;
}

int print_knock_line(const CommandLine& given, const Config& config, const Door& door) {
  const auto made = knock_line_of(config, door, given.hosts);
  if (!made) return fail(given, made.error());
  auto encoded = encode(*made);
  if (!encoded) return fail(given, too_long());
  const Sensitive line(std::move(*encoded));
  if (given.json) {
    fmt::print("{{\"schema\":1,\"device\":null,\"line\":\"{}\",\"claim\":null}}\n", line.text);
    return 0;
  }
  fmt::print("door {}   opens from now. The line IS the knock, of everybody who has it:\n{}\n", door.name,
             line.text);
  print_qr(given, line.text);
  return 0;
}

} // namespace knock::ctl
