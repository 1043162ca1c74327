// SPDX-License-Identifier: GPL-2.0-or-later
#include "client/ending.hpp"

#include <signal.h>

#include "system/process.hpp"

namespace knock::client {

Result<std::unique_ptr<Ending>> Ending::listen(system::EventLoop& loop) {
  std::unique_ptr<Ending> ending(new Ending);
  struct sigaction now {};
  ending->hangs_up_ = ::sigaction(SIGHUP, nullptr, &now) != 0 || now.sa_handler != SIG_IGN;
  auto fd = system::open_signals();
  if (!fd) return tl::unexpected(std::move(fd.error()));
  ending->fd_ = std::move(*fd);
  ending->watch_ = loop.watch(ending->fd_.get(), [at = ending.get()](Instant) { at->take_signal(); });
  return ending;
}

void Ending::take_signal() {
  const auto signal = system::read_signal(fd_.get());
  if (number_ == 0 && (signal.number != SIGHUP || hangs_up_)) number_ = signal.number;
}

bool Ending::asked_by_now() {
  take_signal();
  return asked();
}

} // namespace knock::client
