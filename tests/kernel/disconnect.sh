#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Grants that end with their connections, or after so many of them.
. "$(dirname "$0")/../harness/lib.sh"

world
serve router 22
chatter router 2200
background ip netns exec "$RUN-router" socat UDP6-RECVFROM:2200,ipv6only=0,fork EXEC:cat
config <<'TOML'
[door.visit]
opens = ["tcp/2200", "udp/2200"]
knock = ["udp/7001"]
within = "1s"
for = "3s"
close = "on-disconnect"
linger = "2s"
[door.once]
opens = ["tcp/2201"]
knock = ["udp/7002"]
for = "1h"
uses = 1
[door.thrice]
opens = ["tcp/22"]
knock = ["udp/7003"]
within = "1s"
for = "1h"
uses = 3
TOML
chatter router 2201
start
never listens || fail "listens to connections without a grant that needs it"
declare -A FROM=([$R4]=203.0.113.9 [$R6]=2001:db8:9::9) SET=([$R4]=4 [$R6]=6)
gone() { never granted "open${SET[$1]}" "${FROM[$1]}" 2200; }

for target in $R4 $R6; do
  knock_at 7001 client $target
  await granted open${SET[$target]} ${FROM[$target]} 2200
done
listens || fail "does not listen to connections"
for target in $R4 $R6; do
  await logged "^expire door=visit source=${FROM[$target]} .* open_ms=3[0-9]{3} packets=0 bytes=0 reason=after$"
  gone $target || fail "still granted"
  stays_closed client $target 2200
done
await never listens
ok "on-disconnect, never used: ends after \`for\`; connections are listened to only while such a grant is open"

for target in $R4 $R6; do
  knock_at 7001 client $target
  await granted open${SET[$target]} ${FROM[$target]} 2200
  hold one$target client $target 2200
  hold two$target client $target 2200
done
for target in $R4 $R6; do
  goes_on one$target 80 # four seconds and more: longer than `for`
  ! gone $target || fail "closed while connected"
  let_go one$target
done
for target in $R4 $R6; do
  goes_on two$target 60 # three: longer than `linger`
  ! gone $target || fail "closed by the end of one of two"
  hold three$target client $target 2200
  let_go two$target
  goes_on three$target 60
  since=$(ms)
  let_go three$target
  await gone $target
  took=$(($(ms) - since))
  [ $took -ge 1900 ] || fail "closed after $took ms"
  await logged "^expire door=visit source=${FROM[$target]} .* packets=[1-9][0-9]* bytes=[1-9][0-9]* reason=disconnect$"
  stays_closed client $target 2200
  ok "on-disconnect, used: open longer than \`for\`, also when one of two ends; closed $took ms after the last (linger 2000)"
done
[ "$(count_logged '^extend ')" = 0 ] || fail "a lease is said"
await never listens

for target in $R4 $R6; do
  ctl open visit ${FROM[$target]} >/dev/null
  in_ns client socat -u - "UDP:$(at $target 2200)" <<<ping
  await status '[.grants[] | select(.left_ms > 10000)] | length == 1'
  since=$(ms)
  in_ns router conntrack -D -f $([ $target = $R4 ] && echo ipv4 || echo ipv6) -p udp --dport 2200 >/dev/null 2>&1 || fail "conntrack knows no such flow"
  await gone $target
  ok "a flow over UDP counts, too: closed $(($(ms) - since)) ms after its end"
done

for target in $R4 $R6; do
  knock_at 7002 client $target
  await granted uses${SET[$target]} ${FROM[$target]} 2201
  listens || fail "does not listen to connections"
  hold once$target client $target 2201
  never reaches client $target 2201 || fail "a second connection comes in"
  goes_on once$target
  await logged "^close door=once source=${FROM[$target]} .* reason=uses$"
done
expect '.grants == []'
await never listens
for target in $R4 $R6; do
  goes_on once$target 20
  let_go once$target
done
ok "uses = 1: one connection, also for who shares the address; it lives on"

of_five() { # TARGET: how many of five get in
  local in=0 i
  for i in 1 2 3 4 5; do ! reaches client "$1" 22 || in=$((in + 1)); done
  echo $in
}
for target in $R4 $R6; do
  knock_at 7003 client $target
  await granted uses${SET[$target]} ${FROM[$target]} 22
  expect '.grants | length == 1 and .[0].uses_left == 3'
  opens client $target 22
  await status '.grants | length == 1 and .[0].uses_left == 2'
  await granted uses${SET[$target]} ${FROM[$target]} 22
  again() { knock_at 7003 client $target; status '.grants | length == 1 and .[0].uses_left == 3'; }
  await again
  [ "$(of_five $target)" = 3 ] || fail "not three of five: $(grep door=thrice "$TMP/log")"
  await logged "^close door=thrice source=${FROM[$target]} .* reason=uses$"
  expect '.grants == []'
done
ok "uses = 3: three of five connections; a knock in between gives all uses again"
never logged '^error|<3>' || fail "an error in the log"
