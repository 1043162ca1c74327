// SPDX-License-Identifier: GPL-2.0-or-later
#include "keeper/engine_process.hpp"

#include <linux/futex.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <new>

#include <fmt/format.h>

#include "system/log.hpp"
#include "system/process.hpp"

namespace knock::keeper {
namespace {

constexpr Millis kFirstBackOff{100};
constexpr Millis kLongestBackOff{5'000};
constexpr Millis kPatience{200};   // with who asks for numbers: a table of 2^24 attempts is counted in 40 ms
constexpr int kMaxStrikes = 16;    // between two pings; an honest engine has none
constexpr int kFairDatagrams = 64; // an engine that never stops talking must not starve the rest
constexpr unsigned kLogBurst = 50; // lines: what a sanitizer finds is said whole

constexpr system::Identity kEngine{
    65'533, 65'533}; // nobody has it: the last of the range Debian reserves (policy 9.2.2)

/// A user of its own, when we may give it one.
std::optional<system::Identity> engine_identity() {
  if (::geteuid() != 0) return std::nullopt;
  return system::identity_of(system::kOurUser).value_or(kEngine);
}

} // namespace

Result<std::unique_ptr<EngineProcess>> EngineProcess::start(system::EventLoop& loop, std::uint32_t attempts,
                                                            netlink::NflogGroups groups, system::Fd policy) {
  auto page = Page::open();
  if (!page) return tl::unexpected(page.error());
  std::unique_ptr<EngineProcess> engine(
      new EngineProcess(loop, attempts, std::move(groups), std::move(policy), std::move(*page)));
  if (auto launched = engine->launch(); !launched) return tl::unexpected(launched.error());
  return engine;
}

Result<EngineProcess::Page> EngineProcess::Page::open() {
  auto fd = system::open_shared("knockgate-engine", sizeof(engine::EnginePage));
  if (!fd) return tl::unexpected(fd.error());
  {
    const auto writable = system::map_shared(fd->get(), sizeof(engine::EnginePage), true);
    if (!writable) return tl::unexpected(writable.error());
    new (writable->get()) engine::EnginePage;
  }
  auto mapping = system::map_shared(fd->get(), sizeof(engine::EnginePage), false);
  if (!mapping) return tl::unexpected(mapping.error());
  const auto* numbers = std::launder(static_cast<const engine::EnginePage*>(mapping->get()));
  return Page{std::move(*fd), std::move(*mapping), numbers};
}

EngineProcess::EngineProcess(system::EventLoop& loop, std::uint32_t attempts, netlink::NflogGroups groups,
                             system::Fd policy, Page page)
    : loop_(loop), attempts_(attempts), groups_(std::move(groups)), followed_{std::move(policy), {}, {}},
      page_(std::move(page)), log_(loop, "engine", LogLevel::warn, {10, kLogBurst}),
      back_off_(kFirstBackOff) {}

Result<void> EngineProcess::launch() {
  std::array<int, 2> pair{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()) != 0)
    return tl::unexpected(system::system_error("open a pair of sockets"));
  system::Fd ours(pair[0]);
  const system::Fd theirs(pair[1]);
  system::Role role;
  role.arguments = {"--engine", std::to_string(groups_.first_group()), std::to_string(attempts_)};
  role.descriptors = {theirs.get(), page_.fd.get(), groups_.fd()};
  const auto log = log_.open(false); // an engine must not wait for who reads its log
  if (!log) return tl::unexpected(log.error());
  role.log = log->get();
  role.identity = engine_identity();
  role.dies_with_us = true;
  auto child = system::Child::start(role);
  if (!child) return tl::unexpected(child.error());
  restart_at_.reset();
  auto& running = running_.emplace(Running{std::move(*child), std::move(ours)});
  running.pair_watch = loop_.watch(running.pair.get(), [this](Instant) {
    for (int i = 0; i < kFairDatagrams && running_ && read_one(); ++i) {
    }
  });
  running.child_watch = loop_.watch(running.child.fd(), [this](Instant at) { ended(at); });
  if (followed_.keys) {
    (void)order(engine::Order::Kind::stamps, 0, followed_.stamps.get());
    (void)order(engine::Order::Kind::keys, 0, followed_.keys.get());
  }
  (void)order(engine::Order::Kind::policy, 0, followed_.policy.get());
  ping();
  running.asked = page_.last_ping;
  return {};
}

bool EngineProcess::order(engine::Order::Kind kind, std::uint32_t value, int descriptor) {
  engine::Order order{kind, value};
  iovec part{&order, sizeof order};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (descriptor >= 0) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    auto* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof descriptor);
    std::memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
  }
  return ::sendmsg(running_->pair.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

void EngineProcess::ping() {
  (void)order(engine::Order::Kind::ping, ++page_.last_ping, -1); // one that cannot be sent is not answered
}

void EngineProcess::follow(system::Fd policy) {
  followed_.policy = std::move(policy);
  if (running_ && !order(engine::Order::Kind::policy, 0, followed_.policy.get()))
    give_up_on(Fault::silent, "does not take its policy");
}

void EngineProcess::follow_keys(system::Fd keys, system::Fd stamps) {
  followed_.keys = std::move(keys);
  followed_.stamps = std::move(stamps);
  if (running_ && !(order(engine::Order::Kind::stamps, 0, followed_.stamps.get()) &&
                    order(engine::Order::Kind::keys, 0, followed_.keys.get())))
    give_up_on(Fault::silent, "does not take its keys");
}

void EngineProcess::rebind(netlink::NflogGroups groups) {
  groups_ = std::move(groups);
  if (running_ && !order(engine::Order::Kind::nflog, groups_.first_group(), groups_.fd()))
    give_up_on(Fault::silent, "does not take its groups");
}

/// Returns whether another may wait.
bool EngineProcess::read_one() {
  std::array<std::byte, kMaxRecordBytes> bytes;
  const auto size = ::recv(running_->pair.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_TRUNC);
  if (size < 0) return errno == EINTR;
  if (size == 0) { // closed, or an empty datagram: only the end of the process may look like that
    running_->pair_watch = {};
    running_->child.kill();
    return false;
  }
  const auto whole = static_cast<std::size_t>(size) <= bytes.size() &&
                     parse_records(std::span(bytes).first(static_cast<std::size_t>(size)), records_);
  if (!whole) {
    ++malformed_;
    suspect();
  }
  return true;
}

void EngineProcess::suspect() {
  if (running_ && ++running_->strikes == kMaxStrikes)
    give_up_on(Fault::malicious, "sends what no engine sends");
}

/// Its end starts the next one.
void EngineProcess::give_up_on(Fault fault, std::string why) {
  if (running_->fault == Fault::none) {
    running_->fault = fault;
    running_->killed_for = std::move(why);
  }
  running_->child.kill();
}

void EngineProcess::ended(Instant now) {
  if (!running_) return;
  const auto how = running_->child.reap();
  if (!how) return;
  // What it asked for before counts, unless we had to end it.
  while (running_->fault == Fault::none && read_one()) {
  }
  log_.finish(now);
  const auto fault = running_->fault;
  const auto why = fault == Fault::none ? *how : running_->killed_for;
  running_.reset();
  ++restarts_;
  restart_at_ = now + back_off_;
  std::string waits = "packets wait";
  if (fault == Fault::silent)
    waits = fmt::format("{} reports that waited for it are thrown away", groups_.discard());
  system::log_line(
      LogLevel::warn,
      fmt::format("restart: the engine {}; another in {} ms. Attempts are lost, open grants stay, {}", why,
                  back_off_.count(), waits));
  back_off_ = std::min(2 * back_off_, kLongestBackOff);
}

std::optional<Instant> EngineProcess::work(Instant now) {
  log_.settle(now);
  if (!restart_at_ || *restart_at_ > now) return restart_at_;
  if (auto launched = launch(); !launched) {
    system::log_line(LogLevel::error, "restart: " + to_string(launched.error()));
    restart_at_ = now + back_off_;
  }
  return restart_at_;
}

bool EngineProcess::probe() {
  if (!running_) return false;
  const bool probed = std::exchange(running_->probed, true);
  if (page_.unanswered() > page_.last_ping - running_->asked) {
    if (probed) give_up_on(Fault::silent, "does not answer"); // one that starts has a whole period, too
    return false;
  }
  back_off_ = kFirstBackOff;
  running_->strikes = 0;
  ping();
  running_->asked = page_.last_ping;
  return true;
}

void EngineProcess::ask_numbers(Instant now) {
  if (!running_) return;
  ping();
  for (auto left = Instant::duration{kPatience}; !answered() && left > Instant::duration{0};
       left = now + kPatience - system::monotonic_now()) {
    const timespec timeout{0, static_cast<long>(left.count())};
    const auto& seen = page_.numbers->answered;
    const auto value = seen.load(std::memory_order_relaxed);
    if (value != page_.last_ping) ::syscall(SYS_futex, &seen, FUTEX_WAIT, value, &timeout, nullptr, 0);
  }
}

void EngineProcess::show(Status& status) const {
  const auto& [answered, attempts, packets, nflog, refusals] = *page_.numbers;
  for (std::uint16_t i = 0; i < netlink::kNflogGroups; ++i)
    status.nflog.groups.push_back(groups_.first_group() + i);
  status.nflog.packets = nflog.packets.value();
  status.nflog.lost = nflog.lost.value();
  status.nflog.overruns = nflog.overruns.value();
  status.nflog.buffer_bytes = groups_.buffer_bytes();
  status.tracker.slots = attempts_;
  status.tracker.attempts = attempts.value();
  status.tracker.evicted = packets.evicted.value();
  status.counters.insert({{"seen", packets.seen.value()},
                          {"lost_seq", nflog.lost.value()},
                          {"lost_sock", groups_.drops()},
                          {"malformed", nflog.malformed.value()},
                          {"stale", packets.stale.value()},
                          {"short", packets.cut.value()},
                          {"unparsed", packets.unparsed.value()},
                          {"not_step", packets.not_step.value()},
                          {"refused_link_local", packets.link_local.value()},
                          {"step", packets.step.value()},
                          {"start", packets.start.value()},
                          {"stray", packets.stray.value()},
                          {"cooled", packets.cooled.value()},
                          {"late", packets.late.value()},
                          {"repeat", packets.repeat.value()},
                          {"evicted", packets.evicted.value()},
                          {"contended", packets.contended.value()},
                          {"opened", packets.opened.value()},
                          {"refused_record", malformed_},
                          {"engine_restarts", restarts_}});
  for (std::size_t i = 1; followed_.keys && i < kKn1Fates; ++i)
    status.counters["refused_kn1_" + std::string(to_string(static_cast<Kn1Fate>(i)))] +=
        packets.kn1.at(i).value();
}

} // namespace knock::keeper
