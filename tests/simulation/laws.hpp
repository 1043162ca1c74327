// SPDX-License-Identifier: GPL-2.0-or-later
/// Laws: what must be true of every keeper after every step.
///
/// In:      what it heard, did and said; what is in the kernel of straw.   Out: the first law that was broken.
/// A book of promises of its own: from what was asked for and what was told, never from the keeper's ledger.
///
///   let-in     nobody is let in without a live promise, nor more often than it says
///   outlives   no element outlives its promise
///   lost       what was promised stays, unless its end, a hand, another process or a reload took it
///   cut        the end of one owner's grant does not end another's
///   closed     a closing knock ends what its source holds of that door, and nothing else
///   came-back  what was taken back stays closed until it is asked for anew
///   trial      an unconfirmed port is not guarded for good
///   guard      what shall be guarded is, and comes back when it was removed; off is off
///   off        root's off without the daemon guards nothing behind one wake-up, until an `on` that was typed later
///   listed     what others added, and is not to go, is on the screen as it stands, and can be closed
///   stamp, removed, until   of signed packets: laws_signed.hpp
///   told       each request has one answer, and it is true; each knock opens, extends, or is counted
///   rest       the rounds come to rest
///   same       the same history gives the same bytes
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <knock/open_grant.hpp>
#include <knock/status.hpp>

#include "laws_signed.hpp"
#include "straw.hpp"

namespace knock::simulation {

struct Violation {
  std::string law;
  std::string what;
};

/// Whose way in.
struct Owner {
  std::string door;
  Via via = Via::knock;
  Address source{}; ///< the first address of a prefix
  std::uint16_t source_port = 0;
  Port port = kNoPort; ///< session: each connection is an owner
  std::string by = "-";
  auto operator<=>(const Owner&) const = default;
};
std::string to_string(const Owner& owner);

struct Promise {
  enum class State : std::uint8_t { asked, open, over };
  State state = State::asked;
  std::vector<GrantKey> keys{};
  std::vector<GrantKey> asked_keys{}; ///< beside them, by a configuration that may judge; it may refuse
  std::uint64_t id = 0;
  Instant asked{};
  Instant told{};   ///< open at least until then
  Instant bound{};  ///< and no element of it longer than this
  Instant arrive{}; ///< on-disconnect: until then a connection is awaited
  Instant cap{};
  Instant wished{}; ///< bound, were there no cap
  Close close = Close::after;
  Millis idle{}, linger{};
  std::uint32_t uses = 0;
  std::string why{};        ///< it is over
  bool vague = false;       ///< it may have ended without a word: in a crash, while nobody listened
  bool removed = false;     ///< by another process, and not asked for since
  bool heard = false;       ///< and the keeper was told so
  bool doubted = false;     ///< it may be gone: events were lost. It stands, or is told closed
  bool close_asked = false; ///< a request waits that may close it
  bool knocked = false;     ///< a closing knock waits that may
  bool to_close = false;    ///< and it is the last word
  bool used = false;        ///< a packet came in since it was asked for, or since its end moved last
  Instant last{};           ///< that packet
  bool adopted = false;     ///< at a start since
  bool came = false;        ///< a connection began since it was asked for
  bool counted = false;     ///< by an element, and it is not lost
  Instant ended{};
};

inline constexpr Millis kRounding{1};
/// Whether the state file says that the port is on trial.
bool has_line_of(const std::string& unconfirmed, Port port);

class Laws {
 public:
  /// Before a round: what is heard. `config`: that runs.
  void hear(const keeper::Heard& heard, const Config& config, bool off, bool started, const Straw& straw);
  /// After its steps; `killed`: no word will follow.
  void act(const keeper::Steps& steps, const keeper::Outcome& outcome, const Straw& straw, bool killed);
  /// After its words.
  void say(const keeper::Said& said, const Config& config, const Straw& straw);
  /// When nothing is left to do at once. `shown`: the grants that status has.
  void rest(const Config& config, bool off, const Straw& straw,
            const std::function<std::vector<StatusGrant>()>& shown);
  /// What others did since the last call.
  void disturbed(Straw& straw, bool alive);
  void lost_events(bool table, bool flows);
  void started(const Straw& straw, const Config& config);
  void rebooted();
  /// What one packet that came in did.
  struct Passed {
    bool by_use = false;               ///< it took one use
    std::optional<GrantKey> counted{}; ///< the element that counted it
    bool began = false;                ///< a connection, which conntrack knows from now on
    bool heard = false;                ///< the keeper listens to these
  };
  void let_in(const Address& source, Port port, const Passed& passed, Instant now);
  void added(const Change& element, const Straw& straw);
  /// An engine that turned makes this of a device that signs.
  void forged(const Kn1Record& record) { signed_.forged(record); }
  void clock_set(const Straw& straw) { signed_.clock_set(straw); }
  /// No round runs from `since` to now: what ended a moment before is asked for late.
  void stalled(Instant since);
  /// A connection ended; the next round may hear it.
  void ended(const Flow& flow) { ended_[{flow.source, flow.port}] = Instant::max(); }

