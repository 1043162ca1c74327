// SPDX-License-Identifier: GPL-2.0-or-later
/// StampStore: kn1.run beside the control socket, as the keeper writes it and the engine reads it.
///
/// Errors:  what open(2) and pwrite(2) say; ENOSPC: nothing is accepted.
/// Threads: one.
/// Source:  stamp_file.hpp
#pragma once

#include <optional>
#include <string>

#include <knock/result.hpp>
#include <knock/stamp_file.hpp>

#include "core/keeper/round.hpp"
#include "system/fd.hpp"

namespace knock::keeper {

class StampStore {
 public:
  /// `socket`: path of the control socket, whose directory lasts as long as the boot.
  explicit StampStore(const std::string& socket);

  /// Nothing: there is none, or it is of another boot.
  Result<std::optional<StampRun>> read() const;
  /// Makes the file when there is none of this boot.
  Result<void> write(const Mark& mark);
  /// For the engine, to be read only. Requires: `write` succeeded.
  [[nodiscard]] Result<system::Fd> reader() const;

 private:
  Result<void> begin(Stamp good_since);

  std::string path_;
  std::string boot_;
  system::Fd file_;
};

} // namespace knock::keeper
