// SPDX-License-Identifier: GPL-2.0-or-later
/// Requests: what signed packets may ask for. The engine's word counts for nothing here: whose a packet is, how old, who
/// signed it and what its sender may do is tested again.
///
/// In:      records of the engine, the configuration, the clocks.   Out: jobs that wait for a round; each refusal counted,
///          and told once per device, reason and 10 s.
/// Threads: one. Time: passed in.
/// Source:  knockgate-kn1(7), order of acceptance, 7 to 10.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <knock/kn1_keys.hpp>
#include <knock/record.hpp>
#include <knock/stamps.hpp>

#include "core/keeper/knocks.hpp"

namespace knock::keeper {

/// What became of a device's last packets, for `knockctl user list`.
struct DeviceSeen {
  std::optional<std::int64_t> opened{}; ///< seconds of the epoch
  std::string server{};                 ///< name of the router's key that it used last
  struct Refused {
    std::string reason;
    Stamp at = 0; ///< of our clock
    Address source;
    std::int64_t skew_ms = 0; ///< how far its clock was ahead
  };
  std::optional<Refused> refused{};
};

class Requests {
 public:
  struct Now {
    Instant at{};
    WallClock clock{};
  };

  /// `config` outlives this, or the next call.
  void follow(const Config& config);
  /// Nothing is accepted while it could not be written.
  void set_unwritten(bool unwritten) { unwritten_ = unwritten; }

  /// What these records ask for, in their order; what is accepted is in `stamps` from here on. A wrong one is no fault of
  /// the engine: who holds a device's secret without its key can make any.
  void judge(std::span<const Kn1Record> records, const Now& now, Knocks& knocks, Stamps& stamps,
             std::vector<Job>& jobs, Counts& refused, std::vector<Line>& lines);
  void note_opened(const std::string& label, std::int64_t wall) { seen_[label].opened = wall; }
  struct Refusal {
    std::string_view device, door, reason; ///< `door` is "-" where it is none
    Address source;
    std::int64_t skew_ms = 0;
  };
  /// Notes it as the device's last, and tells it; also one that comes behind `judge`.
  void refuse(const Refusal& what, const Now& now, std::vector<Line>& lines);
  [[nodiscard]] const std::map<std::string, DeviceSeen>& seen() const { return seen_; }

 private:
  /// Whose key a packet names.
  struct Owner {
    const Device* device = nullptr;
    const DeviceKey* key = nullptr;
    std::optional<Moment> until; ///< of a key before a rotation
  };
  /// A packet on its way: what is known of it so far.
  struct Case {
    const Kn1Record& record;
    const Owner& owner;
    kn1::Request request{};
    const Door* door = nullptr;
    Address grantee; ///< for whom it opens
    Opening opening; ///< what the door gives it
  };
  /// Why it is refused; empty: it is not.
  std::string_view refusal(Case& one, const Now& now, const Knocks& knocks, const Stamps& stamps) const;
  std::string_view door_refusal(Case& one, Moment now) const;
  static std::string_view source_refusal(Case& one, const Knocks& knocks);
  static std::string_view op_refusal(const Case& one);
  static Job job_of(Case& one, const Now& now, const Stamps& stamps);

  const Config* config_ = nullptr;
  std::map<kn1::Kid, Owner> owners_;
  std::map<kn1::WireId, const Door*> doors_;
  bool unwritten_ = false;
  std::map<std::pair<std::string, std::string>, Instant>
      told_;                               // by device and reason: when it may be told again
  std::map<std::string, DeviceSeen> seen_; // by device
};

} // namespace knock::keeper
