// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/boot_file.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <system_error>

#include <fmt/format.h>

#include <knock/confirm.hpp>

#include "ctl/control_client.hpp"
#include "netlink/ruleset.hpp"
#include "system/boot_path.hpp"
#include "system/files.hpp"
#include "system/process.hpp"

namespace knock::ctl {
namespace {

namespace fs = std::filesystem;

Reply failed(std::string text, std::string advice) {
  return {{}, {ExitCode::failed, "failed", {}, std::move(text), std::move(advice)}};
}

/// A user namespace shows the outer root as uid 65534, like every other outer user: they look alike.
bool is_root(uid_t uid) {
  constexpr uid_t kNobody = 65'534;
  if (uid != kNobody) return uid == 0;
  std::uint64_t inside = 0, outside = 0, count = 0;
  std::ifstream("/proc/self/uid_map") >> inside >> outside >> count;
  return count <= kNobody;
}

/// Whether root alone can have put there what lies at `path`, and what will. What is missing is fine, but in a
/// directory where all may put things (sticky: each its own), it can be another user's a moment later.
Result<void> only_roots(const fs::path& path) {
  fs::path at;
  bool anybodys = false;
  const auto shared = [](const fs::path& where) -> Result<void> {
    return tl::unexpected(Error{fmt::format("{} is everybody's: root does not follow", where.string()), 0,
                                "name a directory of root's"});
  };
  for (const auto& part : path) {
    at /= part;
    struct stat about {};
    if (::lstat(at.c_str(), &about) != 0) {
      if (errno != ENOENT) return tl::unexpected(system::system_error("look at " + at.string()));
      return anybodys ? shared(at.parent_path()) : Result<void>{};
    }
    const auto refuse = [&](std::string_view why, std::string advice) -> Result<void> {
      return tl::unexpected(
          Error{fmt::format("{} {}: root does not follow", at.string(), why), 0, std::move(advice)});
    };
    const bool sticky = S_ISDIR(about.st_mode) && (about.st_mode & S_ISVTX) != 0;
    if (S_ISLNK(about.st_mode)) return refuse("is a link", "name the place itself");
    if (!is_root(about.st_uid))
      return refuse("is not root's", fmt::format("sudo chown root {}", at.string()));
    if ((about.st_mode & 022U) != 0 && !sticky)
      return refuse("can be written by others", fmt::format("sudo chmod go-w {}", at.string()));
    anybodys = (about.st_mode & 022U) != 0;
  }
  return anybodys ? shared(at) : Result<void>{};
}

/// The config names the boot file and stands in it, quoted: who may write it could be root.
Result<void> only_roots_config(const fs::path& path) {
  if (auto fine = only_roots(path); !fine) return fine;
  for (const char* name : {"doors.d", "users.d"}) {
    const auto directory = path.parent_path() / name;
    if (auto fine = only_roots(directory); !fine) return fine;
    std::error_code error; // load_config says it better
    for (fs::directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error))
      if (entry->path().extension() == ".toml")
        if (auto fine = only_roots(entry->path()); !fine) return fine;
  }
  return {};
}

/// Our user passes through it, whatever the umask: the daemon compares the file. Failure shows at the write.
void make_directory(const fs::path& directory) {
  std::error_code error;
  if (!fs::create_directories(directory, error)) return;
  const auto ours = system::group_id(system::kOurUser);
  if (ours && ::chown(directory.c_str(), static_cast<uid_t>(-1), *ours) == 0)
    ::chmod(directory.c_str(), 0750);
}

Result<void> write_boot_file(const std::string& path, const std::string& text) {
  const auto directory = fs::path(path).parent_path();
  if (auto fine = only_roots(directory); !fine) return fine;
  if (text.empty()) return system::remove_file(path);
  if (auto fine = netlink::check_ruleset(text); !fine) return fine;
  make_directory(directory);
  return system::write_file_atomically(path, text, 0640, system::group_id(system::kOurUser));
}

std::string normal(const std::string& path) {
  std::error_code error;
  return fs::absolute(path, error).lexically_normal().string();
}

/// What is on trial, or waits to be confirmed, only the daemon knows: no port is guarded that the file did not guard.
Reply save_alone(const Config& config, const Failure& why) {
  const auto path = normal(config.nft.boot_file);
  const auto before = system::read_file(path);
  const auto guarded = guarded_in(before.value_or(""));
  Unconfirmed others;
  for (const auto& entry : static_sets_of(config).guarded)
    if (!std::binary_search(guarded.begin(), guarded.end(), entry.port)) others[entry.port] = {};
  if (const auto done = write_boot_file(path, boot_file_text(config, others, false)); !done)
    return {{}, failure_of(done.error())};
  Reply told{{text_line(fmt::format("saved {} by its own ports: no daemon answers ({})", path, why.text))},
             {}};
  for (const auto& [port, trial] : others)
    told.lines.push_back(text_line(
        fmt::format("{} is not guarded from boot on: start knockgated, and save again", to_string(port))));
  return told;
}

/// The configuration that names the boot file, read without its doors when these are what is wrong.
std::optional<Config> without_doors(const std::string& where) {
  const auto text = only_roots(where) ? system::read_file(where) : tl::unexpected(Error{});
  if (!text) return std::nullopt;
  const ConfigText main{where, *text};
  return parse_config({&main, 1}).config;
}

/// Off holds whatever the configuration has become: `config` may be absent, or not the one that runs.
Reply remove_boot_file(const std::string& where, const Config* config, const std::string& runs) {
  const auto main = config != nullptr ? std::nullopt : without_doors(where);
  const auto named = config != nullptr ? config->nft.boot_file
                     : main            ? main->nft.boot_file
                                       : Config{}.nft.boot_file;
  const auto path = named.empty() ? named : normal(named);
  if (!named.empty())
    if (const auto done = write_boot_file(path, {}); !done) return {{}, failure_of(done.error())};
  auto text = named.empty() ? std::string("[nft] boot_file is \"\"") : "no " + path;
  if (config != nullptr && config->hash == runs)
    return {{text_line(fmt::format("off also after a reboot: {}", text))}, {}};
  text += config != nullptr || main ? fmt::format(" (named by {}, which is not what runs)", where)
                                    : fmt::format(" (the default place: {} cannot be used)", where);
  return {{text_line(fmt::format("off also after a reboot, if the daemon has no other boot file: {}; "
                                 "for another configuration: sudo knockctl save --config FILE",
                                 text))},
          {}};
}

} // namespace

