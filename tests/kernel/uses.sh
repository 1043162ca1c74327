#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# uses = N lets exactly N connections in: of two SYNs on two processors, of what is sent again, and after all that puts an
# element anew.
. "$(dirname "$0")/../harness/lib.sh"

MANY=${MANY:-9000}
[ "$SLOW" = 1 ] || MANY=300
declare -A FROM=([$R4]=203.0.113.9 [$R6]=2001:db8:9::9) SET=([$R4]=4 [$R6]=6)
world
serve router 22
serve router 24
serve lan 443
for target in $R4 $R6; do
  for ns in client intruder; do await reaches $ns $target 22; done
done
await reaches router 192.0.2.20 443 # neighbours are known

# The kernel alone: our rules, elements by hand, and a count behind them.
first() { [ "$1" = $R4 ] && echo 198.18.0.1 || echo 2001:db8:8000::1; } # TARGET
elements() { # TARGET COUNT BURST PORT
  awk -v four="$([ "$1" = $R4 ] && echo 1 || echo 0)" -v n="$2" -v burst="$3" -v port="$4" 'BEGIN {
    for (i = 0; i < n; ++i) {
      if (four) source = sprintf("198.18.%d.%d", (i + 1) / 256, (i + 1) % 256)
      else source = sprintf("2001:db8:8000:%x::1", i)
      if (i % 5000 == 0) printf "%sadd element inet knockgate uses%d {", i ? "}\n" : "", four ? 4 : 6
      printf "%s . tcp . %d limit rate 1/week burst %d packets counter packets 0 bytes 0 timeout 10m,", source, port, burst
      if (port != 8443) continue
      forward = forward sprintf("%s . tcp . 8443 timeout 10m : 192.0.2.20 . 443,", source)
      if (i % 5000 == 4999 || i == n - 1) { batch[i] = forward; forward = "" }
    }
    print "}"
    for (i in batch) print "add element inet knockgate forward4 {" batch[i] "}"
  }'
}
race() { # WHAT TARGET COUNT BURST SYNS PORT HOOK-THAT-COUNTS PORT-THERE
  local what=$1 target=$2 count=$3 burst=$4 syns=$5 port=$6 hook=$7 there=$8 family got
  family=$([ "$target" = $R4 ] && echo ip || echo ip6)
  {
    echo "flush ruleset"
    knockctl template gate; knockctl template forward
    echo "add element inet knockgate guarded { tcp . $port }; add element inet knockgate ours { $port }"
    elements "$target" "$count" "$burst" "$port"
    echo "table inet count {
      set came { type ipv${SET[$target]}_addr; flags dynamic; size 65535; counter; }
      chain after { type filter hook $hook priority 0; tcp dport $there update @came { $family saddr } drop; }
    }"
  } >"$TMP/race.nft"
  in_ns router nft -f "$TMP/race.nft" || fail "$what: the elements cannot be put"
  # shellcheck disable=SC2046
  timeout $((200 * SLOW)) packets race $(first $target) $target $count $port $syns /run/netns/$RUN-client /run/netns/$RUN-intruder ||
    fail "$what: the senders do not come to an end"
  came() {
    in_ns router nft -j list set inet count came |
      jq -c '[.nftables[] | select(.set) | .set.elem[]?.elem.counter.packets] | group_by(.) | map({(.[0] | tostring): length}) | add'
  }
  for _ in $(seq 20); do # what is on its way yet
    [ "$(came)" != "{\"$burst\":$count}" ] || break
    sleep 0.1
  done
  [ "$(came)" = "{\"$burst\":$count}" ] || fail "$what: sources by how often they came in: $(came); wanted $burst of all $count"
  ok "$what: of $count sources with $syns SYNs on two processors each comes in $burst times"
}
race "uses = 1" $R4 $MANY 1 2 22 input 22
race "uses = 1, IPv6" $R6 $((MANY / 3)) 1 2 22 input 22
race "uses = 2" $R4 $((MANY / 3)) 2 3 22 input 22
race "uses = 1, forwarded" $R4 $MANY 1 2 8443 forward 443

