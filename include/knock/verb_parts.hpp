// SPDX-License-Identifier: GPL-2.0-or-later
/// Verb parts: the second word of the verbs that have one, what is typed behind it, and what help says of it.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

namespace knock {

struct VerbPart {
  std::string_view verb;
  std::string_view name;
  std::string_view usage; ///< behind both; the options that it takes are those that stand here
  std::string_view what;
  std::string_view example;
};

inline constexpr std::array kVerbParts{
    VerbPart{"user", "add", "USER --door D [--door D]... [--until DATE]",
             "a user without a device; knockctl invite USER makes one (root)",
             "sudo knockctl user add alice --door ssh --door nas --until 2026-12-24"},
    VerbPart{"user", "list", "", "all users and devices, and what each opened last", "knockctl user list"},
    VerbPart{"user", "show", "USER", "one user, with the last refusal of each device and what it means",
             "knockctl user show alice"},
    VerbPart{"user", "remove", "USER [--cut]",
             "take a user out with all devices, close what they opened; --cut: end what is connected (root)",
             "sudo knockctl user remove alice --cut"},
    VerbPart{"device", "list", "[USER]", "all devices, or those of a user", "knockctl device list alice"},
    VerbPart{"device", "add", "LINE", "take the line that `knockgate join` answers on the device (root)",
             "sudo knockctl device add KNOCKGATE:AFF55ROINU6K..."},
    VerbPart{"device", "remove", "USER/DEVICE [--cut]",
             "take a device out, close what it opened; --cut: end what is connected (root)",
             "sudo knockctl device remove alice/laptop"},
    VerbPart{"device", "rotate", "USER/DEVICE [--grace T] [--host H] [--password-fd N]",
             "new keys and a new line; the former ones open for --grace still, 7d unless given (root)",
             "sudo knockctl device rotate alice/laptop --grace 2d"},
    VerbPart{"device", "line", "USER/DEVICE [--host H]",
             "the line again, with today's keys of this router, hosts, ports and doors (root)",
             "sudo knockctl device line alice/laptop"},
    VerbPart{"key", "show", "", "the keys of this router, and who knocked with which (root)",
             "sudo knockctl key"},
    VerbPart{"key", "rotate", "[--grace T]",
             "a new first key; the former ones are accepted for --grace still, 30d unless given (root)",
             "sudo knockctl key rotate --grace 30d"},
    VerbPart{"clock", "accept", "[--yes]",
             "take the clock as right, though signed packets were accepted behind it (root)",
             "sudo knockctl clock accept"}};

constexpr const VerbPart* find_part(std::string_view verb, std::string_view name) {
  const auto* found = std::find_if(kVerbParts.begin(), kVerbParts.end(), [&](const VerbPart& part) {
    return part.verb == verb && part.name == name;
  });
  return found == kVerbParts.end() ? nullptr : found;
}

} // namespace knock
