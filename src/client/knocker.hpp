// SPDX-License-Identifier: GPL-2.0-or-later
/// Knocker: what is sent to a door, stamped and sealed under the lock of the profile's state.
#pragma once

#include <span>
#include <utility>
#include <vector>

#include <knock/client_state.hpp>
#include <knock/sent_steps.hpp>

#include "client/sender.hpp"
#include "client/session.hpp"
#include "client/state_file.hpp"

namespace knock::client {

/// What signed packets ask for.
struct Order {
  kn1::Op op = kn1::Op::open;
  Seconds open_for{0}; ///< 0: the door's own
  std::optional<Address> for_address;
  std::vector<std::uint8_t> args; ///< of `run`
};

class Knocker {
 public:
  /// Requires: loop and session outlive it, and the session's ways stay as they are.
  Knocker(system::EventLoop& loop, const Session& session) : session_(session), sender_(loop) {}

  enum class Did : std::uint8_t { sent, yielded };
  /// When a packet of another process is as good as ours: one of the last `within` (0: none), by which it stays open for
  /// `left` from now. For a refresh only where the door was seen to stand open.
  struct Yield {
    Wall within{0};
    Millis left{0};
  };
  /// Waits for the state's lock now, so that nothing waits in the middle of an opening. Errors: as `knock`.
  tl::expected<void, Failure> prepare();
  /// A packet for each of `ways` and each server key, or none where another's will do. `number`: which try. Errors: no ping
  /// socket, a state that cannot be written.
  tl::expected<Did, Failure> knock(const Order& order, std::span<const std::size_t> ways, unsigned number,
                                   Yield yield);
  /// One packet of the door's knock. The first one is noted in the state.
  tl::expected<Did, Failure> step(const SentStep& step, std::size_t way, bool first, Yield yield);

  /// In the state: it stands open from this way.
  void note_open(std::size_t way) const;

  [[nodiscard]] std::size_t packets() const { return packets_; }
  [[nodiscard]] const Sender& sender() const { return sender_; }
  /// Ways that the system can send nothing on, and why.
  [[nodiscard]] const std::vector<std::pair<std::size_t, std::string>>& lost() const { return lost_; }
  /// All of them are lost, and why.
  [[nodiscard]] Failure all_lost() const;

 private:
  tl::expected<void, Failure> seal_and_send(const Order& order, std::size_t way, std::size_t server,
                                            Carrier carrier);
  [[nodiscard]] bool knocked_by_another(const ClientState& state, kn1::Op op,
                                        std::span<const std::size_t> ways, Yield yield) const;
  void note_knock(ClientState& state, const Order& order, const Way& way) const;
  tl::expected<void, Failure> judge(const Result<void>& stored);
  [[nodiscard]] Result<StateFile> lock_state(bool counter) const;
  void lose(std::size_t way, const Error& error);

  const Session& session_;
  Sender sender_;
  ClientState unshared_; ///< where no file can be written
  bool complained_ = false;
  std::size_t packets_ = 0;
  std::uint64_t stamp_ = 0; ///< of the last packet; all copies of a `run` have one
  std::vector<std::pair<std::size_t, std::string>> lost_;
};

} // namespace knock::client
