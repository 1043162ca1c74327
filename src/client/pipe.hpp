// SPDX-License-Identifier: GPL-2.0-or-later
/// Pipe: bytes between a connection and our standard input and output, until both directions ended.
///
/// A half that ends is passed on: the end of the input closes the connection for writing, and the other way round.
/// Memory: a buffer a direction; what the other side does not take is not read.
#pragma once

#include <array>
#include <cstdint>

#include "system/event_loop.hpp"
#include "system/fd.hpp"

namespace knock::client {

class Pipe {
 public:
  /// Requires: the loop outlives it; `connection` never waits (O_NONBLOCK).
  Pipe(system::EventLoop& loop, system::Fd connection, int input, int output);
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  /// Both directions ended, or one end is gone.
  [[nodiscard]] bool over() const { return broken_ || (up_.over && down_.over); }

 private:
  struct Half {
    std::array<std::uint8_t, 65'536> bytes{};
    std::size_t begin = 0, end = 0;
    bool eof = false;  ///< nothing more comes
    bool over = false; ///< and its end was passed on
    [[nodiscard]] bool empty() const { return begin == end; }
    [[nodiscard]] bool wants_more() const { return empty() && !eof && !over; }
  };
  void take_input();
  void take_connection();
  void give_connection();
  void give_output();
  void lose_output();
  void settle();

  system::EventLoop& loop_;
  system::Fd connection_;
  struct {
    int input, output;
    bool output_is_socket;
  } ours_;
  Half up_, down_; ///< to the connection, and from it
  system::Watch input_ready_, output_ready_, connection_readable_, connection_writable_;
  bool unread_ = false; ///< the reader of our output is gone
  bool broken_ = false;
};

} // namespace knock::client
