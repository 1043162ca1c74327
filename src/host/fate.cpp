// SPDX-License-Identifier: GPL-2.0-or-later
// The way of a packet through the chains.
#include <algorithm>

#include "host/json_walk.hpp"
#include "host/match.hpp"

namespace knock::host {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxDepth = 16; // NFT_JUMP_STACK_SIZE

class Walk {
 public:
  Walk(const Packet& packet, const Firewall& firewall, const Chain& base, std::size_t& budget)
      : packet_(packet), firewall_(firewall), base_(base), budget_(budget), judge_(packet, firewall, base) {}

  Fate fate() {
    const auto way = through(base_, {}, 0);
    Fate fate;
    fate.events = std::move(events_);
    fate.dropped = way.end == End::drop || (way.end == End::none && base_.drops);
    fate.by = way.end == End::none ? Spot{base_.name, 0, "policy"} : way.by;
    // What comes behind a return that may be taken is not known: then nothing is sure.
    for (const auto& exception : {fate.dropped ? way.accepts : way.drops, way.returns})
      if (exception) {
        fate.unless = exception->first;
        fate.sure = way.returns ? Answer::depends : exception->second;
      }
    return fate;
  }

 private:
  enum class End : std::uint8_t { none, accept, drop };
  using Exception = std::optional<std::pair<Spot, Answer>>;
  /// What a chain does with it; none: it comes back, or meets the policy.
  struct Way {
    End end = End::none;
    Spot by;
    Exception accepts, drops, returns; ///< what rules would do that are open or not judged
  };
  /// What is known on the way to a statement.
  struct Known {
    Answer sure = Answer::yes; ///< of all matches so far
    std::string why;
    const json* port = nullptr; ///< what the last look at the port takes
    Answer came = Answer::yes;  ///< to this chain
  };

  Way through(const Chain& chain, Known known, std::size_t depth) {
    const auto came = std::max(known.came, known.sure);
    const auto [before, fresh] = ways_.try_emplace({&chain, came});
    if (!fresh || depth > kMaxDepth) return before->second;
    Way way;
    for (const auto& rule : chain.rules) {
      if (budget_ == 0) {
        unknown({chain.name, rule.handle, "too many rules"}, way);
        break;
      }
      --budget_;
      if (apply(rule, chain, {Answer::yes, {}, known.port, came}, depth, way)) break;
    }
    return ways_[{&chain, came}] = way;
  }

  /// Returns whether the chain ends with this rule.
  bool apply(const Rule& rule, const Chain& chain, Known known, std::size_t depth, Way& way) {
    for (const auto& statement : rule.statements) {
      using Kind = Statement::Kind;
      const Spot spot{chain.name, rule.handle, known.why.empty() ? statement.name : known.why};
      switch (statement.kind) {
      case Kind::never: return false;
      case Kind::unjudged:
        learn(Answer::unjudged, statement.name, known);
        // The last one may be a verdict; what stands before another one is a condition.
        if (&statement == &rule.statements.back()) unknown(spot, way);
        break;
      case Kind::match:
        if (!passes(statement.value, chain, known)) return false;
        break;
      case Kind::notrack:
      case Kind::lead:
        events_.push_back({&statement, known.port, spot, std::max(known.came, known.sure)});
        break;
      case Kind::map:
        if (choose(statement.value, chain, known, spot, depth, way)) return true;
        break;
      case Kind::verdict: return follow(statement.name, statement.value, chain, known, spot, depth, way);
      }
    }
    return false;
  }

  static void learn(Answer answer, std::string_view why, Known& known) {
    if (answer > known.sure && known.sure == Answer::yes) known.why = why;
    known.sure = std::max(known.sure, answer);
  }

