// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/control.hpp>
#include <knock/quoted.hpp>

#include <algorithm>
#include <charconv>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <knock/strength.hpp>

#include "core/json_text.hpp"

namespace knock {
namespace {

using nlohmann::json;

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("-._~/:,").find(c) != std::string_view::npos;
}

std::string percent_escaped(std::string_view value) {
  std::string text;
  for (char c : value) {
    if (is_plain(c))
      text += c;
    else
      text += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return text;
}

std::optional<std::string> unescaped(std::string_view text) {
  std::string value;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '%') {
      value += text[at];
      continue;
    }
    unsigned byte = 0;
    if (at + 3 > text.size()) return std::nullopt;
    const auto* end = text.data() + at + 3;
    const auto [stop, error] = std::from_chars(text.data() + at + 1, end, byte, 16);
    if (error != std::errc{} || stop != end) return std::nullopt;
    value += static_cast<char>(byte);
    at += 2;
  }
  return value;
}

bool is_word(std::string_view text) {
  return !text.empty() && text.find_first_not_of("abcdefghijklmnopqrstuvwxyz_-") == std::string_view::npos;
}

std::string_view next_word(std::string_view& text) {
  const auto space = std::min(text.find(' '), text.size());
  const auto word = text.substr(0, space);
  text.remove_prefix(std::min(space + 1, text.size()));
  return word;
}

json error_of(const Failure& failure) {
  if (failure.exit == ExitCode::done) return nullptr;
  json error{{"code", failure.code}, {"text", failure.text}};
  error["advice"] = failure.advice.empty() ? json(nullptr) : json(failure.advice);
  error["file"] = failure.place.file.empty() ? json(nullptr) : json(failure.place.file);
  error["line"] = failure.place.line == 0 ? json(nullptr) : json(failure.place.line);
  error["column"] = failure.place.column == 0 ? json(nullptr) : json(failure.place.column);
  if (!failure.hints.empty()) error["hints"] = failure.hints;
  return error;
}

template<class T>
T value_or(const json& object, const char* key, T otherwise) {
  const auto it = object.find(key);
  if (it == object.end()) return otherwise;
  if constexpr (std::is_same_v<T, std::string>)
    return it->is_string() ? it->template get<T>() : otherwise;
  else
    return it->is_number_integer() ? it->template get<T>() : otherwise;
}

/// What comes over a socket and is to be printed.
std::string text_in(const json& object, const char* key, const char* otherwise) {
  return printable(value_or<std::string>(object, key, otherwise));
}

Failure failure_from(const json& end) {
  Failure failure;
  failure.exit = static_cast<ExitCode>(value_or(end, "exit", 1));
  const auto error = end.value("error", json());
  if (!error.is_object()) return failure;
  failure.code = text_in(error, "code", "failed");
  failure.text = text_in(error, "text", "");
  failure.advice = text_in(error, "advice", "");
  failure.place = {text_in(error, "file", ""), value_or(error, "line", 0U), value_or(error, "column", 0U)};
  return failure;
}

json texts_of(const std::vector<Port>& ports) {
  auto texts = json::array();
  for (Port port : ports) texts.push_back(to_string(port));
  return texts;
}

json row_texts(const std::vector<Port>& ports) {
  auto texts = json::array();
  for (const auto& row : in_rows(ports)) texts.push_back(to_string(row));
  return texts;
}

/// Adds what one line says. Returns whether it says anything that it may.
bool read_save_facts(const json& line, SaveFacts& facts) {
  if (!line.is_object()) return false;
  if (const auto config = line.find("config"); config != line.end()) {
    const auto off = line.find("off");
    if (!config->is_string() || off == line.end() || !off->is_boolean()) return false;
    config->get_to(facts.config);
    off->get_to(facts.off);
  }
  const auto ports = line.find("unconfirmed");
  if (ports == line.end() || !ports->is_array()) return false;
  for (const auto& text : *ports) {
    const auto port = text.is_string() ? parse_port(text.get<std::string>()) : std::nullopt;
    if (!port) return false;
    facts.unconfirmed.push_back(*port);
  }
  return true;
}

