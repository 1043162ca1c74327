// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/spa/line_door.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <knock/config.hpp>

#include "core/config/steps.hpp"
#include "core/config/words.hpp"

namespace knock::line {
namespace {

constexpr std::size_t kMaxArgs = 912; // what a packet of mode A holds

using Fault = std::optional<LineFault>;

/// The items between commas, each read by `read`. False if one is not read, or there is none.
template<class Read>
bool each(std::string_view list, Read read) {
  if (list.empty() || list.back() == ',') return false;
  while (!list.empty())
    if (!read(take_until(list, ','))) return false;
  return true;
}

bool read_ports(std::string_view text, LineDoor& door) {
  door.any = text == "any";
  if (door.any || text == "-") return true;
  return each(text, [&](std::string_view one) {
    const auto range = parse_port_range(one);
    if (range) door.ports.push_back(*range);
    return range.has_value();
  });
}

std::string with_blanks(std::string_view text) {
  std::string step(text);
  std::replace(step.begin(), step.end(), '_', ' ');
  return step;
}

bool read_step(std::string_view text, LineDoor& door) {
  auto step = with_blanks(text);
  if (!grammar::parse_step(step)) return false;
  door.knock.push_back(std::move(step));
  return true;
}

bool read_host(std::string_view text, LineDoor& door) {
  if (!is_host(text)) return false;
  door.at.emplace_back(text);
  return true;
}

bool read_time(std::string_view text, std::optional<Millis>& out) {
  if (out) return false;
  out = parse_duration(text);
  return out && *out > Millis{0};
}

bool read_flag(bool& flag) {
  return !std::exchange(flag, true);
}

bool read_args(std::string_view text, LineDoor& door) {
  const auto count = grammar::parse_count(text);
  if (!count || *count < 1 || *count > kMaxArgs || door.args != 0) return false;
  door.args = static_cast<std::uint16_t>(*count);
  return true;
}

Fault fault_if(bool wrong) {
  return wrong ? Fault(LineFault::unfit) : std::nullopt;
}

Fault read_word(std::string_view word, LineDoor& door) {
  auto value = word;
  const auto key = take_until(value, '=');
  const bool valued = key.size() != word.size();
  if (!valued && key == "cut") return fault_if(!read_flag(door.cut));
  if (!valued && key == "uses") return fault_if(!read_flag(door.uses));
  if (!valued && key == "run") return fault_if(!read_flag(door.run));
  if (valued && key == "for") return fault_if(!read_time(value, door.open_for));
  if (valued && key == "max") return fault_if(!read_time(value, door.max));
  if (valued && key == "args") return fault_if(!read_args(value, door));
  if (valued && key == "at")
    return fault_if(!door.at.empty() || !each(value, [&](auto one) { return read_host(one, door); }));
  if (valued && key == "knock")
    return fault_if(!door.knock.empty() || !each(value, [&](auto one) { return read_step(one, door); }));
  return word.empty() ? LineFault::unfit : LineFault::newer;
}

/// Blanks become `_`; within quotes what would be taken for a blank or an end becomes \xNN.
std::string step_text(std::string_view step) {
  std::string out;
  bool quoted = false;
  bool escaped = false;
  for (const char c : step) {
    if (c == '"' && !escaped) quoted = !quoted;
    escaped = c == '\\' && !escaped;
    if (quoted && (c == ' ' || c == '_' || c == ','))
      out += fmt::format("\\x{:02x}", static_cast<unsigned>(c));
    else
      out += c == ' ' ? '_' : c;
  }
  return out;
}

std::string ports_text(const LineDoor& door) {
  if (door.any) return "any";
  std::vector<std::string> ports;
  for (const auto& range : door.ports) ports.push_back(to_string(range));
  return ports.empty() ? "-" : fmt::format("{}", fmt::join(ports, ","));
}

} // namespace

std::string_view take_until(std::string_view& text, char end) {
  const auto at = text.find(end);
  const auto taken = text.substr(0, at);
  text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
  return taken;
}

bool is_host(std::string_view text) {
  return !text.empty() && text.front() != '-' && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("._:%-").find(c) != std::string_view::npos;
  });
}

std::string step_as_read(std::string_view step) {
  return with_blanks(step_text(step));
}

tl::expected<LineDoor, LineFault> parse_door(std::string_view text) {
  LineDoor door;
  if (text.ends_with(' ')) return tl::unexpected(LineFault::unfit);
  door.name = take_until(text, ' ');
  if (!grammar::is_name(door.name) || !read_ports(take_until(text, ' '), door))
    return tl::unexpected(LineFault::unfit);
  while (!text.empty())
    if (const auto fault = read_word(take_until(text, ' '), door)) return tl::unexpected(*fault);
  if (door.args != 0 && !door.run) return tl::unexpected(LineFault::unfit);
  return door;
}

std::string text_of(const LineDoor& door) {
  std::string text = door.name + " " + ports_text(door);
  if (door.open_for) text += " for=" + grammar::duration_text(*door.open_for);
  if (door.max) text += " max=" + grammar::duration_text(*door.max);
  if (door.cut) text += " cut";
  if (door.uses) text += " uses";
  if (door.run) text += " run";
  if (door.args != 0) text += fmt::format(" args={}", door.args);
  if (!door.at.empty()) text += fmt::format(" at={}", fmt::join(door.at, ","));
  std::vector<std::string> steps;
  for (const auto& step : door.knock) steps.push_back(step_text(step));
  if (!steps.empty()) text += fmt::format(" knock={}", fmt::join(steps, ","));
  return text;
}

} // namespace knock::line
