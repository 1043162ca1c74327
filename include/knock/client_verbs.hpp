// SPDX-License-Identifier: GPL-2.0-or-later
/// Client verbs: what knockgate takes, once for its command line, its help and its completion.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace knock {

/// What stands at a place behind a verb.
enum class ClientWord : std::uint8_t { none, line, host, door, port, step };

struct ClientVerb {
  std::string_view name;
  std::size_t most_words;
  std::string_view
      usage; ///< behind the name; the options that it takes are those that stand here, and those of any verb
  std::size_t least_words;
  std::array<ClientWord, 2> words; ///< the first two; what is further is like the second
  std::string_view what;
  std::string_view example;
};

inline constexpr std::size_t kMaxSteps = 64; // words of one `knock`

inline constexpr std::array kClientVerbs{
    ClientVerb{"join",
               1,
               "[LINE|FILE|-] [--name N] [--password-fd N]",
               0,
               {ClientWord::line, ClientWord::none},
               "make a profile of a line that the router's admin sent; without a word it asks for the line",
               "knockgate join"},
    ClientVerb{
        "open",
        2,
        "HOST [DOOR] [--for T] [--for-address A] [--args-fd N] [--icmp] [--no-probe] [--key FILE|--key-fd N] "
        "[--password-fd N]",
        1,
        {ClientWord::host, ClientWord::door},
        "knock until the door is open; without DOOR the only one",
        "knockgate open home ssh"},
    ClientVerb{"connect",
               2,
               "HOST PORT [--icmp] [--key FILE|--key-fd N] [--password-fd N]",
               2,
               {ClientWord::host, ClientWord::port},
               "open what leads to a port, connect, pass stdin and stdout: for ProxyCommand of ssh",
               "ssh -o 'ProxyCommand knockgate connect %h %p' router.example"},
    ClientVerb{"keep",
               2,
               "HOST [DOOR] [--for T] [--icmp] [--key FILE|--key-fd N] [--password-fd N] [-- COMMAND...]",
               1,
               {ClientWord::host, ClientWord::door},
               "open a door and keep it open, until the command or this ends",
               "knockgate keep home mosh -- mosh router.example"},
    ClientVerb{"close",
               2,
               "HOST [DOOR] [--icmp] [--key FILE|--key-fd N] [--password-fd N]",
               1,
               {ClientWord::host, ClientWord::door},
               "close what this machine opened",
               "knockgate close home ssh"},
    ClientVerb{"list",
               2,
               "[HOST [PORT]] [--ssh]",
               0,
               {ClientWord::host, ClientWord::port},
               "profiles and their doors; exit 0 if one fits; --ssh: as lines of ssh_config",
               "knockgate list router.example 22"},
    ClientVerb{"status",
               0,
               "",
               0,
               {ClientWord::none, ClientWord::none},
               "what this machine opened",
               "knockgate status"},
    ClientVerb{"knock",
               kMaxSteps + 1,
               "HOST STEP... [-d MS]",
               2,
               {ClientWord::host, ClientWord::step},
               "send a knock without a profile; -d: milliseconds between two steps, 100 unless given",
               "knockgate knock router.example tcp/7143 7144:udp"}};

struct ClientOption {
  std::string_view name;
  std::string_view value; ///< what it needs; empty: none
  bool of_any;            ///< of any verb, also where its usage does not name it
  std::string_view what;
};

inline constexpr std::array kClientOptions{
    ClientOption{"-4", "", true, "IPv4 alone"},
    ClientOption{"-6", "", true, "IPv6 alone"},
    ClientOption{"--timeout", "T", true, "how long to try: 1s to 10m, 10s unless given"},
    ClientOption{"--profile", "N", true, "the profile to take, where HOST does not tell"},
    ClientOption{"--json", "", true, "one line of JSON instead of text"},
    ClientOption{"-v", "", true, "say each step, on stderr"},
    ClientOption{"--help", "", true, "this, or of one verb"},
    ClientOption{"-h", "", true, "the same"},
    ClientOption{"--version", "", true, "which version this is"},
    ClientOption{"--name", "N", false, "what the profile is called"},
    ClientOption{"--for", "T", false, "how long it stays open, as far as the router allows: 30s"},
    ClientOption{"--for-address", "A", false, "open it for another address than ours"},
    ClientOption{"--args-fd", "N", false, "a descriptor to read what the door's command gets"},
    ClientOption{"--icmp", "", false, "in echo requests, where UDP does not pass"},
    ClientOption{"--no-probe", "", false, "send, and do not try whether it opened"},
    ClientOption{"--key", "FILE", false, "the key file to take instead of the profile's"},
    ClientOption{"--key-fd", "N", false, "a descriptor to read the key file from"},
    ClientOption{"--password-fd", "N", false, "a descriptor to read the password from"},
    ClientOption{"--ssh", "", false, "as lines of ssh_config"},
    ClientOption{"-d", "MS", false, "milliseconds between two steps"}};

/// Nothing when there is no such verb.
constexpr const ClientVerb* find_client_verb(std::string_view name) {
  const auto* found = std::find_if(kClientVerbs.begin(), kClientVerbs.end(),
                                   [&](const ClientVerb& verb) { return verb.name == name; });
  return found == kClientVerbs.end() ? nullptr : found;
}

constexpr const ClientOption* find_client_option(std::string_view name) {
  const auto* found = std::find_if(kClientOptions.begin(), kClientOptions.end(),
                                   [&](const ClientOption& option) { return option.name == name; });
  return found == kClientOptions.end() ? nullptr : found;
}

/// Whether a word of the usage is `option`, and not a longer one that begins like it.
constexpr bool takes(const ClientVerb& verb, const ClientOption& option) {
  constexpr std::string_view kEnds = " []|";
  for (auto at = verb.usage.find(option.name); at != verb.usage.npos;
       at = verb.usage.find(option.name, at + 1)) {
    const auto end = at + option.name.size();
    if (end == verb.usage.size() || kEnds.find(verb.usage[end]) != kEnds.npos) return true;
  }
  return option.of_any;
}

} // namespace knock