  void breach(std::string law, std::string what);
  [[nodiscard]] const std::optional<Violation>& broken() const { return broken_; }
  /// A look at the kernel failed.
  void blind(Instant now) { lately_.trouble = now; }
  /// When nothing is left to do at once: `refused` as status counts them; `waits`: knocks or requests still do.
  void count(std::uint64_t refused, bool waits, Instant now);
  [[nodiscard]] std::size_t promises() const { return book_.size(); }

 private:
  struct Request {
    keeper::Asked asked;
    std::vector<Owner> means{}; ///< what a close matched, what an open asked for
    Instant at{};
    bool now = false;   ///< reload --now
    bool exact = false; ///< all of these
  };

  void ask(const Door& door, Owner owner, Millis open_for, Instant now);
  void give_uses(const GrantKey& key, std::uint32_t uses);
  void hear_records(const std::vector<Record>& records, const std::vector<const Config*>& configs, bool off,
                    bool sure, Instant now);
  void hear_knock(const Record& record, const Config& config, bool off, Instant now);
  void hear_closing(const Record& record, const Door& door, bool sure);
  void hear_signed(const std::vector<Kn1Record>& records, const std::vector<const Config*>& configs, bool off,
                   Instant now);
  void read_signed(std::string_view verb, const Owner& owner, const Config& config, const Straw& straw);
  void hear_open(const keeper::Asked& asked, const Config& config, Instant now);
  void hear_request(const keeper::Asked& asked, const Config& config, const Straw& straw, Instant now);
  static void take_terms(Promise& promise, const Door& door);
  void begin_anew(Promise& promise, bool opened);
  void not_told();
  void not_said(const Change& change);
  void note_line(std::string_view text, Instant now);
  void read_line(const std::string& text, const Config& config, const Straw& straw);
  void end(const Owner& owner, Promise& promise, std::string_view verb, std::string_view reason,
           const Config& config, const Straw& straw);
  void answered(const keeper::Told& told, const Config& config, const Straw& straw);
  // laws_check.cpp: the kernel against the book
  void check_elements(const Straw& straw);
  void check_element(const GrantKey& key, const Placed& placed, Instant now, const Straw& straw);
  /// While none is judged, ends move all the same.
  void follow_elements(const Straw& straw);
  /// Returns whether it may end then.
  [[nodiscard]] bool follow_end(Promise& promise, const GrantKey& key, Instant ends,
                                const Straw& straw) const;
  /// Returns whether it is another's.
  bool check_foreign(const GrantKey& key, const Placed& placed, const Straw& straw);
  [[nodiscard]] bool is_shown(const GrantKey& key, const Placed& placed, Instant now) const;
  /// The kernel refuses a range beside one of its source that it overlaps: no other of ours may stand there.
  void check_refusal(const GrantKey& refused, const Straw& straw);
  [[nodiscard]] std::optional<Instant> last_end(const Promise& promise) const;
  [[nodiscard]] bool lingers(const Promise& promise, const Straw& straw) const;
  [[nodiscard]] bool may_go_on(const Promise& promise, Instant ends, const Straw& straw) const;
  void check_promises(const Config& config, const Straw& straw);
  void check_promise(const Owner& owner, const Promise& promise, const Straw& straw);
  [[nodiscard]] bool is_shared(const Owner& owner, const GrantKey& key) const;
  /// Whether a saved list that was loaded brought an element of it.
  [[nodiscard]] bool is_listed(const Promise& promise) const;
  /// Behind the closing knocks that do not wait any more.
  void check_closed(bool off, const Straw& straw);
  void check_guard(const Config& config, bool off, const Straw& straw);
  void check_off(bool off, const Straw& straw);
  void check_foreign_closed(const Request& request, const Straw& straw);
  /// Something fails; or of two writers that fight, ours waits.
  [[nodiscard]] bool is_hurt(Instant now) const;
  /// Whether it was typed behind root's off.
  [[nodiscard]] bool is_on_behind(const Request& waits) const;
  void check_trials(const Config& config, bool off, const Straw& straw);

