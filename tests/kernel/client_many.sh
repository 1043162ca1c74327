#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Several at once: two machines behind one address, fifty ssh of one profile, sessions of which one ends.
. "$(dirname "$0")/../harness/lib.sh"
. "$(dirname "$0")/../harness/kn1.sh"
. "$(dirname "$0")/../harness/client.sh"
. "$(dirname "$0")/../harness/sshd.sh"

MANY=${MANY:-50}
[ "$SLOW" = 1 ] || MANY=10
world
chmod 755 "$TMP"
sshd_in router 22 2200
KN1_GATE= # what is closed is silent
OPEN_FOR=$((6 * SLOW))
kn1_config <<TOML
[door.ssh]
opens = ["tcp/22"]
kn1 = true
for = "1h"
[door.cut]
opens = ["tcp/2200"]
kn1 = true
for = "${OPEN_FOR}s"
flows = "cut"
TOML
start
DOORS='--door ssh --door cut'
# shellcheck disable=SC2086
{ ctl user add alice $DOORS; ctl user add bob $DOORS; } >/dev/null
HOSTS="--host $R4 --host $R6"

# A session that stays: each line that goes in comes back.
declare -A INTO FROM
talk() { # NAME MACHINE SSH-WORDS...
  local name=$1 machine=$2 in out; shift 2
  mkfifo "$TMP/in.$name" "$TMP/out.$name"
  exec {in}<>"$TMP/in.$name" {out}<>"$TMP/out.$name"
  on "$machine" ssh -F "$TMP/ssh_config" "$@" 'sed -u "/^end$/q"' <"$TMP/in.$name" >"$TMP/out.$name" 2>>"$TMP/talked" &
  PIDS="$PIDS $!" HELD[$name]=$! INTO[$name]=$in FROM[$name]=$out
  answers "$name" || fail "$name does not begin: $(cat "$TMP/talked")"
}
answers() { # NAME
  local answer
  echo "line $SECONDS" >&"${INTO[$1]}"
  read -r -t $((20 * SLOW)) answer <&"${FROM[$1]}" && [[ $answer = line* ]]
}
hangs_up() { echo end >&"${INTO[$1]}"; wait "${HELD[$1]}" || fail "$1 ends with $?"; rm "$TMP/in.$1" "$TMP/out.$1"; }
declare -A LONGER=([ssh]=1 [cut]=$((OPEN_FOR * 3 / 2))) # than the door `cut` is open by itself
answers_for() { # NAME SECONDS
  local end=$((SECONDS + $2))
  while [ $SECONDS -lt $end ]; do answers "$1" || fail "$1 is dead"; sleep 0.2; done
}
holds() { status "[.grants[] | select(.door == \"$2\" and .by == \"$1\")] | length > 0"; } # DEVICE DOOR
closed() { status "[.grants[] | select(.door == \"$1\")] == []"; } # DOOR

# --- two sessions of one device
# shellcheck disable=SC2086
joins client home alice/laptop $HOSTS
for port in 22 2200; do
  door=$([ $port = 22 ] && echo ssh || echo cut)
  talk one client -p $port home
  talk two client -p $port home
  hangs_up one
  answers_for two ${LONGER[$door]}
  holds alice/laptop $door || fail "$door is closed while a session lives"
  stays_closed intruder $R4 $port
  hangs_up two
  await closed $door
  in_ns client timeout 1 nc -z $R4 $port && fail "$door is open"
  ok "$door: of two sessions one ends, and the other lives; at its end the door is closed"
done

