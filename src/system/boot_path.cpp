// SPDX-License-Identifier: GPL-2.0-or-later
#include "system/boot_path.hpp"

#include <glob.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <iterator>
#include <map>
#include <sstream>
#include <system_error>

#include <fmt/format.h>

#include "system/files.hpp"

namespace knock::system {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRuleset = "/etc/nftables.conf";
constexpr const char* kUnit = "knockgate-boot.service";
constexpr const char* kOfUnit = "/etc/knockgate/nftables.d/knockgate.nft"; // what it loads
constexpr int kMaxNesting = 16;                                            // MAX_INCLUDE_DEPTH of nft
constexpr const char* kUnits[] = {"/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system",
                                  "/lib/systemd/system"}; // the first of one name counts

/// What nft reads, file after file: whether `wanted` is among it and no flush comes behind.
struct Reading {
  std::string root;
  fs::path wanted;
  bool loaded = false;
  bool unreadable = false;

  void read(const fs::path& path, int depth) {
    std::error_code error;
    if (fs::equivalent(path, wanted, error)) {
      loaded = true;
      return; // ours, and it includes nothing
    }
    const auto text = read_file(path.string());
    if (!text) {
      unreadable = unreadable || text.error().code != ENOENT;
      return;
    }
    std::size_t at = 0;
    while (at < text->size()) {
      const auto end = std::min(text->find('\n', at), text->size());
      read_line(text->substr(at, end - at), path.parent_path(), depth);
      at = end + 1;
    }
  }

  void read_line(std::string line, const fs::path& beside, int depth) {
    line.resize(std::min(line.find('#'), line.size()));
    const auto first = line.find_first_not_of(" \t{;");
    if (first == line.npos) return;
    line.erase(0, first);
    if (line.starts_with("flush") && line.find("ruleset") != line.npos) loaded = false;
    if (!line.starts_with("include")) return;
    const auto open = line.find_first_of("\"'");
    const auto close = open == line.npos ? open : line.find(line[open], open + 1);
    if (close == line.npos || depth >= kMaxNesting) return;
    const auto name = line.substr(open + 1, close - open - 1);
    const auto whole = name.starts_with('/')    ? root + name
                       : name.starts_with("./") ? (beside / name).string()
                                                : root + "/etc/" + name; // its default include path
    glob_t found{};
    if (::glob(whole.c_str(), 0, nullptr, &found) == 0)
      for (std::size_t i = 0; i < found.gl_pathc; ++i) read(found.gl_pathv[i], depth + 1);
    ::globfree(&found);
  }
};

bool is_installed(const std::string& root, const std::string& unit) {
  std::error_code none;
  return std::any_of(std::begin(kUnits), std::end(kUnits),
                     [&](const char* where) { return fs::exists(fs::path(root + where) / unit, none); });
}

/// A unit that some target wants.
bool is_enabled(const std::string& root, const std::string& unit) {
  for (const auto* where : kUnits) {
    std::error_code error;
    for (fs::directory_iterator at(root + where, error), end; !error && at != end; at.increment(error)) {
      const auto name = at->path().filename().string();
      std::error_code none;
      if ((name.ends_with(".wants") || name.ends_with(".requires")) &&
          fs::symlink_status(at->path() / unit, none).type() != fs::file_type::not_found)
        return true;
    }
  }
  return false;
}

} // namespace

BootPath boot_path(const std::string& file, const std::string& root) {
  BootPath path;
  const bool has_unit = file == kOfUnit && is_installed(root, kUnit);
  if (has_unit && is_enabled(root, kUnit)) path.by.emplace_back(kUnit);
  Reading reading{root, root + file};
  reading.read(root + kRuleset, 0);
  const bool starts = is_enabled(root, "nftables.service");
  if (reading.loaded && starts) path.by.emplace_back(kRuleset);
  if (reading.unreadable) return path;
  const auto line = fmt::format("put this at the end of {}: include \"{}/*.nft\"", kRuleset,
                                fs::path(file).parent_path().string());
  if (!path.by.empty()) {
    if (starts && !reading.loaded) path.advice = line;
    return path;
  }
  path.fault = reading.loaded
                   ? "nftables.service is not enabled"
                   : fmt::format("{} does not include it, or flushes the ruleset behind it", kRuleset);
  path.advice = has_unit
                    ? fmt::format("run: sudo systemctl enable {}", kUnit)
                    : line + ", and run: systemctl enable nftables (not beside ufw, firewalld or Docker: its "
                             "start flushes their rules)";
  return path;
}

std::string unit_user(const std::string& unit, const std::string& root) {
  fs::path main;
  std::map<std::string, fs::path> added; // drop-ins, in the order of their names
  for (const auto* where : kUnits) {
    std::error_code error;
    const auto path = fs::path(root + where) / unit;
    if (main.empty() && fs::exists(path, error)) main = path;
    for (fs::directory_iterator at(path.string() + ".d", error), end; !error && at != end;
         at.increment(error))
      if (at->path().extension() == ".conf") added.try_emplace(at->path().filename().string(), at->path());
  }
  if (main.empty()) return {};
  std::string user;
  const auto read = [&](const fs::path& path) {
    std::istringstream text(read_file(path.string()).value_or(""));
    for (std::string line; std::getline(text, line);)
      if (line.starts_with("User=")) user = line.substr(5);
  };
  read(main);
  for (const auto& [name, path] : added) read(path);
  return user.empty() ? "root" : user;
}

} // namespace knock::system