  std::map<Owner, Promise> book_;
  SignedLaws signed_;
  std::map<std::pair<Address, Port>, std::int64_t> uses_left_; ///< at most
  std::set<std::pair<Address, Port>> silent_uses_;             ///< spent by a connection that was known
  struct Added {
    Instant at{}, ends{}; ///< kNever: it has no end
    std::string comment{};
  };
  std::map<GrantKey, Added> foreign_; ///< elements that others added
  std::vector<StatusGrant> shown_;
  std::optional<std::int64_t> off_alone_;             ///< by root, when
  std::vector<Instant> breaks_;                       ///< of the last minute
  std::set<GrantKey> taken_over_;                     ///< of these, by a start that found them
  std::set<GrantKey> listed_;                         ///< of these, by a saved list that was loaded
  std::map<std::pair<Address, Port>, Instant> ended_; ///< when the end of the last was heard
  std::set<GrantKey> connected_;                      ///< connections that ever were
  std::map<Port, Instant> trials_;                    ///< ports guarded until then
  std::set<Port> either_;                             ///< on trial or for good: a crash hid which
  std::set<Port> for_good_;                           ///< that may be guarded without an end
  std::map<std::uint64_t, Request> waiting_;          ///< by ticket
  std::vector<GrantKey> removals_heard_;
  std::set<GrantKey> untold_; ///< connections that go on: the daemon was killed between its load and its word
  struct {
    std::int64_t silent = 0;        ///< that opened nothing, as far as was told
    std::int64_t closing = 0;       ///< counted where the kernel refused them, and only there
    std::int64_t scans = 0;         ///< to be told
    std::uint64_t refused = 0;      ///< counted until then
    std::optional<Instant> since{}; ///< they wait
    bool unsure = false;            ///< off, or sums instead of lines
    Instant lines_begun{};
    std::uint32_t lines = 0; ///< in this second
  } knocks_;                 ///< since they were last compared
  struct {
    Instant trouble{};                   ///< something failed last
    Instant started{};                   ///< the daemon; it knows of no connection that ended before
    Instant broke{};                     ///< another process broke the table last
    Instant off{};                       ///< root turned it off alone last
    std::optional<Instant> off_learnt{}; ///< and the keeper heard of it
    bool off_heard = false;              ///< and the keeper woke up since
    bool off_whole = false;              ///< it took the table away
    Instant unheard{};                   ///< another process did something last, and nobody listened
    bool flows_lost = false;             ///< events, since the last rest
    bool lost = false;                   ///< and it was not seen whole since
    bool loaded = false;                 ///< the boot file, by another process, while nobody listened
    bool changed = true;                 ///< there is something to look at
  } lately_;
  std::optional<Violation> broken_;
};

} // namespace knock::simulation
