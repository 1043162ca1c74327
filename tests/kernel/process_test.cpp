// SPDX-License-Identifier: GPL-2.0-or-later
// What we know of the system we run on, also when the service manager hides most of it.
#include <doctest/doctest.h>

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "kernel/process.hpp"

using namespace knock::kernel;

namespace {

/// As ProcSubset=pid does it, for this process alone.
bool hide_proc_sys() {
  return ::unshare(CLONE_NEWNS) == 0 && ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount("tmpfs", "/proc/sys/kernel/random", "tmpfs", 0, nullptr) == 0;
}

/// Runs `attempt` where the boot id of the kernel is hidden: 0 when it holds.
template<class Attempt>
int where_hidden(Attempt&& attempt) {
  const auto pid = ::fork();
  if (pid == 0) ::_exit(!hide_proc_sys() ? 2 : attempt() ? 0 : 1);
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

} // namespace

TEST_CASE("the id of this boot is the kernel's, and the same whenever asked") {
  std::string kernel;
  std::getline(std::ifstream("/proc/sys/kernel/random/boot_id"), kernel);
  REQUIRE(kernel.size() == 36);
  CHECK(boot_id() == kernel);
  CHECK(boot_id() == boot_id());
}

TEST_CASE("where the kernel's is hidden it is the credential of the unit") {
  auto directory = (std::filesystem::temp_directory_path() / "knockgate.XXXXXX").string();
  REQUIRE(::mkdtemp(directory.data()) != nullptr);
  std::ofstream(directory + "/boot_id") << "11111111-2222-3333-4444-555555555555\n";
  CHECK(where_hidden([&] {
          ::setenv("CREDENTIALS_DIRECTORY", directory.c_str(), 1);
          return boot_id() == "11111111-2222-3333-4444-555555555555";
        }) == 0);
  std::filesystem::remove_all(directory);
}

TEST_CASE("known from nowhere it is one of no boot before, so that no old time is believed") {
  CHECK(where_hidden([] {
          ::unsetenv("CREDENTIALS_DIRECTORY");
          const auto once = boot_id();
          return once.size() > 16 && once.find(' ') == std::string::npos && once != boot_id();
        }) == 0);
}
