// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/status.hpp>

#include <algorithm>
#include <array>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace knock {
namespace {

// Where the table is wider than the screen, longer addresses take a line of their own.
constexpr std::array<std::size_t, 3> kLongSource{std::string::npos, 21, 15}; // any, with a port, IPv4 alone
constexpr std::size_t kShownNames = 6;
constexpr std::size_t kColumns = 9;
using Row = std::array<std::string, kColumns>; // the id, empty unless it is asked for, then the rest
constexpr std::size_t kSource = 2;

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
  return fmt::format("packets   {} logged, {} lost   {}   {}", grouped(status.nflog.packets),
                     grouped(status.nflog.lost), bound, grouped_plural(status.tracker.attempts, "attempt"));
}

/// The first few, each behind a space.
template<class Names, class Name>
std::string some(const Names& names, Name&& name) {
  std::string text;
  for (std::size_t i = 0; i < std::min(kShownNames, names.size()); ++i) text += " " + name(names[i]);
  if (names.size() > kShownNames) text += fmt::format(" and {} more", names.size() - kShownNames);
  return text;
}

std::string guarded_line(const Status& status) {
  const auto& gate = status.gate;
  auto line = "guarded  " + some(gate.guarded, [](const StatusGuarded& guarded) { return guarded.port; });
  if (gate.guarded.empty()) line += " nothing";
  line += "          trusted";
  for (const auto& trusted : gate.trust) line += " " + trusted;
  if (gate.trust.empty()) line += " nobody";
  const bool wanted = status.state == "enforcing"; // else there is none to miss
  line += gate.differs  ? "   table DIFFERS"
          : gate.loaded ? "   table ok"
          : wanted      ? "   table MISSING"
                        : "   no table";
  const auto& boot = status.config.boot_file;
  if (boot != "none" && (wanted || boot != "ok"))
    line += "   boot file " + boot; // "ok" without one where none is wanted
  if (const auto& by = status.config.boot_by; by && wanted && status.config.boot_file != "missing")
    line += by->empty() ? ", which nothing loads" : fmt::format(" by {}", fmt::join(*by, ", "));
  if (!status.config.disabled.empty())
    line += "\ndisabled " + some(status.config.disabled, [](const std::string& name) { return name; });
  return line;
}

/// "kn1       udp/17022   3 users, 5 devices (1 symmetric, 2 unbound), 1 invited   clock good"
std::string kn1_line(const Status& status) {
  if (!status.kn1) return {};
  const auto& kn1 = *status.kn1;
  std::vector<std::string> odd;
  if (kn1.symmetric != 0) odd.push_back(fmt::format("{} symmetric", kn1.symmetric));
  if (kn1.unbound != 0) odd.push_back(fmt::format("{} unbound", kn1.unbound));
  auto line = fmt::format("kn1       {}   {}, {}", fmt::join(kn1.ports, " "),
                          grouped_plural(kn1.users, "user"), grouped_plural(kn1.devices, "device"));
  if (!odd.empty()) line += fmt::format(" ({})", fmt::join(odd, ", "));
  if (kn1.invited != 0) line += fmt::format(", {} invited", kn1.invited);
  return line + "   clock " + (kn1.clock == "behind" ? "BEHIND" : kn1.clock) + '\n';
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
  if (!grant.left_ms) return "by hand";
  return grant.close.starts_with("on-") ? grant.close.substr(3) : grant.close;
}

std::string left_text(const StatusGrant& grant) {
  if (grant.source_port || grant.connected) return "connected";
  return grant.left_ms ? span_text(*grant.left_ms) : "no end";
}

Row row_of(const StatusGrant& grant, std::int64_t now, bool with_id) {
  const bool first_alone = grant.source_port || grant.uses_left; // counts what came first alone
  return {with_id ? std::to_string(grant.id) : "",
          grant.door,
          source_text(grant),
          grant.by,
          grant.symmetric ? grant.via + "-s" : grant.via,
          span_text((now - grant.opened) * 1000) + " ago",
          left_text(grant),
          first_alone ? "-" : bytes_text(grant.bytes),
          grant.source_port ? "-" : ends_text(grant)};
}

