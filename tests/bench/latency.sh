#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Last knock to accepted SYN: Knockgate and Debian's knockd, one after the other in the same world.
# knockd runs a command per knock; the fastest there is: nft adding one element.
# KNOCKGATE_OTHER=BUILD-DIRECTORY: no knockd; another build of Knockgate, TURNS times in turn with this one.
. "$(dirname "$0")/../harness/lib.sh"
TRIES=${TRIES:-500}
# The client never pauses; on the server's core it would only measure the scheduler. In life it is another machine.
last=$(($(nproc) - 1))
client() { in_ns client taskset -c $last "$KNOCKGATE_BUILD/latency" "$@"; }

world
serve router 22
# The client's own kernel must not reset the answers to raw SYNs.
in_ns client nft -f - <<<'table inet quiet { chain out { type filter hook output priority 0; tcp flags & rst == rst drop; }; }'
config <<<'[door.ssh]
opens = ["tcp/22"]
knock = ["tcp/7143", "tcp/4021", "tcp/9711"]
for = "1h"
[limits]
cooloff = "0s"'
measure() { # NAME BUILD-DIRECTORY: the result, in RESULT
  local PATH="$2:$PATH" pid
  start
  for pid in $DAEMON $(engine); do taskset -cp 0 "$pid" >/dev/null; done
  RESULT=$(client $R4 22 "$TRIES" "ip netns exec $RUN-router knockctl close --all >/dev/null" 7143 4021 9711)
  echo "{\"name\": \"$1\", \"result\": $RESULT}"
  stop
  in_ns router nft delete table inet knockgate
}
if [ -n "${KNOCKGATE_OTHER:-}" ]; then
  for ((turn = 0; turn < ${TURNS:-3}; turn++)); do
    measure other "$KNOCKGATE_OTHER"
    measure knockgate "$KNOCKGATE_BUILD"
  done
  exit
fi
measure knockgate "$KNOCKGATE_BUILD"
ours=$RESULT

in_ns router nft -f - <<<'table inet peer {
  set open { type ipv4_addr; }
  chain in { type filter hook input priority 0; tcp dport 22 ip saddr != @open drop; }
}'
cat >"$TMP/knockd.conf" <<CONF
[options]
  logfile = $TMP/knockd.log
  interface = wan0
[open]
  sequence = 7143,4021,9711
  seq_timeout = 10
  tcpflags = syn
  command = /usr/sbin/nft add element inet peer open { %IP% }
CONF
background ip netns exec "$RUN-router" taskset -c 0 knockd -c "$TMP/knockd.conf" >/dev/null 2>&1
await grep -q starting "$TMP/knockd.log"
theirs=$(client $R4 22 "$TRIES" "ip netns exec $RUN-router nft flush set inet peer open" 7143 4021 9711)
echo "{\"name\": \"knockd\", \"result\": $theirs}"
jq -cn --argjson a "$ours" --argjson b "$theirs" '{name: "ratio", p50: ($b.p50_us / $a.p50_us), p99: ($b.p99_us / $a.p99_us)}'
