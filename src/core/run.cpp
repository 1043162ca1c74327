// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/run.hpp>

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include <knock/address.hpp>

namespace knock {
namespace {

constexpr std::string_view kProtocol = "2";
constexpr std::size_t kFields = 8; // before the words

/// Names, "-", user/device, open, knock: nothing that a log line or a shell script could trip over.
bool is_label_text(std::string_view text) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '/' || c == '_';
  };
  return !text.empty() && text.size() <= kMaxLabel && std::all_of(text.begin(), text.end(), plain);
}

std::optional<Millis> parse_time(std::string_view text) {
  std::int64_t ms = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), ms);
  if (error != std::errc{} || stop != text.data() + text.size()) return std::nullopt;
  if (Millis{ms} < kRunTime.least || Millis{ms} > kRunTime.most) return std::nullopt;
  return Millis{ms};
}

std::string in_hexadecimal(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes)
    fmt::format_to(std::back_inserter(text), "{:02x}", static_cast<std::uint8_t>(byte));
  return text;
}

std::optional<std::string> from_hexadecimal(std::string_view text) {
  if (text.size() % 2 != 0 || text.size() > 2 * static_cast<std::size_t>(kArgs.most)) return std::nullopt;
  std::string bytes;
  for (; !text.empty(); text.remove_prefix(2)) {
    std::uint8_t byte = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + 2, byte, 16);
    if (error != std::errc{} || stop != text.data() + 2) return std::nullopt;
    bytes += static_cast<char>(byte);
  }
  return bytes;
}

} // namespace

bool is_command(const std::vector<std::string>& words) {
  if (words.empty() || words.size() > kCommandWords.most || !words[0].starts_with('/')) return false;
  return std::all_of(words.begin(), words.end(), [](const std::string& word) {
    return word.size() <= kMaxWord && word.find('\0') == std::string::npos;
  });
}

std::string encode(const RunRequest& request) {
  std::string text;
  const auto put = [&](std::string_view field) { (text += field) += '\0'; };
  put(kProtocol);
  put(std::to_string(request.time.count()));
  for (const auto* field : {&request.door, &request.source, &request.by, &request.via, &request.event})
    put(*field);
  put(in_hexadecimal(request.input));
  for (const auto& word : request.argv) put(word);
  return text;
}

std::optional<RunRequest> parse_run(std::string_view datagram) {
  if (datagram.empty() || datagram.back() != '\0' || datagram.size() > kMaxRunRequest) return std::nullopt;
  std::vector<std::string> fields;
  while (!datagram.empty() && fields.size() <= kFields + kCommandWords.most) {
    const auto end = datagram.find('\0');
    fields.emplace_back(datagram.substr(0, end));
    datagram.remove_prefix(end + 1);
  }
  if (fields.size() <= kFields || fields[0] != kProtocol) return std::nullopt;
  const auto time = parse_time(fields[1]);
  RunRequest request;
  request.door = fields[2];
  request.source = fields[3];
  request.by = fields[4];
  request.via = fields[5];
  request.event = fields[6];
  const auto input = from_hexadecimal(fields[7]);
  request.argv.assign(fields.begin() + kFields, fields.end());
  const bool plain = is_label_text(request.door) && is_label_text(request.by) && is_label_text(request.via);
  if (!time || !plain || !parse_address(request.source) || !is_command(request.argv)) return std::nullopt;
  if (request.event != "open" && request.event != "close") return std::nullopt;
  if (!input) return std::nullopt;
  request.time = *time;
  request.input = *input;
  return request;
}

std::vector<std::string> environment_of(const RunRequest& request) {
  return {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
          "KNOCKGATE_DOOR=" + request.door,
          "KNOCKGATE_SOURCE=" + request.source,
          "KNOCKGATE_BY=" + request.by,
          "KNOCKGATE_VIA=" + request.via,
          "KNOCKGATE_EVENT=" + request.event};
}

} // namespace knock
