# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Worlds of namespaces for kernel tests. Sourced; needs root and KNOCKGATE_BUILD (where the programs are).
#
#   client 203.0.113.9, 2001:db8:9::9 ---+
#   intruder 203.0.113.66, ...:66::66 ---+--- router 203.0.113.1, 2001:db8:f::1 --- lan 192.0.2.20, 2001:db8:20::20
#   internet 198.51.100.7, ...:7::7   ---+    (forwards; `lan0` is the lan's interface)
set -eu

[ "$(id -u)" = 0 ] || { echo "skip: needs root (or: unshare -mrun)"; exit 77; }
export PATH="$KNOCKGATE_BUILD:/usr/sbin:/sbin:$PATH"
TMP=$(mktemp -d "${TMPDIR:-/tmp}/knockgate.XXXXXX")
exec {SILENT}<> <(:) # a pipe that nothing comes out of
RUN=kg$$ # of the namespaces' names, so that several runs never meet
DAEMON= PIDS=
SLOW=${KNOCKGATE_SLOW:-1} # times more patience, on a slow machine; tests multiply their own times with it
R4=203.0.113.1 R6=2001:db8:f::1
export KNOCKGATE_SOCKET="$TMP/control.sock"
# A sanitized program looks for leaks at its end, which takes longer than all else it does: of the daemon always, of the
# others by a test that sets LEAKS=1.
export ASAN_OPTIONS="detect_leaks=${LEAKS:-0}"

cleanup() {
  local code=$? pid ns
  trap - EXIT INT TERM
  for pid in $PIDS $DAEMON; do kill -9 "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  for ns in $(ip netns list | awk -v run="$RUN-" 'index($1, run) == 1 {print $1}'); do
    for pid in $(ip netns pids "$ns"); do kill -9 "$pid" 2>/dev/null || true; done # what a service forked
    ip netns del "$ns"
  done
  [ $code = 0 ] || { echo "--- daemon's log"; tail -n 50 "$TMP/log" 2>/dev/null; }
  rm -rf "$TMP"
  exit $code
}
trap cleanup EXIT
trap 'exit 1' INT TERM

in_ns() { local ns=$1; shift; ip netns exec "$RUN-$ns" "$@"; }
fail() { echo "FAILED (${BASH_SOURCE[1]##*/}:${BASH_LINENO[0]}): $*"; exit 1; }
ok() { echo "ok  $*"; }
# Runs a command until it succeeds, at most 60 seconds (times SLOW): sanitized, on a busy machine.
await() {
  local end=$((SECONDS + 60 * SLOW)) pause=0.02
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || fail "never became true: $*"
    read -rt $pause -u "$SILENT" || true # not `sleep`: a process costs more than the pause
    case $pause in 0.02) pause=0.05 ;; 0.05) pause=0.1 ;; *) pause=0.2 ;; esac
  done
}
never() { ! "$@"; }
background() { "$@" <&0 & PIDS="$PIDS $!"; } # without <&0 the shell would give it /dev/null

# Without it a link-local address is tentative, and neighbours unknown, for a second.
no_dad() { in_ns "$1" sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0; }
peer() { # NAME IPV4 IPV6 INTERFACE-OF-ROUTER
  ip netns add "$RUN-$1"
  no_dad "$1"
  ip link add eth0 netns "$RUN-$1" type veth peer name "$4" netns "$RUN-router"
  in_ns "$1" ip link set lo up
  in_ns "$1" ip addr add "$2" peer $R4 dev eth0
  in_ns "$1" ip -6 addr add "$3/64" dev eth0 nodad
  in_ns "$1" ip link set eth0 up
  in_ns router ip addr add $R4 peer "$2" dev "$4"
  in_ns router ip -6 addr add "${3%::*}::1/64" dev "$4" nodad
  in_ns router ip link set "$4" up
  in_ns "$1" ip route add default via $R4
  in_ns "$1" ip -6 route add default via "${3%::*}::1"
}

world() {
  ip netns add "$RUN-router"
  no_dad router
  in_ns router ip link set lo up
  in_ns router ip -6 addr add $R6/128 dev lo nodad
  in_ns router sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.rp_filter=0 \
    net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0
  peer client 203.0.113.9 2001:db8:9::9 wan0
  peer intruder 203.0.113.66 2001:db8:66::66 wan1
  peer internet 198.51.100.7 2001:db8:7::7 wan2
  peer lan 192.0.2.20 2001:db8:20::20 lan0
}

serve() { # NS PORT: a TCP service that greets, over both families
  background ip netns exec "$RUN-$1" socat -U "TCP6-LISTEN:$2,ipv6only=0,fork,reuseaddr" SYSTEM:'echo hello from $SOCAT_SOCKPORT' 2>/dev/null
  await in_ns "$1" socat -u /dev/null "TCP4:127.0.0.1:$2"
}

# Whether a connection comes about at once and the service greets; what starts the service may be slow on a busy machine.
greeting() { in_ns "$1" timeout $((20 * SLOW)) socat -u "TCP:$(at "$2" "$3"),connect-timeout=$SLOW" STDOUT 2>/dev/null; }
reaches() { [ -n "$(greeting "$@")" ]; }
refused() { ! in_ns "$1" timeout 1 nc -z -w 1 "$2" "$3" 2>/dev/null; }
opens() { reaches "$@" || fail "$1 does not reach $2 port $3"; }
stays_closed() { refused "$@" || fail "$1 reaches $2 port $3"; }

