// SPDX-License-Identifier: GPL-2.0-or-later
#include "system/sandbox.hpp"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include <fmt/format.h>

#include "system/fd.hpp"

namespace knock::system {
namespace {

using CapabilitySets = std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3>;

Result<CapabilitySets> held_capabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  CapabilitySets sets{};
  if (::syscall(SYS_capget, &header, sets.data()) != 0)
    return tl::unexpected(system_error("read our capabilities"));
  return sets;
}

/// struct landlock_ruleset_attr as of ABI 6; the header of Debian 12 ends behind ABI 2.
struct LandlockRules {
  std::uint64_t files;
  std::uint64_t network;
  std::uint64_t scoped;
};

/// What a ruleset of `abi` can forbid, and how long its struct is.
std::pair<LandlockRules, std::size_t> rules_of(long abi) {
  const unsigned file_rights = abi >= 5 ? 16 : abi >= 3 ? 15 : abi >= 2 ? 14 : 13;
  const LandlockRules rules{(1ULL << file_rights) - 1, abi >= 4 ? 3ULL : 0, abi >= 6 ? 3ULL : 0};
  return {rules, abi >= 6 ? 24 : abi >= 4 ? 16 : 8};
}

constexpr long kNewestAbi = 6; // what later ones add is no right that a process without descriptors could use

/// Of an engine at work: no call opens, creates, executes or signals anything.
constexpr std::array kEngineCalls{SCMP_SYS(read),          SCMP_SYS(pread64),    SCMP_SYS(write),
                                  SCMP_SYS(recvfrom),      SCMP_SYS(recvmsg),    SCMP_SYS(sendto),
                                  SCMP_SYS(ppoll),         SCMP_SYS(close),      SCMP_SYS(futex),
                                  SCMP_SYS(clock_gettime), SCMP_SYS(munmap),     SCMP_SYS(brk),
                                  SCMP_SYS(rt_sigreturn),  SCMP_SYS(exit_group), SCMP_SYS(getrandom)};

#if defined(__SANITIZE_ADDRESS__)
// What the sanitizers' runtime does beside (pipe2: UBSan looks whether an object is readable); to print a
// finding it needs more, and dies: seen all the same.
constexpr std::array kSanitizerCalls{SCMP_SYS(madvise), SCMP_SYS(sched_yield), SCMP_SYS(gettid),
                                     SCMP_SYS(getpid),  SCMP_SYS(sigaltstack), SCMP_SYS(pipe2)};
#else
constexpr std::array<int, 0> kSanitizerCalls{};
#endif

struct Limit {
  __rlimit_resource_t resource;
  rlim_t most;
  const char* name;
};
// Pipes, sockets and mappings are no files to RLIMIT_FSIZE; descriptors: six, a policy, groups to come.
constexpr Limit kEngineLimits[] = {{RLIMIT_NPROC, 0, "processes"},
                                   {RLIMIT_FSIZE, 0, "file size"},
                                   {RLIMIT_CORE, 0, "core dumps"},
                                   {RLIMIT_NOFILE, 16, "descriptors"}};
constexpr std::uint64_t kEngineHeadroom = 128U
                                          << 20U; // two policies of 5 MiB, their images, a heap that grows

constexpr int kSooner = 500; // of 1,000: half of all memory
constexpr int kSoonest = 1'000;

/// Of proc(5), "" when it cannot be read.
std::string read_own(const char* name) {
  std::string line;
  std::getline(std::ifstream(fmt::format("/proc/self/{}", name)), line);
  return line;
}

} // namespace

Result<void> forbid_inspection() {
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return tl::unexpected(system_error("forbid core dumps"));
  return {};
}

