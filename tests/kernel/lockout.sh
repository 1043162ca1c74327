#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Nobody is locked out: sessions that were there first, trial guarding and what it proves, off and on, trust, the boot file.
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

# What is off, or on trial, would be guarded for good.
fails_without() { # FILE: of the state, which the daemon cannot read
  local code=0
  chown 65534 "$TMP/state/$1"
  in_ns router timeout $((10 * SLOW)) knockgated --config "$TMP/knockgate.toml" >"$TMP/said" 2>&1 || code=$?
  [ $code = 1 ] && grep -q "$TMP/state/$1 cannot be read: Permission denied; sudo chown -R _knockgate $TMP/state" "$TMP/said" ||
    fail "without $1: exit $code: $(cat "$TMP/said")"
  chown root "$TMP/state/$1"
}

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
echoes() { echo "$1" >&8; read -r -t $((25 * SLOW)) answer <&9 && [ "$answer" = "$1" ]; }
echoes before || fail "the session does not work"
config <<<"$NO_DOOR
[door.echo]
opens = [\"tcp/2222\", \"tcp/22\"]
knock = [\"tcp/7143\", \"udp/12899\", \"tcp/4021\", \"udp/33710\"]"
# Nothing guards a new port unasked: no person at a terminal, no script, no signal.
refuses_reload() { # COMMAND...
  local code=0
  "$@" >"$TMP/said" 2>&1 || code=$?
  [ $code = 2 ] && grep -q 'would guard tcp/22 tcp/2222.*reload --confirm' "$TMP/said" || fail "exit $code: $(cat "$TMP/said")"
  expect '.state == "idle" and .gate.loaded == false and .config.ok'
}
refuses_reload ctl reload </dev/null
refuses_reload script -qec "knockctl reload" /dev/null # on a terminal; all of the router is in reach of its socket
kill -HUP $DAEMON
await logged 'hand verb=reload uid=0 signal=HUP exit=2'
[ "$(count_logged '^reload refused: this would guard tcp/22 tcp/2222')" = 3 ] || fail "not logged as an error: $(cat "$TMP/log")"
expect '.state == "idle" and .gate.loaded == false'
ok "a reload that would guard a new port is refused without --confirm or --now, by SIGHUP too"

ctl reload --confirm $((12 * SLOW))s >"$TMP/said" # all until `unconfirmed` happens meanwhile
grep -q "tcp/22 tcp/2222 guarded from now, for $((12 * SLOW)) s unless confirmed" "$TMP/said" || fail "reload says: $(cat "$TMP/said")"
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
await logged '^trial over: tcp/22 tcp/2222 were not confirmed: unguarded'
ok "unconfirmed in time: the kernel unguards it by itself, and one line says so"
in_ns router knockctl confirm 2>"$TMP/said" && fail "confirmed too late" || true
grep -q 'too late: tcp/22 tcp/2222 are unguarded already' "$TMP/said" || fail "confirm says: $(cat "$TMP/said")"
ctl reload --confirm $((3 * SLOW))s >/dev/null
stop KILL
await reaches intruder $R4 22
start
opens intruder $R4 22
expect '.warnings | map(.code) | index("not-confirmed")'
await eval '[ "$(count_logged "^trial over: tcp/22 tcp/2222 were")" = 2 ]' # one of each trial
stop
start
expect '.warnings | map(.code) | index("not-confirmed")'
[ "$(count_logged "^trial over:")" = 2 ] || fail "told at each start: $(grep 'trial over' "$TMP/log")"
ok "so also when the daemon is killed meanwhile, and the next one leaves it so"

# A trial proves that its users come in, or is not confirmed.
ctl reload --confirm 5m >"$TMP/said"
grep -q 'confirm refuses until each of these ports was opened by a knock' "$TMP/said" || fail "reload says: $(cat "$TMP/said")"
stays_closed intruder $R4 22
unproven() { # PATTERN
  local code=0
  ctl confirm >"$TMP/said" 2>&1 || code=$?
  [ $code = 1 ] && grep -Eq "$1" "$TMP/said" || fail "confirm exits $code: $(cat "$TMP/said")"
  expect '.gate.guarded | map(.confirmed) == [false, false]'
}
unproven 'not opened since the trial began: tcp/22 \(door echo\), tcp/2222 \(door echo\) \(the trial that uid 0 began .* ago\).*from an address that is not in trust: knock'
ctl --json confirm 2>/dev/null | jq -e '.error.code == "unproven"' >/dev/null || fail "not said to a script"
ctl open echo 203.0.113.66 >/dev/null
unproven 'not opened since the trial began: tcp/22'
ctl close echo 203.0.113.9:1 2>/dev/null && fail "another connection is closed" || true
session=$(ctl | sed -n 's/^echo *\(203\.0\.113\.9:[0-9]*\).*/\1/p')
ctl close echo "$session" >"$TMP/said" && grep -q '^1 grant closed' "$TMP/said" || fail "$session: $(cat "$TMP/said")"
ctl close --all >/dev/null
knock_ssh client $R4
await reaches client $R4 22
stop KILL
fails_without unconfirmed
start
ok "confirm refuses until a knock has opened it: neither a hand nor the session proves that"
ctl confirm >"$TMP/said" && grep -q 'guarded for good' "$TMP/said" && grep -q "include \"$TMP/boot.d/\*.nft\"" "$TMP/said" || fail "confirm says: $(cat "$TMP/said")"
expect '(.gate.guarded | map(.confirmed) | all) and .config.boot_file == "ok"'
grep -q 'opened: tcp/22 (203.0.113.9 at door echo), tcp/2222 (203.0.113.9 at door echo)' "$TMP/said" &&
  grep -q 'ended: the trial that uid 0 began .* ago' "$TMP/said" || fail "confirm says: $(cat "$TMP/said")"
ok "after the knock, and a restart, confirm says who came in and whose trial it was; it is permanent and saved"

cp "$TMP/knockgate.toml" "$TMP/before"
config <<<"$(sed -n '/^trust/,$p' "$TMP/before" | sed '1s/^/[gate]\n/')
[door.web]
opens = [\"tcp/80\"]
knock = [\"tcp/1301\", \"udp/1207\", \"tcp/1409\", \"udp/1003\"]
[door.hand]
opens = [\"tcp/8080\"]"
ctl reload --confirm 5m >/dev/null
code=0; ctl confirm >"$TMP/said" 2>&1 || code=$?
[ $code = 1 ] && grep -q 'tcp/80 (door web), tcp/8080 (door hand, by hand).*sudo knockctl open hand ADDRESS' "$TMP/said" || fail "$(cat "$TMP/said")"
ctl open hand 203.0.113.9 >/dev/null
code=0; ctl confirm >"$TMP/said" 2>&1 || code=$?
[ $code = 1 ] && grep -q 'tcp/80 (door web); opened: tcp/8080 (203.0.113.9 at door hand, by hand)' "$TMP/said" || fail "$(cat "$TMP/said")"
ctl confirm --anyway >"$TMP/said" && grep -q 'never opened since, taken on trust: tcp/80' "$TMP/said" || fail "$(cat "$TMP/said")"
expect '.gate.guarded | map(.confirmed) | all'
sed -i 's/"tcp\/80"/"tcp\/80", "tcp\/81"/' "$TMP/knockgate.toml"
ctl reload --confirm 5m >/dev/null
ctl reload --confirm 9m >"$TMP/said" && grep -q '^tcp/81 is on trial already, [45] min left: knockctl confirm$' "$TMP/said" || fail "$(cat "$TMP/said")"
ctl reload --now >"$TMP/said" && grep -q '^tcp/81 guarded for good, its trial is over\.$' "$TMP/said" || fail "$(cat "$TMP/said")"
ctl --json reload | jq -es 'map(select(has("changed"))) == [{changed: false, guarded: [], unguarded: []}]' >/dev/null || fail "not unchanged"
ctl reload | grep -qx 'nothing changed.' || fail "a reload of the same does not say so"
cp "$TMP/before" "$TMP/knockgate.toml"
ctl --json reload | jq -es 'map(select(has("changed"))) == [{changed: true, guarded: [], unguarded: ["tcp/80", "tcp/81", "tcp/8080"]}]' >/dev/null || fail "not changed"
ok "a door without a knock is proven by hand; --anyway takes the rest on trust; reload says whether anything changed"
for line in 'reload uid=0 confirm=5m exit=0' 'confirm uid=0 exit=1' 'confirm uid=0 anyway=1 exit=0' 'save uid=0 exit=0' \
  'open uid=0 door=hand source=203.0.113.9 exit=0' 'close uid=0 all=1 exit=0'; do
  logged "^hand verb=$line\$" || fail "not logged: $line"
done
ok "every change by hand has a line with its uid"

opens lan $R4 22
cp "$TMP/knockgate.toml" "$TMP/before"
sed -i 's/^trust = .*/trust = ["la*"]/' "$TMP/knockgate.toml"
ctl reload --now >/dev/null
opens lan $R4 22
opens lan $R6 22
stays_closed intruder $R4 22
expect '.gate.trust == ["la*"]'
cp "$TMP/before" "$TMP/knockgate.toml"
ctl reload --now >/dev/null
ok "a trusted interface is never asked, by its name or by the beginning of it"

ctl off >/dev/null
opens intruder $R4 22
[ ! -e "$BOOT_FILE" ] || fail "off leaves the boot file"
stop
fails_without off
opens intruder $R4 22
start
expect '.state == "off"'
opens intruder $R4 22
ctl on >/dev/null
stays_closed intruder $R4 22
[ -e "$BOOT_FILE" ] || fail "on does not write the boot file"
ok "off unguards, also over a restart; on guards again; a state that cannot be read ends the start"

# Whatever the configuration has become: off holds over a reboot, or knockctl says why not.
cp "$TMP/knockgate.toml" "$TMP/before"
off_removes() { # PATTERN
  ctl off >"$TMP/said" 2>&1 || fail "off exits $?: $(cat "$TMP/said")"
  [ ! -e "$BOOT_FILE" ] || fail "off leaves the boot file"
  grep -q "$1" "$TMP/said" || fail "off says: $(cat "$TMP/said")"
}
back_on() {
  cp "$TMP/before" "$TMP/knockgate.toml"
  ctl on >/dev/null && [ -e "$BOOT_FILE" ] || fail "on does not write the boot file"
}
off_removes "^off also after a reboot: no $BOOT_FILE\$"
back_on
sed -i 's/^within.*//; $s/$/\nfor = "20s"/' "$TMP/knockgate.toml"
off_removes "if the daemon has no other boot file: no $BOOT_FILE (named by $TMP/knockgate.toml, which is not what runs)"
code=0; ctl on >"$TMP/said" 2>&1 || code=$?
[ $code = 1 ] && grep -q '^on: .*guarded from now' "$TMP/said" && grep -q 'done, but the boot file is not written: .*reload first' "$TMP/said" ||
  fail "on exits $code: $(cat "$TMP/said")"
back_on
mkdir "$TMP/doors.d"; echo 'no toml' >"$TMP/doors.d/x.toml"; chmod 600 "$TMP/doors.d/x.toml"
off_removes "no $BOOT_FILE (named by $TMP/knockgate.toml"
code=0; ctl on >"$TMP/said" 2>&1 || code=$?
[ $code = 78 ] && grep -q 'done, but the boot file is not written: ' "$TMP/said" || fail "on exits $code: $(cat "$TMP/said")"
rm -r "$TMP/doors.d"
back_on
# nothing to be read: the default place, in an /etc of its own
DEFAULT=/etc/knockgate/nftables.d/knockgate.nft
echo 'no toml' >"$TMP/knockgate.toml"
for config in "$TMP/knockgate.toml" /etc/knockgate/knockgate.toml; do
  in_ns router unshare -m bash -c "mount -t tmpfs -o mode=755 none /etc && umask 022 && mkdir -p ${DEFAULT%/*} && touch $DEFAULT &&
    knockctl --config $config off && [ ! -e $DEFAULT ]" >"$TMP/said" 2>&1 || fail "the default place is not tried: $(cat "$TMP/said")"
  grep -q "no $DEFAULT (the default place: $config cannot be used); .*save --config FILE" "$TMP/said" || fail "off says: $(cat "$TMP/said")"
done
cp "$TMP/before" "$TMP/knockgate.toml"
ctl save >"$TMP/said" && [ ! -e "$BOOT_FILE" ] && grep -q 'off also after a reboot: ' "$TMP/said" || fail "save says: $(cat "$TMP/said")"
back_on
ok "off removes the boot file of an edited, broken or missing configuration, and says which; a failure to save has its exit code"

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
