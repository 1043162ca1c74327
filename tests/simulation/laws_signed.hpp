// SPDX-License-Identifier: GPL-2.0-or-later
/// SignedLaws: what must be true of signed packets after every step, from the packets alone, never from the keeper's stamps.
///
///   stamp      a packet opens once, and a close counts once: not again from elsewhere, behind a crash or a reboot, nor
///              by another clock; a refresh opens nothing; what an engine forges opens nothing. Of a device that opened
///              in this boot nothing newer than all before is refused for that, behind a crash neither
///   removed    no device opens that is gone, off, or has not the door; what it had open ends
///   until      nothing that it opens lasts longer than its date
///
/// Of several packets that ask for the same at once, it is not known which one counted: then none is known to be spent.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/keeper/round.hpp"
#include "straw.hpp"

namespace knock::simulation {

/// What a packet may mean by one of these configurations: of which device, at which door.
using Meaning = std::function<void(const Config&, const Device&, const Door&, const kn1::Request&)>;
void each_meaning(const Kn1Record& record, const std::vector<const Config*>& configs, const Meaning& meaning);

class SignedLaws {
 public:
  using Broken = std::optional<std::pair<std::string, std::string>>; ///< law, and what

  /// What one packet asks for.
  struct Wish {
    std::string device, door;
    Address grantee;
    bool closes = false;
    auto operator<=>(const Wish&) const = default;
  };

  void forged(const Kn1Record& record) { forged_.insert(id_of(record)); }
  /// `configs`: those that may judge it.
  void hear(const std::vector<Kn1Record>& records, const std::vector<const Config*>& configs);
  /// The wall clock is set: what stands by the old one stays.
  void clock_set(const Straw& straw);
  /// So many steps were done. A ceiling is written behind the act: what came in the round in which one could not be, may
  /// come again behind a boot.
  void act(const keeper::Steps& steps, std::size_t done);
  /// The daemon was killed behind these steps: what it put, it did not tell.
  void killed(const keeper::Steps& steps, std::size_t done);
  /// A line of the audit: `verb` open, extend, close.
  Broken told(std::string_view verb, const Wish& wish, const Config& config, const Straw& straw);
  /// A packet of it was.
  Broken refused(const std::string& device, std::string_view reason);
  /// Nothing is left to do. `waits`: packets still do.
  void rest(bool waits);
  /// This configuration runs: of a device that is not in it, the stamps may be forgotten.
  void follow(const Config& config);
  void rebooted();
  /// What stands of devices that may not have it.
  [[nodiscard]] static Broken check(const Config& config, const Straw& straw);

 private:
  using Id = std::pair<kn1::Kid, std::uint64_t>;
  struct Candidates {
    std::set<Id> packets;
    std::size_t refreshes = 0, told = 0;
    bool allowed = false;          ///< by one of the configurations that may judge it
    std::optional<Moment> until{}; ///< the latest that one of them says
    void note(const Device& device) {
      until = !allowed || (until && device.until) ? std::max(until, device.until) : std::nullopt;
      allowed = true;
    }
  };
  struct Times {
    Stamp newest = 0;
    bool opened = false; ///< in this boot
    bool newer = true;   ///< all since the last rest
    void hear(Stamp stamp) {
      newer = newer && stamp > newest;
      newest = std::max(newest, stamp);
    }
  };
  static Id id_of(const Kn1Record& record) { return {record.head.kid, record.head.ts}; }
  [[nodiscard]] Broken lasts(const Wish& wish, Moment until, const Straw& straw) const;
  void spend(const std::set<Id>& packets);

  std::map<Wish, Candidates> heard_;   // since the last rest
  std::map<std::string, Times> times_; // by device
  std::set<Id> spent_;
  std::set<Id> unsure_;                        // of these, no ceiling covers them
  bool unwritten_ = false;                     // one of this round
  std::map<GrantKey, Instant> by_other_clock_; // elements, and until when
  std::set<Id> forged_;
};

} // namespace knock::simulation
