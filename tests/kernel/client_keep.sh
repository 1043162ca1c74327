#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# knockgate keep: from another address, beyond `max`, past a router that was down, until it or its command ends; and bound
# packets, which a relay cannot use and no other takes the place of.
. "$(dirname "$0")/../harness/lib.sh"
. "$(dirname "$0")/../harness/kn1.sh"
. "$(dirname "$0")/../harness/client.sh"

router_with <<TOML
[door.ssh]
opens = ["tcp/22"]
kn1 = true
for = "$((3 * SLOW))s"
[door.web]
opens = ["tcp/80"]
kn1 = true
for = "$((2 * SLOW))s"
max = "$((4 * SLOW))s"
TOML
ctl user add alice --door ssh --door web >/dev/null
joins client home alice/laptop --host $R4
keeps() { # WORDS...: KEEP is its process
  kg_on client
  "${KG[@]}" keep "$@" >"$TMP/kept" 2>"$TMP/warned" <&0 &
  KEEP=$!
  PIDS="$PIDS $KEEP"
  await kept "$2" 203.0.113.9
  [[ " $* " = *' -- '* ]] || await grep -q ' open at ' "$TMP/kept" # it knows
}
kept() { status "any(.grants[]; .door == \"$1\" and .source == \"$2\" and .left_ms > 0)"; } # DOOR SOURCE
nothing_kept() { status '.grants == []'; }
ends_with() { # CODE
  local code=0
  wait "$KEEP" || code=$?
  [ $code = "$1" ] || fail "keep ended with $code, not $1: $(cat "$TMP/warned")"
}
opened() { count_logged "^open door=$1 source=$2 .*by=alice/laptop"; } # DOOR SOURCE

# --- it is kept longer than it was opened for; a signal closes
for signal in TERM INT HUP; do
  keeps home ssh
  kill -$signal $KEEP
  ends_with 0
  await nothing_kept
done
keeps home ssh
began=$(ms)
longer() { [ $(($(ms) - began)) -gt $((7000 * SLOW)) ]; }
never_shut() { opens client $R4 22; longer; }
await never_shut
[ "$(opened ssh 203.0.113.9)" = 4 ] || fail "it was opened $(opened ssh 203.0.113.9) times, not 4"
[ ! -s "$TMP/warned" ] || fail "it is not silent: $(cat "$TMP/warned")"
kill -KILL $KEEP
wait $KEEP 2>/dev/null || true
await refused client $R4 22 # the router ends it
await nothing_kept
kg_ends 0 client open home ssh # nothing is in the way of the next
kg_ends 0 client close home ssh
await nothing_kept
ok "kept beyond its time by one opening; signals close; after kill -9 the router does"

# --- another address
keeps home ssh
moves() { # NEW
  in_ns router ip route replace "$1/32" dev wan0
  began=$(ms)
  in_ns client ip -4 addr flush dev eth0
  in_ns client ip addr add "$1/32" dev eth0
  in_ns client ip route add $R4/32 dev eth0
  in_ns client ip route add default via $R4
  await kept ssh "$1"
  local took=$(($(ms) - began))
  echo "    opened from $1 $took ms after the address changed"
  [ $took -le $((2000 * SLOW)) ] || fail "too late"
}
moves 203.0.113.10
await reaches client $R4 22
moves 203.0.113.9
await reaches client $R4 22
kill $KEEP
ends_with 0
await nothing_kept
ok "the address changes, and it opens from the new one"

# --- a command
commands() { keeps home ssh -- "$@"; }
commands sh -c "until [ -e '$TMP/go' ]; do sleep 0.05; done; exit 7"
touch "$TMP/go"
ends_with 7
await nothing_kept
commands sh -c "trap 'exit 9' TERM; touch '$TMP/trapped'; while :; do sleep 0.05; done"
await test -e "$TMP/trapped"
kill $KEEP # goes on to the command, and its end is ours
ends_with 9
await nothing_kept
commands sh -c "until [ -e '$TMP/go2' ]; do sleep 0.05; done; kill -USR1 \$\$"
touch "$TMP/go2"
ends_with $((128 + 10))
[ ! -s "$TMP/kept" ] || fail "stdout is the command's: $(cat "$TMP/kept")"
kg_ends 127 client keep home ssh -- /no/such/program
cries '/no/such/program: No such file or directory'
await nothing_kept
ok "a command: its status, 128 + its signal, SIGTERM reaches it; the door closes behind it"

