#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What other processes put into our table is noticed: a saved ruleset, an element by hand, a rule; off and without a
# door, too. And a table, or a state directory, that is not ours is left alone.
. "$(dirname "$0")/../harness/lib.sh"

world
serve router 22
serve router 80
door() { printf '%s\n[limits]\ngrants = 65536\n[door.ssh]\nopens = ["tcp/22"]\nknock = ["udp/7001"]\nfor = "10m"\n' "${1-}"; }
door '[gate]
trust = ["192.0.2.0/24"]' | config
rules() { in_ns router nft -s list table inet knockgate | grep -c -e accept -e drop -e jump -e log; }
put() { in_ns router nft -f -; }
gone() { ! set_has "$@"; }

# Changes rules or static sets: all is put back, and grants stay.
is_put_back() { # NFT-TEXT
  local healed
  healed=$(ctl --json status | jq -es '.[0].gate.healed')
  put <<<"$1"
  await status ".gate.healed == $healed + 1 and .gate.loaded"
  opens intruder $R4 80
  stays_closed intruder $R4 22
  [ "$(rules)" = "$count" ] || fail "$1: rules changed"
  gone guarded 'expires' || fail "$1: on trial"
  opens client $R4 22
}

start
count=$(rules)
in_ns router nft list ruleset >"$TMP/empty.nft"
knock_at 7001 client $R4
await reaches client $R4 22
in_ns router nft list ruleset >"$TMP/saved.nft"
ctl close --all >/dev/null
stays_closed client $R4 22
put <"$TMP/saved.nft"
await refused client $R4 22
expect '.grants == [] and .gate.loaded'
[ "$(rules)" = "$count" ] || fail "rules stand twice"
ctl open ssh 203.0.113.9 >/dev/null
{ echo 'flush ruleset'; cat "$TMP/saved.nft"; } | put
await logged '^healed by=nft: .*, 1 element is back'
opens client $R4 22
expect '.grants | length == 1'
ok "a saved ruleset over ours, and after a flush: what was closed stays closed, what is open stays open, no rule twice"

ctl close --all >/dev/null
began=$(ms)
put <<<'add element inet knockgate open4 { 203.0.113.66 . tcp . 22 timeout 1h }'
await status '[.grants[] | [.source, .via]] == [["203.0.113.66", "foreign"]]'
echo "an element of another hand is listed after $(($(ms) - began)) ms"
opens intruder $R4 22
ctl close --all >/dev/null
stays_closed intruder $R4 22
put <<<'add element inet knockgate open4 { 203.0.113.66 . tcp . 22 timeout 1h comment "ssh - hand 1 99999999" }'
await refused intruder $R4 22
expect '.grants == []'
ok "an element of another hand is listed and can be closed; one with our comment goes"

ctl open ssh 203.0.113.9 >/dev/null
put <<<'delete element inet knockgate open4 { 203.0.113.9 . tcp . 22 }; add element inet knockgate open4 { 203.0.113.9 . tcp . 22 timeout 5h }'
await gone open4 'expires 4h'
expect '.grants | length == 1'
opens client $R4 22
ok "an element whose end another moved ends when it was promised"

# What a script puts in again and again fills no log: a line at once, and one a minute.
before=$(count_logged '^strays') began=$(ms)
for i in $(seq 20); do
  put <<<"add element inet knockgate open4 { 198.51.100.$i . tcp . 22 timeout 1h comment \"ssh - hand 1 99999999\" }"
  await gone open4 "198.51.100.$i "
done
lines=$(($(count_logged '^strays') - before)) minutes=$((($(ms) - began) / 60000))
logged '^strays by=nft: ' && [ $lines -le $((minutes + 1)) ] || fail "$lines lines of 20 strays"
ok "20 strays one after the other: $lines lines in the log"

