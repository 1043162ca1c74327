// SPDX-License-Identifier: GPL-2.0-or-later
#include "system/log.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include <fmt/format.h>

namespace knock::system {
namespace {

LogLevel g_level = LogLevel::info;

/// systemd names the journal's stream by device and inode; stderr may since have been redirected.
bool stderr_is_journal() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat status {};
  if (stream == nullptr || ::fstat(STDERR_FILENO, &status) != 0) return false;
  return fmt::format("{}:{}", status.st_dev, status.st_ino) == stream;
}

/// Before main: an engine at work may not ask any more.
const bool g_journal = stderr_is_journal();

int priority(LogLevel level) { // syslog(3)
  switch (level) {
  case LogLevel::error: return 3;
  case LogLevel::warn: return 4;
  case LogLevel::info: return 6;
  case LogLevel::debug: return 7;
  }
  return 7;
}

} // namespace

void set_log_level(LogLevel level) {
  g_level = level;
}

void log_line(LogLevel level, std::string_view text) {
  if (level > g_level) return;
  const auto line = g_journal ? fmt::format("<{}>{}\n", priority(level), text) : fmt::format("{}\n", text);
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
}

} // namespace knock::system
