#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What others do to our table is noticed by itself: it comes back, with every grant and the time that is left.
. "$(dirname "$0")/../harness/lib.sh"

world
serve router 22
GREETER=${PIDS##* }
TABLE=knockgate
export BOOT_FILE="$TMP/boot.d/knockgate.nft"
doors() { # FLOWS-OF-SSH
  cat <<TOML
[door.ssh]
opens = ["tcp/22"]
knock = ["udp/7001"]
within = "${SLOW}s"
for = "1h"
flows = "$1"
[door.net]
opens = ["tcp/23"]
for = "1h"
grant = ["/24", "/64"]
[door.once]
opens = ["tcp/24"]
for = "1h"
uses = 3
TOML
}
WEB='[door.web]
forward = { "tcp/8443" = ["192.0.2.20:443", "[2001:db8:20::20]:443"] }
for = "1h"'
open_doors() { # DOORS: for one source of each family
  local source door
  for source in 203.0.113.9 2001:db8:9::9; do
    for door in "$@"; do ctl open "$door" $source >/dev/null; done
  done
}
grants() { ctl --json status | jq -cs '[.[].grants[] | {id, door, source, prefix, ports, forward, uses_left}]'; }
# Seconds left of every grant in the kernel.
lefts() {
  in_ns router nft -j list table inet $TABLE | jq -c '[.nftables[] | (.set // .map // empty) | select(.name | test("^(open|net|uses|session|forward)"))
    | .name as $name | .elem[]? | (if type == "array" then .[0] else . end) | {name: $name, key: .elem.val, left: .elem.expires}] | sort_by([.name, .key])'
}
# How it was, less the time since: not more, and not less than that and two seconds of rounding.
later() { # BEFORE AFTER SECONDS
  jq -en --argjson a "$1" --argjson b "$2" --argjson passed "$3" '($a | map(del(.left))) == ($b | map(del(.left))) and
    ([$a, $b] | transpose | map(.[1].left <= .[0].left and .[1].left >= .[0].left - $passed - 2) | all)' >/dev/null
}
in_kernel() { in_ns router nft get element inet $TABLE "$1" "{ $2 }" >/dev/null 2>&1; }
guarded() { in_kernel guarded 'tcp . 22'; }
granted() {
  in_kernel open4 '203.0.113.9 . tcp . 22' && in_kernel open6 '2001:db8:9::9 . tcp . 22' &&
    in_kernel net4 '203.0.113.0 . tcp . 23' && in_kernel net6 '2001:db8:9:: . tcp . 23' &&
    in_kernel uses4 '203.0.113.9 . tcp . 24' && in_kernel uses6 '2001:db8:9::9 . tcp . 24'
}
guard_drops() { in_ns router nft list chain inet $TABLE guard | grep -q drop; }
# Asks nft alone: any request of knockctl would make the daemon look.
whole() {
  guarded && granted && in_kernel forward4 '203.0.113.9 . tcp . 8443' && in_kernel forward6 '2001:db8:9::9 . tcp . 8443' &&
    guard_drops
}

