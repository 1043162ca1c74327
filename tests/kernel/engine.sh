#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# An attacker who takes the engine over wins nothing: what it may do, and what the keeper does with what it asks.
. "$(dirname "$0")/../harness/lib.sh"
export WATCHDOG_USEC=$((8000000 * SLOW)) # a new engine has 2 seconds to start

world
serve router 22
acts="1001 1002 1003 1004 1005 1006 1011 1012 1013 1014 1015 1016 1017 1018 1019 1020 1022 1023"
config <<TOML
[door.ssh]
opens = ["tcp/22"]
knock = [$(printf '"udp/%s", ' $acts)"udp/1021"]
for = "1h"
TOML
start
field() { awk -v key="$2:" '$1 == key {print $2}' "/proc/$1/status"; }
confined() { [ "$(field "$(engine)" Seccomp)" = 2 ]; } # the last thing it does before it begins
await confined
for key in CapInh CapPrm CapEff CapAmb; do
  [ "$(field "$(engine)" $key)" = 0000000000000000 ] || fail "$key of the engine: $(field "$(engine)" $key)"
done
[ "$(field "$(engine)" NoNewPrivs) $(field "$(engine)" Seccomp)" = "1 2" ] || fail "no_new_privs, seccomp"
[ "$(field "$(engine)" Uid)" != 0 ] || fail "the engine is root"
[ "$(field $DAEMON CapEff)" = 00000000000010c0 ] || fail "the keeper holds $(field $DAEMON CapEff)" # net_admin setgid setuid
links=$(find "/proc/$(engine)/fd" -mindepth 1 -lname '*' -printf '%f ' | sort)
[ "$links" = "0 1 2 3 4 5 " ] || fail "descriptors of the engine: $links"
behind() { readlink "/proc/$1/fd/$2"; }
[ "$(behind "$(engine)" 0) $(behind "$(engine)" 1)" = "/dev/null /dev/null" ] && [[ $(behind "$(engine)" 2) == pipe:* ]] || fail "stdin, stdout, stderr of the engine: $(behind "$(engine)" 0) $(behind "$(engine)" 1) $(behind "$(engine)" 2)"
limit() { awk -v name="Max $1 " 'index($0, name) == 1 {sub(name, ""); print $1, $2}' "/proc/$(engine)/limits"; }
[ "$(limit processes), $(limit 'file size'), $(limit 'core file size'), $(limit 'open files')" = "0 0, 0 0, 0 0, 16 16" ] || fail "limits: $(cat "/proc/$(engine)/limits")"
grep -qF __asan_init "$KNOCKGATE_BUILD/knockgated" || [ "$(limit 'address space' | cut -d' ' -f1)" -lt 400000000 ] || fail "it may map $(limit 'address space')"
oom() { cat "/proc/$1/oom_score_adj"; }
sooner=$(($(oom $DAEMON) + 500))
[ "$(oom "$(engine)")" = $((sooner < 1000 ? sooner : 1000)) ] || fail "oom_score_adj: keeper $(oom $DAEMON), engine $(oom "$(engine)")"
stop
ok "the engine: no capability, no new privileges, seccomp, a user of its own, three descriptors; the keeper: three capabilities"
ok "its stderr is a pipe of its own; it has limits, and memory that runs out takes it first"

hostile() { PATH="$KNOCKGATE_BUILD/hostile:$PATH" start; await engine; }
act() { in_ns client nc -u -w 1 -q 0 $R4 "$1" <<<x; }
# A new engine listens once the old one is gone; what is sent meanwhile waits for it.
killed_for() { # ACT WHAT
  local before after
  before=$(count_logged 'the engine was killed by SIGSYS')
  act "$1"
  more() { after=$(count_logged 'the engine was killed by SIGSYS'); [ "$after" -gt "$before" ]; }
  await more
  await engine
}
hostile
for port in 1001 1002 1003 1004 1005 1006; do killed_for $port; done
kill -0 $DAEMON || fail "the keeper is dead"
expect '.counters.engine_restarts == 6'
ok "open, socket, exec, kill, ptrace, a look into /proc of the keeper: each is the engine's last call"

elements() { in_ns router nft -j list set inet knockgate "$1" | jq '[.nftables[] | .set? // empty | .elem // [] | length] | add'; }
counter() { ctl --json status | jq -s ".[0].counters.$1 // 0"; }
grows() { local before; before=$(counter "$1"); act "$2"; up() { [ "$(counter "$1")" -gt "$before" ]; }; await up "$1"; }
act 1018; await status '(.grants | length) == 1'
opens intruder $R4 22
ctl close --all >/dev/null
ok "a grant the door allows: this engine is heard"
grows refused_unknown_door 1011
grows refused_source 1012
grows refused_own_address 1013
for port in 1014 1015 1023; do grows refused_record $port; done
[ "$(elements open4) $(elements open6)" = "0 0" ] || fail "open: $(ctl)"
ok "an unknown door, ten impossible sources, our own addresses, short and long datagrams: counted, and nothing opens"
before=$(engine); act 1016; changed() { local new; new=$(engine) && [ "$new" != "$before" ]; }; await changed
ok "an empty datagram ends it"
act 1017
await status '(.counters.refused_unknown_door + .counters.refused_own_address) >= 1000000'
[ "$(elements open4) $(elements open6)" = "0 0" ] || fail "open: $(ctl)"
ctl wait
ok "a million of them: nothing opens, the keeper answers"
for i in $(seq 20); do act 1014; act 1012; done
await logged 'the engine sends what no engine sends'
ok "who keeps sending them is restarted"
opened() { ctl --json status | jq -es '.[0].limits.open == 1' >/dev/null || { act 1018; false; }; }
await opened # behind all that still waited
ctl close --all >/dev/null
for port in 1019 1020; do
  await engine
  before=$(engine); act $port; await changed
done
logged 'the engine does not answer' || fail "the hang is not said"
ok "one that hangs, or closes its end and lives on, is restarted"
act 1018; await status '(.grants | length) == 1'
[ "$(elements open4)" = 1 ] || fail "open: $(ctl)"
stop

export JOURNAL_STREAM; JOURNAL_STREAM=$(stat -c %d:%i "$TMP/log") # so the log has priorities, which could be forged too
hostile
ctl close --all >/dev/null
act 1022
await status '(.grants | length) == 1'
await logged '^<4>engine: [0-9]+ more lines were dropped$'
unset JOURNAL_STREAM
logged '^<4>engine: <3>open door=ssh source=203\.0\.113\.66 forged$' || fail "what it writes is not there"
! logged '^<3>|^open .* forged' || fail "a line in the keeper's name"
logged '^<4>engine: \\x1b\[2Jclear$' && ! grep -q $'\x1b' "$TMP/log" || fail "a terminal would obey"
logged '^<4>engine: a{512} \.\.\.$' || fail "a long line is not cut"
[ "$(count_logged '^<4>engine: flood$')" -le 200 ] || fail "$(count_logged '^<4>engine: flood$') lines"
stop
ok "what it writes is named, escaped, cut and counted: no line in the keeper's name, and a full pipe does not stop it"

KNOCKGATE_TEST_OPEN=1 hostile
for port in 1005 1006; do act $port; done
await logged 'hostile 1006'
# Another user's process: the kernel itself says no. The same user's: unprivileged.sh.
logged 'hostile 1005: Operation not permitted' && logged 'hostile 1006: Permission denied' || fail "$(grep hostile "$TMP/log")"
ok "even without its sandbox it cannot trace the keeper nor read its memory"
