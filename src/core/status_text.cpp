// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/status.hpp>

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace knock {
namespace {

constexpr std::size_t kScreen = 80;
constexpr std::size_t kLongSource = 21;  // "255.255.255.255:65535"; longer addresses take their own line
constexpr std::size_t kShortSource = 15; // "255.255.255.255"; as long when the table exceeds kScreen
constexpr std::size_t kColumns = 8;
using Row = std::array<std::string, kColumns>;

struct Paint {
  bool on;
  [[nodiscard]] std::string operator()(std::string_view code, std::string_view text) const {
    return on ? fmt::format("\x1b[{}m{}\x1b[0m", code, text) : std::string(text);
  }
};

/// 182340 as "182,340".
std::string grouped(std::uint64_t number) {
  auto text = std::to_string(number);
  for (auto at = static_cast<std::ptrdiff_t>(text.size()) - 3; at > 0; at -= 3)
    text.insert(static_cast<std::size_t>(at), ",");
  return text;
}

std::string bytes_text(std::uint64_t bytes) {
  if (bytes == 0) return "none";
  constexpr std::array<std::string_view, 5> kUnits{"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  for (; bytes >= 10'000 && unit + 1 < kUnits.size(); ++unit) bytes /= 1024;
  return fmt::format("{} {}", bytes, kUnits[unit]);
}

std::string grouped_plural(std::uint64_t count, std::string_view what) {
  return fmt::format("{} {}", grouped(count), noun(count, what));
}

std::string version_text(std::string_view version) {
  return std::string(version.ends_with(".0") ? version.substr(0, version.size() - 2) : version);
}

std::string headline(const Status& status, std::int64_t now) {
  const auto& config = status.config;
  auto line =
      fmt::format("knockgate {}  {}  up {}  config {} ({}, read {} ago)", version_text(status.version),
                  status.mode, span_text(status.uptime_ms), config.ok ? "ok" : "BAD",
                  grouped_plural(config.doors, "door"), span_text((now - config.read) * 1000));
  if (status.state == "off") line += fmt::format("  OFF");
  return line;
}

std::string packets_line(const Status& status) {
  const auto& groups = status.nflog.groups;
  const auto bound = groups.empty() ? std::string("no group bound")
                                    : fmt::format("groups {}-{}", groups.front(), groups.back());
  return fmt::format("packets   {} logged, {} lost   {}   {} knocking", grouped(status.nflog.packets),
                     grouped(status.nflog.lost), bound, grouped_plural(status.tracker.attempts, "source"));
}

std::string guarded_line(const Status& status) {
  constexpr std::size_t kShown = 6;
  std::string line = "guarded  ";
  const auto& guarded = status.gate.guarded;
  for (std::size_t i = 0; i < std::min(kShown, guarded.size()); ++i) line += " " + guarded[i].port;
  if (guarded.size() > kShown) line += fmt::format(" and {} more", guarded.size() - kShown);
  if (guarded.empty()) line += " nothing";
  line += "          trusted";
  for (const auto& trusted : status.gate.trust) line += " " + trusted;
  if (status.gate.trust.empty()) line += " nobody";
  const bool idle = status.state == "idle"; // without a door there is none to miss
  line += status.gate.loaded ? "   table ok" : idle ? "   no table" : "   table MISSING";
  if (status.config.boot_file != "none") line += "   boot file " + status.config.boot_file;
  return line;
}

std::string source_text(const StatusGrant& grant) {
  if (grant.source_port) {
    const bool ipv6 = grant.source.find(':') != std::string::npos;
    return fmt::format("{}{}{}:{}", ipv6 ? "[" : "", grant.source, ipv6 ? "]" : "", *grant.source_port);
  }
  const bool prefix = grant.prefix == 24 || grant.prefix == 64;
  return prefix ? fmt::format("{}/{}", grant.source, grant.prefix) : grant.source;
}

/// "after", "idle", "disconnect", "2 uses"
std::string ends_text(const StatusGrant& grant) {
  if (grant.uses_left) return grouped_plural(*grant.uses_left, "use");
  return grant.close.starts_with("on-") ? grant.close.substr(3) : grant.close;
}

Row row_of(const StatusGrant& grant, std::int64_t now) {
  return {grant.door,
          source_text(grant),
          grant.by,
          grant.via,
          span_text((now - grant.opened) * 1000) + " ago",
          grant.source_port ? "connected" : span_text(grant.left_ms),
          grant.source_port || grant.uses_left ? "-"
                                               : bytes_text(grant.bytes), // counts what came first alone
          grant.source_port ? "-" : ends_text(grant)};
}

/// Columns as wide as their widest cell; a long address does not count, it gets a line of its own.
std::string table(const std::vector<Row>& rows, std::size_t long_source = kLongSource) {
  std::array<std::size_t, kColumns> widths{};
  for (const auto& row : rows)
    for (std::size_t i = 0; i < kColumns; ++i)
      if (i != 1 || row[i].size() <= long_source) widths[i] = std::max(widths[i], row[i].size());
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < kColumns; ++i) {
      if (i == 1 && row[i].size() > long_source) {
        text += line + row[i] + '\n';
        line = std::string(widths[0] + widths[1] + 4, ' ');
        continue;
      }
      line += fmt::format("{:<{}}", row[i], i + 1 == kColumns ? 0 : widths[i] + 2);
    }
    line.resize(line.find_last_not_of(' ') + 1);
    if (line.size() > kScreen && long_source > kShortSource) return table(rows, kShortSource);
    text += line + '\n';
  }
  return text;
}

std::string grants_text(const Status& status, std::int64_t now, const Paint& paint) {
  if (status.state == "idle" && status.grants.empty())
    return "no door enabled: nothing is guarded (see knockgate.toml(5))\n";
  if (status.grants.empty()) return "nothing is open\n";
  std::vector<Row> rows{{"DOOR", "SOURCE", "BY", "VIA", "OPENED", "LEFT", "RECEIVED", "ENDS"}};
  for (const auto& grant : status.grants) rows.push_back(row_of(grant, now));
  auto text = table(rows);
  const auto head = text.find('\n');
  return paint("1", text.substr(0, head)) + text.substr(head) +
         fmt::format("{} open of {}\n", grouped(status.open), grouped(status.grant_limit));
}

std::string warnings_text(const Status& status, const Paint& paint) {
  std::size_t width = 0;
  for (const auto& warning : status.warnings) width = std::max(width, warning.text.size());
  std::string text;
  for (const auto& warning : status.warnings) {
    text += paint("33", "warning") + "  ";
    if (warning.run.empty())
      text += warning.text + '\n';
    else if (width <= 42)
      text += fmt::format("{:<{}}   run: {}\n", warning.text, width, warning.run);
    else
      text += fmt::format("{}\n         run: {}\n", warning.text, warning.run);
  }
  return text.empty() ? text : "\n" + text;
}

} // namespace

std::string noun(std::uint64_t count, std::string_view what) {
  return std::string(what) + (count == 1 ? "" : "s");
}

std::string plural(std::uint64_t count, std::string_view what) {
  return fmt::format("{} {}", count, noun(count, what));
}

std::string span_text(std::int64_t ms) {
  const auto seconds = std::max<std::int64_t>(ms, 0) / 1000;
  if (seconds < 60) return fmt::format("{} s", seconds);
  if (seconds < 3600) return fmt::format("{} min", seconds / 60);
  if (seconds < 86'400) return fmt::format("{}h {}m", seconds / 3600, seconds / 60 % 60);
  return fmt::format("{}d {}h", seconds / 86'400, seconds / 3600 % 24);
}

std::string to_text(const Status& status, std::int64_t now, bool colour) {
  const Paint paint{colour};
  return paint("1", headline(status, now)) + '\n' + packets_line(status) + '\n' + guarded_line(status) +
         "\n\n" + grants_text(status, now, paint) + warnings_text(status, paint);
}

} // namespace knock
