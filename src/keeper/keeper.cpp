// SPDX-License-Identifier: GPL-2.0-or-later
#include "keeper/keeper.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "keeper/refusals.hpp"
#include "system/log.hpp"
#include "system/process.hpp"

namespace knock::keeper {
namespace {

constexpr Millis kProbeEvery{5'000}; // how long a hanging engine goes unnoticed, at most twice
constexpr Millis kAskAgain{100};     // for an answer that was not there at once
constexpr Millis kMostStart{15'000}; // behind the rounds in which a cold kernel loads its modules
constexpr int kColdRounds = 2;       // the first looks, the second loads the table
constexpr Millis kStartAgain{100};
constexpr std::size_t kMostTold = 256; // answers whose clients went away
constexpr int kRounds = 256;           // at once; then other descriptors have their turn

/// The same for each reading of the clocks, unless one is set: what was opened stays opened then.
std::int64_t wall_of(Instant now) {
  const auto zero = system::wall_clock() - system::monotonic_now().time_since_epoch();
  return (std::chrono::floor<Seconds>(zero) + std::chrono::floor<Seconds>(now.time_since_epoch())).count();
}

std::int64_t wall_seconds() {
  return std::chrono::floor<Seconds>(system::wall_clock()).count();
}

WallClock clock_of(const Config& config) {
  return {static_cast<Stamp>(system::wall_clock().count()),
          config.kn1.trust_clock || system::is_clock_synchronised()};
}

/// What its sender may do. Who may read is the socket's mode.
Right right_of(const Peer& peer, const std::string& write_group) {
  if (peer.uid == 0) return Right::root;
  const auto group = write_group.empty() ? std::nullopt : system::group_id(write_group);
  const auto& groups = peer.groups;
  const bool is_member = group && std::find(groups.begin(), groups.end(), *group) != groups.end();
  return is_member ? Right::write : Right::read;
}

} // namespace

tl::expected<std::unique_ptr<Keeper>, Failure> Keeper::start(system::EventLoop& loop, Machine::Start start,
                                                             Instant now) {
  auto state = system::state_directory(start.config->control.state);
  if (!state) return tl::unexpected(failure_of(state.error()));
  auto world = RealWorld::open(loop, start.config_path, start.config, std::move(*state));
  if (!world) return tl::unexpected(failure_of(world.error()));
  std::unique_ptr<Keeper> keeper(new Keeper(loop, Machine(std::move(start)), std::move(*world)));
  keeper->started_ = now;
  int rounds = 0;
  auto tried = now;
  for (auto at = now; !keeper->machine_.is_started(); at = system::monotonic_now()) {
    if (const auto failure = keeper->round(at)) return tl::unexpected(*failure);
    if (++rounds <= kColdRounds) tried = system::monotonic_now();
    if (at > tried + kMostStart)
      return tl::unexpected(
          failure_of(Error{"the kernel's sets do not become what the configuration says", 0,
                           "see the errors above; nft list table says what stands in the way"}));
    if (const auto due = keeper->next_.value_or(at + kStartAgain); due > at && !keeper->machine_.is_started())
      system::pause(std::min(std::chrono::ceil<Millis>(due - at), kStartAgain));
  }
  return keeper;
}

Keeper::Keeper(system::EventLoop& loop, Machine machine, std::unique_ptr<RealWorld> world)
    : machine_(std::move(machine)), world_(std::move(world)), commands_(loop),
      watchdog_(system::watchdog_period()) {}

Keeper::~Keeper() {
  for (const auto& [level, text] : machine_.last_lines()) system::log_line(level, text);
}

/// hear, ask, look, decide, carry out, settle: each once. Returns why the start failed, if it did.
std::optional<Failure> Keeper::round(Instant now) {
  heard_.now = now;
  heard_.wall = wall_seconds();
  if (takes_kn1(machine_.config())) heard_.clock = clock_of(machine_.config());
  world_->hear(heard_);
  const auto ask = machine_.ask(std::exchange(heard_, {}));
  const auto seen = world_->look(ask);
  const auto& steps = machine_.decide(seen);
  auto said = machine_.settle(world_->carry_out(steps));
  next_ = said.next;
  auto failure = std::move(said.failed);
  tell(std::move(said));
  return failure;
}

void Keeper::tell(Said said) {
  for (const auto& [level, text] : said.lines) system::log_line(level, text);
  if (&machine_.config() != followed_ && machine_.is_started()) {
    followed_ = &machine_.config();
    system::set_log_level(followed_->log_level);
    commands_.follow(*followed_);
    system::notify_service("STATUS=");
  }
  for (const auto& run : said.runs) {
    auto ran = commands_.start(run);
    if (run.ticket != 0) heard_.ran.push_back(std::move(ran));
  }
  if (!said.told.empty()) status_.outdate(); // the next answer shows what was done
  for (auto& [ticket, reply] : said.told) told_[ticket] = std::move(reply);
  while (told_.size() > kMostTold) told_.erase(told_.begin());
  if (auto* engine = world_->engine())
    for (unsigned i = 0; i < said.suspicions; ++i) engine->suspect();
}

std::optional<Instant> Keeper::work(Instant now) {
  ++wakeups_;
  next_ = now;
  for (int rounds = 0; rounds < kRounds && ((next_ && *next_ <= now) || !heard_.ran.empty()); ++rounds)
    (void)round(now);
  watch_over(now);
  auto next = sooner(next_, next_probe_);
  if (auto* engine = world_->engine()) next = sooner(next, engine->work(now));
  return next;
}

Answer Keeper::answer(const ControlSocket::Asked& asked, Instant now) {
  const auto known = [&](std::uint64_t ticket) -> std::optional<Answer> {
    const auto told = told_.extract(ticket);
    return told ? std::optional<Answer>(told.mapped()) : std::nullopt;
  };
  if (auto late = known(asked.ticket)) return *late;
  auto parsed = parse_request(asked.request);
  if (!parsed.version.empty() && parsed.version != kControlVersion)
    return refusal(ExitCode::failed, "version",
                   fmt::format("knockctl speaks protocol {}, the daemon {}", parsed.version, kControlVersion),
                   "install the same version of both, then: systemctl restart knockgated");
  if (!parsed.request) return refusal(ExitCode::usage, "usage", "malformed request");
  if (parsed.request->verb == "status") return status(asked.at, now);
  if (parsed.request->verb == "users") return users(now);
  if (asked.at != now) return Answer::not_before(now + kAskAgain); // it is at work
  heard_.asked.push_back({asked.ticket, std::move(*parsed.request),
                          right_of(asked.peer, machine_.config().control.write_group), asked.peer.uid});
  (void)work(now);
  if (auto told = known(asked.ticket)) return *told;
  return Answer::not_before(now + kAskAgain);
}

void Keeper::reload(std::uint32_t uid, Instant now) {
  heard_.asked.push_back({0, {"reload", {}}, Right::root, uid, true});
  (void)work(now);
}

/// The service manager hears of us only while the engine answers, too.
void Keeper::watch_over(Instant now) {
  auto* engine = world_->engine();
  if (engine == nullptr && !watchdog_) return next_probe_.reset();
  if (next_probe_ && *next_probe_ > now) return;
  const bool well = engine == nullptr || engine->probe();
  if (well && watchdog_) system::notify_service("WATCHDOG=1");
  next_probe_ = now + watchdog_.value_or(kProbeEvery);
}

Answer Keeper::status(Instant asked, Instant now) {
  return status_.answer(asked, now, [&] {
    (void)work(now);
    const auto seen = world_->look(ask_status(machine_.state()));
    auto status = status_of(machine_.state(), seen, now, wall_of(now));
    status.uptime_ms = std::chrono::floor<Millis>(now - started_).count();
    count(status, now);
    return encode(Reply{encode(status), {}});
  });
}

Answer Keeper::users(Instant now) {
  (void)work(now);
  auto users = users_of(machine_.state());
  if (auto* engine = world_->engine()) show_refusals(engine->refusals(), machine_.config(), users);
  return Reply{encode(users), {}};
}

void Keeper::count(Status& status, Instant now) const {
  auto& counters = status.counters;
  const auto warn = [&](std::string code, std::string text, std::string run) {
    status.warnings.push_back({std::move(code), std::move(text), std::move(run)});
  };
  counters["wakeups"] = wakeups_;
  counters["runs"] = commands_.started();
  counters["refused_runner"] = commands_.failed();
  if (const auto& error = commands_.error())
    warn("runner", "no command can run: " + error->what, error->advice);
  auto* engine = world_->engine();
  if (engine == nullptr) return;
  engine->ask_numbers(now);
  engine->show(status);
  if (!engine->answered())
    warn("engine", "the engine does not answer: knocks wait until it is restarted",
         "journalctl -u knockgated");
  if (status.nflog.lost != 0)
    warn("lost", fmt::format("{} reports lost: knocks may be missed", status.nflog.lost),
         "a larger [nflog] buffer in knockgate.toml");
}

} // namespace knock::keeper
