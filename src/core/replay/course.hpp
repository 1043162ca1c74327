// SPDX-License-Identifier: GPL-2.0-or-later
/// Course: what one recording did so far.
#pragma once

#include <map>

#include <knock/replay.hpp>

#include "core/replay/flows.hpp"
#include "core/replay/stages.hpp"

namespace knock {

class Replay::Course {
 public:
  explicit Course(const Config& config);

  std::optional<ReplayRow> read(const Recorded& recorded);
  [[nodiscard]] std::vector<Conclusion> conclusions();
  ReplaySummary summary();

 private:
  /// What is known of one that sent to a port of a knock.
  struct Source {
    Address address; ///< the last one of its /64
    std::chrono::nanoseconds last{};
    NodeId furthest = 0; ///< since it completed a sequence
    std::string_view why{};
    bool opened = false;
    std::optional<Token> first_try{}; ///< of who began nothing
    std::string tried{};              ///< the same, as it is shown
  };
  /// What a packet is, beside its bytes.
  struct Seen {
    Port port;
    bool knock = false; ///< the port of some step
    std::optional<Token> token;
    bool word_cut = false;
    NodeId before = 0; ///< how far the source had come
  };

  std::optional<ReplayRow> judge(const Recorded& recorded);
  std::optional<ReplayRow> refused(std::span<const std::byte> bytes, Unparsed reason, const Address& source,
                                   bool sent);
  [[nodiscard]] std::string_view unreported(const Packet& packet, const Recorded& recorded, const Seen& seen,
                                            const Ends& ends, std::string& text);
  ReplayRow row(const Address& source, std::string what, std::string_view fate, std::string text);
  std::optional<ReplayRow> stepped(const Packet& packet, const Outcome& outcome, const Seen& seen);
  void tell_steps(const Outcome& outcome, const Seen& seen, ReplayRow& row);
  void tell_rest(const Outcome& outcome, const Seen& seen, ReplayRow& row);
  void remember(const Packet& packet, const Outcome& outcome, const Seen& seen, std::string_view what);
  Source* source(const Address& address, bool make);

  const Config& config_;
  PacketPath path_;
  Stages stages_;
  Flows flows_;
  std::map<Address, Source> sources_;
  ReplaySummary summary_;
  std::chrono::nanoseconds first_{}, latest_{};
  std::vector<Record> completed_;
};

} // namespace knock
