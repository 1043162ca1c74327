// SPDX-License-Identifier: GPL-2.0-or-later
/// Replay: what becomes of each packet of a recording, and how far each source came that got into no door.
///
/// In:      recorded packets in their order, and the config. They go the daemon's own way, PacketPath.
/// Out:     a row for each that concerns a knock; a conclusion for each source that knocked in vain.
/// Memory:  the tracker's table; a record for each source that sent to a port of a knock, at most kMaxSources.
/// Threads: one.
/// Time:    that of the recording.
///
/// What the kernel reports is told from the packets alone: those to ports of knocks, and those of a source in mid-knock to
/// other ports. It cannot be known where something listens, which addresses are the router's and from which interface a
/// packet comes, so each port is taken for a closed one of the router, and no interface for a trusted one.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <knock/config.hpp>
#include <knock/packet_path.hpp>

namespace knock {

struct Recorded {
  std::chrono::nanoseconds stamp{};    ///< since the epoch
  std::span<const std::byte> packet{}; ///< from its network header on; empty: it is none of IP
  std::size_t missing = 0;             ///< bytes that the recording left out
  bool sent = false;                   ///< by the router itself
  bool group = false;                  ///< to a broadcast or multicast address of its link
};

/// How far an attempt is on its way through one sequence.
struct Stage {
  std::string door;
  bool closes = false; ///< it is the closing knock
  unsigned step = 0;
  bool swapped = false; ///< the last that came overtook the one before it
  std::size_t of = 0;
  std::string next; ///< as in a config; of any order "udp/5 or udp/6"; empty: it is through
};

/// One packet that concerns a knock.
struct ReplayRow {
  Millis at{};               ///< since the first packet of the recording
  std::optional<Millis> gap; ///< since the last row of the same source
  std::string source;
  std::string what;                        ///< "tcp/7143", "udp/12899 12 bytes", "ping 42 bytes"
  std::string_view fate;                   ///< a name that does not change, see knockgate-json(7)
  std::string text;                        ///< the same for a person, and all else that it did
  std::optional<Stage> stage;              ///< where it led, the furthest
  std::vector<std::string> opened, closed; ///< doors
};

/// How far a source came that completed nothing since.
struct Conclusion {
  std::string source;
  std::optional<Stage> stage; ///< nothing: it began no knock
  std::string_view why;       ///< "late", "rhythm", "scan"; empty: no further step came
  std::string text;
};

struct ReplaySummary {
  std::uint64_t packets = 0; ///< of the recording
  std::uint64_t rows = 0;
  std::uint64_t backwards = 0; ///< older than one before them
  std::uint64_t words_cut = 0; ///< cut by the recording where a word is looked for
  std::uint64_t trusted = 0;
  std::uint64_t forgotten = 0; ///< sources beyond kMaxSources
  Millis span{};
  PacketCounts counts; ///< of those that the kernel would have reported
};

class Replay {
 public:
  /// Requires: the config is checked.
  explicit Replay(const Config& config);
  ~Replay();

  /// The next packet. Returns nothing for one that concerns no knock.
  std::optional<ReplayRow> read(const Recorded& recorded);
  /// After the last one.
  [[nodiscard]] std::vector<Conclusion> conclusions() const;
  ReplaySummary summary();

 private:
  class Course;
  std::unique_ptr<Course> course_;
};

inline constexpr std::size_t kMaxSources = 1U << 18U; // of a recording, some 100 bytes each

/// Rows as aligned lines. What was printed before is not known again: a later, longer row widens what follows.
class ReplayTable {
 public:
  std::string lines(std::span<const ReplayRow> rows);

 private:
  std::size_t gap_ = 0, source_ = 0, what_ = 0;
};
/// What stands behind the rows.
std::string conclusion_text(std::span<const Conclusion> conclusions, const ReplaySummary& summary);

/// `{"schema":1,"packets":[` row `,` row ... end
inline constexpr std::string_view kReplayBegin = R"({"schema":1,"packets":[)";
std::string replay_json(const ReplayRow& row);
std::string replay_json_end(std::span<const Conclusion> conclusions, const ReplaySummary& summary);

} // namespace knock
