// SPDX-License-Identifier: GPL-2.0-or-later
/// Verbs of knockctl, once for both sides: what is typed, what help says of it, and the right that it takes.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

namespace knock {

/// What a user may do: look, change what is open, change what is guarded from boot on.
enum class Right : std::uint8_t { read, write, root };

struct Verb {
  std::string_view name;
  std::size_t most_words;
  std::string_view usage; ///< behind the name; the options that it takes are those that stand here
  Right right;
  bool asked; ///< of the daemon; the others are knockctl's alone
  std::string_view what;
  std::string_view example;
};

inline constexpr std::array kVerbs{
    Verb{"status", 0, "[--ids]", Right::read, true, "what is open, for whom (also without a verb)",
         "knockctl status --ids"},
    Verb{"check", 1, "[FILE] [--strict]", Right::read, false, "read the configuration and say what is wrong",
         "sudo knockctl check"},
    Verb{"open", 2, "DOOR ADDRESS [--for T]", Right::write, true, "open a door by hand",
         "sudo knockctl open ssh 203.0.113.9 --for 30m"},
    Verb{"close", 2, "DOOR|ID [ADDRESS] | --all [--cut]", Right::write, true,
         "close grants; --cut: end what is connected, too", "sudo knockctl close ssh 203.0.113.9"},
    Verb{"reload", 0, "[--confirm T | --now]", Right::write, true, "read the configuration anew",
         "sudo knockctl reload --confirm 10m"},
    Verb{"confirm", 0, "[--anyway]", Right::write, true,
         "keep what reload --confirm guards, once a knock opened it", "sudo knockctl confirm"},
    Verb{"save", 0, "", Right::root, true, "write the boot file (root)", "sudo knockctl save"},
    Verb{"off", 0, "", Right::root, true, "guard nothing until on, reboots included (root)",
         "sudo knockctl off"},
    Verb{"on", 0, "", Right::root, true, "guard again (root)", "sudo knockctl on"},
    Verb{"wait", 0, "[--timeout 10s]", Right::read, true, "wait until the daemon is ready",
         "knockctl wait --timeout 30s && knockctl status"},
    Verb{"template", 1, "[gate|forward|cut|embed]", Right::read, false,
         "print the nft rules as they are loaded", "knockctl template gate | less"}};

/// Nothing when there is no such verb.
constexpr const Verb* find_verb(std::string_view name) {
  const auto* found =
      std::find_if(kVerbs.begin(), kVerbs.end(), [&](const Verb& verb) { return verb.name == name; });
  return found == kVerbs.end() ? nullptr : found;
}

} // namespace knock
