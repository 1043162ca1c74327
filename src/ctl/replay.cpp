// SPDX-License-Identifier: GPL-2.0-or-later
#include <cstdio>

#include <fmt/format.h>

#include <knock/replay.hpp>

#include "ctl/capture_file.hpp"
#include "ctl/show.hpp"
#include "ctl/verbs.hpp"
#include "system/files.hpp"

namespace knock::ctl {
namespace {

/// Prints rows as they come: a recording may be larger than memory.
class Printer {
 public:
  explicit Printer(bool json) : json_(json) {
    if (json_) fmt::print("{}", kReplayBegin);
  }
  void add(ReplayRow row) {
    if (json_) {
      fmt::print("{}{}", first_ ? "" : ",", replay_json(row));
      first_ = false;
      return;
    }
    rows_.push_back(std::move(row));
    if (rows_.size() == kAligned) flush();
  }
  void end(const std::vector<Conclusion>& conclusions, const ReplaySummary& summary) {
    flush();
    if (json_)
      fmt::print("{}\n", replay_json_end(conclusions, summary));
    else
      fmt::print("{}", conclusion_text(conclusions, summary));
  }

 private:
  static constexpr std::size_t kAligned = 1'000; // rows whose columns are known before they are printed

  void flush() {
    fmt::print("{}", table_.lines(rows_));
    rows_.clear();
  }

  bool json_;
  bool first_ = true;
  ReplayTable table_;
  std::vector<ReplayRow> rows_;
};

Result<void> read_all(CaptureFile& file, Replay& replay, Printer& printer) {
  for (;;) {
    auto captured = file.next();
    if (!captured) return tl::unexpected(std::move(captured.error()));
    if (!*captured) return {};
    Recorded recorded{(*captured)->stamp, {}, (*captured)->missing, false, false};
    if (const auto frame = wire::parse_frame(file.link(), (*captured)->bytes)) {
      recorded.packet = frame->packet;
      recorded.sent = frame->sent;
      recorded.group = frame->group;
    }
    if (auto row = replay.read(recorded)) printer.add(std::move(*row));
  }
}

} // namespace

int replay(const CommandLine& given) {
  if (given.words.empty())
    return fail(given,
                usage_failure("replay takes a recording", "knockctl replay CAPTURE, as tcpdump -w wrote it"));
  const auto parsed = system::load_config(config_of(given));
  if (!parsed.config) {
    if (given.json) fmt::print("{}\n", error_line(failure_of(parsed.findings.front())));
    for (const auto& finding : parsed.findings)
      if (!given.json) fmt::print(stderr, "{}\n", printable(to_string(finding)));
    return static_cast<int>(ExitCode::bad_config);
  }
  auto file = CaptureFile::open(given.words[0]);
  if (!file) return fail(given, failure_of(file.error()));
  if (sequences_of(*parsed.config).empty())
    fmt::print(stderr, "no enabled door has a knock: nothing is a step\n");
  Replay replay(*parsed.config);
  Printer printer(given.json);
  const auto read = read_all(*file, replay, printer);
  printer.end(replay.conclusions(), replay.summary());
  return read ? 0 : fail(given, failure_of(read.error()));
}

} // namespace knock::ctl