# --- eight whose time comes while the state is locked: the first one's packet is every other's, too
eight_wait() {
  local eight=(1 2 3 4 5 6 7 8) i state began before
  for i in "${eight[@]}"; do talk "$i" client -p 2200 home; done
  before=$(judged)
  exec {state}<>"$(find "$(as client)" -name home.lock)"
  flock "$state"
  began=$(ms)
  all_are_due() { [ $(($(ms) - began)) -gt $((OPEN_FOR * 1000 / 3 + 200)) ]; }
  await all_are_due
  exec {state}>&-
  await_judged "$before" 1
  for i in "${eight[@]}"; do answers "$i" || fail "$i is dead"; done
  before=$(($(judged) - before))
  [ $before -lt ${#eight[@]} ] || fail "$before packets of ${#eight[@]} connections"
  for i in "${eight[@]}"; do hangs_up "$i"; done
  await closed cut
  ok "cut: eight that wait for the state extend by $before packets"
}
[ "$SLOW" != 1 ] || eight_wait # who waits for too long goes on without the state

# --- fifty at once
at_once() { # WHAT PORT COMMAND
  local what=$1 port=$2 i before began most all=()
  before=$(judged) began=$(ms)
  for ((i = 1; i <= MANY; ++i)); do
    sh_at client -p "$port" home "$3; echo hello $i" >"$TMP/said.$i" 2>&1 &
    all[i]=$!
  done
  for ((i = 1; i <= MANY; ++i)); do
    wait "${all[i]}" && [ "$(cat "$TMP/said.$i")" = "hello $i" ] || fail "$what: number $i: $(cat "$TMP/said.$i"; tail -n 5 "$TMP/sshd")"
  done
  began=$(($(ms) - began)) before=$(($(judged) - before))
  # Few to open, then one at a time to each address, for half of the time that each waits by itself.
  most=$((20 + 2 * began * 6 / (OPEN_FOR * 1000)))
  [ $before -lt $most ] || fail "$what: $before packets, as if each knocked for itself"
  ok "$what: $MANY at once in $began ms, by $before packets"
}
at_once ssh 22 true
await closed ssh
lost 2
at_once 'ssh, while the first two packets are lost' 22 true
found 2
await closed ssh
at_once "ssh through a door that cuts, longer than it is open by itself" 2200 "sleep ${LONGER[cut]}"
await closed cut
[ "$(kn1_count refused_kn1_limit)" = 0 ] || fail "more than the router hears of one device: $(kn1_count refused_kn1_limit)"

# --- sessions that share one connection
shared() { sh_at client -o ControlPath="$TMP/control" "$@"; }
shared -o ControlMaster=auto -o ControlPersist=yes home true </dev/null >/dev/null 2>&1 || fail "ControlPersist"
before=$(judged)
for i in 1 2 3; do [ "$(shared home echo "hello $i")" = "hello $i" ] || fail "number $i over the connection that stays"; done
[ "$(judged)" = "$before" ] || fail "a session over a connection that stays knocks"
holds alice/laptop ssh || fail "closed while the connection stays"
shared -O exit home 2>/dev/null
await closed ssh
ok "ControlPersist: one knock for all, open as long as the connection stays"

# --- two devices behind one address
in_ns internet sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
in_ns internet nft 'table inet nat { chain post { type nat hook postrouting priority srcnat; oifname eth0 masquerade; }; }'
behind() { # NAME NUMBER: a machine that only the internet's address is seen of
  ip netns add "$RUN-$1"
  no_dad "$1"
  ip link add eth0 netns "$RUN-$1" type veth peer name "in$2" netns "$RUN-internet"
  in_ns internet ip addr add "10.0.$2.1/24" dev "in$2"
  in_ns internet ip -6 addr add "fd00:$2::1/64" dev "in$2" nodad
  in_ns internet ip link set "in$2" up
  in_ns "$1" ip addr add "10.0.$2.2/24" dev eth0
  in_ns "$1" ip -6 addr add "fd00:$2::2/64" dev eth0 nodad
  in_ns "$1" ip link set eth0 up
  in_ns "$1" ip route add default via "10.0.$2.1"
  in_ns "$1" ip -6 route add default via "fd00:$2::1"
}
behind desk 1
behind couch 2
# shellcheck disable=SC2086
{ joins desk home alice/desk $HOSTS; joins couch home bob/couch $HOSTS; }
for port in 22 2200; do
  door=$([ $port = 22 ] && echo ssh || echo cut)
  for first in desk couch; do
    second=$([ $first = desk ] && echo couch || echo desk)
    talk $first $first -p $port home
    talk $second $second -p $port home
    holds alice/desk $door && holds bob/couch $door || fail "not each has its own: $(ctl status)"
    hangs_up $first
    alone() { status "[.grants[] | select(.door == \"$door\") | .by] | unique == [\"$1\"]"; }
    await alone "$([ $first = desk ] && echo bob/couch || echo alice/desk)"
    answers_for $second ${LONGER[$door]}
    sh_at $second -p $port home true || fail "the other one does not get in any more"
    answers $second || fail "$second is dead"
    hangs_up $second
    await closed $door
  done
  ok "$door: two devices behind one address: each has its own grant; one ends, and the other lives"
done
expect 'all(.grants[]; .source != "10.0.1.2")'
never logged '^error|<3>' || fail "an error in the log"