# Writes $TMP/knockgate.toml: fixed test settings, then stdin. A section of the fixed ones must not stand again. The
# next start is the first: it guards all ports.
config() {
  rm -f "$TMP/state/applied"
  { printf '[control]\nsocket = "%s"\nstate = "%s/state"\n[nft]\nboot_file = "%s"\n%s\n' \
      "$KNOCKGATE_SOCKET" "$TMP" "${BOOT_FILE:-}" "${NFT_MORE:-}"
    cat; } >"$TMP/knockgate.toml"
  chmod 600 "$TMP/knockgate.toml"
}
start() {
  ASAN_OPTIONS='' ip netns exec "$RUN-router" knockgated --config "$TMP/knockgate.toml" 2>>"$TMP/log" &
  DAEMON=$!
  in_ns router knockctl wait --timeout $((120 * SLOW))s || fail "the daemon does not start"
}
# Children of the daemon in their roles; empty when there is none.
engine() { pgrep -P "$DAEMON" -f -- '--engine'; }
runner() { pgrep -P "$DAEMON" -f -- '--runner'; }
logged() { grep -Eq -- "$1" "$TMP/log"; }
count_logged() { grep -Ec -- "$1" "$TMP/log" || true; }
stop() { kill "-${1:-TERM}" "$DAEMON"; wait "$DAEMON" 2>/dev/null || true; DAEMON=; }
ctl() { in_ns router knockctl --config "$TMP/knockgate.toml" "$@"; }
# What waits asks again and again: by KNOCKGATE_ASK, a knockctl that starts sooner than a sanitized one.
ask() { in_ns router "${KNOCKGATE_ASK:-knockctl}" --config "$TMP/knockgate.toml" --json status; }
status() { ask | jq -es '.[0] * {grants: [.[].grants[]]} | '"$1" >/dev/null; }
expect() { status "$1" || { ctl status; fail "status is not: $1"; }; }
set_has() { in_ns router nft list set inet knockgate "$1" 2>/dev/null | grep -q "$2"; }

FOUR_STEPS='
[door.ssh]
opens = ["tcp/22"]
knock = ["tcp/7143", "udp/12899", "tcp/4021", "udp/33710"]
'
knock_ssh() { in_ns "$1" knock "$2" 7143:tcp 12899:udp 4021:tcp 33710:udp; }
lets_in_alone() { # ADDRESS: the client by its knock, and no other
  knock_ssh client "$1"
  await reaches client "$1" 22
  stays_closed intruder "$1" 22
}

knock_at() { in_ns "$2" knock "$3" "$1:udp"; } # PORT NS ADDRESS
ms() { date +%s%3N; }

# A service that sends a line every 200 ms to each client.
chatter() { # NS PORT
  background ip netns exec "$RUN-$1" socat -U "TCP6-LISTEN:$2,ipv6only=0,fork,reuseaddr" SYSTEM:'while echo chat; do sleep 0.2; done' 2>/dev/null
  await in_ns "$1" socat -u /dev/null "TCP4:127.0.0.1:$2"
}
at() { case $1 in *:*) echo "[$1]:$2" ;; *) echo "$1:$2" ;; esac; }
# A connection that stays; what it hears goes to $TMP/heard.NAME, its process is HELD[NAME].
declare -A HELD
hold() { # NAME NS ADDRESS PORT
  background ip netns exec "$RUN-$2" socat -u "TCP:$(at "$3" "$4")" STDOUT >"$TMP/heard.$1" 2>/dev/null
  HELD[$1]=$!
  await test -s "$TMP/heard.$1"
}
let_go() { kill "${HELD[$1]}"; wait "${HELD[$1]}" 2>/dev/null || true; }
heard() { wc -l <"$TMP/heard.$1"; }
# Hears more from now on: as many lines.
goes_on() { # NAME [LINES]
  local name=$1 until=$(($(heard "$1") + ${2:-3}))
  goes_on_now() { [ "$(heard "$name")" -ge $until ]; }
  await goes_on_now
}
# Hears nothing any more while OTHER hears what is sent in a second.
is_dead() { # NAME OTHER
  local before
  goes_on "$2" 20
  before=$(heard "$1")
  goes_on "$2" 20
  [ "$(heard "$1")" = "$before" ] || fail "$1 still hears"
}
reaches_from() { [ -n "$(in_ns "$1" timeout 2 nc -s "$2" -w 1 "$3" "$4" </dev/null 2>/dev/null)" ]; } # NS SOURCE ADDRESS PORT
# What the kernel holds; unlike `knockctl status` it does not make the daemon look.
granted() { set_has "$1" "$2 \. .* \. $3 "; } # SET ADDRESS PORT
# Whether the daemon listens to connection tracking: its NEW, UPDATE and DESTROY.
listens() { in_ns router awk '$2 == 12 && $4 == "00000007" {found = 1} END {exit !found}' /proc/net/netlink; }
