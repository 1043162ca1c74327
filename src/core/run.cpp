// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/run.hpp>

#include <algorithm>
#include <charconv>

#include <knock/address.hpp>

namespace knock {
namespace {

constexpr std::string_view kVersion = "1";
constexpr std::size_t kFields = 7; // before the words

/// Names, "-", user/device, open, knock: nothing that a log line or a shell script could trip over.
bool is_plain(std::string_view text) {
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
  put(kVersion);
  put(std::to_string(request.time.count()));
  for (const auto* field : {&request.door, &request.source, &request.by, &request.via, &request.event})
    put(*field);
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
  if (fields.size() <= kFields || fields[0] != kVersion) return std::nullopt;
  const auto time = parse_time(fields[1]);
  RunRequest request;
  request.door = fields[2];
  request.source = fields[3];
  request.by = fields[4];
  request.via = fields[5];
  request.event = fields[6];
  request.argv.assign(fields.begin() + kFields, fields.end());
  const bool plain = is_plain(request.door) && is_plain(request.by) && is_plain(request.via);
  if (!time || !plain || !parse_address(request.source) || !is_command(request.argv)) return std::nullopt;
  if (request.event != "open" && request.event != "close") return std::nullopt;
  request.time = *time;
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