for change in 'add element inet knockgate guarded { tcp . 80 }' \
  'delete element inet knockgate guarded { tcp . 22 }; add element inet knockgate guarded { tcp . 22 timeout 1h }' \
  'add element inet knockgate trusted4 { 203.0.113.66 }' 'add rule inet knockgate guard accept' \
  'insert rule inet knockgate guard accept' 'add table inet knockgate { flags dormant; }' \
  'add element inet knockgate knocks { udp . 7002 }' 'add element inet knockgate ours { 80 }' \
  'delete element inet knockgate trusted4 { 192.0.2.0/24 }; add element inet knockgate trusted4 { 0.0.0.0-192.0.1.255, 192.0.3.0-255.255.255.255 }' \
  'add chain inet knockgate theirs { type filter hook input priority 0; policy drop; }' \
  'add chain inet knockgate stray { policy drop; }' \
  'add element inet knockgate open4 { 203.0.113.66 . sctp . 22 timeout 1h }' \
  'add element inet knockgate range4 { 203.0.113.0-203.0.113.255 . tcp . 22 timeout 1h }'; do
  is_put_back "$change"
done
ok "what others add to rules and sets that are ours goes, and grants stay"
ctl reload --now >/dev/null
for change in 'flush table inet knockgate; delete chain inet knockgate gate; add chain inet knockgate gate' \
  'flush table inet knockgate; delete set inet knockgate open6; add set inet knockgate open6 { type ipv6_addr; flags timeout; }' \
  'flush chain inet knockgate stray; delete chain inet knockgate stray; add chain inet knockgate stray' \
  'flush table inet knockgate; delete chain inet knockgate gate; add chain inet knockgate gate { type filter hook prerouting priority 0; policy accept; }'; do
  is_put_back "$change"
done
ok "a table over which nothing can be loaded is made anew, with what was open"
healed=$(ctl --json status | jq -es '.[0].gate.healed')
put <<<'add table inet other { set open4 { type ipv4_addr; elements = { 203.0.113.66 } }; }
add element inet knockgate recent4 { 203.0.113.66 }'
ctl open ssh 203.0.113.9 >/dev/null
expect ".gate.healed == $healed"
ok "nothing is loaded for what is not ours, or fills itself"

ctl off >/dev/null
opens intruder $R4 22
{ echo 'flush ruleset'; cat "$TMP/saved.nft"; } | put
await gone guarded 'tcp . 22'
opens intruder $R4 22
expect '.state == "off" and .gate.guarded == []'
put <"$TMP/saved.nft"
await gone guarded 'tcp . 22'
ctl on >/dev/null
stays_closed intruder $R4 22
ok "off stays off"

: | config
ctl reload --now >/dev/null
no_table() { ! in_ns router nft list table inet knockgate >/dev/null 2>&1; }
await no_table
put <"$TMP/saved.nft"
await no_table
opens intruder $R4 22
stop
put <"$TMP/saved.nft"
stays_closed intruder $R4 22
start
await no_table
opens intruder $R4 22
ok "without a door there is no table of ours: at the start, and when it appears"

door | config
ctl reload --now >/dev/null
stop
put <<<'add element inet knockgate open4 { 203.0.113.9 . tcp . 22 timeout 1h comment "ssh - knock 1 2" }'
start
await gone open4 '203.0.113.9'
expect '.grants == []'
ok "a grant behind its cap is not taken over at the start"

# The default end of a set is taken away while no daemon runs: elements without an end let in for good.
stop
put <<<'flush table inet knockgate
delete set inet knockgate net4
add set inet knockgate net4 { type ipv4_addr . inet_proto . inet_service; flags timeout; size 131072; counter; }
add element inet knockgate net4 { 203.0.113.0 . tcp . 22 }
add element inet knockgate net4 { 198.51.100.0 . tcp . 22 comment "ssh - hand 1 2" }'
start
await gone net4 198.51.100.0
expect '[.grants[] | [.source, .via, .left_ms, .cap_ms]] == [["203.0.113.0", "foreign", null, null]] and .gate.loaded'
ctl status | grep -q 'foreign  203.0.113.0/24 .* no end .* by hand' || fail "$(ctl status)"
opens intruder $R4 22
ctl close foreign 203.0.113.0 >/dev/null
stays_closed intruder $R4 22
put <<<'add element inet knockgate net4 { 203.0.113.0 . tcp . 22 comment "ssh - hand 1 99999999" }'
await gone net4 203.0.113.0
expect '.grants == [] and .gate.loaded'
ok "an element without an end is listed as such and can be closed; one with our comment goes"

