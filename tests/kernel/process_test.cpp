// SPDX-License-Identifier: GPL-2.0-or-later
// What we know of the system we run on, also when the service manager hides most of it; and what our
// processes say.
#include <doctest/doctest.h>

#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "system/child_log.hpp"
#include "system/process.hpp"
#include "system/unix_address.hpp"

using namespace knock;
using namespace knock::system;

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

/// What is logged meanwhile.
template<class Speak>
std::string logged(Speak&& speak) {
  const Fd file(::memfd_create("log", 0));
  const Fd before(::dup(STDERR_FILENO));
  ::dup2(file.get(), STDERR_FILENO);
  speak();
  ::dup2(before.get(), STDERR_FILENO);
  std::string text(1U << 20U, '\0');
  text.resize(static_cast<std::size_t>(::pread(file.get(), text.data(), text.size(), 0)));
  return text;
}

/// An engine's log, and its end of it.
struct Speaker {
  EventLoop loop;
  ChildLog log{loop, "engine", LogLevel::warn, {10, 20}};
  Fd end = *log.open(false);

  void say(std::string_view text) { CHECK(::write(end.get(), text.data(), text.size()) >= 0); }
  std::string heard() {
    return logged([&] { (void)loop.wait(monotonic_now()); });
  }
};

} // namespace

TEST_CASE("what a process writes is named and escaped, and no line of ours") {
  Speaker engine;
  engine.say("<3>open door=ssh\nab");
  CHECK(engine.heard() == "engine: <3>open door=ssh\n");
  engine.say("c\x1b[2J\r\xff\\ \"d\"\n");
  CHECK(engine.heard() == "engine: abc\\x1b[2J\\x0d\\xff\\x5c \"d\"\n");
  engine.say(std::string(600, 'a') + "\n" + std::string(512, 'b') + "\nlast");
  CHECK(engine.heard() ==
        "engine: " + std::string(512, 'a') + " ...\nengine: " + std::string(512, 'b') + "\n");
  CHECK(logged([&] { engine.log.finish(monotonic_now()); }) == "engine: last\n");
}

TEST_CASE("above its pace it is not heard, and what was dropped is said once") {
  Speaker engine;
  for (int i = 0; i < 100; ++i) engine.say("x\n");
  const auto text = engine.heard();
  CHECK(std::count(text.begin(), text.end(), '\n') == 20);
  const auto settled = [&](Seconds later) {
    return logged([&] { engine.log.settle(monotonic_now() + later); });
  };
  CHECK(settled(Seconds{0}).empty());
  CHECK(settled(Seconds{3}) == "engine: 80 more lines were dropped\n");
  CHECK(settled(Seconds{3}).empty());
}

TEST_CASE("a full log does not stop it, nor does its end stop us") {
  Speaker engine;
  const std::string page(4096, 'x');
  ssize_t written = 0;
  for (int i = 0; i < 1000 && written >= 0; ++i)
    written = ::write(engine.end.get(), page.data(), page.size());
  CHECK(written == -1);
  CHECK(errno == EAGAIN);
  engine.end = Fd();
  (void)engine.heard();
  (void)engine.heard();
  CHECK(engine.heard().empty()); // a descriptor that is at its end would be ready for ever
}

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

TEST_CASE("a path is the address of a socket while it fits with its NUL") {
  const std::string longest(107, 'x');
  REQUIRE(unix_address(longest));
  CHECK(unix_address(longest)->sun_family == AF_UNIX);
  CHECK(unix_address(longest)->sun_path == longest);
  CHECK_FALSE(unix_address(longest + 'x'));
  CHECK(errno == ENAMETOOLONG);
}
