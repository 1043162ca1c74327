// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/password.hpp"

#include <charconv>

#include <knock/kn1_client.hpp>

#include "ctl/show.hpp"
#include "system/terminal.hpp"

namespace knock::ctl {
namespace {

constexpr std::size_t kLeast = 8;
constexpr std::size_t kMost = 1'024;

} // namespace

tl::expected<Sensitive, Failure> read_password(const CommandLine& given) {
  Sensitive password;
  if (given.password_fd) {
    int fd = -1;
    const auto* end = given.password_fd->data() + given.password_fd->size();
    const auto [at, error] = std::from_chars(given.password_fd->data(), end, fd);
    auto line = error == std::errc{} && at == end ? system::read_line(fd, kMost) : std::nullopt;
    if (!line)
      return tl::unexpected(
          refused("no password comes from descriptor " + *given.password_fd, "--password-fd 3 3<FILE"));
    password = std::move(*line);
  } else {
    const auto terminal = system::open_terminal();
    if (!terminal) return tl::unexpected(refused("no terminal to ask for the password", "--password-fd N"));
    auto typed = system::ask_hidden(*terminal, "Password: ", kMost);
    const auto again = typed ? system::ask_hidden(*terminal, "Once more: ", kMost) : std::nullopt;
    if (!again) return tl::unexpected(refused("no password was typed", "--password-fd N"));
    if (typed->text != again->text)
      return tl::unexpected(refused("these are two passwords", "type the same twice"));
    password = std::move(*typed);
  }
  if (password.text.size() < kLeast)
    return tl::unexpected(refused("the password is too short", "8 bytes at least"));
  return password;
}

tl::expected<kn1::Secret, Failure> psk_of(const Sensitive& password, const kn1::Secret& device) {
  const auto argon2 = kn1::argon2id(password.text, device);
  if (!argon2)
    return tl::unexpected(
        refused("no memory for the password: Argon2id takes 64 MiB", "free some, try again"));
  return kn1::password_psk(device, *argon2);
}

} // namespace knock::ctl