# --- beyond max, and past a router that does not answer
keeps home web
await logged '^expire door=web '
router_down() { in_ns router nft 'add table netdev way; add chain netdev way in { type filter hook ingress device wan0 priority 0; }; add rule netdev way in ip daddr 203.0.113.1 drop'; }
router_up() { in_ns router nft delete table netdev way; }
anew() { [ "$(opened web 203.0.113.9)" -ge "$1" ]; } # TIMES
await anew 2
await reaches client $R4 80
[ ! -s "$TMP/warned" ] || fail "it is not silent: $(cat "$TMP/warned")"
router_down
await grep -q "nothing opened at $R4 tcp/80" "$TMP/warned"
kill -0 $KEEP || fail "it gave up"
times=$(opened web 203.0.113.9)
router_up
await anew $((times + 1))
await reaches client $R4 80
kill $KEEP
ends_with 0
await nothing_kept
router_down
kg_ends 1 client keep home ssh --timeout 1s # the first time it ends
router_up
keeps home web --timeout 60s -- sh -c "until [ -e '$TMP/go3' ]; do sleep 0.05; done; exit 5"
router_down
tries_anew() { in_ns client ss -Htn state syn-sent | grep -q ":80 *\$"; }
await nothing_kept # its max is over
await tries_anew
touch "$TMP/go3"
began=$(ms)
ends_with 5
[ $(($(ms) - began)) -le $((10000 * SLOW)) ] || fail "it outlives its command by $(($(ms) - began)) ms"
router_up
ok "opened anew after max; a router that is down in between is warned of and tried again"

# --- no network at all: it is told once for each try, and tries come further apart
keeps home web
in_ns client ip link set eth0 down
tries() { [ "$(grep -c '^knockgate: ' "$TMP/warned")" -ge "$1" ]; }
await tries 3
began=$(ms)
await tries 4
[ $(($(ms) - began)) -ge 3000 ] || fail "a warning each $(($(ms) - began)) ms"
in_ns client ip link set eth0 up
in_ns client ip route replace $R4/32 dev eth0
in_ns client ip route replace default via $R4
in_ns client ip -6 addr add 2001:db8:9::9/64 dev eth0 nodad
began=$(ms)
await kept web 203.0.113.9
echo "    opened $(($(ms) - began)) ms after the network came back"
kill $KEEP
ends_with 0
await nothing_kept
ok "without a network its tries come further apart; with one it opens at once"

# --- bound: a relay that sends on from its own address gets nothing, and nothing unbound follows
own4=192.175.48.9 own6=2001:4:112::9 # of AS112: global, and of no use elsewhere
in_ns client ip addr add $own4/32 dev eth0
in_ns client ip route add 203.0.113.66/32 dev eth0 via $R4 src $own4
in_ns router ip route add $own4/32 dev wan0
in_ns client ip -6 addr add $own6/128 dev eth0 nodad
in_ns client ip -6 route add 2001:db8:66::66/128 via 2001:db8:9::1 src $own6
in_ns router ip -6 route add $own6/128 via 2001:db8:9::9
relay() { # HOST-OF-THE-INTRUDER ADDRESS-OF-THE-ROUTER
  background ip netns exec "$RUN-intruder" socat "UDP-RECVFROM:17022,bind=$1,fork$([[ $1 != *:* ]] || echo ,pf=ip6)" "UDP-SENDTO:$(at "$2" 17022)"
}
relay 203.0.113.66 $R4
relay '[2001:db8:66::66]' $R6
relays() { in_ns intruder ss -Huan | grep -cE ':17022 ' | grep -qx 2; }
await relays
gets_nothing() { # FAMILY SOURCE
  local packets source
  source=$(kn1_count refused_kn1_source)
  kg_ends 1 client --json open relayed ssh "$1" --timeout 5s
  packets=$(jq -r '.error.text' "$TMP/said" | sed -E 's/.*\(([0-9]+) knocks.*bound\)$/\1/')
  [ "$packets" -ge 3 ] || fail "too few knocks: $(cat "$TMP/said")"
  all_refused() { [ "$(kn1_count refused_kn1_source)" = $((source + packets)) ]; }
  await all_refused
  expect '.grants == []'
  ! logged '^open .*source=(203.0.113.66|2001:db8:66::66) ' || fail "the relay is let in"
  jq -e '.error.text | test(", bound\\)$")' "$TMP/said" >/dev/null || fail "not bound alone: $(cat "$TMP/said")"
}
profile() { sed -E "s/^hosts.*/hosts = [\"203.0.113.66\", \"2001:db8:66::66\"]/; s/^source.*/source = \"$1\"/" "$(profiles client)/home.toml" >"$(profiles client)/relayed.toml"; }
cp "$(profiles client)/home.key" "$(profiles client)/relayed.key"
chmod 600 "$(profiles client)/relayed.key"
profile auto
gets_nothing -4
gets_nothing -6
profile bound
in_ns client ip route replace 203.0.113.66/32 dev eth0 via $R4 src 203.0.113.9
gets_nothing -4
kg_ends 0 client open home ssh # an honest one, straight
ok "bound packets that a relay sends on are refused, each of them; no unbound one follows"
