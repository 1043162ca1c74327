// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/control.hpp>

#include <algorithm>
#include <charconv>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace knock {
namespace {

using nlohmann::json;

std::string dumped(const json& value) {
  return value.dump(-1, ' ', true, json::error_handler_t::replace);
}

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("-._~/:,").find(c) != std::string_view::npos;
}

std::string escaped(std::string_view value) {
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

Failure failure_from(const json& end) {
  Failure failure;
  failure.exit = static_cast<ExitCode>(value_or(end, "exit", 1));
  const auto error = end.value("error", json());
  if (!error.is_object()) return failure;
  failure.code = value_or<std::string>(error, "code", "failed");
  failure.text = value_or<std::string>(error, "text", "");
  failure.advice = value_or<std::string>(error, "advice", "");
  failure.place = {value_or<std::string>(error, "file", ""), value_or(error, "line", 0U),
                   value_or(error, "column", 0U)};
  return failure;
}

std::optional<std::string> string_in(std::string_view line, const char* key) {
  const auto object = json::parse(line, nullptr, false);
  if (!object.is_object()) return std::nullopt;
  const auto it = object.find(key);
  if (it == object.end() || !it->is_string()) return std::nullopt;
  return it->get<std::string>();
}

} // namespace

std::optional<std::string_view> Request::find(std::string_view key) const {
  const auto it = values.find(key);
  if (it == values.end()) return std::nullopt;
  return it->second;
}

std::string encode(const Request& request) {
  auto text = fmt::format("{} {}", kControlVersion, request.verb);
  for (const auto& [key, value] : request.values) text += fmt::format(" {}={}", key, escaped(value));
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
  return failure.advice.empty() ? failure.text : failure.text + "; " + failure.advice;
}

std::string error_line(const Failure& failure) {
  return dumped({{"schema", 1}, {"error", error_of(failure)}});
}

std::vector<std::string> encode(const Reply& reply) {
  std::vector<std::string> datagrams(1);
  const auto add = [&](const std::string& line) {
    if (datagrams.back().size() + line.size() + 1 > kMaxReplyDatagram) datagrams.emplace_back();
    datagrams.back() += line + '\n';
  };
  for (const auto& line : reply.lines) add(line);
  add(dumped(
      {{"end", true}, {"exit", static_cast<int>(reply.failure.exit)}, {"error", error_of(reply.failure)}}));
  return datagrams;
}

std::optional<bool> parse_reply(std::string_view datagram, Reply& reply) {
  while (!datagram.empty()) {
    const auto end = datagram.find('\n');
    if (end == std::string_view::npos) return std::nullopt;
    const auto line = datagram.substr(0, end);
    datagram.remove_prefix(end + 1);
    if (!line.starts_with("{\"end\":")) { // whoever wants it parses it, once
      if (!line.starts_with('{')) return std::nullopt;
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

std::string text_line(std::string_view text) {
  return dumped({{"text", text}});
}

std::vector<std::string> part_lines(std::string_view text) {
  constexpr std::size_t kPart = kMaxReplyLine / 6 - 100; // JSON may escape a byte to six
  std::vector<std::string> lines;
  for (; !text.empty(); text.remove_prefix(std::min(kPart, text.size())))
    lines.push_back(dumped({{"part", text.substr(0, kPart)}}));
  return lines;
}

std::optional<std::string> text_of(std::string_view line) {
  return string_in(line, "text");
}
std::optional<std::string> part_of(std::string_view line) {
  return string_in(line, "part");
}

std::string path_line(std::string_view path) {
  return dumped({{"path", path}});
}

std::optional<std::string> path_of(std::string_view line) {
  return string_in(line, "path");
}

} // namespace knock