/// One line of ours is ASCII: what else there may be is escaped.
bool is_plain_line(std::string_view line) {
  return line.starts_with('{') &&
         std::all_of(line.begin(), line.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

/// Bytes of the control character that `text` begins with: one, or two in UTF-8 (U+0080 to U+009F); else 0.
std::size_t control_bytes(std::string_view text) {
  const auto byte = [&](std::size_t at) {
    return static_cast<unsigned char>(at < text.size() ? text[at] : 0);
  };
  if (byte(0) == '\n' || byte(0) == '\t') return 0;
  if (byte(0) < 0x20 || byte(0) == 0x7f) return 1;
  return byte(0) == 0xc2 && byte(1) >= 0x80 && byte(1) < 0xa0 ? 2 : 0;
}

} // namespace

std::optional<std::string_view> Request::find(std::string_view key) const {
  const auto it = values.find(key);
  if (it == values.end()) return std::nullopt;
  return it->second;
}

std::string encode(const Request& request) {
  auto text = fmt::format("{} {}", kControlVersion, request.verb);
  for (const auto& [key, value] : request.values) text += fmt::format(" {}={}", key, percent_escaped(value));
  return text;
}

ParsedRequest parse_request(std::string_view datagram) {
  ParsedRequest parsed;
  if (datagram.size() > kMaxRequest) return parsed;
  const auto version = next_word(datagram);
  if (version.empty() || version.size() > 16 || !std::all_of(version.begin(), version.end(), is_plain))
    return parsed;
  parsed.version = version;
  Request request;
  request.verb = next_word(datagram);
  if (version != kControlVersion || !is_word(request.verb)) return parsed;
  while (!datagram.empty()) {
    const auto pair = next_word(datagram);
    const auto equals = pair.find('=');
    if (equals == std::string_view::npos || !is_word(pair.substr(0, equals))) return parsed;
    auto value = unescaped(pair.substr(equals + 1));
    if (!value || !request.values.emplace(pair.substr(0, equals), std::move(*value)).second) return parsed;
  }
  parsed.request = std::move(request);
  return parsed;
}

Failure failure_of(const Error& error) {
  return {ExitCode::failed, "failed", {}, error.what, error.advice};
}

Failure failure_of(const Finding& finding) {
  return {ExitCode::bad_config, "bad-config", finding.place, finding.text, finding.advice};
}

std::string to_string(const Failure& failure) {
  if (failure.exit == ExitCode::bad_config)
    return to_string(Finding{Finding::Level::error, failure.place, failure.text, failure.advice});
  return on_one_line(failure.advice.empty() ? failure.text : failure.text + "; " + failure.advice);
}

std::string error_line(const Failure& failure) {
  return json_text({{"schema", 1}, {"error", error_of(failure)}});
}

namespace {

/// What a stranger has to guess of each knock.
json knocks_of(const Config& config) {
  auto knocks = json::array();
  for (const auto& sequence : sequences_of(config)) {
    const auto strength = strength_of(sequence);
    knocks.push_back({{"door", sequence.name},
                      {"closes", sequence.closes},
                      {"steps", sequence.steps.size()},
                      {"bits", strength.bits()},
                      {"steps_bits", strength.steps},
                      {"rhythm_bits", strength.rhythm},
                      {"any_order_bits", -strength.any_order},
                      {"reorder_bits", -strength.reorder}});
  }
  return knocks;
}

} // namespace

std::string check_line(const ParsedConfig& parsed) {
  json line{{"schema", 1},
            {"doors", nullptr},
            {"error", nullptr},
            {"findings", json::array()},
            {"knocks", json::array()}};
  if (parsed.config) {
    line["doors"] = count_enabled(*parsed.config);
    line["knocks"] = knocks_of(*parsed.config);
  } else
    line["error"] = error_of(failure_of(parsed.findings.front()));
  for (const auto& [level, place, text, advice, name] : parsed.findings)
    line["findings"].push_back({{"level", level == Finding::Level::error ? "error" : "warning"},
                                {"name", name},
                                {"file", place.file},
                                {"line", place.line},
                                {"column", place.column},
                                {"text", text},
                                {"advice", advice}});
  return json_text(line);
}

std::vector<std::string> encode(const Reply& reply) {
  std::vector<std::string> datagrams(1);
  const auto add = [&](const std::string& line) {
    if (datagrams.back().size() + line.size() + 1 > kMaxReplyDatagram) datagrams.emplace_back();
    datagrams.back() += line + '\n';
  };
  for (const auto& line : reply.lines) add(line);
  add(json_text(
      {{"end", true}, {"exit", static_cast<int>(reply.failure.exit)}, {"error", error_of(reply.failure)}}));
  return datagrams;
}

std::optional<bool> parse_reply(std::string_view datagram, Reply& reply) {
  while (!datagram.empty()) {
    const auto end = datagram.find('\n');
    if (end == std::string_view::npos) return std::nullopt;
    const auto line = datagram.substr(0, end);
    datagram.remove_prefix(end + 1);
    if (!is_plain_line(line)) return std::nullopt;
    if (!line.starts_with("{\"end\":")) { // parsed once, by the verb that needs it
      reply.lines.emplace_back(line);
      continue;
    }
    const auto object = json::parse(line, nullptr, false);
    if (!object.is_object()) return std::nullopt;
    reply.failure = failure_from(object);
    return true;
  }
  return false;
}

std::string printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const auto bytes = control_bytes(text);
    for (char c : text.substr(0, bytes)) out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    if (bytes == 0) out += text[0];
    text.remove_prefix(std::max(bytes, std::size_t{1}));
  }
  return out;
}

