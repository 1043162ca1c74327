// SPDX-License-Identifier: GPL-2.0-or-later
// What is allowed and unwise, and what to write instead.
#include "parts.hpp"

#include <algorithm>
#include <array>
#include <functional>

#include <fmt/format.h>

#include <knock/strength.hpp>

#include "scanned.hpp"

namespace knock {
namespace {

constexpr std::size_t kGoodSteps = 4; // a sweep of three opens with p 6e-8 (policy bound), of four with 8e-12
constexpr std::uint16_t kFirstFree = 1'024; // below: well known
constexpr std::uint16_t kLastFree =
    32'767; // above: Linux takes source ports from there (ip_local_port_range)

bool is_well_known(Port port) {
  const auto among = [&](const auto& rows) {
    return std::any_of(rows.begin(), rows.end(), [&](const grammar::ScannedRow& row) {
      return row.first <= port.number && port.number <= row.last;
    });
  };
  return port.number < kFirstFree ||
         (port.protocol == Protocol::tcp ? among(grammar::kScannedTcp) : among(grammar::kScannedUdp));
}

/// A scan in order would walk it.
bool is_monotonic(std::span<const Port> knock) {
  const auto up = [](Port a, Port b) { return a.number < b.number; };
  const auto down = [](Port a, Port b) { return a.number > b.number; };
  return std::is_sorted(knock.begin(), knock.end(), up) || std::is_sorted(knock.begin(), knock.end(), down);
}

/// splitmix64: good enough to spread one unguessable seed.
struct Spread {
  std::uint64_t state;
  std::uint64_t operator()() {
    std::uint64_t z = state += 0x9e3779b97f4a7c15ULL;
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31U);
  }
};

} // namespace

std::vector<Port> propose_knock(std::uint64_t seed, const PortNumbers& taken) {
  constexpr std::size_t kCrowded = 16'384; // half the range: avoiding all would take long, or never end
  const bool avoid = taken.count() < kCrowded;
  Spread next{seed};
  for (;;) {
    std::vector<Port> knock;
    PortNumbers used;
    while (knock.size() < kGoodSteps) {
      const auto roll = next();
      const Port port{(roll >> 63U) != 0 ? Protocol::tcp : Protocol::udp,
                      static_cast<std::uint16_t>(kFirstFree + roll % (kLastFree - kFirstFree + 1U))};
      if (is_well_known(port) || used[port.number] || (avoid && taken[port.number])) continue;
      used.set(port.number);
      knock.push_back(port);
    }
    const auto tcp =
        std::count_if(knock.begin(), knock.end(), [](Port port) { return port.protocol == Protocol::tcp; });
    if (tcp > 0 && tcp < static_cast<std::ptrdiff_t>(kGoodSteps) && !is_monotonic(knock)) return knock;
  }
}

