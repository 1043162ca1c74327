// SPDX-License-Identifier: GPL-2.0-or-later
/// Straw: a kernel, a disk and an engine of straw: what one round of the keeper looks at and acts on.
///
/// In:      what the keeper asks and does; what others do; packets; faults, as the history says.
/// Out:     what is there; what the keeper will hear.
/// Memory:  a value: a copy is another world.   Threads: one.
/// Time:    set by its caller; the world does not move by itself.
///
/// SIGKILL keeps kernel and disk; a reboot keeps the disk.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <knock/kn1_keys.hpp>

#include "straw_flows.hpp"
#include "straw_table.hpp"

namespace knock::simulation {

/// What another process does to our table in one commit.
struct Foreign {
  enum class Kind : std::uint8_t {
    delete_table,
    delete_set,       ///< with the rules that use it
    flush_set,        ///< of grants
    flush_rules,      ///< of one chain
    load_anew,        ///< flush ruleset, and the boot file in the same transaction
    load_over,        ///< the boot file again
    delete_element,   ///< of a grant set
    add_element,      ///< into a grant set; with the comment of a grant that is over, or of no grant
    unguard,          ///< an element of `guarded`
    load_listed,      ///< what `nft list ruleset` wrote, over what is there
    load_listed_anew, ///< and with flush ruleset
    off_alone,        ///< knockctl off without the daemon; pick 0: it gets no further than its file
  };
  Kind kind = Kind::delete_table;
  std::size_t pick = 0; ///< which set, element or port of those that are there
  Change element{};     ///< add_element
};

/// The boot file, as a value.
struct Saved {
  keeper::ConfigPointer config{};
  StaticSets sets{};
};

/// What survives a reboot.
struct Disk {
  std::string unconfirmed{};
  std::string off{};
  std::string last_good{};
  std::string ceilings{};
  int ceilings_error = 0;                       ///< errno of reading them
  std::shared_ptr<const ParsedConfig> config{}; ///< the files, as they would be parsed now
  std::optional<std::string> boot_file{};       ///< its text
  Saved saved{};                                ///< what it says; no config: there is none
  std::optional<Table> listing{};               ///< `nft list ruleset` of our table
  Instant listed{};                             ///< when
  int error = 0;                                ///< errno of the next writes, ENOSPC
};

/// What goes with the process.
struct Bindings {
  std::optional<std::uint16_t> groups{};
  bool engine = false;
  bool listens = false; ///< to commits of others
  std::size_t rules_loaded = 0;
  std::uint64_t handle = 0; ///< of the table that the last load left
  std::vector<Disturbance> events{};
  bool overran = false;
};

/// What will go wrong.
struct Faults {
  std::array<int, std::variant_size_v<keeper::Step>> fail{}; ///< errno of the next step of that kind
  int look = 0;                                              ///< errno of the next look at the kernel
  bool deaf = false;                                         ///< nobody can listen to anything
  std::optional<std::size_t> kill_after{};                   ///< so many steps of the next list
  std::vector<std::pair<std::size_t, Foreign>> meanwhile{};  ///< before that step of the next list
};

class Straw : public keeper::World {
 public:
  static constexpr std::size_t kLarge = 1'024; ///< changes; nobody listens while they are committed
  static constexpr std::size_t kQueue = 64;    ///< commits of others that can wait

  keeper::Seen look(const keeper::Ask& ask) override;
  keeper::Outcome carry_out(const keeper::Steps& steps) override;

  /// What waits for the keeper, taken out.
  void hear(keeper::Heard& heard);
  void disturb(const Foreign& foreign);
  /// A client sends a packet. Returns whether it is let in.
  bool packet(const Address& source, std::uint16_t source_port, Port port, bool syn);
  /// The queue of commits overruns; or that of connections.
  void lose_events(bool table, bool flows);
  /// SIGKILL.
  void kill();
  void reboot();
  /// The admin's ruleset, with our sets in it, over what is there.
  void load_admins();
  /// Whether all is there that the last load needed, but for elements.
  [[nodiscard]] bool is_whole() const;
  /// Whether any port is guarded: by a rule, too.
  [[nodiscard]] bool guards() const;
  [[nodiscard]] bool killed() const { return killed_; }
  /// Milliseconds of the epoch, as a command that is typed now notes them: no two the same.
  std::int64_t stamp();
  [[nodiscard]] std::int64_t wall() const;
  [[nodiscard]] WallClock clock() const;
  /// `nft list ruleset > file`.
  void list();
  /// A daemon starts.
  void start() { killed_ = false; }

  Instant now{};
  std::string boot = "boot";
  std::optional<Table> table{};
  Connections connections{};
  Disk disk{};
  Faults faults{};
  Bindings bindings{};
  std::optional<StampRun> stamps{}; ///< kn1.run: it ends with the boot
  std::optional<Kn1Keys> keys{};    ///< of the engine
  std::int64_t clock_ahead = 0;     ///< seconds; of the wall clock
  bool clock_good = true;           ///< and it is known to be right
  Millis earlier_boots{};           ///< so long they ran
  struct {
    std::vector<GrantKey> removed{};   ///< elements deleted, while their set stayed
    bool broke = false;                ///< table, set, rules or what is guarded
    bool loaded = false;               ///< the boot file, or what was listed
    std::vector<Change> put{};         ///< elements of a listing that were not there
    std::optional<std::int64_t> off{}; ///< root turned it off alone: the stamp
    bool off_whole = false;            ///< and not its file alone
  } others{};                          ///< what they did, for the laws; nobody else reads it
  bool embed = false;                  ///< our sets are in a table of the admin's, who loads it at boot
  bool resizes = true;                 ///< a load can change the size of a set (Linux 6.5 and newer)

 private:
  int act(const keeper::Step& step, keeper::Outcome& outcome);
  int act(const keeper::Bind& bind);
  int act(const keeper::Instruct& instruct);
  int act(const keeper::Listen& listen, keeper::Outcome& outcome);
  int act(const keeper::Remember& remember);
  int act(const keeper::Mark& mark);
  int act(const keeper::Rekey& rekey);
  int act(const keeper::Load& load, keeper::Outcome& outcome);
  int act(const keeper::Unload& unload);
  int act(const keeper::Commit& commit, keeper::Outcome& outcome);
  void tell(Disturbance found);
  void load_listing(bool anew);
  void off_alone(bool whole);

  bool killed_ = true;
  std::uint64_t handles_ = 0;
  std::int64_t stamped_ = 0;
};

} // namespace knock::simulation