# At least 10,000 elements, and a saved ruleset of 20,000 grants.
crowd() { # N COMMENT
  seq "$1" | awk -v c="$2" '{ printf "%s10.%d.%d.%d . tcp . 22 timeout 1h%s", (NR > 1 ? ", " : "add element inet knockgate open4 { "), $1 / 65536, $1 / 256 % 256, $1 % 256, c } END { print " }" }'
}
crowd 10000 '' >"$TMP/crowd.nft"
put <"$TMP/crowd.nft"
began=$(ms)
await status '.grants | length == 10000'
echo "10,000 elements of another hand are listed after $(($(ms) - began)) ms"
ctl close --all >/dev/null
await status '.grants == []'
now=$(cut -d. -f1 /proc/uptime)
crowd 20000 " comment \"ssh - knock $now $((now + 7200))\"" >"$TMP/crowd.nft"
put <"$TMP/crowd.nft"
began=$(ms)
await gone open4 10.0
echo "20,000 saved grants that are over are gone after $(($(ms) - began)) ms"
expect '.grants == []'
ok "very many of them"

sed "s#/control.sock#/second.sock#; s#/state#/second#" "$TMP/knockgate.toml" >"$TMP/second.toml"
printf '[nflog]\ngroup = 50\n' >>"$TMP/second.toml"
chmod 600 "$TMP/second.toml"
refuses() { # CODE TEXT
  local code=0
  ip netns exec "$RUN-router" timeout 20 knockgated --config "$TMP/second.toml" 2>"$TMP/said" || code=$?
  [ $code = "$1" ] && grep -q "$2" "$TMP/said" || fail "exit $code: $(cat "$TMP/said")"
}
refuses 1 'NFLOG group 40'
sed -i "s#/second\"#/state\"#; s#\[nft\]#&\ntable = \"inet second\"#" "$TMP/second.toml"
refuses 1 'another knockgated runs with the state directory'
knock_at 7001 internet $R4
await reaches internet $R4 22 # knocks are heard as before
stop
put <<<'table inet second { chain input { type filter hook input priority 0; tcp dport 4242 accept; }; }'
refuses 78 'table inet second is there, and knockgate did not make it'
set_of_rules=$(in_ns router nft list table inet second)
grep -q 4242 <<<"$set_of_rules" || fail "the table of another was touched"
ok "a table of another, and a second daemon on one table or state directory, are refused"

in_ns router nft flush ruleset
config <<<"$FOUR_STEPS"
# The kernel numbers processes as its first pid namespace does; this daemon sees itself as 1.
unshare --pid --fork --kill-child ip netns exec "$RUN-router" knockgated --config "$TMP/knockgate.toml" 2>>"$TMP/log" &
DAEMON=$!
in_ns router knockctl wait --timeout $((10 * SLOW))s || fail "the daemon does not start"
ctl off >/dev/null
stop KILL
unshare --pid --fork --kill-child ip netns exec "$RUN-router" knockgated --config "$TMP/knockgate.toml" 2>>"$TMP/log" &
DAEMON=$!
in_ns router knockctl wait --timeout $((10 * SLOW))s || fail "the daemon does not start"
ctl on >/dev/null || fail "on is not answered"
expect '.gate.loaded and .gate.healed == 0'
in_ns router nft flush chain inet knockgate guard
await status '.gate.healed >= 1'
for _ in 1 2 3; do ctl wait; done
expect '.gate.loaded and .gate.healed == 1'
stays_closed intruder $R4 22
ok "in a container of its own it knows its own commits"