Row row_of(const StatusConnections& these, bool with_id) {
  return {with_id ? "-" : "",
          these.door,
          these.source,
          "-",
          "-",
          "-",
          "-",
          "-",
          grouped_plural(these.count, "connection")};
}

/// Columns as wide as their widest cell; an address longer than `long_source` does not count, it gets a line of its
/// own. Returns nothing when a row is wider than `most`.
std::optional<std::string> table(const std::vector<Row>& rows, std::size_t most, std::size_t long_source) {
  std::array<std::size_t, kColumns> widths{};
  for (const auto& row : rows)
    for (std::size_t i = 0; i < kColumns; ++i)
      if (i != kSource || row[i].size() <= long_source) widths[i] = std::max(widths[i], row[i].size());
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    std::size_t column = 0; // where the cell begins
    for (std::size_t i = 0; i < kColumns; ++i) {
      if (widths[i] == 0) continue;
      if (i == kSource && row[i].size() > long_source) {
        text += line + row[i] + '\n';
        line.clear();
      } else {
        line += row[i];
      }
      column += widths[i] + 2;
      if (i + 1 < kColumns) line.resize(column, ' ');
    }
    line.resize(line.find_last_not_of(' ') + 1);
    if (line.size() > most) return std::nullopt;
    text += line + '\n';
  }
  return text;
}

std::string table(const std::vector<Row>& rows, std::size_t screen) {
  for (const auto long_source : kLongSource)
    if (auto text = table(rows, screen, long_source)) return *text;
  return *table(rows, std::string::npos, kLongSource.back());
}

std::string grants_text(const Status& status, std::int64_t now, const Screen& screen) {
  std::string text;
  if (!status.grants.empty() || !status.connections.empty()) {
    std::vector<Row> rows{
        {screen.ids ? "ID" : "", "DOOR", "SOURCE", "BY", "VIA", "OPENED", "LEFT", "RECEIVED", "ENDS"}};
    for (const auto& grant : status.grants) rows.push_back(row_of(grant, now, screen.ids));
    for (const auto& these : status.connections) rows.push_back(row_of(these, screen.ids));
    text = table(rows, screen.width);
    const auto head = text.find('\n');
    text = Paint{screen.colour}("1", text.substr(0, head)) + text.substr(head);
  }
  if (!status.grants.empty())
    return text + fmt::format("{} open of {}\n", grouped(status.open), grouped(status.grant_limit));
  return text + (status.state == "idle" ? "no door enabled: nothing is guarded (see knockgate.toml(5))\n"
                                        : "nothing is open\n");
}

std::string warnings_text(const Status& status, const Screen& screen) {
  constexpr std::size_t kAligned = 42; // behind such texts, what to type begins in one column
  constexpr std::size_t kAround = std::string_view("warning     run: ").size();
  std::size_t width = 0;
  for (const auto& warning : status.warnings) width = std::max(width, warning.text.size());
  width = std::min(width, kAligned);
  std::string text;
  for (const auto& [code, what, run] : status.warnings) {
    text += Paint{screen.colour}("33", "warning") + "  ";
    const bool fits = std::max(width, what.size()) + run.size() + kAround <= screen.width;
    if (run.empty())
      text += what + '\n';
    else if (fits)
      text += fmt::format("{:<{}}   run: {}\n", what, width, run);
    else
      text += fmt::format("{}\n         run: {}\n", what, run);
  }
  if (status.findings_hidden)
    text += "what this host's firewall drops is shown to root alone: sudo knockctl status\n";
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

std::string to_text(const Status& status, std::int64_t now, const Screen& screen) {
  return Paint{screen.colour}("1", headline(status, now)) + '\n' + packets_line(status) + '\n' +
         guarded_line(status) + '\n' + kn1_line(status) + '\n' + grants_text(status, now, screen) +
         warnings_text(status, screen);
}

} // namespace knock
