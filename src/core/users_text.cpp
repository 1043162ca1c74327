// SPDX-License-Identifier: GPL-2.0-or-later
// The report of users, and the list of server keys, as a person reads them.
#include <knock/users_report.hpp>

#include <algorithm>
#include <array>
#include <cstdlib>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <knock/status.hpp>

namespace knock {
namespace {

using Cells = std::vector<std::string>;

/// Columns as wide as their widest entry, two blanks between them.
std::string table_text(const std::vector<Cells>& rows, std::vector<std::size_t> widths = {}) {
  widths.resize(rows.front().size());
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) line += fmt::format("{:<{}}", row[i], widths[i] + 2);
    text += line.substr(0, line.find_last_not_of(' ') + 1) + '\n';
  }
  return text;
}

std::string joined(const std::vector<std::string>& names) {
  return names.empty() ? "-" : fmt::format("{}", fmt::join(names, " "));
}

std::int64_t millis_between(Moment from, Moment to) {
  return Millis(to - from).count();
}

/// "2 d", "5 h": half a day or half an hour more or less does not count here.
std::string rough_span(Seconds span) {
  if (span >= std::chrono::days{1})
    return fmt::format("{} d", std::chrono::round<std::chrono::days>(span).count());
  if (span >= std::chrono::hours{1})
    return fmt::format("{} h", std::chrono::round<std::chrono::hours>(span).count());
  return fmt::format("{} min",
                     std::max<std::int64_t>(std::chrono::round<std::chrono::minutes>(span).count(), 0));
}

std::string key_state_text(const DeviceReport& device, Moment now) {
  if (device.state == "ok" && device.openings_left == 0U) return "used up";
  if (device.state != "invited" || !device.claim) return device.state;
  if (*device.claim <= now) return "invite ended";
  return fmt::format("invited, {} left", rough_span(*device.claim - now));
}

/// A date begins at midnight: the time says more only where it is another.
std::string until_text(Moment moment, ToLocal to_local) {
  const auto minute = minute_text(moment, to_local);
  return minute.ends_with(" 00:00") ? date_text(moment, to_local) : minute;
}

std::string state_text(const DeviceReport& device, Moment now, ToLocal to_local) {
  auto text = key_state_text(device, now);
  if (device.openings_left.value_or(0) != 0)
    text += fmt::format(", {} left", plural(*device.openings_left, "opening"));
  // A device that is invited anew gets in by the key it has still.
  if (device.old_until) text += fmt::format(", old key until {}", minute_text(*device.old_until, to_local));
  return text;
}

constexpr std::size_t kLeastWay = 4; // columns of WAY: "kn1 " lines up

Cells device_row(const DeviceReport& device, Moment now, ToLocal to_local) {
  return {device.device.substr(device.device.find('/') + 1),
          device.accepts,
          joined(device.doors),
          device.last_opened ? span_text(millis_between(*device.last_opened, now)) + " ago" : "-",
          device.until ? until_text(*device.until, to_local) : "-",
          state_text(device, now, to_local)};
}

struct Meaning {
  std::string_view reason, text;
};
// Counters and log have the word alone: knockgate-json(7), COUNTERS.
constexpr std::array kMeanings{
    Meaning{"age", "made more than 2 min ago by this clock; on the device: timedatectl set-ntp true"},
    Meaning{"ahead", "made more than 30 s from now by this clock; on the device: timedatectl set-ntp true"},
    Meaning{"replay", "it was accepted before: a copy, or somebody recorded it"},
    Meaning{"floor", "older than what is certainly past: just after a boot, behind a close, or two machines "
                     "share its key"},
    Meaning{"limit", "more than 10 packets a second of this device"},
    Meaning{"seal", "another password, or damaged on its way"},
    Meaning{"signature",
            "not signed by the key it has here: was its answer brought back? (knockctl device add)"},
    Meaning{"form", "it asks for what this version does not know"},
    Meaning{"door", "no enabled door of that name has kn1 = true; its line may be old: knockctl device line"},
    Meaning{"user", "it may not open that door: it or its user is off, or their doors, or the door's users, "
                    "leave it out"},
    Meaning{"dates", "before its from, or behind its until; or by a key whose grace is over"},
    Meaning{"unbound",
            "it names no address, and this device must: require_source = false takes it from behind NAT"},
    Meaning{"source", "signed for another address than it came from: there is NAT between; require_source = "
                      "false, and a new line"},
    Meaning{"range", "for an address that nobody is let in from: of a link, multicast, or this router's own"},
    Meaning{"sources", "it came from none of the sources of user and device"},
    Meaning{"for_src", "it asks for another address than its own, and for_src is not true"},
    Meaning{"op", "the door does not do that: only one with run runs, and nothing else"},
    Meaning{"args", "more for the command than the args of the door"},
    Meaning{"openings", "it opened as often as it may"},
    Meaning{"state", "it could not be written down that it was accepted, or the count of a device without a "
                     "clock, or with "
                     "openings, is lost: knockctl device rotate"},
    Meaning{"family", "the door leads nowhere over that family of addresses"},
    Meaning{"pace", "more in that second than the grants of the door"},
    Meaning{"grants", "[limits] grants is reached"},
    Meaning{"door_grants", "the grants of the door are all open"},
    Meaning{"per_source", "[limits] per_source is reached: that address has so many open"},
    Meaning{"ranges", "too many wide ranges are open"},
    Meaning{"cooldown", "too soon after the last start of the command of the door"},
    Meaning{"kernel", "the kernel did not take it: knockctl status, and the log"}};