  bool passes(const json& match, const Chain& chain, Known& known) {
    const auto answer = judge_.judge(match, chain);
    if (answer == Answer::no) return false;
    const auto asked = read_asked(at_or_null(match, "left"));
    const auto& right = at_or_null(match, "right");
    if (answer != Answer::yes)
      learn(answer,
            text_of(right).starts_with('@') ? "set " + std::string(text_of(right))
                                            : std::string(asked[0].what),
            known);
    if (asked[0].field == Field::port) known.port = &right;
    return true;
  }

  /// A verdict map: the way of its first key that fits, and the others' that may.
  bool choose(const json& map, const Chain& chain, const Known& known, const Spot& spot, std::size_t depth,
              Way& way) {
    const auto asked = read_asked(at_or_null(map, "key"));
    const auto* pairs = judge_.values_in(at_or_null(map, "data"), chain);
    if (pairs == nullptr) {
      unknown({spot.chain, spot.handle, "a verdict map"}, way);
      return false;
    }
    for (const auto& pair : *pairs) {
      if (!pair.is_array() || pair.size() != 2) continue;
      const auto answer = judge_.judge(asked, pair[0]);
      if (answer == Answer::no) continue;
      auto then = known;
      learn(answer, "a verdict map", then);
      const auto [verdict, inner] = only(pair[1]);
      if (inner != nullptr &&
          follow(verdict, *inner, chain, then, {spot.chain, spot.handle, then.why}, depth, way))
        return true;
      if (answer == Answer::yes) break;
    }
    return false;
  }

  bool follow(std::string_view verdict, const json& inner, const Chain& chain, const Known& known,
              const Spot& spot, std::size_t depth, Way& way) {
    const bool surely = known.sure == Answer::yes;
    if (verdict == "continue") return false;
    if (verdict == "return") {
      if (!surely) note(way.returns, spot, known.sure);
      return surely;
    }
    if (verdict == "jump" || verdict == "goto")
      return enter(word(inner, "target"), verdict == "goto", chain, known, spot, depth, way);
    return finish(verdict == "accept" ? End::accept : End::drop, known, spot, way);
  }

  static bool finish(End end, const Known& known, const Spot& spot, Way& way) {
    if (known.sure != Answer::yes) {
      note(end == End::accept ? way.accepts : way.drops, spot, known.sure);
      return false;
    }
    way.end = end;
    way.by = spot;
    return true;
  }

  bool enter(std::string_view name, bool stays, const Chain& chain, const Known& known, const Spot& spot,
             std::size_t depth, Way& way) {
    if (!packet_.taken.empty() && name == packet_.taken) return finish(End::accept, known, spot, way);
    const auto target = firewall_.chains.find({chain.family, chain.table, std::string(name)});
    if (target == firewall_.chains.end()) return false;
    const auto sub = through(target->second, known, depth + 1);
    for (const auto& [ours, theirs] :
         {std::pair(&way.accepts, &sub.accepts), {&way.drops, &sub.drops}, {&way.returns, &sub.returns}})
      if (*theirs) note(*ours, (*theirs)->first, std::max((*theirs)->second, known.sure));
    if (known.sure != Answer::yes) return sub.end != End::none && finish(sub.end, known, spot, way);
    way.end = sub.end;
    way.by = sub.by;
    return sub.end != End::none || stays;
  }

  /// Whether it accepts or drops is not known.
  static void unknown(const Spot& spot, Way& way) {
    note(way.accepts, spot, Answer::unjudged);
    note(way.drops, spot, Answer::unjudged);
  }
  static void note(Exception& kept, const Spot& spot, Answer sure) {
    if (!kept || sure > kept->second) kept = {spot, sure};
  }

  const Packet& packet_;
  const Firewall& firewall_;
  const Chain& base_;
  std::size_t& budget_;
  Judge judge_;
  std::map<std::pair<const Chain*, Answer>, Way> ways_;
  std::vector<Event> events_;
};

} // namespace

Fate fate_of(const Packet& packet, const Firewall& firewall, const Chain& chain, std::size_t& budget) {
  return Walk(packet, firewall, chain, budget).fate();
}

} // namespace knock::host
