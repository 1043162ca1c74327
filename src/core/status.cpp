// SPDX-License-Identifier: GPL-2.0-or-later
#include <knock/status.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <ctime>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <knock/control.hpp>

#include "core/json_text.hpp"

namespace knock {
namespace {

using nlohmann::json;
using Days = std::chrono::sys_days;

/// RFC 3339, UTC.
std::string moment(std::int64_t seconds) {
  const std::chrono::sys_seconds at{std::chrono::seconds{seconds}};
  const auto day = std::chrono::floor<std::chrono::days>(at);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss time{at - day};
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     time.hours().count(), time.minutes().count(), time.seconds().count());
}

std::int64_t seconds_at(const std::string& text) {
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
  if (std::sscanf(text.c_str(), "%4d-%2d-%2dT%2d:%2d:%2dZ", &year, &month, &day, &hour, &minute, &second) !=
      6)
    return 0;
  const Days date{std::chrono::year{year} / month / day};
  return std::chrono::duration_cast<std::chrono::seconds>(date.time_since_epoch()).count() + hour * 3600 +
         minute * 60 + second;
}

/// In quotes, escaped when it has to be.
std::string string_json(const std::string& text) {
  const auto plain = [](char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; };
  if (std::all_of(text.begin(), text.end(), plain)) return fmt::format("\"{}\"", text);
  return json_text(text);
}

template<class Number>
std::string number_json(const std::optional<Number>& number) {
  return number ? std::to_string(*number) : "null";
}

/// By hand: the library takes longer for a hundred thousand of them than all else together.
std::string grant_json(const StatusGrant& grant) {
  std::string ports, forward;
  for (const auto& port : grant.ports) ports += (ports.empty() ? "" : ",") + string_json(port);
  for (const auto& [outer, target] : grant.forward)
    forward += (forward.empty() ? "{" : ",") + string_json(outer) + ":" + string_json(target);
  return fmt::format(
      R"({{"id":{},"door":{},"source":{},"prefix":{},"ports":[{}],"forward":{},"by":{},"via":{},"opened":"{}",)"
      R"("left_ms":{},"cap_ms":{},"close":{},"uses_left":{},"packets":{},"bytes":{},"adopted":{},"source_port":{},"connected":{},"symmetric":{},"bound":{}}})",
      grant.id, string_json(grant.door), string_json(grant.source), grant.prefix, ports,
      forward.empty() ? "null" : forward + "}", string_json(grant.by), string_json(grant.via),
      moment(grant.opened), number_json(grant.left_ms), number_json(grant.cap_ms), string_json(grant.close),
      number_json(grant.uses_left), grant.packets, grant.bytes, grant.adopted, number_json(grant.source_port),
      grant.connected, grant.symmetric, grant.bound ? (*grant.bound ? "true" : "false") : "null");
}

std::optional<std::int64_t> span_of(const json& one) {
  return one.is_null() ? std::nullopt : std::optional(one.get<std::int64_t>());
}

StatusGrant grant_of(const json& one) {
  StatusGrant grant;
  one.at("id").get_to(grant.id);
  one.at("door").get_to(grant.door);
  one.at("source").get_to(grant.source);
  one.at("prefix").get_to(grant.prefix);
  one.at("ports").get_to(grant.ports);
  one.at("by").get_to(grant.by);
  one.at("via").get_to(grant.via);
  grant.opened = seconds_at(one.at("opened").get<std::string>());
  grant.left_ms = span_of(one.at("left_ms"));
  grant.cap_ms = span_of(one.at("cap_ms"));
  if (one.at("forward").is_object()) one.at("forward").get_to(grant.forward);
  one.at("close").get_to(grant.close);
  if (one.at("uses_left").is_number()) grant.uses_left = one.at("uses_left").get<std::uint32_t>();
  one.at("packets").get_to(grant.packets);
  one.at("bytes").get_to(grant.bytes);
  one.at("adopted").get_to(grant.adopted);
  if (const auto port = one.find("source_port"); port != one.end() && port->is_number())
    grant.source_port = port->get<unsigned>();
  grant.connected = one.value("connected", false);
  grant.symmetric = one.value("symmetric", false);
  if (const auto bound = one.find("bound"); bound != one.end() && bound->is_boolean())
    grant.bound = bound->get<bool>();
  return grant;
}

json guarded_json(const StatusGuarded& guarded) {
  return {{"port", guarded.port},
          {"confirmed", !guarded.left_ms},
          {"left_ms", guarded.left_ms ? json(*guarded.left_ms) : json(nullptr)}};
}

json kn1_json(const std::optional<StatusKn1>& kn1) {
  if (!kn1) return nullptr;
  json keys = json::array();
  for (const auto& [id, made, until, devices] : kn1->keys)
    keys.push_back({{"id", id},
                    {"made", moment(made)},
                    {"until", until ? json(moment(*until)) : json(nullptr)},
                    {"devices", devices}});
  return {{"ports", kn1->ports},     {"clock", kn1->clock},         {"users", kn1->users},
          {"devices", kn1->devices}, {"symmetric", kn1->symmetric}, {"unbound", kn1->unbound},
          {"invited", kn1->invited}, {"keys", std::move(keys)}};
}

StatusKn1 kn1_of(const json& one) {
  StatusKn1 kn1;
  one.at("ports").get_to(kn1.ports);
  one.at("clock").get_to(kn1.clock);
  one.at("users").get_to(kn1.users);
  one.at("devices").get_to(kn1.devices);
  one.at("symmetric").get_to(kn1.symmetric);
  one.at("unbound").get_to(kn1.unbound);
  one.at("invited").get_to(kn1.invited);
  for (const auto& key : one.at("keys")) {
    auto& read = kn1.keys.emplace_back();
    key.at("id").get_to(read.id);
    read.made = seconds_at(key.at("made").get<std::string>());
    if (key.at("until").is_string()) read.until = seconds_at(key.at("until").get<std::string>());
    key.at("devices").get_to(read.devices);
  }
  return kn1;
}

json head_json(const Status& status) {
  json warnings = json::array();
  for (const auto& warning : status.warnings)
    warnings.push_back({{"code", warning.code}, {"text", warning.text}, {"run", warning.run}});
  json connections = json::array();
  for (const auto& [door, source, count] : status.connections)
    connections.push_back({{"door", door}, {"source", source}, {"count", count}});
  return {{"schema", 1},
          {"version", status.version},
          {"state", status.state},
          {"off_since", status.state == "off" ? json(moment(status.off_since)) : json(nullptr)},
          {"mode", status.mode},
          {"uptime_ms", status.uptime_ms},
          {"config",
           {{"ok", status.config.ok},
            {"doors", status.config.doors},
            {"disabled", json::array()},
            {"read", moment(status.config.read)},
            {"error", status.config.error.empty() ? json(nullptr) : json(status.config.error)},
            {"boot_file", status.config.boot_file},
            {"boot_by", status.config.boot_by ? json(*status.config.boot_by) : json(nullptr)}}},
          {"nflog",
           {{"groups", status.nflog.groups},
            {"packets", status.nflog.packets},
            {"lost", status.nflog.lost},
            {"overruns", status.nflog.overruns},
            {"buffer_bytes", status.nflog.buffer_bytes}}},
          {"tracker",
           {{"slots", status.tracker.slots},
            {"attempts", status.tracker.attempts},
            {"evicted", status.tracker.evicted},
            {"overflow", status.tracker.overflow}}},
          {"gate",
           {{"table", status.gate.table},
            {"loaded", status.gate.loaded},
            {"differs", status.gate.differs},
            {"trust", status.gate.trust},
            {"healed", status.gate.healed},
            {"guarded", json::array()}}},
          {"kn1", kn1_json(status.kn1)},
          {"limits", {{"grants", status.grant_limit}, {"open", status.open}}},
          {"counters", status.counters},
          {"grants", json::array()},
          {"connections", std::move(connections)},
          {"warnings", std::move(warnings)},
          {"findings_hidden", status.findings_hidden}};
}

void read_items(const json& line, Status& status) {
  if (const auto grants = line.find("grants"); grants != line.end())
    for (const auto& one : *grants) status.grants.push_back(grant_of(one));
  if (const auto config = line.find("config"); config != line.end())
    if (const auto names = config->find("disabled"); names != config->end())
      for (const auto& name : *names) status.config.disabled.push_back(name.get<std::string>());
  if (const auto gate = line.find("gate"); gate != line.end())
    for (const auto& one : gate->at("guarded")) {
      status.gate.guarded.push_back({one.at("port").get<std::string>(), span_of(one.at("left_ms"))});
    }
}

void read_head(const json& line, Status& status) {
  line.at("version").get_to(status.version);
  line.at("state").get_to(status.state);
  line.at("mode").get_to(status.mode);
  line.at("uptime_ms").get_to(status.uptime_ms);
  if (line.at("off_since").is_string())
    status.off_since = seconds_at(line.at("off_since").get<std::string>());
  const auto& config = line.at("config");
  config.at("ok").get_to(status.config.ok);
  config.at("doors").get_to(status.config.doors);
  status.config.read = seconds_at(config.at("read").get<std::string>());
  if (config.at("error").is_string()) config.at("error").get_to(status.config.error);
  config.at("boot_file").get_to(status.config.boot_file);
  const auto& nflog = line.at("nflog");
  nflog.at("groups").get_to(status.nflog.groups);
  nflog.at("packets").get_to(status.nflog.packets);
  nflog.at("lost").get_to(status.nflog.lost);
  nflog.at("overruns").get_to(status.nflog.overruns);
  nflog.at("buffer_bytes").get_to(status.nflog.buffer_bytes);
  const auto& tracker = line.at("tracker");
  tracker.at("slots").get_to(status.tracker.slots);
  tracker.at("attempts").get_to(status.tracker.attempts);
  tracker.at("evicted").get_to(status.tracker.evicted);
  tracker.at("overflow").get_to(status.tracker.overflow);
  const auto& gate = line.at("gate");
  gate.at("table").get_to(status.gate.table);
  gate.at("loaded").get_to(status.gate.loaded);
  status.gate.differs = gate.value("differs", false);
  gate.at("trust").get_to(status.gate.trust);
  gate.at("healed").get_to(status.gate.healed);
  if (const auto kn1 = line.find("kn1"); kn1 != line.end() && kn1->is_object()) status.kn1 = kn1_of(*kn1);
  line.at("limits").at("grants").get_to(status.grant_limit);
  line.at("limits").at("open").get_to(status.open);
  line.at("counters").get_to(status.counters);
  for (const auto& one : line.at("warnings"))
    status.warnings.push_back({one.at("code").get<std::string>(), one.at("text").get<std::string>(),
                               one.at("run").get<std::string>()});
}

/// An empty list in the text is where items go; inside a string its quotes would be escaped.
struct Items {
  std::string_view name;
  std::string text{};
};

std::vector<std::string> lines_of(const Status& status, std::size_t most) {
  constexpr std::string_view kFurther =
      R"({"schema":1,"config":{"disabled":[]},"gate":{"guarded":[]},"grants":[]})";
  std::array<Items, 3> lists{Items{"disabled"}, Items{"guarded"}, Items{"grants"}};
  auto &disabled = lists[0], &guarded = lists[1], &grants = lists[2];
  std::vector<std::string> lines;
  auto line = json_text(head_json(status));
  const auto finish = [&] {
    for (auto& [name, text] : lists) {
      const auto empty = fmt::format("\"{}\":[]", name);
      line.replace(line.find(empty), empty.size(), fmt::format("\"{}\":[{}]", name, text));
      text.clear();
    }
    lines.push_back(std::exchange(line, kFurther));
  };
  const auto add = [&](std::string& items, const std::string& item) {
    const auto used = line.size() + disabled.text.size() + guarded.text.size() + grants.text.size();
    if (used + item.size() + 1 > most) finish();
    (items += items.empty() ? "" : ",") += item;
  };
  for (const auto& one : status.config.disabled) add(disabled.text, string_json(one));
  for (const auto& one : status.gate.guarded) add(guarded.text, guarded_json(one).dump());
  for (const auto& one : status.grants) add(grants.text, grant_json(one));
  finish();
  return lines;
}

} // namespace

std::vector<std::string> encode(const Status& status) {
  return lines_of(status, kMaxReplyLine);
}

std::string to_json(const Status& status) {
  return lines_of(status, std::string::npos).front();
}

// The library throws on a missing or wrong key; none of it leaves this function.
bool parse_status(std::string_view text, Status& status) try {
  const auto line = foreign_json(text);
  if (!line.is_object() || line.value("schema", 0) != 1) return false;
  if (line.contains("version")) read_head(line, status);
  read_items(line, status);
  return true;
} catch (const json::exception&) {
  return false;
}

} // namespace knock
