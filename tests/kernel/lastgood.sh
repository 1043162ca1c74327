#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The configuration that was applied last: it runs where the files cannot be used, and a start guards nothing new.
. "$(dirname "$0")/../harness/lib.sh"

world
serve router 22
serve router 80
SSH='[door.ssh]
opens = ["tcp/22"]
knock = ["udp/7001"]
for = "10m"'
WEB='[door.web]
opens = ["tcp/80"]
knock = ["udp/7002"]'
# Another configuration than was applied; config() begins anew.
edit() { cp "$TMP/state/applied" "$TMP/applied"; config; cp "$TMP/applied" "$TMP/state/applied"; }
config <<<"$SSH"
start
stays_closed intruder $R4 22
ctl open ssh 203.0.113.9 >/dev/null
[ "$(stat -c %a "$TMP/state/applied")" = 600 ] || fail "others may read the knocks"
stop

edit <<<"$SSH
typo = 1"
start
stays_closed intruder $R4 22
opens client $R4 22
knock_at 7001 internet $R4
await reaches internet $R4 22
expect '(.config.ok | not) and (.config.error | test(":11:1:.*typo")) and (.warnings | map(select(.code == "config" and (.text | test("applied last")))) | length == 1)'
logged 'the configuration applied last runs' || fail "not logged"
code=0
ctl reload --now >"$TMP/said" 2>&1 || code=$?
[ $code = 78 ] || fail "reload of a bad file: $code $(cat "$TMP/said")"
expect '.config.ok | not'
stop
start
stays_closed intruder $R4 22
edit <<<"$SSH"
ctl reload --now >/dev/null
expect '.config.ok and (.warnings | map(.code) | index("config") == null)'
ok "bad files at a start: what was applied last runs, status says so, and good files end it"

stop
mv "$TMP/knockgate.toml" "$TMP/away"
export STATE_DIRECTORY=$TMP/state
start
stays_closed intruder $R4 22
stop
mv "$TMP/away" "$TMP/knockgate.toml"
for damage in '' '{' '{"files": [{}], "boot": ""}'; do
  echo "$damage" >"$TMP/state/applied"
  echo 'typo = 1' >"$TMP/knockgate.toml"
  code=0
  ip netns exec "$RUN-router" timeout 20 knockgated --config "$TMP/knockgate.toml" 2>"$TMP/said" || code=$?
  [ $code = 78 ] || fail "exit $code: $(cat "$TMP/said")"
done
unset STATE_DIRECTORY
ok "no file at all: what was applied last runs; without that, exit 78"

config <<<"$SSH"
mkdir -p "$TMP/doors.d"
for half in 1 2; do
  awk -v f=$half 'BEGIN { for (i = 0; i < 4990; i++) printf "[door.d%d-%d]\nopens = [\"tcp/%d\"]\nknock = [\"udp/7%03d\", \"tcp/%d\", \"udp/%d\"]\nwithin = \"10s\"\nfor = \"30s\"\n", f, i, 10000 + i, i % 1000, 20000 + i, 30000 + i + 5000 * f }' >"$TMP/doors.d/$half.toml"
done
chmod 600 "$TMP"/doors.d/*
start
await test "$(stat -c %s "$TMP/state/applied")" -gt 1100000
stop
edit <<<"$SSH
typo = 1"
start
stays_closed intruder $R4 22
stop
rm -r "$TMP/doors.d"
ok "a configuration of more than a megabyte comes back whole"

config <<<"$SSH"
start
stop
mkdir "$TMP/full"
cp -p "$TMP/state"/* "$TMP/full"
mount -t tmpfs -o size=64k none "$TMP/state"
trap 'umount -l "$TMP/state" 2>/dev/null; cleanup' EXIT
cp -p "$TMP/full"/* "$TMP/state"
dd if=/dev/zero of="$TMP/state/fill" bs=4k count=100 2>/dev/null || true
edit_in_place() { printf '%s\n' "$WEB" >>"$TMP/knockgate.toml"; }
edit_in_place
in_ns router nft flush ruleset
start
stays_closed intruder $R4 22
opens intruder $R4 80
full='.warnings | map(select(.code == "state" and (.text | test("not remembered.*No space left")) and (.run | startswith("df -h ")))) | length'
await status "$full == 1"
ctl reload --now >"$TMP/said"
grep -q 'not remembered, a restart goes by what was applied before: write .*: No space left' "$TMP/said" || fail "$(cat "$TMP/said")"
stays_closed intruder $R4 80
rm "$TMP/state/fill"
await status "$full == 0"
stop
ok "a full disk is no reason not to guard, and status says what is not remembered, as long as it lasts"

# A boot while the disk is full: its id is written in place.
sed -i 's/"boot": ".*"/"boot": "00000000-0000-4000-8000-000000000000"/' "$TMP/state/applied"
dd if=/dev/zero of="$TMP/state/fill" bs=4k count=100 2>/dev/null || true
in_ns router nft flush ruleset
echo >>"$TMP/knockgate.toml" # and the configuration is another text
start
ctl open ssh 203.0.113.9 >/dev/null
await status "$full == 1"
stop
start
opens client $R4 22
expect '.grants | length == 1'
stop KILL
start
opens client $R4 22
stop
umount "$TMP/state"
trap cleanup EXIT
ok "behind a boot with a full disk a restart keeps what is open"

config <<<"$SSH"
start
stop
edit <<<"$SSH
$WEB"
start
stays_closed intruder $R4 22
opens intruder $R4 80
expect '.gate.guarded == [{"port": "tcp/22", "confirmed": true}] or (.gate.guarded | map(.port) == ["tcp/22"])'
expect '.warnings | map(select(.code == "not-confirmed" and (.text | test("tcp/80")))) | length == 1'
logged 'not guarded until .*: tcp/80' || fail "not logged"
stop
start
opens intruder $R4 80
[ "$(count_logged 'trial over')" = 0 ] || fail "there was no trial"
ctl reload >/dev/null
opens intruder $R4 80
ctl reload --now >/dev/null
stays_closed intruder $R4 80
stop
start
stays_closed intruder $R4 80
ok "a start guards no port that is new since, and a second one does not either, until a reload says so"

ctl open ssh 203.0.113.9 >/dev/null
stop
sed -i 's/"boot": ".*"/"boot": "another"/' "$TMP/state/applied"
start
expect '.grants == []'
await refused client $R4 22
ok "behind a boot no grant is taken over: a saved ruleset brought it"

stop 2>/dev/null || true
rm -rf "$TMP/state/off"
mkdir "$TMP/state/off"
code=0
ip netns exec "$RUN-router" timeout 20 knockgated --config "$TMP/knockgate.toml" 2>"$TMP/said" || code=$?
[ $code != 0 ] && grep -q "sudo mv $TMP/state/off $TMP/state/off.bad" "$TMP/said" || fail "exit $code: $(cat "$TMP/said")"
mv "$TMP/state/off" "$TMP/state/off.bad"
start
ok "a directory in the place of a state file: what to type is said, and helps"

stop
rm -f "$TMP/state/lock"
mkfifo "$TMP/state/lock"
start
ok "nor does a pipe in the place of the lock stop a start"
