#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A hundred thousand grants open at once: status, adoption at start, healing, close --all, and memory.
. "$(dirname "$0")/../harness/lib.sh"
COUNT=${COUNT:-100000}

world
config <<<'[door.many]
opens = ["tcp/22"]
for = "2h"
grants = 131072
[limits]
grants = 131072
[log]
level = "warn"'
many() { in_ns router python3 "${BASH_SOURCE[0]%.sh}.py" "$KNOCKGATE_SOCKET" "$@"; }
ms() { date +%s%3N; }
memory() { awk -v of="$1" '/^Pss:/ {print "{\"name\": \"memory " of "\", \"pss_kib\": " $2 "}"}' "/proc/$DAEMON/smaps_rollup"; }
timed() { local name=$1 begun; shift; begun=$(ms); "$@" >/dev/null; echo "{\"name\": \"$name\", \"ms\": $(($(ms) - begun))}"; }

start
memory "of the keeper without a grant"
many open "$COUNT"
memory "of the keeper with $COUNT grants"
many status
timed "knockctl status" ctl status
timed "knockctl --json" ctl --json
stop KILL
begun=$(ms)
start
echo "{\"name\": \"start, adoption of $COUNT grants included\", \"ms\": $(($(ms) - begun))}"
many status
begun=$(ms)
in_ns router nft flush ruleset
await logged '^healed by='
echo "{\"name\": \"flush ruleset to all back\", \"ms\": $(($(ms) - begun))}"
many status
many close
many status
