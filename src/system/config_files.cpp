// SPDX-License-Identifier: GPL-2.0-or-later
// The configuration as its files lie on disk.
#include "system/files.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <system_error>

#include <fmt/format.h>

#include "system/process.hpp"
#include "system/zone.hpp"

namespace knock::system {
namespace {

namespace fs = std::filesystem;

constexpr auto kKeyFile = "kn1.key";

/// Where the service manager put our key; empty: nowhere.
std::string key_credential() {
  const char* directory = std::getenv("CREDENTIALS_DIRECTORY");
  std::error_code error;
  if (directory == nullptr) return {};
  auto path = (fs::path(directory) / kKeyFile).string();
  return fs::exists(path, error) ? path : std::string();
}

/// What cannot be told of a configuration that was not read whole.
const std::vector<std::string> kOfAllFiles{std::string(finding::kNoDevice), std::string(finding::kNoDoor),
                                           std::string(finding::kNoServerKey)};

struct Loading {
  std::span<const Draft> drafts;
  std::vector<ConfigText> texts{};
  std::map<std::string, Access> access{};
  std::vector<Finding> findings{};

  void refuse(const std::string& path, std::string text, std::string advice) {
    findings.push_back({Finding::Level::error, {path, 0, 0}, std::move(text), std::move(advice)});
  }

  const Draft* draft_of(const std::string& path) const {
    const auto found =
        std::find_if(drafts.begin(), drafts.end(), [&](const Draft& draft) { return draft.path == path; });
    return found == drafts.end() ? nullptr : &*found;
  }

  void read(const std::string& path, ConfigText::Part part) {
    if (const auto* draft = draft_of(path); draft != nullptr) {
      if (draft->text) texts.push_back({path, std::string(*draft->text), part});
      return; // who may read it, its writer sees to
    }
    auto file = read_whole(path);
    if (!file) return refuse(path, file.error().what, file.error().advice);
    access[path] = file->access;
    texts.push_back({path, std::move(file->text), part});
  }

  /// Whether a text was added; a file that is not there is none.
  bool read_key(const std::string& path) {
    const auto before = texts.size();
    std::error_code error;
    if (draft_of(path) != nullptr || fs::exists(path, error) || error) read(path, ConfigText::Part::keys);
    return texts.size() != before;
  }

  /// Who may write into a directory writes configuration: any door, or any user.
  void judge_directory(const std::string& path, ConfigText::Part part) {
    struct stat about {};
    if (::stat(path.c_str(), &about) != 0) return;
    const auto why = intrusion({about.st_uid, about.st_gid, about.st_mode & 07777U}, ::geteuid(),
                               part == ConfigText::Part::users);
    if (!why.empty()) refuse(path, why, owner_line(path, true));
  }

  /// *.toml in order of their names, as a shell would list them.
  void read_directory(const fs::path& directory, ConfigText::Part part) {
    std::error_code error;
    std::vector<std::string> paths;
    for (fs::directory_iterator at(directory, error), end; !error && at != end; at.increment(error)) {
      const auto name = at->path().filename().string();
      if (!name.starts_with('.') && name.ends_with(".toml")) paths.push_back(at->path().string());
    }
    if (error && error.value() != ENOENT) {
      const bool users = part == ConfigText::Part::users;
      refuse(directory.string(),
             fmt::format("cannot be listed: {}{}", error.message(),
                         users ? ": users and devices are not checked" : ""),
             listing_advice(error.value(), directory.string()));
    }
    if (!error) judge_directory(directory.string(), part);
    for (const auto& draft : drafts)
      if (fs::path(draft.path).parent_path() == directory) paths.push_back(draft.path);
    std::sort(paths.begin(), paths.end());
    paths.erase(std::unique(paths.begin(), paths.end()), paths.end());
    for (const auto& path : paths) read(path, part);
  }
};

ConfigText::Part part_of(const std::string& path) {
  std::error_code error;
  const auto whole = fs::absolute(path, error).lexically_normal();
  if (whole.filename() == kKeyFile) return ConfigText::Part::keys;
  const auto directory = whole.parent_path().filename();
  if (directory == "doors.d") return ConfigText::Part::doors;
  return directory == "users.d" ? ConfigText::Part::users : ConfigText::Part::main;
}

/// kn1.key lies where the configuration says, which is known when that is read: mostly beside it, so that nothing is read
/// twice. A credential of the service manager wins.
ParsedConfig parse_with_keys(Loading& loading, const fs::path& beside, std::optional<std::uint64_t> seed) {
  const auto host = outside_here(seed);
  if (const auto credential = key_credential(); !credential.empty()) {
    loading.read(credential, ConfigText::Part::keys);
    loading.access.erase(credential); // who may read it is the service manager's to say
    return parse_config(loading.texts, host);
  }
  const auto usual = (beside / kKeyFile).string();
  const auto sound = loading.findings.size();
  const bool there = loading.read_key(usual);
  auto parsed = parse_config(loading.texts, host);
  if (parsed.key == usual) return parsed;
  if (there) loading.texts.pop_back();
  loading.findings.resize(sound);
  return loading.read_key(parsed.key) || there ? parse_config(loading.texts, host) : parsed;
}

void judge_secrets(const ParsedConfig& parsed, Loading& loading) {
  const auto ours = group_id(kOurUser);
  for (const auto& path : parsed.secret_files) {
    const auto found = loading.access.find(path);
    if (found == loading.access.end()) continue;
    const auto& access = found->second;
    const auto why = exposure(access, ::geteuid(), ours);
    if (why.empty()) continue;
    // Who owns it may mend it himself.
    const bool own = access.owner == ::geteuid() && (access.owner != 0 || !ours);
    loading.refuse(path, why, own ? "chmod 0600 " + path : owner_line(path, false));
  }
}

} // namespace

ParsedConfig load_config(const std::string& path, std::optional<std::uint64_t> seed,
                         std::span<const Draft> drafts) {
  Loading loading{drafts};
  const auto part = part_of(path);
  loading.read(path, part);
  if (part == ConfigText::Part::main && !loading.texts.empty()) {
    const auto beside = fs::path(path).parent_path();
    loading.read_directory(beside / "doors.d", ConfigText::Part::doors);
    loading.read_directory(beside / "users.d", ConfigText::Part::users);
  }
  auto parsed = part == ConfigText::Part::main ? parse_with_keys(loading, fs::path(path).parent_path(), seed)
                                               : parse_config(loading.texts, outside_here(seed));
  judge_secrets(parsed, loading);
  if (parsed.config && !parsed.config->control.write_group.empty() &&
      !group_id(parsed.config->control.write_group))
    loading.findings.push_back({Finding::Level::error, parsed.config->control.write_group_place,
                                fmt::format("there is no group \"{}\"", parsed.config->control.write_group),
                                "sudo groupadd it, or name another"});
  for (const auto& finding : loading.findings) parsed.closed.push_back(finding.place.file);
  parsed.outside = outside_here(seed);
  if (!loading.findings.empty()) parsed.config.reset();
  if (!loading.findings.empty()) drop_accepted(parsed.findings, kOfAllFiles);
  parsed.findings.insert(parsed.findings.begin(), loading.findings.begin(), loading.findings.end());
  return parsed;
}

} // namespace knock::system
