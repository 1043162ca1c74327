#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Grants outlive the daemon, for their time and not longer; reloads lose nothing.
. "$(dirname "$0")/../harness/lib.sh"

world
serve router 22
config <<<"$FOUR_STEPS
for = \"$((12 * SLOW))s\""
start
for host in client intruder internet; do knock_ssh $host $R4; done
await status '.grants | length == 3'
for signal in KILL TERM; do
  before=$(ctl --json status | jq -cs '[.[].grants[] | {door, source, ports, via, opened}] | sort_by(.source)')
  stop $signal
  for host in client intruder internet; do opens $host $R4 22; done
  start
  after=$(ctl --json status | jq -cs '[.[].grants[] | {door, source, ports, via, opened}] | sort_by(.source)')
  # the second in which a grant was opened is rounded anew at each start
  near() { jq -en --argjson a "$before" --argjson b "$after" '[$a, $b] | map(map(del(.opened))) | .[0] == .[1]' >/dev/null; }
  near || fail "before: $before after: $after"
  expect '[.grants[] | .adopted and .left_ms > 0 and .left_ms <= 12000 * '"$SLOW"'] | all and (. | length) == 3'
  ok "SIG$signal: three grants stay open, the next daemon lists them with door and time left"
done
for host in client intruder internet; do await refused $host $R4 22; done
await status '.grants == []'
ok "they end on time"

in_ns client knock $R4 7143:tcp 12899:udp
knock_ssh intruder $R4
await status '.grants | length == 1'
config <<<"$FOUR_STEPS
for = \"$((12 * SLOW))s\"
[door.web]
opens = [\"tcp/8080\"]
knock = [\"tcp/1111\", \"tcp/2222\", \"udp/3333\", \"tcp/999\"]"
ctl reload --now >/dev/null
in_ns client knock $R4 4021:tcp 33710:udp
await status '.grants | length == 2'
ok "a reload with a new door keeps old grants and attempts"

echo 'knok = 1' >>"$TMP/knockgate.toml"
code=0; ctl reload --now >"$TMP/said" 2>&1 || code=$?
[ $code = 78 ] && grep -Eq 'knockgate.toml:[0-9]+:1: error: unknown key "knok".*did you mean "knock"' "$TMP/said" || fail "code $code: $(cat "$TMP/said")"
code=0; ctl --json reload --now >"$TMP/said" 2>&1 || code=$?
[ $code = 78 ] && jq -e '.error | .code == "bad-config" and .line > 0 and .column == 1' "$TMP/said" >/dev/null || fail "json: $(cat "$TMP/said")"
expect '.config.ok == false and (.grants | length) == 2'
ctl close --all >/dev/null
knock_ssh client $R4
await reaches client $R4 22
ok "a broken file: line and column, exit 78, the old config works on"

in_ns router nft flush ruleset
await status '.gate.loaded and .gate.healed == 1'
config <<<"$FOUR_STEPS"
ctl reload --now >/dev/null
expect '.config.ok and .gate.loaded'
in_ns router nft delete table inet knockgate
await status '.gate.loaded and .gate.healed == 2'
stays_closed internet $R4 22
knock_ssh client $R4
await reaches client $R4 22
ctl open ssh 203.0.113.66 --for 30s >/dev/null
opens intruder $R4 22
in_ns router nft delete table inet knockgate
await status '.gate.loaded and .gate.healed == 3 and (.grants | length) == 2'
opens intruder $R4 22
stays_closed internet $R4 22
ok "a table somebody deleted comes back by itself, with what was open"
ctl close ssh 203.0.113.66 >/dev/null
stays_closed intruder $R4 22
ok "open and close by hand"

config <<<'[gate]
trust = ["lan0"]'
ctl reload --now | grep -q 'tcp/22 no longer guarded' || fail "reload does not say what is unguarded"
never in_ns router nft list table inet knockgate 2>/dev/null
opens intruder $R4 22
ok "without a door the table goes"
