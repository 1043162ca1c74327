#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Nobody is locked out: sessions that were there first, trial guarding, off and on, trust, the boot file.
. "$(dirname "$0")/../harness/lib.sh"

world
serve router 22
background ip netns exec "$RUN-router" socat TCP6-LISTEN:2222,ipv6only=0,fork,reuseaddr EXEC:cat
await in_ns router socat -u /dev/null TCP4:127.0.0.1:2222
export BOOT_FILE="$TMP/boot.d/knockgate.nft"
NO_DOOR='[gate]
trust = ["lan0"]'
WITH_SSH="$NO_DOOR
$FOUR_STEPS"

config <<<"$NO_DOOR"
start
expect '.state == "idle" and .nflog.groups == [] and .gate.loaded == false'
never in_ns router nft list table inet knockgate 2>/dev/null
in_ns router conntrack -L 2>/dev/null | grep -q . && fail "conntrack is in use without a door"
ok "without a door: no table, no group, no conntrack"

# a session that conntrack knows nothing of
mkfifo "$TMP/in" "$TMP/out"
background ip netns exec "$RUN-client" bash -c "exec 3<>/dev/tcp/$R4/2222; while read -r line; do echo \"\$line\" >&3; read -r answer <&3; echo \"\$answer\"; done" <>"$TMP/in" 1<>"$TMP/out"
exec 8<>"$TMP/in" 9<>"$TMP/out"
echoes() { echo "$1" >&8; read -r -t 5 answer <&9 && [ "$answer" = "$1" ]; }
echoes before || fail "the session does not work"
config <<<"$NO_DOOR
[door.echo]
opens = [\"tcp/2222\", \"tcp/22\"]
knock = [\"tcp/7143\", \"udp/12899\", \"tcp/4021\", \"udp/33710\"]"
ctl reload --confirm $((3 * SLOW))s >"$TMP/said"
grep -q "tcp/22 tcp/2222 guarded from now, for $((3 * SLOW)) s unless confirmed" "$TMP/said" || fail "reload says: $(cat "$TMP/said")"
port=$(sed -n 's/^The connection from 203\.0\.113\.9 port \([0-9]*\) goes on; a new one needs the knock\.$/\1/p' "$TMP/said")
[ -n "$port" ] || fail "reload says: $(cat "$TMP/said")"
echoes after || fail "the connection died"
never in_ns client nc -z -w "$SLOW" $R4 2222 || fail "the connection's source connects again without a knock"
never in_ns intruder nc -z -w 1 $R4 2222 || fail "the intruder reaches the guarded port"
expect ".grants | map(select(.via == \"session\")) | length == 1 and
  (.[0] | .source == \"203.0.113.9\" and .source_port == $port and .ports == [\"tcp/2222\"] and .close == \"on-disconnect\")"
ctl status | grep -q "203.0.113.9:$port" || fail "status does not show the connection"
ok "a connection from before the first door goes on, that flow alone: its source has to knock for another"
expect '.warnings | map(.code) | index("unconfirmed")'
await reaches intruder $R4 22
ok "unconfirmed in time: the kernel unguards it by itself"
in_ns router knockctl confirm 2>/dev/null && fail "confirmed too late" || true
ctl reload --confirm $((3 * SLOW))s >/dev/null
stop KILL
await reaches intruder $R4 22
start
opens intruder $R4 22
expect '.warnings | map(.code) | index("not-confirmed")'
ok "so also when the daemon is killed meanwhile, and the next one leaves it so"

ctl reload --confirm 1m >/dev/null
stays_closed intruder $R4 22
ctl confirm >"$TMP/said" && grep -q 'guarded for good' "$TMP/said" && grep -q "include \"$TMP/boot.d/\*.nft\"" "$TMP/said" || fail "confirm says: $(cat "$TMP/said")"
expect '(.gate.guarded | map(.confirmed) | all) and .config.boot_file == "ok"'
ok "confirm makes it permanent, saves, and prints the include line"

opens lan $R4 22
ok "a trusted interface is never asked"

ctl off >/dev/null
opens intruder $R4 22
[ ! -e "$BOOT_FILE" ] || fail "off leaves the boot file"
stop
start
expect '.state == "off"'
opens intruder $R4 22
ctl on >/dev/null
stays_closed intruder $R4 22
[ -e "$BOOT_FILE" ] || fail "on does not write the boot file"
ok "off unguards, also over a restart; on guards again"

stop
in_ns router nft delete table inet knockgate
opens intruder $R4 22
printf 'flush ruleset\ninclude "%s/*.nft"\n' "$TMP/boot.d" >"$TMP/nftables.conf"
in_ns router nft -f "$TMP/nftables.conf"
stays_closed intruder $R4 22
in_ns router nft -f "$TMP/nftables.conf"
stays_closed client $R4 22
ok "the boot file closes without any daemon"
start
knock_ssh client $R4
await reaches client $R4 22
ok "and a daemon that starts over it opens"
