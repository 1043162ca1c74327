// SPDX-License-Identifier: GPL-2.0-or-later
// knockgate join: makes a profile of a line, and the answer that the router waits for.
#include <strings.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>
#include <sodium/utils.h>

#include <knock/kn1_client.hpp>

#include "client/profiles.hpp"
#include "client/show.hpp"
#include "client/ssh_config.hpp"
#include "client/state_file.hpp"
#include "client/verbs.hpp"
#include "core/json_text.hpp"
#include "system/files.hpp"
#include "system/process.hpp"
#include "system/terminal.hpp"

namespace knock::client {
namespace {

constexpr std::size_t kMaxPasted = 16'384; // a line that was broken into several, with blanks

Failure no_line(std::string text, std::string advice) {
  return {ExitCode::usage, "usage", {}, std::move(text), std::move(advice)};
}

/// Whether nothing that follows makes another line of it: it is one, or does not begin as one.
bool is_whole(std::string_view text) {
  constexpr std::string_view kBegins = "KNOCKGATE:";
  if (parse_line(text)) return true;
  text.remove_prefix(std::min(text.find_first_not_of(" \t\r"), text.size()));
  return ::strncasecmp(text.data(), kBegins.data(), std::min(text.size(), kBegins.size())) != 0;
}

/// Mail breaks long lines.
tl::expected<Sensitive, Failure> read_pasted(const ClientLine& given) {
  const auto word = given.words.empty() ? std::string() : given.words[0];
  if (parse_line(word)) return Sensitive(word); // an invite: the command line refused the others
  if (!word.empty() && word != "-") {
    auto text = system::read_file(word, kMaxPasted);
    if (!text)
      return tl::unexpected(no_line(text.error().what, "name a file that holds the line, or paste it"));
    return Sensitive(std::move(*text));
  }
  if (word == "-" || ::isatty(STDIN_FILENO) == 0) {
    auto all = system::read_all(STDIN_FILENO, kMaxPasted);
    if (!all) return tl::unexpected(no_line("what was sent is too long for a line", "send the line alone"));
    return *all;
  }
  const auto terminal = system::open_terminal();
  auto line =
      terminal
          ? system::ask_hidden(*terminal,
                               "Paste the line that the admin sent (it is not shown): ", kMaxPasted, is_whole)
          : std::nullopt;
  if (!line) return tl::unexpected(no_line("no line was pasted", "knockgate join FILE"));
  return *line;
}

/// A profile of the same device, or nothing.
const Profile* same_device(const Profiles& profiles, const Line& line, const std::string& name) {
  const auto named = [&](const Profile& one) { return one.name == name; };
  const auto same = [&](const Profile& one) {
    return !line.name.empty() && one.device == line.name &&
           std::any_of(line.hosts.begin(), line.hosts.end(), [&](const auto& host) {
             return std::find(one.hosts.begin(), one.hosts.end(), host) != one.hosts.end();
           });
  };
  auto found = std::find_if(profiles.sound.begin(), profiles.sound.end(), named);
  if (found == profiles.sound.end()) found = std::find_if(profiles.sound.begin(), profiles.sound.end(), same);
  return found == profiles.sound.end() ? nullptr : &*found;
}

/// Asks until the answer is one; none is no.
bool says_yes(const system::Fd& terminal, const std::string& question) {
  for (;;) {
    const auto answer = system::ask_shown(terminal, question, 64);
    if (!answer || answer->text.empty() || answer->text == "n" || answer->text == "N" || answer->text == "no")
      return false;
    if (answer->text == "y" || answer->text == "Y" || answer->text == "yes") return true;
  }
}

/// Whether the person wants the key of a device replaced.
bool agrees(const Profile& former) {
  const auto terminal = system::open_terminal();
  if (!terminal) return false;
  return says_yes(*terminal,
                  fmt::format("{} is {} already. Replace its key, which opens no more then? [y/N] ",
                              former.name, former.device));
}

struct Choice {
  std::string name;
  std::optional<ProfileKeys> former; ///< of the same kid: they stay
};

/// What the profile is called, and what it takes the place of.
tl::expected<Choice, Failure> choose(const ClientLine& given, const Places& places, const Line& line) {
  const auto profiles = load_profiles(places);
  const auto wanted = given.name.value_or(given.profile.value_or(profile_name(line)));
  if (!is_profile_name(wanted))
    return tl::unexpected(no_line(wanted + " is no name for a profile", "--name N, of a to z, 0 to 9 and -"));
  const auto* former = same_device(profiles, line, wanted);
  if (former == nullptr) {
    const auto taken = std::any_of(profiles.broken.begin(), profiles.broken.end(), [&](const Failure& one) {
      return one.place.file.ends_with("/" + wanted + ".toml");
    });
    if (taken)
      return tl::unexpected(no_line(wanted + ".toml is there, and is wrong", "--name N for another"));
    return Choice{wanted, {}};
  }
  const bool is_other = former->device != line.name || (given.name && former->name != *given.name);
  if (is_other && former->name == wanted)
    return tl::unexpected(no_line(fmt::format("{} is a profile already, of {}", wanted,
                                              former->device.empty() ? "a knock" : former->device),
                                  "--name N for another"));
  if (is_other) return Choice{wanted, {}};
  const auto keys = load_keys(given, places, *former);
  if (keys && *keys && line.device && (*keys)->kid == line.device->kid &&
      (*keys)->secret == line.device->secret)
    return Choice{former->name, **keys};
  if (keys && !*keys && !line.device) return Choice{former->name, {}}; // a knock, which is written anew
  if (!agrees(*former))
    return tl::unexpected(
        refused(fmt::format("{} is {} already, with another key", former->name, former->device),
                "answer y on a terminal, or --name N for another profile"));
  return Choice{former->name, {}};
}

/// A password stays with its person, unless they want what it makes kept.
void offer_to_keep(const ClientLine& given, Joined& joined, const Choice& choice) {
  if (!joined.keys || joined.keys->seed || joined.keys->psk) return;
  if (choice.former && choice.former->psk) {
    joined.keys->psk = choice.former->psk;
    return;
  }
  const auto terminal = system::open_terminal();
  if (!given.password_fd && !terminal) return;
  if (!given.password_fd) {
    if (!says_yes(*terminal, "Keep the key that your password makes, so that it is asked no more? [y/N] "))
      return;
  }
  const auto password = ask_password(given, joined.profile.device);
  const auto argon2 = password ? kn1::argon2id(password->text, joined.keys->secret) : std::nullopt;
  if (argon2) joined.keys->psk = kn1::password_psk(joined.keys->secret, *argon2);
}

void report_joined(const ClientLine& given, const Joined& joined, const std::string& answer) {
  const auto& profile = joined.profile;
  std::vector<std::string> doors;
  for (const auto& door : profile.doors) doors.push_back(to_string(door));
  if (given.json) {
    fmt::print("{}\n",
               json_text({{"schema", 1},
                          {"profile", profile.name},
                          {"device", profile.device},
                          {"answer", answer.empty() ? nlohmann::json(nullptr) : nlohmann::json(answer)},
                          {"ssh_config", ssh_config(profile)}}));
    return;
  }
  fmt::print("{}  {}  {}   saved as {}\n", fmt::join(profile.hosts, ","),
             profile.device.empty() ? "knock" : profile.device, fmt::join(doors, " "), profile.name);
  if (!answer.empty())
    fmt::print("Send back to the admin (no secret):\n    sudo knockctl device add {}\n", answer);
  const auto ssh = ssh_config(profile);
  if (ssh.empty()) return;
  fmt::print("{}, in ~/.ssh/config:\n", answer.empty() ? "For ssh" : "Then");
  for (std::size_t at = 0; at < ssh.size();) {
    const auto end = ssh.find('\n', at);
    fmt::print("    {}\n", ssh.substr(at, end - at));
    at = end + 1;
  }
}

} // namespace

int join(const ClientLine& given) {
  const auto where = places();
  if (!where) return fail(given, where.error());
  auto pasted = read_pasted(given);
  if (!pasted) return fail(given, pasted.error());
  const auto line = parse_line(pasted->text);
  if (!line) return fail(given, failure_of(line.error()));
  const auto choice = choose(given, *where, *line);
  if (!choice) return fail(given, choice.error());
  std::optional<kn1::Secret> seed;
  const bool has_own_key = line->kind == LineKind::invite;
  const bool is_known = choice->former && choice->former->seed;
  if (has_own_key) {
    seed = is_known ? *choice->former->seed : kn1::Secret{};
    if (!is_known) system::fill_random(seed->bytes);
  }
  auto joined = join_profile(*line, choice->name, seed);
  if (!joined) return fail(given, joined.error());
  offer_to_keep(given, *joined, *choice);
  if (const auto saved = save_profile(*where, joined->profile, joined->keys); !saved)
    return fail(given, failure_of(saved.error()));
  // A counter that is lost begins anew for a new key alone: the router knows how far the other one came.
  if (joined->profile.counter && !choice->former)
    if (const auto begun = begin_state(where->state, joined->profile.name); !begun)
      return fail(given, failure_of(begun.error()));
  const auto answer = has_own_key && line->device
                          ? encode(make_answer(*line->device, kn1::signing_public(*seed)))
                          : std::string();
  report_joined(given, *joined, is_known && !line->claim ? std::string() : answer);
  return 0;
}

} // namespace knock::client
