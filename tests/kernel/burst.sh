#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Ten thousand doors' sequences completed in one burst: what one wake-up of the keeper hears is one commit.
# The keeper stands still meanwhile, so that the burst is one on every machine.
. "$(dirname "$0")/../harness/lib.sh"

DOORS=10000
world
in_ns router ip route add 198.18.0.0/15 via 203.0.113.9 dev wan0 onlink # answers to the sources that packets come from
serve router 22
{
  printf '[nflog]\nbuffer = "64MiB"\n' # a stopped keeper stops the engine, too: all reports wait in the socket
  awk -v doors=$DOORS 'BEGIN { for (i = 0; i < doors; ++i)
    printf "[door.d%d]\nopens = [\"tcp/22\"]\nknock = [\"tcp/%d\", \"udp/%d\"]\nfor = \"10m\"\nwithin = \"1m\"\n", i, 10000 + i, 20000 + i }'
} | config
start
number() { ctl --json status | jq -es ".[0].counters.$1"; }
reaches_number() { [ "$(number "$1")" -ge "$2" ]; }

in_ns client packets doors 198.18.0.1 $R4 $DOORS 20000 10000:tcp 2>/dev/null
await reaches_number start $DOORS
[ "$(number opened)" = 0 ] || fail "half a sequence opens"
commits=$(number commits) wakeups=$(number wakeups)
kill -STOP "$DAEMON"
in_ns client packets doors 198.18.0.1 $R4 $DOORS 1000000 20000:udp 2>"$TMP/pace"
kill -CONT "$DAEMON"
begun=$(ms)
await reaches_number opened $DOORS
all_open() { status '(.grants | length) == '$DOORS; }
await all_open
took=$(($(ms) - begun))
commits=$(($(number commits) - commits)) wakeups=$(($(number wakeups) - wakeups))
status '.nflog.lost == 0' || fail "reports were lost"
held=$(in_ns router nft -j list set inet knockgate open4 | jq '[.nftables[].set.elem? // empty | .[]] | length')
[ "$held" = $DOORS ] || fail "the kernel holds $held of $DOORS"
[ $commits -le $wakeups ] || fail "$commits commits in $wakeups wake-ups"
[ $((commits * 20)) -le $DOORS ] || fail "$commits commits for $DOORS opens"
ok "$DOORS doors open in $took ms by $commits commits in $wakeups wake-ups of the keeper ($(cat "$TMP/pace"))"
never logged '^error|<3>' || fail "an error in the log"