# A SYN that nobody answers is sent again, and costs nothing; another connection does.
resent() { # TARGET BURST
  local target=$1 family
  family=$([ "$target" = $R4 ] && echo ip || echo ip6)
  counted() { # HOW MANY
    in_ns router nft get element inet knockgate uses${SET[$target]} "{ ${FROM[$target]} . tcp . 22 }" | grep -q "counter packets $1 "
  }
  sent() { [ "$(in_ns router nft -j list counter inet mute syns | jq '.nftables[] | select(.counter) | .counter.packets')" -ge "$1" ]; }
  {
    echo "flush ruleset"
    knockctl template gate
    echo "add element inet knockgate guarded { tcp . 22 }; add element inet knockgate ours { 22 }"
    echo "add element inet knockgate uses${SET[$target]} { ${FROM[$target]} . tcp . 22 limit rate 1/week burst $2 packets counter packets 0 bytes 0 timeout 10m }"
    echo "table inet mute {
      counter syns { }
      chain in { type filter hook input priority 0; $family saddr ${FROM[$target]} tcp dport 22 tcp flags syn counter name syns; }
      chain out { type filter hook output priority raw; tcp sport 22 tcp flags & (syn | ack) == (syn | ack) drop; }
    }"
  } | in_ns router nft -f -
  ip netns exec $RUN-client nc -w $((15 * SLOW)) $target 22 </dev/null >"$TMP/greeting" 2>/dev/null &
  PIDS="$PIDS $!"
  await sent 2
  counted 1 || fail "a SYN that was sent again is counted: $(in_ns router nft list set inet knockgate uses${SET[$target]})"
  [ $2 = 1 ] || kill $!
  in_ns router nft flush chain inet mute out
  # A SYN sent again that crosses its SYN/ACK is one on a living tuple, and would cost: the first one stays unanswered here.
  for _ in $(seq 2 $2); do reaches client $target 22 || fail "a use is gone: $(in_ns router nft list set inet knockgate uses${SET[$target]})"; done
  [ $2 != 1 ] || await test -s "$TMP/greeting"
  stays_closed client $target 22
}
resent $R4 1
resent $R6 2
ok "a SYN that is sent again passes and costs nothing; the next connection is one too many"

# The daemon: what is spent stays spent, whatever puts the element anew.
doors() { # GRANTS
  config <<TOML
[limits]
grants = $1
[door.single]
opens = ["tcp/22"]
for = "1h"
uses = 1
[door.thrice]
opens = ["tcp/24"]
for = "1h"
uses = 3
[door.brief]
opens = ["tcp/24"]
for = "2s"
uses = 2
TOML
}
comes_in() { # TARGET HOW-OFTEN, and then no more
  local n
  for n in $(seq $2); do reaches client $1 24 || fail "only $((n - 1)) of $2 connections come in"; done
  stays_closed client $1 24
}
left() { # HOW MANY of three each source has
  await status "[.grants[] | select(.door == \"thrice\") | .uses_left] == [$1, $1]"
}
spend() { # one of three each, and the only one; from now on twice more
  local target
  ctl close --all >/dev/null
  for target in $R4 $R6; do
    ctl open single ${FROM[$target]} >/dev/null
    ctl open thrice ${FROM[$target]} >/dev/null
    for port in 22 24; do opens client $target $port; done
  done
  left 2
}
spent() {
  local target
  for target in $R4 $R6; do
    stays_closed client $target 22
    comes_in $target 2
  done
}
in_ns router nft flush ruleset
doors 1000
start
for target in $R4 $R6; do
  for port in 22 24; do stays_closed client $target $port; done
done
spend
spent
ok "the daemon's grants: one of one, three of three"

spend
in_ns router nft delete table inet knockgate
await status '.gate.healed == 1'
spent
ok "the table deleted and healed: what was spent stays spent"

spend
doors 2000
ctl reload --now >/dev/null
await eval "in_ns router nft list set inet knockgate uses4 | grep -q 'size 4000'"
left 2
spent
ok "a reload that makes the sets anew: the same"

spend
stop KILL
start
left 2
spent
ok "killed and started again: the same"

spend
stop KILL
in_ns router nft list set inet knockgate uses4 | grep -q 'packets 1 ' || fail "the kernel does not count"
comes_in $R4 2
start
await status '[.grants[] | select(.source == "203.0.113.9")] == []'
comes_in $R4 0
ok "spent while no daemon ran: counted by the one that comes"

spend
for target in $R4 $R6; do ctl open brief ${FROM[$target]} >/dev/null; done
await status '[.grants[] | select(.door == "brief")] == []' # the grant that shared the element has ended
left 2
spent
ok "another grant for the same port came and ended: the same"
never logged '^error|<3>' || fail "an error in the log"
