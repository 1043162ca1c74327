// SPDX-License-Identifier: GPL-2.0-or-later
// Preloaded into a client: its wall clock is SHIFT_S seconds off, and synchronised if SYNCHRONISED says so (1, 0).
#include <dlfcn.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <unistd.h>

#include <array>
#include <cstdarg>
#include <cstdlib>
#include <ctime>

namespace {

long number(const char* name, long otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::atol(text) : otherwise;
}

} // namespace

extern "C" long syscall(long which, ...) noexcept {
  using Call = long (*)(long, long, long, long, long, long, long);
  static const auto real = reinterpret_cast<Call>(::dlsym(RTLD_NEXT, "syscall"));
  if (which == SYS_adjtimex) return number("SYNCHRONISED", 0) == 1 ? TIME_OK : TIME_ERROR;
  std::array<long, 6> words{};
  va_list all;
  va_start(all, which);
  for (auto& word : words) word = va_arg(all, long);
  va_end(all);
  return real(which, words[0], words[1], words[2], words[3], words[4], words[5]);
}

extern "C" int clock_gettime(clockid_t clock, timespec* now) noexcept {
  using Call = int (*)(clockid_t, timespec*);
  static const auto real = reinterpret_cast<Call>(::dlsym(RTLD_NEXT, "clock_gettime"));
  const int done = real(clock, now);
  if (done == 0 && clock == CLOCK_REALTIME) now->tv_sec += number("SHIFT_S", 0);
  return done;
}