std::string refusal_text(const LastRefused& refused) {
  auto text = refused.reason;
  if (refused.skew_ms)
    text += fmt::format(", its clock is {} {}", span_text(std::abs(*refused.skew_ms)),
                        *refused.skew_ms > 0 ? "fast" : "slow");
  const auto meaning = refusal_meaning(refused.reason);
  return meaning.empty() ? text : fmt::format("{}: {}", text, meaning);
}

} // namespace

std::string_view refusal_meaning(std::string_view reason) {
  const auto* found = std::find_if(kMeanings.begin(), kMeanings.end(),
                                   [&](const Meaning& one) { return one.reason == reason; });
  return found == kMeanings.end() ? std::string_view() : found->text;
}

std::string users_text(std::span<const UserReport> users, std::string_view only, Moment now,
                       ToLocal to_local) {
  std::vector<Cells> rows{{"USER", "DEVICE", "WAY", "DOORS", "LAST OPENED", "UNTIL", "STATE"}};
  for (const auto& user : users) {
    if (!only.empty() && user.user != only) continue;
    for (const auto& device : user.devices) {
      auto row = device_row(device, now, to_local);
      row.insert(row.begin(), user.user);
      rows.push_back(std::move(row));
    }
    if (user.devices.empty())
      rows.push_back({user.user, "-", "-", joined(user.doors), "-",
                      user.until ? until_text(*user.until, to_local) : "-",
                      user.enabled ? "no device" : "off"});
  }
  if (rows.size() == 1) return "no user: sudo knockctl invite USER --door DOOR\n";
  return table_text(rows, {0, 0, kLeastWay});
}

std::string user_text(const UserReport& user, Moment now, ToLocal to_local) {
  const auto date = [&](const std::optional<Moment>& moment) {
    return moment ? until_text(*moment, to_local) : std::string("-");
  };
  auto text = fmt::format("{}  doors {}  from {}  until {}{}\n", user.user, joined(user.doors),
                          date(user.from), date(user.until), user.enabled ? "" : "  off");
  if (user.devices.empty()) return text + "no device: sudo knockctl invite " + user.user + "\n";
  std::vector<Cells> rows{{"DEVICE", "WAY", "DOORS", "LAST OPENED", "UNTIL", "STATE", "KEY"}};
  for (const auto& device : user.devices) {
    rows.push_back(device_row(device, now, to_local));
    rows.back().push_back(device.fingerprint.empty() ? "-" : device.fingerprint);
  }
  text += '\n' + table_text(rows, {0, kLeastWay}) + "LAST OPENED: since knockgated started\n";
  for (const auto& device : user.devices)
    if (device.old_until)
      text += fmt::format("\n{} opens by the key before its rotation until {}; none from now: delete old in "
                          "users.d/{}.{}.toml, then: sudo knockctl reload",
                          device.device, minute_text(*device.old_until, to_local), user.user,
                          std::string_view(device.device).substr(user.user.size() + 1));
  for (const auto& device : user.devices)
    if (const auto& refused = device.last_refused)
      text +=
          fmt::format("\n{} was refused {} ago, from {}: {}", device.device,
                      span_text(millis_between(refused->time, now)), refused->source, refusal_text(*refused));
  return text.ends_with('\n') ? text : text + '\n';
}

std::string keys_text(std::span<const KeyReport> keys, const std::vector<UserReport>* users,
                      ToLocal to_local) {
  std::vector<Cells> rows{{"KEY", "MADE", "UNTIL", "DEVICES"}};
  for (const auto& key : keys) {
    std::vector<std::string> devices;
    if (users != nullptr)
      for (const auto& user : *users)
        for (const auto& device : user.devices)
          if (device.server_key == key.id) devices.push_back(device.device);
    auto text = users != nullptr ? std::to_string(devices.size()) : "-";
    // Who still knocks with a former key has to get its line again.
    if (key.until && !devices.empty()) text += ": " + joined(devices);
    rows.push_back({key.id, date_text(key.made, to_local), key.until ? date_text(*key.until, to_local) : "-",
                    std::move(text)});
  }
  return table_text(rows);
}

} // namespace knock
