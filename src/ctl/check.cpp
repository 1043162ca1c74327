// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/verbs.hpp"

#include <algorithm>

#include <fmt/format.h>

#include <knock/status.hpp>

#include "ctl/show.hpp"
#include "system/files.hpp"
#include "system/process.hpp"

namespace knock::ctl {

int check(const CommandLine& given, Look look) {
  const auto key = system::random_key();
  std::uint64_t seed = 0;
  std::copy_n(key.begin(), sizeof seed, reinterpret_cast<std::uint8_t*>(&seed));
  auto parsed = system::load_config(given.words.empty() ? config_of(given) : given.words[0], seed);
  if (parsed.config)
    for (auto& finding : look(*parsed.config)) parsed.findings.push_back(std::move(finding));
  if (given.json) fmt::print("{}\n", check_line(parsed));
  for (const auto& finding : parsed.findings) // names in foreign tables may be hostile
    if (!given.json) fmt::print(stderr, "{}\n", printable(to_string(finding)));
  if (!parsed.config || (given.strict && !parsed.findings.empty()))
    return static_cast<int>(ExitCode::bad_config);
  if (!given.json) fmt::print("ok: {} enabled\n", plural(count_enabled(*parsed.config), "door"));
  return 0;
}

} // namespace knock::ctl