# Somebody's own table of this name, which nobody else can change until that process, THIEF, is killed. LINE is
# tried until nft takes it.
THEFT='delete table inet knockgate; add table inet knockgate { flags owner; }'
DENIED='table inet knockgate is there, and knockgate did not make it'
steal() { # NS LINE
  rm -f "$TMP/steal.$1"
  mkfifo "$TMP/steal.$1"
  background ip netns exec "$RUN-$1" nft -i <>"$TMP/steal.$1" >/dev/null 2>&1
  THIEF=${PIDS##* }
  background yes "$2" >"$TMP/steal.$1" 2>/dev/null
  YES=${PIDS##* }
}
# A start, START, whose table is stolen behind its load: many grants of no door are to be closed before it is over.
robbed_start() { # NS
  in_ns "$1" nft flush ruleset
  in_ns "$1" nft -f "$BOOT_FILE"
  awk -v now="$(cut -d. -f1 /proc/uptime)" 'BEGIN {
    print "add element inet knockgate guarded { tcp . 9 }"
    for (i = 0; i < 4000; ++i)
      printf "add element inet knockgate open4 { 198.18.%d.%d . tcp . 9 timeout 1h comment \"gone - hand %d %d\" }\n", i / 250, i % 250, now, now + 7200
  }' | in_ns "$1" nft -f -
  doors keep | config
  sed -E "s#\"$TMP/(control|state)#\"$TMP/$1-\1#" "$TMP/knockgate.toml" >"$TMP/$1.toml"
  chmod 600 "$TMP/$1.toml"
  steal "$1" "create element inet knockgate guarded { tcp . 9 }; $THEFT" # it is there until the load
  background ip netns exec "$RUN-$1" knockgated --config "$TMP/$1.toml" 2>"$TMP/log.$1"
  START=${PIDS##* }
  await grep -q "$DENIED" "$TMP/log.$1"
  kill "$YES"
  never grep -q '^ready' "$TMP/log.$1" || fail "stolen too late: this test is blind"
}

count=0
# One nft command; then all is back by itself. Prints the time until the port is guarded, looks of 10 ms included.
removed() { # WHAT BACK NFT-TEXT [LEFTS SINCE]
  local was left since took
  was=$(grants) left=${4:-$(lefts)} since=${5:-$SECONDS}
  took=$(in_ns router bash -c 'nft -f - || exit; began=${EPOCHREALTIME/./}
    until nft get element inet "$0" guarded "{ tcp . 22 }" >/dev/null 2>&1; do
      [ $((${EPOCHREALTIME/./} - began)) -lt "${1}0000000" ] || { echo never; exit; }
    done
    echo $(((${EPOCHREALTIME/./} - began) / 1000)) ms' $TABLE $((2 * SLOW)) <<<"$3") || fail "nft refuses: $3"
  [ "$took" != never ] || fail "$1: the port stays unguarded"
  await "$2"
  stays_closed intruder $R4 22
  opens client $R4 22
  later "$left" "$(lefts)" $((SECONDS - since)) || fail "before: $left after: $(lefts)"
  count=$((count + 1))
  expect ".gate.healed == $count and .gate.loaded"
  [ "$(grants)" = "$was" ] || fail "before: $was after: $(grants)"
  [ "$(count_logged '^healed by=nft: ')" = $count ] || fail "$1: not said whom by"
  ok "$1: guarded after $took, every grant back with the time it had left"
  [ $((count % 4)) != 0 ] || ctl reload --now >/dev/null # the pace begins anew
}

{ doors keep; echo "$WEB"; } | config
start
ctl save >/dev/null
open_doors ssh net once web
whole || fail "not all is open: $(ctl)"
printf 'flush ruleset\ninclude "%s/*.nft"\n' "$TMP/boot.d" >"$TMP/nftables.conf"
removed "flush ruleset" whole 'flush ruleset'
removed "delete table" whole 'delete table inet knockgate'
removed "a deleted set" whole 'flush table inet knockgate; delete set inet knockgate open4'
removed "a flushed chain" whole 'flush chain inet knockgate guard'
removed "a flushed set of guarded ports" whole 'flush set inet knockgate guarded'
removed "reload of a firewall that includes the boot file" whole "include \"$TMP/nftables.conf\""

ctl open ssh 203.0.113.66 >/dev/null
in_ns router nft delete element inet knockgate open4 '{ 203.0.113.66 . tcp . 22 }'
await logged '^close door=ssh source=203.0.113.66 .*reason=foreign'
expect ".gate.healed == $count and (.grants | length) == 8"
whole || fail "more was closed than the one"
ok "an element somebody deletes closes its grant, and no other"
in_ns router nft flush set inet knockgate open4
for door in ssh web; do await logged "^close door=$door source=203.0.113.9 .*reason=foreign"; done # a forward has its part in open4
expect ".gate.healed == $count"' and (.grants | length) == 6 and ([.grants[] | select(.door == "ssh" or .door == "web") | .source] | unique == ["2001:db8:9::9"])'
stays_closed client $R4 22
opens client $R6 22
in_kernel open6 '2001:db8:9::9 . tcp . 22' && in_kernel net4 '203.0.113.0 . tcp . 23' &&
  in_kernel uses4 '203.0.113.9 . tcp . 24' && in_kernel forward6 '2001:db8:9::9 . tcp . 8443' || fail "other sets lost grants"
ok "a set of grants somebody empties closes those, and no other"

# Somebody else's commits: MANY at least, and until we are done.
export MANY=${MANY:-50}
storm() { local i=0; until [ $i -ge "$MANY" ] && [ -e "$1" ]; do nft add table inet "storm$$"; nft delete table inet "storm$$"; i=$((i + 1)); done; }
export -f storm
storms=
for _ in 1 2; do
  # shellcheck disable=SC2016
  background ip netns exec "$RUN-router" bash -c 'storm "$0"' "$TMP/calm"
  storms+=" ${PIDS##* }"
done
for i in $(seq $((MANY / SLOW))); do ctl open ssh "198.51.100.$i" >/dev/null || fail "refused beside another writer"; done
for knocker in "intruder 203.0.113.66 $R4" "internet 198.51.100.7 $R4" "intruder 2001:db8:66::66 $R6" "internet 2001:db8:7::7 $R6"; do
  read -r ns source router <<<"$knocker"
  knock_at 7001 "$ns" "$router"
  await logged "^(open|extend) door=ssh source=$source .*via=knock"
done
for i in $(seq $((MANY / 4 / SLOW))); do ctl reload --now >/dev/null || fail "not loaded beside another writer"; done
for i in $(seq $((MANY / SLOW))); do ctl close ssh "198.51.100.$i" >/dev/null || fail "not closed beside another writer"; done
for source in 203.0.113.66 2001:db8:66::66 2001:db8:7::7; do ctl close ssh $source >/dev/null; done
touch "$TMP/calm"
for storm in $storms; do wait "$storm"; done
expect ".gate.healed == $count and .counters.refused_kernel == null and (.grants | length) == 6"
ok "two writers with $MANY commits and more: no grant and no load fails, nothing is healed"

# What waits unread, oldest first: a knock on its way, two grants taken back, the table removed.
for source in 203.0.113.9 203.0.113.77; do ctl open ssh $source >/dev/null; done
told() { in_ns router ss -xH | awk '$1 == "u_seq" && $3 > 0 {found = 1} END {exit !found}'; }
before=$(count_logged '^healed')
kill -STOP "$DAEMON"
knock_at 7001 client $R4
await told
in_ns router nft delete element inet knockgate open4 '{ 203.0.113.9 . tcp . 22, 203.0.113.77 . tcp . 22 }'
in_ns router nft delete table inet knockgate
kill -CONT "$DAEMON"
await logged '^open door=ssh source=203.0.113.9 .*via=knock'
await logged '^close door=ssh source=203.0.113.77 .*reason=foreign'
count=$((count + 1))
expect ".gate.healed == $count"' and .gate.loaded and ([.grants[] | select(.door == "ssh") | [.source, .via]] | sort == [["2001:db8:9::9", "hand"], ["203.0.113.9", "knock"]])'
[ "$(count_logged '^healed')" = $((before + 1)) ] && [ "$(count_logged '^healed by=-')" = 0 ] || fail "not healed once, by nft"
never in_kernel open4 '203.0.113.77 . tcp . 22'
ctl close ssh 203.0.113.9 >/dev/null
ok "taken back, then removed, before anybody looked: healed once, and without what was taken back"

# The same with one set: what a forward leaves in the others ends with it.
ctl open web 203.0.113.9 >/dev/null
kill -STOP "$DAEMON"
in_ns router nft delete element inet knockgate open4 '{ 203.0.113.9 . tcp . 8443 }'
in_ns router nft -f - <<<'flush table inet knockgate; delete set inet knockgate open4'
kill -CONT "$DAEMON"
await guard_drops
await never in_kernel forward4 '203.0.113.9 . tcp . 8443'
count=$((count + 1))
expect ".gate.healed == $count"' and ([.grants[] | select(.door == "web") | .source] == ["2001:db8:9::9"]) and (.grants | length) == 6'
never in_kernel open4 '203.0.113.9 . tcp . 8443'
in_kernel forward6 '2001:db8:9::9 . tcp . 8443' || fail "another forward ended, too"
ok "taken back, then its set deleted: it leads nowhere any more"

# A connection that spends a use needs the table, too.
ctl open once 198.51.100.7 >/dev/null
kill -STOP "$DAEMON"
refused internet $R4 24
in_ns router nft delete table inet knockgate
kill -CONT "$DAEMON"
await in_kernel uses4 '198.51.100.7 . tcp . 24'
count=$((count + 1))
expect ".gate.healed == $count"' and ([.grants[] | select(.source == "198.51.100.7") | .uses_left] == [2])'
[ "$(count_logged '^healed')" = $((before + 3)) ] || fail "not healed once"
ctl close once 198.51.100.7 >/dev/null
expect '(.grants | length) == 6'
ok "a connection and a removal before anybody looked: healed once, a use spent"

ctl reload --now >/dev/null
for door in ssh web; do ctl open $door 203.0.113.9 >/dev/null; done
fight='^two writers fight over table inet knockgate: nft changes it'
before=$(count_logged "$fight")
for _ in $(seq 4); do
  in_ns router nft delete table inet knockgate
  await whole
done
count=$((count + 4))
steal router "delete element inet knockgate guarded { tcp . 22 }; $THEFT" # once
await logged "$DENIED"
expect ".gate.healed == $count and .gate.loaded == false"' and (.warnings | map(select(.code == "healing" and (.text | test("cannot be put back")))) | length == 1)'
kill "$THIEF"
await whole
for _ in $(seq 3); do # from the fifth on once a second
  in_ns router nft delete table inet knockgate
  await whole
done
count=$((count + 4))
expect ".gate.healed == $count and .gate.loaded"' and (.warnings | map(select(.code == "healing" and (.text | test("nft changes it"))) ) | length == 1)'
[ "$(count_logged "$fight")" = $((before + 1)) ] || fail "two writers fight, and it is not said once"
in_ns router nft -f - <<<'delete table inet knockgate; table inet knockgate { set open4 { type ipv4_addr . inet_proto . inet_service; size 131072; flags timeout; counter; }; }'
await logged 'table inet knockgate is there, and knockgate did not make it'
expect ".gate.healed == $count and .gate.loaded == false"' and (.warnings | map(.code) | index("table"))'
in_ns router nft list table inet knockgate | grep -q open4 || fail "a table of another was taken away"
in_ns router nft delete table inet knockgate
await whole
count=$((count + 1))
ctl reload --now >/dev/null
stays_closed intruder $R4 22
expect '(.warnings | map(.code) | index("healing")) == null and (.grants | length) == 8'
ok "two writers: at once four times, then at a pace and named; loads that fail not counted; a table of another is not touched"

ctl off >/dev/null
in_ns router nft flush ruleset
for _ in 1 2 3; do ctl wait; done
opens intruder $R4 22
never guarded
expect '.state == "off" and .gate.loaded == false and .gate.healed == '$count
ctl on >/dev/null
whole || fail "on does not bring all back: $(ctl)"
stays_closed intruder $R4 22
ok "never against off; on brings all back"
ctl close --all >/dev/null
stop
in_ns router nft delete table inet knockgate

# A full set: said in plain words, and over when it is over.
{ printf '[limits]\ngrants = 20\n'; doors keep; } | config
start
crowd=$(seq -f "192.0.2.%g . tcp . 9 timeout $((5 * SLOW))s" -s ', ' 40)
in_ns router nft add element inet knockgate open4 "{ $crowd }"
code=0
ctl open ssh 203.0.113.9 >"$TMP/said" 2>&1 || code=$?
[ $code = 1 ] && grep -qF '[limits] grants is reached' "$TMP/said" || fail "exit $code: $(cat "$TMP/said")"
expect '(.grants | length) == 40 and ([.grants[].via] | unique == ["foreign"])'
knock_at 7001 client $R4
await status '.counters | to_entries | map(select(.key | startswith("refused_"))) | map(.value) | add == 2'
stays_closed client $R4 22
knocked_in() { knock_at 7001 client $R4; in_kernel open4 '203.0.113.9 . tcp . 22'; }
await knocked_in
opens client $R4 22
expect '(.grants | map(.source)) == ["203.0.113.9"]'
ctl close --all >/dev/null
stop
in_ns router nft delete table inet knockgate
ok "a set that another process filled refuses a hand and a knock in plain words, and grants again when there is room"

robbed_start lan
LATE=$START
is_ready() { grep -q '^ready' "$TMP/log.router"; }
over() { is_ready || ! kill -0 "$START"; }
for _ in 1 2 3; do # a start has ten seconds: a very busy machine may need more
  robbed_start router
  kill "$THIEF"
  await over
  ! is_ready || break
done
is_ready || fail "no start succeeds: $(cat "$TMP/log.router")"
guarded || fail "it is ready, and guards nothing"
stays_closed intruder $R4 22
[ "$(grep -c "$DENIED" "$TMP/log.router")" = 1 ] || fail "the same error again and again: $(cat "$TMP/log.router")"
kill "$START"; wait "$START" || fail "the daemon exits $?"
in_ns router nft delete table inet knockgate
ok "a start whose table was taken away behind its load is over as soon as it can have it back"

# A real session: every line it sends comes back once, whatever happens to the table.
kill "$GREETER"
ssh-keygen -qt ed25519 -N '' -f "$TMP/host"; ssh-keygen -qt ed25519 -N '' -f "$TMP/key"
mkdir -p /run/sshd
background ip netns exec "$RUN-router" /usr/sbin/sshd -D -e -f /dev/null -h "$TMP/host" -o AuthorizedKeysFile="$TMP/key.pub" \
  -o StrictModes=no -o PermitRootLogin=yes -o PidFile=none -o UsePAM=no -p 22 2>"$TMP/sshd"
SSHD=${PIDS##* }
ROUNDS=${ROUNDS:-$((SLOW > 1 ? 10 : 25))}
await reaches client $R4 22
no_session() { [ -z "$(in_ns router ss -Htn state established sport = :22)" ]; } # it would get a grant of its own
for flows in keep cut; do
  await no_session
  doors $flows | config
  start
  expect '.grants == []'
  in_ns client knock $R4 7001:udp
  await in_kernel open4 '203.0.113.9 . tcp . 22'
  mkfifo "$TMP/in.$flows" "$TMP/out.$flows"
  background ip netns exec "$RUN-client" ssh -F none -i "$TMP/key" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
    -o LogLevel=ERROR root@$R4 cat <>"$TMP/in.$flows" 1<>"$TMP/out.$flows"
  session=${PIDS##* }
  exec 8<>"$TMP/in.$flows" 9<>"$TMP/out.$flows"
  echoes() { local answer; echo "$1" >&8; read -r -t $((20 * SLOW)) answer <&9 && [ "$answer" = "$1" ]; }
  echoes hello || fail "the session does not begin: $(cat "$TMP/sshd")"
  for i in $(seq $ROUNDS); do
    in_ns router nft flush ruleset
    echoes "line $i of $flows" || fail "round $i: the session is broken"
    await status ".gate.healed == $i" # the next flush would be part of a load that is not read back yet
    in_kernel open4 '203.0.113.9 . tcp . 22' || fail "round $i: healed, and the grant is not back"
    echoes "line $i of $flows, again" || fail "round $i: the session is broken when the table is back"
    [ $((i % 4)) != 0 ] || ctl reload --now >/dev/null
  done
  expect ".gate.healed == $ROUNDS and (.grants | length) == 1"
  stays_closed intruder $R4 22
  echoes goodbye || fail "the session is broken"
  never read -r -t 0 <&9 || fail "more came back than was sent"
  kill "$session"; wait "$session" 2>/dev/null || true
  ctl close --all >/dev/null
  stop
  in_ns router nft delete table inet knockgate
  ok "flows = $flows: a session lives through $ROUNDS flushes, and every line comes back once"
done
kill "$SSHD"; wait "$SSHD" 2>/dev/null || true
serve router 22

await never kill -0 "$LATE"
code=0; wait "$LATE" || code=$?
[ $code = 1 ] && tail -n 1 "$TMP/log.lan" | grep -q "the kernel's sets do not become what the configuration says" || fail "exit $code: $(cat "$TMP/log.lan")"
ok "and fails with an error when it cannot"

# Embed: the sets are back when the admin's own reload brings them.
TABLE=filter BOOT_FILE='' NFT_MORE='mode = "embed"
table = "inet filter"'
knockctl template embed >"$TMP/embed.nft"
cat >"$TMP/admin.nft" <<NFT
flush ruleset
table inet filter {
  include "$TMP/embed.nft"
  chain input {
    type filter hook input priority filter; policy accept;
    jump knockgate_grants
    ct state established,related accept
    jump knockgate_knocks
  }
}
NFT
await no_session
in_ns router nft -f "$TMP/admin.nft"
doors keep | config
: >"$TMP/log"
count=0
start
open_doors ssh net once
guarded && granted || fail "not all is open: $(ctl)"
removed "embed, the admin's reload" granted "include \"$TMP/admin.nft\""
left=$(lefts) since=$SECONDS
in_ns router nft flush ruleset
expect '.gate.healed == 1 and (.grants | length) == 6'
never guarded
removed "embed, his reload after his table was gone" granted "include \"$TMP/admin.nft\"" "$left" $since

ctl off >/dev/null
in_ns router nft -f "$TMP/admin.nft"
for _ in 1 2 3; do ctl wait; done
never granted
opens intruder $R4 22
ctl on >/dev/null
guarded && granted || fail "on does not bring all back: $(ctl)"
stays_closed intruder $R4 22
expect ".gate.healed == $count and (.grants | length) == 6"
ok "embed, off: his reload stays as it is until on"