namespace grammar {
namespace {

PortNumbers taken_by(std::span<const ReadDoor> doors) {
  PortNumbers taken;
  for (const auto& read : doors) {
    for (Port port : opened_by(read.door)) taken.set(port.number);
    for (const auto& forward : read.door.forwards) taken.set(forward.outer.number);
    for (const auto* knock : {&read.door.knock, &read.door.close_knock})
      for (const auto& step : *knock) taken.set(step.kind.port.number);
  }
  return taken;
}

/// Two doors never get the same line from one seed: they would open each other.
std::string proposal(const Door& door, const PortNumbers& taken, std::optional<std::uint64_t> seed) {
  if (!seed) return "knockctl check proposes four good ports";
  std::vector<std::string> steps;
  for (Port port : propose_knock(*seed ^ static_cast<std::uint64_t>(door.id), taken))
    steps.push_back(fmt::format("\"{}\"", to_string(port)));
  return fmt::format("write knock = [{}]", fmt::join(steps, ", "));
}

/// Why a sequence is weak; empty when it is not.
std::vector<std::string> weaknesses(const Sequence& sequence) {
  std::vector<Port> scanned; // of steps that a scan sends
  bool any_ping = false;
  for (const auto& [kind, pause] : sequence.steps) {
    const bool plain = kind.word.empty() && !kind.length;
    if (plain && kind.flags == 0 && !is_ping(kind.port)) scanned.push_back(kind.port);
    any_ping = any_ping || (plain && is_ping(kind.port));
  }
  std::vector<std::string> reasons;
  const auto bits = strength_of(sequence).bits();
  if (bits < kGoodBits && scanned.size() == sequence.steps.size() && scanned.size() < kGoodSteps)
    reasons.push_back(fmt::format("fewer than {} steps", kGoodSteps));
  else if (bits < kGoodBits)
    reasons.push_back(fmt::format("{:.0f} bits to guess, {:.0f} are enough", bits, kGoodBits));
  if (any_ping) reasons.emplace_back("any ping is a step");
  const bool differ =
      std::adjacent_find(scanned.begin(), scanned.end(), std::not_equal_to<>{}) != scanned.end();
  if (differ && scanned.size() == sequence.steps.size() && is_monotonic(scanned))
    reasons.emplace_back("the ports only rise or only fall");
  std::set<Port> told;
  for (Port port : scanned)
    if (is_well_known(port) && told.insert(port).second)
      reasons.push_back(to_string(port) + " is well known to scanners");
  return reasons;
}

/// Where the door closes ssh to this router for those without a grant; null when it does not. A door that opens
/// any port guards none.
const Written* guards_ssh(const Door& door, const Written& written) {
  constexpr Port kSsh{Protocol::tcp, 22};
  if (door.any) return nullptr;
  if (opens(door, kSsh) || (door.name.find("ssh") != std::string::npos && !door.opens.empty()))
    return written.find("opens");
  for (const auto& forward : door.forwards)
    if (forward.outer == kSsh) return written.find("forward");
  return nullptr;
}

using Warn =
    std::function<void(std::string_view name, const Spot& spot, std::string text, std::string advice)>;

void lint_knock(const Warn& warn, const ReadDoor& read, const PortNumbers& taken,
                std::optional<std::uint64_t> seed) {
  const auto& door = read.door;
  const auto* knock = read.written->find("knock");
  if (knock == nullptr && door.kn1) return;
  if (knock == nullptr)
    warn(finding::kNoKnock, read.written->key_spot,
         fmt::format("door {} has no knock: it opens by hand only", door.name), proposal(door, taken, seed));
  else if (const auto reasons = weaknesses(sequences_of(door).front()); !reasons.empty())
    warn(finding::kWeakKnock, knock->spot,
         fmt::format("weak knock of door {}: {}", door.name, fmt::join(reasons, ", ")),
         door.kn1 ? proposal(door, taken, seed)
                  : fmt::format("{}; or kn1 = true: who sees a word or ports can send them again, a signed "
                                "packet opens once",
                                proposal(door, taken, seed)));
}

void lint_forward(const Warn& warn, const ReadDoor& read) {
  if (read.door.any) return; // said where they are written
  for (const auto& [outer, ipv4, ipv6] : read.door.forwards) {
    if (ipv4 && ipv6) continue;
    const auto name = to_string(outer);
    const auto both = fmt::format("\"{}\", \"{}\"", ipv4 ? to_string(*ipv4) : "IPV4:PORT",
                                  ipv6 ? to_string(*ipv6) : "[IPV6]:PORT");
    warn(ipv4 ? finding::kNoIpv6Target : finding::kNoIpv4Target,
         read.written->find("forward")->find(name)->spot,
         fmt::format("door {0} has no IPv{1} target for {2}: it does not open over IPv{1}", read.door.name,
                     ipv4 ? 6 : 4, name),
         fmt::format("write \"{}\" = [{}]", name, both));
  }
}

/// Where `flows = "cut"` also ends what this host, or a host behind its NAT, begins.
void lint_cut(const Warn& warn, const ReadDoor& read) {
  const auto& ranges = read.door.ranges;
  const auto own = std::find_if(ranges.begin(), ranges.end(),
                                [](const PortRange& range) { return range.last.number > kLastFree; });
  if (read.door.cut && own != ranges.end())
    warn(finding::kOwnPorts, read.written->find("opens")->spot,
         fmt::format(
             "door {} cuts connections at {}: those that this host begins, also for others by NAT, fail "
             "when they take such a source port",
             read.door.name, to_string(*own)),
         fmt::format("write flows = \"keep\", or a range below {}", kLastFree + 1));
}

/// knockd's "%IP%", or another's: there is no shell here, and nothing that replaces it.
void lint_run(const Warn& warn, const ReadDoor& read) {
  for (const auto* key : {"run", "run_close"}) {
    const auto* words = read.written->find(key);
    if (words == nullptr) continue;
    for (const auto& item : words->items) {
      const auto percent = item.text.find('%');
      const auto next = percent == item.text.npos ? percent : percent + 1;
      if (item.text.starts_with('+') || next >= item.text.size() || item.text[next] < 'A' ||
          item.text[next] > 'z')
        continue;
      warn(finding::kRunWord, item.spot,
           fmt::format("{} of door {} gets {} as it stands: nothing replaces it", key, read.door.name,
                       in_quotes(item.text)),
           "let the command read the address from its environment: KNOCKGATE_SOURCE");
    }
  }
}

} // namespace

void lint(std::vector<Finding>& findings, const Config& config, std::span<const ReadDoor> doors,
          bool with_gate, std::optional<std::uint64_t> seed) {
  const bool trusts_nobody = with_gate && config.nft.mode == Mode::gate &&
                             config.gate.trust_interfaces.empty() && config.gate.trust_prefixes.empty();
  const auto taken = taken_by(doors);
  const Warn warn = [&](std::string_view name, const Spot& spot, std::string text, std::string advice) {
    findings.push_back({Finding::Level::warning, place_of(spot), std::move(text), std::move(advice), name});
  };
  for (const auto& read : doors) {
    if (!read.door.enabled) continue;
    lint_knock(warn, read, taken, seed);
    lint_forward(warn, read);
    lint_run(warn, read);
    lint_cut(warn, read);
    const auto* ssh = trusts_nobody ? guards_ssh(read.door, *read.written) : nullptr;
    if (ssh != nullptr)
      warn(finding::kNoTrust, ssh->spot,
           fmt::format("door {} guards ssh and [gate] trust is empty", read.door.name),
           "add the interface you could still log in from: trust = [\"lan0\"]");
  }
  lint_overlaps(findings, doors);
}

} // namespace grammar
} // namespace knock
