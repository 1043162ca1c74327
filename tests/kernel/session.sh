#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Connections that are older than the guard: each goes on as long as it lives, and its source gets in no other way.
. "$(dirname "$0")/../harness/lib.sh"

world
chatter router 2200
chatter router 2201
doors() {
  cat <<'TOML'
[door.chat]
opens = ["tcp/2200"]
knock = ["udp/7001"]
within = "1s"
[door.cut]
opens = ["tcp/2201"]
knock = ["udp/7002"]
within = "1s"
flows = "cut"
[door.quiet]
opens = ["tcp/2202"]
knock = ["udp/7003"]
within = "1s"
TOML
}
declare -A FROM=([$R4]=203.0.113.66 [$R6]=2001:db8:66::66)
sessions() { status "[.grants[] | select(.via == \"session\" and .door == \"chat\")] | length == $1"; }
# Nobody who was connected gets in anew; a knock opens right after.
only_that_flow() { # PORT DOOR-KNOCK
  for target in $R4 $R6; do
    stays_closed intruder $target $1
    stays_closed client $target $1
    knock_at $2 client $target
    await reaches client $target $1
  done
}

for target in $R4 $R6; do
  hold idle$target intruder $target 2200
  hold cut$target intruder $target 2201
done
config < <(doors)
start
await sessions 2
for target in $R4 $R6; do
  goes_on idle$target
  goes_on cut$target
  expect "any(.grants[]; .source == \"${FROM[$target]}\" and .via == \"session\" and .door == \"chat\" and
    .source_port > 0 and .close == \"on-disconnect\" and .ports == [\"tcp/2200\"])"
  logged "^open door=chat source=${FROM[$target]} ports=tcp/2200 by=- via=session id=[0-9]+ source_port=[0-9]+ " || fail "no audit line"
done
only_that_flow 2200 7001
only_that_flow 2201 7002
ok "a connection that an intruder holds when the daemon starts goes on; another one needs the knock"

stop KILL
start
await sessions 2
for target in $R4 $R6; do
  goes_on idle$target 20
  goes_on cut$target
  stays_closed intruder $target 2200
done
ok "also over a crash: the grant of that flow is adopted"

ctl close cut >/dev/null
for target in $R4 $R6; do is_dead cut$target idle$target; done
ok "closed by hand: at a port with flows = \"cut\" the connection ends"

for target in $R4 $R6; do let_go idle$target; done
for target in $R4 $R6; do
  await logged "^close door=chat source=${FROM[$target]} ports=tcp/2200 by=- via=session .* reason=disconnect$"
  stays_closed intruder $target 2200
done
expect '[.grants[] | select(.via == "session")] == []'
[ "$(in_ns router nft -j list table inet knockgate | jq '[.nftables[] | .set? | select(.name? // "" | startswith("session")) | .elem // [] | length] | add')" = 0 ] ||
  fail "an element is left"
ok "it ends with its flow"

ctl off >/dev/null
in_ns router conntrack -F >/dev/null 2>&1
in_ns router sysctl -qw net.netfilter.nf_conntrack_tcp_loose=0
for target in $R4 $R6; do hold loose$target intruder $target 2200; done
in_ns router conntrack -F >/dev/null 2>&1 # conntrack never knows these: INVALID from now on
ctl on >/dev/null
await sessions 2
for target in $R4 $R6; do
  goes_on loose$target 20
  stays_closed intruder $target 2200
  let_go loose$target
done
await sessions 0
ok "switched on again, with connections that conntrack does not know and may not pick up: the same"

# --- one that says nothing behind the guard: conntrack never sees a packet of it
echoes() { # NAME TARGET: a connection to a service that sends back what it gets; its first line came back
  mkfifo "$TMP/in.$1"
  exec {QUIET[$1]}<>"$TMP/in.$1"
  background ip netns exec "$RUN-intruder" socat "TCP:$(at "$2" 2202)" STDIO <"$TMP/in.$1" >"$TMP/heard.$1" 2>/dev/null
  HELD[$1]=$!
  echo 1 >&"${QUIET[$1]}"
  await test -s "$TMP/heard.$1"
}
ctl off >/dev/null
background ip netns exec "$RUN-router" socat TCP6-LISTEN:2202,ipv6only=0,fork,reuseaddr EXEC:cat 2>/dev/null
await in_ns router socat -u /dev/null TCP4:127.0.0.1:2202
declare -A QUIET
for target in $R4 $R6; do echoes quiet$target $target; done
in_ns router conntrack -F >/dev/null 2>&1
ctl on >/dev/null
quiet() { status "[.grants[] | select(.door == \"quiet\" and .via == \"session\")] | length == $1"; }
await quiet 2
said=$(ctl close quiet ${FROM[$R4]})
grep -q "^1 connection lives on without a grant" <<<"$said" || fail "$said"
expect ".connections | map([.door, .source, .count]) == [[\"quiet\", \"${FROM[$R4]}\", 1]]"
said=$(ctl close --cut quiet)
grep -qx "2 connections ended." <<<"$said" || fail "$said"
ended() { ! kill -0 "${HELD[$1]}" 2>/dev/null; }
for target in $R4 $R6; do await ended quiet$target; done
expect '.connections == [] and all(.grants[]; .door != "quiet")'
ok "of one that says nothing, close says that it lives on, and --cut ends it"
never logged '^error|<3>' || fail "an error in the log"
