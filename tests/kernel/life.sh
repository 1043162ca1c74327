#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The main job from end to end, short enough for every kernel and processor: the daemon starts, a knock opens, the kernel
# closes, a flush heals.
. "$(dirname "$0")/../harness/lib.sh"

world
serve router 22
serve router 80
config <<<"$FOUR_STEPS
for = \"1h\"
[door.web]
opens = [\"tcp/80\"]
knock = [\"udp/7001\"]
for = \"$((4 * SLOW))s\""
start
for target in $R4 $R6; do
  stays_closed client $target 22
  stays_closed client $target 80
  lets_in_alone $target
  knock_at 7001 client $target
  await reaches client $target 80
done
kill -STOP "$DAEMON"
await refused client $R4 80
await refused client $R6 80
kill -CONT "$DAEMON"
ok "a knock opens for its source alone; the kernel closes, while the daemon stands still"

in_ns router nft flush ruleset
await status '.gate.healed == 1'
for target in $R4 $R6; do
  opens client $target 22
  stays_closed client $target 80
  stays_closed intruder $target 22
done
ok "a flushed ruleset is guarded again, and every grant is back"

stop KILL
stays_closed intruder $R4 22
opens client $R4 22
start
expect '[.grants[].door] == ["ssh", "ssh"]'
knock_at 7001 client $R6
await reaches client $R6 80
ok "a crash closes nothing that is open and opens nothing that is closed"
