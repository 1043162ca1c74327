// SPDX-License-Identifier: GPL-2.0-or-later
#include "client/ending.hpp"

#include "system/process.hpp"

namespace knock::client {

Result<std::unique_ptr<Ending>> Ending::listen(system::EventLoop& loop) {
  auto fd = system::open_signals();
  if (!fd) return tl::unexpected(std::move(fd.error()));
  std::unique_ptr<Ending> ending(new Ending(std::move(*fd)));
  ending->watch_ = loop.watch(ending->fd_.get(), [at = ending.get()](Instant) {
    const auto signal = system::read_signal(at->fd_.get());
    if (at->number_ == 0) at->number_ = signal.number;
  });
  return ending;
}

} // namespace knock::client
