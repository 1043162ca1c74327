// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/fresh.hpp"

#include "ctl/password.hpp"
#include "system/process.hpp"

namespace knock::ctl {

ServerKey fresh_server_key(Moment now) {
  kn1::Secret secret, hide;
  system::fill_random(secret.bytes);
  system::fill_random(hide.bytes);
  return {now, kn1::make_server_key(secret, hide), {}, {}};
}

tl::expected<void, Failure> give_key(const CommandLine& given, Device& device) {
  device.key = {};
  system::fill_random(device.key.kid.bytes);
  system::fill_random(device.key.secret.bytes);
  device.key.psk = device.key.secret;
  if (device.accepts != Accepts::password) return {};
  const auto password = read_password(given);
  if (!password) return tl::unexpected(password.error());
  const auto psk = psk_of(*password, device.key.secret);
  if (!psk) return tl::unexpected(psk.error());
  device.key.psk = *psk;
  return {};
}

} // namespace knock::ctl
