#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Who was in once is not in again: conntrack believes in an old connection, and calls a SYN on its ports established. What
# is connected goes on after the grant; a SYN there reaches nobody, however the grant ended.
. "$(dirname "$0")/../harness/lib.sh"

declare -A FROM=([$R4]=203.0.113.9 [$R6]=2001:db8:9::9) SET=([$R4]=4 [$R6]=6)
LIVE=5555 DEAD=5556 # our ports of a connection that lives, and of one that was reset
world
for port in 2201 2202 2203; do chatter router $port; done
for port in 2201 2202 2203; do chatter lan $port; done
gets_in() { in_ns "$1" timeout $((2 * SLOW)) socat -u "TCP:$(at "$2" "$3")" STDOUT 2>/dev/null | grep -qm 1 chat; } # NS TARGET PORT
for target in $R4 $R6; do await gets_in client $target 2201; done
for target in 192.0.2.20 2001:db8:20::20; do await gets_in router $target 2201; done

doors() { # WHERE: here or lan
  local n rest=("for = \"$((SLOW == 1 ? 5 : 15))s\"" $'for = "1h"\nuses = 4' 'for = "1h"')
  for n in 1 2 3; do
    if [ "$1" = here ]; then echo "[door.d$n]"$'\n'"opens = [\"tcp/220$n\"]"
    else echo "[door.d$n]"$'\n'"forward = { \"tcp/844$n\" = [\"192.0.2.20:220$n\", \"[2001:db8:20::20]:220$n\"] }"; fi
    printf 'knock = ["udp/700%d"]\nwithin = "1s"\n%s\n' $n "${rest[n - 1]}"
  done
}
# A SYN that comes through, behind all of our chains.
count() {
  in_ns router nft -f - <<NFT
table inet count {
  counter sent { }
  counter came { }
  set syns { type inet_service; elements = { $LIVE, $DEAD } }
  chain before { type filter hook prerouting priority raw; tcp flags & (fin | syn | rst | ack) == syn tcp sport @syns counter name sent; }
  chain here { type filter hook input priority 10; tcp flags & (fin | syn | rst | ack) == syn tcp sport @syns counter name came; }
  chain there { type filter hook forward priority 10; tcp flags & (fin | syn | rst | ack) == syn tcp sport @syns counter name came; }
}
NFT
}
counted() { in_ns router nft -j list counter inet count "$1" | jq '.nftables[] | select(.counter) | .counter.packets'; }
all_sent() { [ "$(counted sent)" = 2 ]; }
tracked() { in_ns router conntrack -L -f "ipv${SET[$1]}" -p tcp --sport $2 2>/dev/null | grep -q "$3"; } # TARGET SPORT STATE
# Out of port $DEAD: greeted, then reset.
reset() { # TARGET PORT
  in_ns client timeout $((5 * SLOW)) python3 -c '
import socket, struct, sys
there = socket.create_connection((sys.argv[1], int(sys.argv[2])), source_address=("", int(sys.argv[3])))
assert there.recv(1)
there.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))' "$1" "$2" $DEAD
}
once() { # WHAT DOOR TARGET PORT
  local what=$1 door=$2 target=$3 port=$4 from before
  before=$(count_logged "^open door=d$door source=${FROM[$target]} ")
  knock_at "700$door" client $target
  await eval '[ "$(count_logged "^open door=d$door source=${FROM[$target]} ")" -gt $before ]'
  background ip netns exec "$RUN-client" socat -u "TCP:$(at $target $port),sourceport=$LIVE" STDOUT >"$TMP/heard.live" 2>/dev/null
  HELD[live]=$!
  await test -s "$TMP/heard.live"
  reset $target $port
  [ $door != 3 ] || ctl close d3 >/dev/null
  await refused client $target $port # what gets in until then spends the uses that are left
  # In CLOSE conntrack heard us last, and would take a SYN for a new one; the host's RST in answer changes that.
  in_ns client packets send ${FROM[$target]} $target $DEAD $port 0x10
  await tracked $target $DEAD CLOSE
  tracked $target $LIVE ESTABLISHED || fail "$what: the connection that lives is not tracked"
  in_ns router nft reset counters table inet count >/dev/null
  for from in $LIVE $DEAD; do in_ns client packets send ${FROM[$target]} $target $from $port 0x02; done
  await all_sent
  goes_on live
  [ "$(counted came)" = 0 ] || fail "$what: $(counted came) of 2 SYNs on old connections come in"
  let_go live
  knock_at "700$door" client $target
  await gets_in client $target $port
  ctl close --all >/dev/null
  await eval "! in_ns client ss -Htn sport = :$LIVE | grep -q ."
  in_ns router conntrack -D -p tcp --sport $LIVE >/dev/null 2>&1 || true
  in_ns router conntrack -D -p tcp --sport $DEAD >/dev/null 2>&1 || true
}
every_end() { # WHAT PORTS-BEFORE-THE-LAST-DIGIT [TARGETS-ON-A-SLOW-MACHINE]
  local target targets="$R4 $R6"
  [ "$SLOW" = 1 ] || targets=${3:-$targets}
  # An entry in CLOSE lives for ten seconds; and an intruder knows the numbers that we draw.
  in_ns router sysctl -qw net.netfilter.nf_conntrack_tcp_timeout_close=600 net.netfilter.nf_conntrack_tcp_be_liberal=1
  for target in $targets; do
    stays_closed client $target ${2}1
    once "$1: after its time" 1 $target ${2}1
    once "$1: after its uses" 2 $target ${2}2
    once "$1: closed by hand" 3 $target ${2}3
  done
  ok "$1: after the time, the uses, by hand: what is connected goes on, a SYN on it comes to nobody, a knock opens"
}

config <<<"$(doors here)"
count
start
every_end "gate" 220
stop
in_ns router nft flush ruleset

config <<<"$(doors lan)"
count
start
every_end "gate, forwarded" 844 $R4
stop
in_ns router nft flush ruleset

NFT_MORE='mode = "embed"
table = "inet filter"'
config <<<"$(doors here)"
knockctl template embed >"$TMP/embed.nft"
count
in_ns router nft -f - <<NFT
table inet filter {
  include "$TMP/embed.nft"
  chain input {
    type filter hook input priority filter; policy drop;
    iif lo accept
    jump knockgate_grants
    ct state established,related accept
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert } accept
    jump knockgate_knocks
  }
}
NFT
start
every_end "embed" 220 $R6
