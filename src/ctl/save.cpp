// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/verbs.hpp"

#include <unistd.h>

#include <fmt/format.h>

#include "ctl/boot_file.hpp"
#include "ctl/control_client.hpp"
#include "ctl/show.hpp"

namespace knock::ctl {

int show_and_save(const CommandLine& given, const Reply& reply) {
  const int code = show(given, reply);
  if (code != 0) return code;
  if (::geteuid() != 0) {
    fmt::print(stderr, "the boot file is not written: run sudo knockctl save{}\n",
               given.config ? " --config " + *given.config : "");
    return 0;
  }
  const auto saved = save_boot_file(socket_of(given), config_of(given), true);
  if (saved.failure.exit != ExitCode::done && saved.failure.code != "no-boot-file")
    return fail(given, saved.failure, "done, but the boot file is not written: ");
  return given.json ? 0 : show(given, {saved.lines, {}});
}

int save(const CommandLine& given) {
  if (::geteuid() != 0)
    return fail(given,
                {ExitCode::denied, "not-allowed", {}, "save writes a file of root's", "sudo knockctl save"});
  return show(given, save_boot_file(socket_of(given), config_of(given)));
}

} // namespace knock::ctl