Reply save_boot_file(const std::string& socket, const std::string& config_path, bool beside) {
  const auto where = normal(config_path);
  const auto fine = only_roots_config(where);
  const auto parsed = fine ? system::load_config(where) : ParsedConfig{};
  const auto* config = parsed.config ? &*parsed.config : nullptr;
  const auto reply = ask(socket, {"save", {}});
  const auto facts = parse_save_facts(reply.lines);
  const bool answered = reply.failure.exit == ExitCode::done;
  if (answered && facts && facts->off) return remove_boot_file(where, config, facts->config);
  if (!fine) return {{}, failure_of(fine.error())};
  if (config == nullptr) return {{}, failure_of(parsed.findings.front())};
  if (config->nft.boot_file.empty())
    return {{},
            {ExitCode::failed, "no-boot-file", {}, "[nft] boot_file is \"\": there is nothing to save", ""}};
  if (reply.failure.exit == ExitCode::unreachable) return save_alone(*config, reply.failure);
  if (!answered) return reply;
  if (!facts) return failed("the daemon's answer makes no sense", "install the same version of both");
  if (facts->config != config->hash)
    return failed(
        "the configuration on disk is not the one that runs: reload first",
        fmt::format("knockctl reload --confirm 10m; this read {}, another one: --config FILE", where));
  Unconfirmed unconfirmed;
  for (Port port : facts->unconfirmed) unconfirmed[port] = {};

  const auto path = normal(config->nft.boot_file);
  const auto text = boot_file_text(*config, unconfirmed, false);
  const bool same = system::read_file(path).value_or("") == text;
  if (const auto done = write_boot_file(path, text); !done) return {{}, failure_of(done.error())};
  if (same && beside) return {};
  if (text.empty()) return {{text_line(fmt::format("nothing to guard at boot: no {}", path))}, {}};
  Reply told{{text_line(fmt::format("saved {}", path))}, {}};
  if (const auto boot = system::boot_path(path); !boot.advice.empty())
    told.lines.push_back(text_line(boot.fault.empty()
                                       ? "a reload of nftables.service leaves a gap; " + boot.advice
                                       : "nothing loads it at boot; " + boot.advice));
  return told;
}

ParsedConfig roots_config(const std::string& config_path) {
  const auto where = normal(config_path);
  return only_roots_config(where) ? system::load_config(where) : ParsedConfig{};
}

Reply remove_boot_file(const std::string& config_path, const ParsedConfig& parsed) {
  const auto* config = parsed.config ? &*parsed.config : nullptr;
  return remove_boot_file(normal(config_path), config, config != nullptr ? config->hash : "");
}

} // namespace knock::ctl
