// SPDX-License-Identifier: GPL-2.0-or-later
/// Verbs of knockctl, once for both sides: what is typed, what help says of it, and the right that it takes.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
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
    Verb{"user", 2, "add USER --door D [--until DATE] | list | show USER | remove USER [--cut]", Right::read,
         false, "who may knock with a device: add, list, show, remove", "knockctl user list"},
    Verb{"device", 2,
         "list [USER] | add LINE | remove U/D [--cut] | rotate U/D [--grace T] [--host H] [--password-fd N] "
         "| line U/D [--host H]",
         Right::read, false, "devices: list, add, remove, rotate, line",
         "sudo knockctl device remove alice/laptop"},
    Verb{
        "invite", 1,
        "USER[/DEVICE] [--door D] [--for T] [--openings N] [--psk | --password | --rotating | --one-time N | "
        "--fwknop] [--password-fd N] [--clock none] [--require-source] [--host H] [--qr | --no-qr] | --knock "
        "DOOR",
        Right::root, false, "make a device, print the line it joins with (root)",
        "sudo knockctl invite alice/laptop --door ssh --host router.example"},
    Verb{"key", 1, "[show] | rotate [--grace T]", Right::root, false, "the keys of this router (root)",
         "sudo knockctl key rotate --grace 30d"},
    Verb{"clock", 1, "accept [--yes]", Right::root, false,
         "take the clock as right, though signed packets were accepted behind it (root)",
         "sudo knockctl clock accept"},
    Verb{"replay", 1, "CAPTURE", Right::read, false, "say what becomes of recorded packets",
         "sudo tcpdump --immediate-mode -i any -w knock.pcap; sudo knockctl replay knock.pcap"},
    Verb{"template", 1, "[gate|forward|cut|wide|kn1|embed]", Right::read, false,
         "print the nft rules as they are loaded", "knockctl template gate | less"}};

/// What knockctl itself asks the daemon: no word of its command line.
struct Question {
  std::string_view name;
  Right right;
};
inline constexpr std::array kQuestions{Question{"users", Right::read}, Question{"users-read", Right::root},
                                       Question{"keys", Right::root}, Question{"clock-accept", Right::root}};

/// What a client needs to ask this of the daemon; nothing: the daemon knows no such word.
constexpr std::optional<Right> asked_right(std::string_view word) {
  for (const auto& verb : kVerbs)
    if (verb.name == word && verb.asked) return verb.right;
  for (const auto& question : kQuestions)
    if (question.name == word) return question.right;
  return std::nullopt;
}

/// Nothing when there is no such verb.
constexpr const Verb* find_verb(std::string_view name) {
  const auto* found =
      std::find_if(kVerbs.begin(), kVerbs.end(), [&](const Verb& verb) { return verb.name == name; });
  return found == kVerbs.end() ? nullptr : found;
}

} // namespace knock
