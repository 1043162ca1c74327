// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/verbs.hpp"

#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include <knock/status.hpp>
#include <knock/strength.hpp>

#include "ctl/enrol_files.hpp"
#include "ctl/show.hpp"
#include "system/files.hpp"
#include "system/process.hpp"

namespace knock::ctl {

namespace {

/// Root reads everything; the daemon of the packaged service does not.
void add_closed(ParsedConfig& parsed) {
  if (::geteuid() != 0 || !parsed.config) return;
  std::vector<std::string> paths;
  for (const auto& text : parsed.texts) paths.push_back(text.file);
  const auto beside = std::filesystem::path(paths.front()).parent_path();
  for (const char* name : {"doors.d", "users.d"}) paths.push_back(beside / name);
  paths.push_back(parsed.config->nft.boot_file);
  std::vector<Finding> findings;
  for (const auto& path : system::closed_to(system::kOurUser, paths))
    findings.push_back({Finding::Level::warning,
                        {path, 0, 0},
                        fmt::format("user {} may not read it, as whom the service runs", system::kOurUser),
                        fmt::format("run: chown root:{0} {1} && chmod {2} {1}", system::kOurUser, path,
                                    std::filesystem::is_directory(path) ? "0750" : "0640"),
                        finding::kNotReadable});
  drop_accepted(findings, parsed.config->check.accept);
  parsed.findings.insert(parsed.findings.end(), findings.begin(), findings.end());
}

/// Keys that the service manager hands to the daemon are no file, and are not lost. Who may not ask is told as before.
void look_for_sealed(const CommandLine& given, ParsedConfig& parsed) {
  const auto is_it = [](const Finding& one) { return one.name == finding::kNoServerKey; };
  if (!parsed.config || std::none_of(parsed.findings.begin(), parsed.findings.end(), is_it)) return;
  const auto lent = borrow_keys(given, *parsed.config);
  if (lent && !parsed.config->server_keys.empty()) std::erase_if(parsed.findings, is_it);
}

} // namespace

int check(const CommandLine& given, Look look) {
  const auto key = system::random_key();
  std::uint64_t seed = 0;
  std::copy_n(key.begin(), sizeof seed, reinterpret_cast<std::uint8_t*>(&seed));
  auto parsed = system::load_config(given.words.empty() ? config_of(given) : given.words[0], seed);
  if (parsed.config)
    for (auto& finding : look(*parsed.config)) parsed.findings.push_back(std::move(finding));
  if (given.words.empty()) look_for_sealed(given, parsed);
  if (given.words.empty()) add_closed(parsed);
  if (given.json) fmt::print("{}\n", check_line(parsed));
  for (const auto& finding : parsed.findings) // names in foreign tables may be hostile
    if (!given.json) fmt::print(stderr, "{}\n", printable(to_string(finding)));
  if (!parsed.config || (given.strict && !parsed.findings.empty()))
    return static_cast<int>(ExitCode::bad_config);
  if (!given.json)
    for (const auto& sequence : sequences_of(*parsed.config)) fmt::print("{}\n", strength_text(sequence));
  if (!given.json) fmt::print("ok: {} enabled\n", plural(count_enabled(*parsed.config), "door"));
  return 0;
}

} // namespace knock::ctl