Result<void> keep_capabilities(std::initializer_list<int> capabilities) {
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  const auto held = held_capabilities();
  if (!held) return tl::unexpected(held.error());
  CapabilitySets kept{};
  for (const auto capability : capabilities)
    kept[static_cast<std::size_t>(CAP_TO_INDEX(capability))].permitted |= CAP_TO_MASK(capability);
  bool more = false;
  bool inheritable = false;
  for (std::size_t i = 0; i < kept.size(); ++i) {
    more = more || ((*held)[i].permitted & ~kept[i].permitted) != 0;
    inheritable = inheritable || (*held)[i].inheritable != 0;
    kept[i].permitted &= (*held)[i].permitted;
    kept[i].effective = kept[i].permitted;
  }
  if (!more && !inheritable) return {};
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  // Our unit forbids the call, and gives no more than we keep. Inheritable alone gives a program nothing.
  if (::syscall(SYS_capset, &header, kept.data()) != 0 && more)
    return tl::unexpected(system_error("drop capabilities"));
  return {};
}

Gaps volunteer_for_oom() {
  const auto score = std::min(std::atoi(read_own("oom_score_adj").c_str()) + kSooner, kSoonest);
  const Fd file(::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
  const auto text = std::to_string(score);
  if (file && ::write(file.get(), text.data(), text.size()) >= 0) return {};
  return {system_error("no oom score of its own").what};
}

Gaps limit_resources(std::uint64_t headroom) {
  Gaps gaps;
  const auto limit = [&](const Limit& one) {
    const rlimit most{one.most, one.most};
    if (::setrlimit(one.resource, &most) != 0)
      gaps.push_back(system_error(fmt::format("no limit of {}", one.name)).what);
  };
  for (const auto& one : kEngineLimits) limit(one);
  const auto pages = std::strtoull(read_own("statm").c_str(), nullptr, 10);
  if (kSanitizerCalls.empty() && pages != 0)
    limit({RLIMIT_AS, static_cast<rlim_t>(pages * static_cast<rlim_t>(::sysconf(_SC_PAGESIZE)) + headroom),
           "memory"});
  return gaps;
}

Gaps forbid_files() {
  const auto abi = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (abi < 1) return {system_error("no Landlock, files are closed by seccomp alone").what};
  const auto [rules, size] = rules_of(std::min(abi, kNewestAbi));
  const Fd ruleset(static_cast<int>(::syscall(SYS_landlock_create_ruleset, &rules, size, 0)));
  if (!ruleset || ::syscall(SYS_landlock_restrict_self, ruleset.get(), 0) != 0)
    return {system_error("Landlock refuses, files are closed by seccomp alone").what};
  if (abi < kNewestAbi)
    return {fmt::format("Landlock ABI {}: {} by seccomp alone", abi,
                        abi < 4 ? "network and signals are closed" : "signals are closed")};
  return {};
}

Gaps allow_engine_calls() {
  scmp_filter_ctx filter = ::seccomp_init(SCMP_ACT_KILL_PROCESS);
  int code = filter == nullptr ? -ENOMEM : 0;
  const auto add = [&](int call) {
    code = code != 0 ? code : ::seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0);
  };
  for (const int call : kEngineCalls) add(call);
  for (const int call : kSanitizerCalls) add(call);
  // Memory, but none that is a file or can be executed.
  const std::array anonymous{SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
                             SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS)};
  if (code == 0)
    code =
        ::seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), anonymous.size(), anonymous.data());
  add(SCMP_SYS(mremap)); // of what is mapped already
  if (code == 0) code = ::seccomp_load(filter);
  ::seccomp_release(filter);
  if (code == 0) return {};
  return {system_error("no seccomp, system calls are not filtered", -code, "").what};
}

Result<Gaps> confine_engine() {
  auto gaps = volunteer_for_oom();
  const auto take = [&](Gaps more) { std::move(more.begin(), more.end(), std::back_inserter(gaps)); };
  take(limit_resources(kEngineHeadroom));
  if (auto hidden = forbid_inspection(); !hidden) return tl::unexpected(hidden.error());
  if (auto dropped = keep_capabilities({}); !dropped) return tl::unexpected(dropped.error());
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return tl::unexpected(system_error("set no_new_privs"));
  take(forbid_files());
  take(allow_engine_calls());
  return gaps;
}

} // namespace knock::system
