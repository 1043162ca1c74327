#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Grants that end when no packet comes any more. What watches here looks into the kernel: `knockctl status` would make
# the daemon look.
. "$(dirname "$0")/../harness/lib.sh"

world
IDLE=$((9 * SLOW)) # seconds; a third of it is long enough for a busy machine to look and to connect
serve router 22
background ip netns exec "$RUN-router" socat -u TCP6-LISTEN:2200,ipv6only=0,fork,reuseaddr OPEN:/dev/null
await in_ns router socat -u /dev/null TCP4:127.0.0.1:2200
config <<TOML
[door.idle]
opens = ["tcp/22", "tcp/2200"]
knock = ["udp/7001"]
within = "1s" # so long one step repeated is a retransmit
idle = "${IDLE}s"
close = "on-idle"
TOML
start
declare -A FROM=([$R4]=203.0.113.9 [$R6]=2001:db8:9::9) SET=([$R4]=4 [$R6]=6) SINCE
gone() { never granted "open${SET[$1]}" "${FROM[$1]}" 2200; }
# Patterns of the seconds that are left: in the last third, and in the first one.
between() { seq -s '\|' "$1" "$2"; }
LATE="\($(between 1 $((IDLE / 3 - 1)))\)s" EARLY="\($(between $((IDLE * 2 / 3)) $((IDLE - 1)))\)s"
# TARGET SECONDS, a pattern. Without /etc/protocols nft lists tcp as 6.
left() { set_has "open${SET[$1]}" "${FROM[$1]} \. \(tcp\|6\) \. 22 .* expires $2[0-9]*ms"; }

for target in $R4 $R6; do
  knock_at 7001 client $target
  await granted open${SET[$target]} ${FROM[$target]} 2200
  SINCE[$target]=$(ms)
done
for target in $R4 $R6; do
  await gone $target
  took=$(($(ms) - SINCE[$target]))
  [ $took -ge $((IDLE * 1000 - 500)) ] && [ $took -le $((IDLE * 1400)) ] || fail "never used, and gone after $took ms"
  await logged "^expire door=idle source=${FROM[$target]} .* open_ms=${IDLE}[0-9]{3} packets=0 bytes=0 reason=idle$"
  stays_closed client $target 22
done
ok 'never used: gone after `idle`'

for target in $R4 $R6; do
  knock_at 7001 client $target
  await granted open${SET[$target]} ${FROM[$target]} 2200
done
for target in $R4 $R6; do await left $target "$LATE"; done
for target in $R4 $R6; do
  opens client $target 22 # in the last third
  SINCE[$target]=$(ms)
done
for target in $R4 $R6; do await left $target "$EARLY"; done
for target in $R4 $R6; do
  await gone $target
  took=$(($(ms) - SINCE[$target]))
  [ $took -ge $((IDLE * 1000 - 500)) ] || fail "gone $took ms after the last packet"
  await logged "^expire door=idle source=${FROM[$target]} .* packets=[1-9][0-9]* bytes=[1-9][0-9]* reason=idle$"
  stays_closed client $target 22
  ok "a packet in the last third keeps it open; gone $took ms after it (idle $((IDLE * 1000)))"
done

for target in $R4 $R6; do
  knock_at 7001 client $target
  await granted open${SET[$target]} ${FROM[$target]} 2200
  background ip netns exec "$RUN-client" socat -u SYSTEM:'while echo; do sleep 1; done' "TCP:$(at $target 2200)" 2>/dev/null
  HELD[$target]=$!
done
packets() { ctl --json status | jq -s --arg from "${FROM[$1]}" '[.[].grants[] | select(.source == $from) | .packets] | add'; }
# One byte a second: three to the handshake, then one at a time. The counters only grow, over every refresh.
declare -A LAST=([$R4]=0 [$R6]=0)
while [ "${LAST[$R4]}" -lt 14 ] || [ "${LAST[$R6]}" -lt 14 ]; do
  for target in $R4 $R6; do
    count=$(packets $target)
    [ "$count" != null ] && [ "$count" -ge "${LAST[$target]}" ] || fail "counted ${LAST[$target]} packets, then $count"
    LAST[$target]=$count
  done
  [ $SECONDS -lt $((200 * SLOW)) ] || fail "the counters stand still: ${LAST[*]}"
done
expect '[.grants[] | select(.packets >= 14 and .bytes >= 14 * 52 and .left_ms <= '$((IDLE * 1000))')] | length == 2'
for target in $R4 $R6; do let_go $target; done
for target in $R4 $R6; do await gone $target; done
for target in $R4 $R6; do
  await logged "^expire door=idle source=${FROM[$target]} .* open_ms=[1-9][0-9]{4} packets=(1[4-9]|[2-9][0-9]) bytes=[1-9][0-9]* reason=idle$"
  stays_closed client $target 22
done
expect '.grants == []'
[ "$(count_logged '^extend ')" = 0 ] || fail "a refresh is said"
never logged '^error|<3>' || fail "an error in the log"
ok "a byte a second keeps it open, the counters count on over refreshes, nothing is said of them"
