// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <knock/replay.hpp>
#include <knock/status.hpp>

#include "core/json_text.hpp"

namespace knock {
namespace {

using nlohmann::json;

/// 1234 as "1.234".
std::string seconds_text(Millis time) {
  return fmt::format("{}.{:03}", time.count() / 1'000, time.count() % 1'000);
}

std::string gap_text(const ReplayRow& row) {
  return row.gap ? "+" + seconds_text(*row.gap) : "";
}

json text_or_null(std::string_view text) {
  return text.empty() ? json(nullptr) : json(text);
}

void add(json& object, const std::optional<Stage>& stage) {
  object["door"] = stage ? json(stage->door) : json(nullptr);
  object["closing"] = stage ? json(stage->closes) : json(nullptr);
  object["step"] = stage ? json(stage->step) : json(nullptr);
  object["of"] = stage ? json(stage->of) : json(nullptr);
  object["next"] = stage ? text_or_null(stage->next) : json(nullptr);
}

} // namespace

std::string ReplayTable::lines(std::span<const ReplayRow> rows) {
  for (const auto& row : rows) {
    gap_ = std::max(gap_, gap_text(row).size());
    source_ = std::max(source_, row.source.size());
    what_ = std::max(what_, row.what.size());
  }
  std::string text;
  for (const auto& row : rows)
    text += fmt::format("{:>9}  {:>{}}  {:<{}}  {:<{}}  {}\n", seconds_text(row.at), gap_text(row), gap_,
                        row.source, source_, row.what, what_, row.text);
  return text;
}

std::string conclusion_text(std::span<const Conclusion> conclusions, const ReplaySummary& summary) {
  std::string text;
  if (summary.rows != 0) text += '\n';
  for (const auto& one : conclusions) text += one.text + '\n';
  const auto say = [&](std::uint64_t count, std::string_view what, std::string_view more) {
    if (count != 0) text += fmt::format("{} {}\n", plural(count, what), more);
  };
  text += fmt::format("{} in {}s, {} of them {} a knock; {} completed\n", plural(summary.packets, "packet"),
                      seconds_text(summary.span), summary.rows, summary.rows == 1 ? "concerns" : "concern",
                      plural(summary.counts.opened, "sequence"));
  say(summary.backwards, "packet", "older than one before: counted as of the latest");
  say(summary.words_cut, "packet", "cut where a word is looked for: record whole packets (tcpdump -s 0)");
  say(summary.forgotten, "packet", "of more sources than are remembered: no conclusion for these");
  return text;
}

std::string replay_json(const ReplayRow& row) {
  json object{{"time_ms", row.at.count()}, {"source", row.source}, {"what", row.what},    {"fate", row.fate},
              {"text", row.text},          {"opened", row.opened}, {"closed", row.closed}};
  object["gap_ms"] = row.gap ? json(row.gap->count()) : json(nullptr);
  add(object, row.stage);
  return json_text(object);
}

std::string replay_json_end(std::span<const Conclusion> conclusions, const ReplaySummary& summary) {
  auto sources = json::array();
  for (const auto& one : conclusions) {
    json object{{"source", one.source}, {"why", text_or_null(one.why)}, {"text", one.text}};
    add(object, one.stage);
    sources.push_back(std::move(object));
  }
  const auto& counts = summary.counts;
  const json counters{{"seen", counts.seen},
                      {"short", counts.cut},
                      {"unparsed", counts.unparsed},
                      {"not_step", counts.not_step},
                      {"refused_link_local", counts.link_local},
                      {"step", counts.step},
                      {"start", counts.start},
                      {"stray", counts.stray},
                      {"cooled", counts.cooled},
                      {"late", counts.late},
                      {"repeat", counts.repeat},
                      {"evicted", counts.evicted},
                      {"contended", counts.contended},
                      {"opened", counts.opened}};
  const json all{{"packets", summary.packets},      {"rows", summary.rows},
                 {"span_ms", summary.span.count()}, {"backwards", summary.backwards},
                 {"words_cut", summary.words_cut},  {"trusted", summary.trusted},
                 {"forgotten", summary.forgotten},  {"counters", counters}};
  return fmt::format(R"(],"sources":{},"summary":{}}})", json_text(sources), json_text(all));
}

} // namespace knock
