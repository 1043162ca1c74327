// SPDX-License-Identifier: GPL-2.0-or-later
// NAME.toml as it is written.
#include <knock/profile.hpp>

#include <fmt/format.h>

#include <knock/dates.hpp>

#include "core/config/words.hpp"

namespace knock::profiles {
namespace {

/// Printable ASCII, as it is in a profile; of a knock quotes and backslashes are escaped once more.
std::string basic_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

template<class Each, class Text>
std::string string_array(const std::vector<Each>& all, Text text_of) {
  std::string text;
  for (const auto& one : all) text += (text.empty() ? "" : ", ") + basic_string(text_of(one));
  return "[" + text + "]";
}

std::string string_array(const std::vector<std::string>& all) {
  return string_array(all, [](const std::string& one) { return one; });
}

std::string source_text(const Profile& profile) {
  switch (profile.source) {
  case Profile::Source::bound: return "bound";
  case Profile::Source::unbound: return "unbound";
  case Profile::Source::address: return to_string(profile.address.value_or(Address{}));
  default: return "auto";
  }
}

std::string ports_of(const LineDoor& door) {
  if (door.any) return "[\"any\"]";
  return string_array(door.ports, [](const PortRange& range) { return to_string(range); });
}

void add_door(std::string& text, const LineDoor& door) {
  text += fmt::format("\n[door.{}]\nports = {}\n", door.name, ports_of(door));
  if (door.open_for) text += fmt::format("for   = \"{}\"\n", grammar::duration_text(*door.open_for));
  if (door.max) text += fmt::format("max   = \"{}\"\n", grammar::duration_text(*door.max));
  if (door.cut) text += "cut   = true\n";
  if (door.uses) text += "uses  = true\n";
  if (door.run) text += "run   = true\n";
  if (door.args != 0) text += fmt::format("args  = {}\n", door.args);
  if (!door.at.empty()) text += fmt::format("at    = {}\n", string_array(door.at));
  if (!door.knock.empty()) text += fmt::format("knock = {}\n", string_array(door.knock));
}

} // namespace
} // namespace knock::profiles

namespace knock {

std::string profile_text(const Profile& profile) {
  auto text = fmt::format("hosts  = {}\n", profiles::string_array(profile.hosts));
  if (!profile.device.empty()) text += fmt::format("device = \"{}\"\n", profile.device);
  if (!profile.send.empty())
    text += fmt::format("send   = {}\n",
                        profiles::string_array(profile.send, [](Carrier one) { return to_string(one); }));
  if (!profile.device.empty() || profile.source != Profile::Source::automatic)
    text += fmt::format("source = \"{}\"\n", profiles::source_text(profile));
  if (profile.require_source) text += "require_source = true\n";
  if (profile.for_src) text += "for_src = true\n";
  if (profile.counter) text += "clock  = \"none\"\n";
  if (profile.claim) text += fmt::format("claim  = {}\n", rfc3339(*profile.claim));
  if (profile.until) text += fmt::format("until  = {}\n", rfc3339(*profile.until));
  for (const auto& door : profile.doors) profiles::add_door(text, door);
  return text;
}

} // namespace knock
