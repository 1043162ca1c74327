// SPDX-License-Identifier: GPL-2.0-or-later
// Users as they are on disk, beside the doors that run.
#include <algorithm>

#include <knock/config.hpp>

namespace knock {
namespace {

using Part = ConfigText::Part;

/// What takes the place of a file of users that is bad: what it said when it was applied last, if it said anything.
class Replacing {
 public:
  Replacing(std::vector<ConfigText> texts, std::span<const ConfigText> applied)
      : texts_(std::move(texts)), applied_(applied) {}

  /// Of a directory all that is in it: what was put there is not taken, what was taken out stays out.
  bool replace_in(const std::string& directory) {
    std::vector<std::string> files;
    for (const auto& text : texts_)
      if (text.part == Part::users && text.file.starts_with(directory + "/")) files.push_back(text.file);
    return std::count_if(files.begin(), files.end(),
                         [&](const std::string& file) { return replace(file); }) != 0;
  }
  /// Returns false for a file that is none of users.d and no key, or was replaced already.
  bool replace(const std::string& file) {
    // A key is never taken from before: one that was taken out would come back.
    if (std::erase_if(texts_, [&](const ConfigText& text) {
          return text.file == file && text.part == Part::keys;
        }) != 0)
      return true;
    const auto is_it = [&](const ConfigText& text) { return text.file == file && text.part == Part::users; };
    const auto there = std::find_if(texts_.begin(), texts_.end(), is_it);
    const auto before = std::find_if(applied_.begin(), applied_.end(), is_it);
    if (there == texts_.end() && before == applied_.end()) return false;
    const bool fresh = std::find(replaced_.begin(), replaced_.end(), file) == replaced_.end();
    if (there != texts_.end() && (!fresh || before == applied_.end()))
      texts_.erase(there);
    else if (there != texts_.end())
      there->text = before->text;
    else if (fresh)
      texts_.push_back(*before);
    else
      return false;
    replaced_.push_back(file);
    return true;
  }
  [[nodiscard]] const std::vector<ConfigText>& texts() const { return texts_; }

 private:
  std::vector<ConfigText> texts_;
  std::span<const ConfigText> applied_;
  std::vector<std::string> replaced_;
};

const Finding* first_error(const std::vector<Finding>& findings) {
  const auto found = std::find_if(findings.begin(), findings.end(), [](const Finding& finding) {
    return finding.level == Finding::Level::error;
  });
  return found == findings.end() ? nullptr : &*found;
}

} // namespace

ParsedConfig parse_users_anew(std::span<const ConfigText> applied, const ParsedConfig& on_disk) {
  std::vector<ConfigText> texts;
  std::copy_if(applied.begin(), applied.end(), std::back_inserter(texts),
               [](const ConfigText& text) { return text.part == Part::main || text.part == Part::doors; });
  std::copy_if(on_disk.texts.begin(), on_disk.texts.end(), std::back_inserter(texts),
               [](const ConfigText& text) { return text.part == Part::users || text.part == Part::keys; });
  // What was applied comes first: of two files with one device or key the new one is second, and bad.
  std::stable_partition(texts.begin(), texts.end(), [&](const ConfigText& text) {
    return std::any_of(applied.begin(), applied.end(), [&](const ConfigText& one) {
      return one.part == text.part && one.file == text.file && one.text == text.text;
    });
  });
  Replacing replacing(std::move(texts), applied);
  std::vector<Finding> told;
  for (const auto& finding : on_disk.findings)
    if (std::find(on_disk.closed.begin(), on_disk.closed.end(), finding.place.file) != on_disk.closed.end() &&
        (replacing.replace(finding.place.file) || replacing.replace_in(finding.place.file)))
      told.push_back(finding);
  for (;;) {
    auto parsed = parse_config(replacing.texts(), on_disk.outside);
    const auto* error = first_error(parsed.findings);
    const bool again = error != nullptr && replacing.replace(error->place.file);
    if (again) told.push_back(*error);
    if (again) continue;
    parsed.outside = on_disk.outside;
    parsed.texts = replacing.texts();
    parsed.findings.insert(parsed.findings.begin(), told.begin(), told.end());
    return parsed;
  }
}

} // namespace knock
