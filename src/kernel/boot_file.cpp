// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/boot_file.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>

#include <fmt/format.h>

#include "kernel/control_client.hpp"
#include "kernel/files.hpp"
#include "kernel/netfilter.hpp"
#include "kernel/process.hpp"

namespace knock::kernel {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRuleset = "/etc/nftables.conf";

/// Our user passes through it, whatever the umask: the daemon compares the file. Failure shows at the write.
void make_directory(const fs::path& directory) {
  std::error_code error;
  if (!fs::create_directories(directory, error)) return;
  const auto ours = group_id(kOurUser);
  if (ours && ::chown(directory.c_str(), static_cast<uid_t>(-1), *ours) == 0)
    ::chmod(directory.c_str(), 0750);
}

Result<void> write_boot_file(const std::string& path, const std::string& text) {
  if (auto fine = check_ruleset(text); !fine) return fine;
  make_directory(fs::path(path).parent_path());
  return write_file_atomically(path, text, 0640, group_id(kOurUser));
}

/// Whether boot reads the file: the one documented line, or any include of its directory.
bool is_included(const std::string& path) {
  const auto ruleset = read_file(kRuleset);
  return ruleset && ruleset->find(fs::path(path).parent_path().string()) != std::string::npos;
}

} // namespace

Reply save_boot_file(const std::string& socket) {
  auto reply = ask(socket, {"save", {}});
  if (reply.failure.exit != ExitCode::done) return reply;
  std::string text;
  std::string path;
  for (const auto& line : reply.lines) {
    if (const auto part = part_of(line)) text += *part;
    if (const auto where = path_of(line)) path = *where;
  }
  const auto done = text.empty() ? remove_file(path) : write_boot_file(path, text);
  if (!done) return {{}, failure_of(done.error())};
  if (text.empty()) return {{text_line(fmt::format("nothing to guard at boot: no {}", path))}, {}};
  Reply told{{text_line(fmt::format("saved {}", path))}, {}};
  if (!is_included(path))
    told.lines.push_back(text_line(
        fmt::format("add this line at the end of {} to be guarded from boot on:\n  include \"{}/*.nft\"",
                    kRuleset, fs::path(path).parent_path().string())));
  return told;
}

} // namespace knock::kernel