std::string text_line(std::string_view text) {
  return json_text({{"text", text}});
}

std::optional<std::string> text_of(std::string_view line) {
  const auto object = json::parse(line, nullptr, false);
  if (!object.is_object()) return std::nullopt;
  const auto it = object.find("text");
  if (it == object.end() || !it->is_string()) return std::nullopt;
  return printable(it->get_ref<const std::string&>());
}

std::string changed_line(bool changed, const std::vector<Port>& guarded, const std::vector<Port>& unguarded) {
  return json_text(
      {{"changed", changed}, {"guarded", row_texts(guarded)}, {"unguarded", row_texts(unguarded)}});
}

std::string clock_line(const Clocks& clocks) {
  return json_text(
      {{"now", clocks.now.time_since_epoch().count()}, {"latest", clocks.latest.time_since_epoch().count()}});
}

std::optional<Clocks> parse_clocks(std::string_view line) {
  const auto object = json::parse(line, nullptr, false);
  const auto moment = [&](const char* key) -> std::optional<Moment> {
    const auto it = object.is_object() ? object.find(key) : object.end();
    if (!object.is_object() || it == object.end() || !it->is_number_integer()) return std::nullopt;
    return Moment{std::clamp(Seconds{it->get<std::int64_t>()}, kDates.least, kDates.most)};
  };
  const auto now = moment("now"), latest = moment("latest");
  return now && latest ? std::optional(Clocks{*now, *latest}) : std::nullopt;
}

std::string closed_line(std::size_t closed) {
  return json_text({{"closed", closed}});
}

std::vector<std::string> encode(const SaveFacts& facts) {
  constexpr std::size_t kPorts = 4'000; // of a line: 13 bytes each
  std::vector<std::string> lines;
  for (std::size_t at = 0; at == 0 || at < facts.unconfirmed.size(); at += kPorts) {
    const auto first = facts.unconfirmed.begin() + static_cast<std::ptrdiff_t>(at);
    const auto count = std::min(kPorts, facts.unconfirmed.size() - at);
    json line{{"unconfirmed", texts_of({first, first + static_cast<std::ptrdiff_t>(count)})}};
    if (at == 0) line.update({{"config", facts.config}, {"off", facts.off}});
    lines.push_back(json_text(line));
  }
  return lines;
}

std::optional<SaveFacts> parse_save_facts(const std::vector<std::string>& lines) {
  SaveFacts facts;
  for (const auto& line : lines)
    if (!read_save_facts(json::parse(line, nullptr, false), facts)) return std::nullopt;
  if (facts.config.empty()) return std::nullopt;
  return facts;
}

} // namespace knock
