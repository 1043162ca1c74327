#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The emergency exit: `knockctl off` by root where no daemon answers.
. "$(dirname "$0")/../harness/lib.sh"

world
serve router 22
export BOOT_FILE="$TMP/boot.d/knockgate.nft" STATE_DIRECTORY="$TMP/state"
mkdir -m 755 "$TMP/boot.d"
chmod 711 "$TMP"
DOOR='[door.ssh]
opens = ["tcp/22"]
knock = ["udp/7001"]
for = "10m"'
config <<<"$DOOR"
in_ns router nft 'add table inet other { chain c { type filter hook input priority 0; tcp dport 4242 accept; }; }'
is_off() {
  opens intruder $R4 22
  never in_ns router nft list table inet knockgate >/dev/null 2>&1
  [ ! -e "$BOOT_FILE" ] || fail "the boot file is there"
  [ -s "$TMP/state/off" ] || fail "off is not remembered"
  in_ns router nft list table inet other | grep -q 4242 || fail "a table of another was changed"
}
begins_again() { # with the daemon that starts off
  start
  opens intruder $R4 22
  expect '.state == "off"'
  ctl on >/dev/null
  stays_closed intruder $R4 22
}
start
ctl save >/dev/null
stop KILL
stays_closed intruder $R4 22
ctl off >"$TMP/said"
grep -q 'table inet knockgate is deleted' "$TMP/said" && grep -q 'no daemon answers' "$TMP/said" || fail "$(cat "$TMP/said")"
is_off
ctl off >"$TMP/said"
grep -q 'there is no table of ours' "$TMP/said" || fail "$(cat "$TMP/said")"
begins_again
ok "a dead daemon: the table, the boot file go, and off is remembered"

ctl save >/dev/null
mkfifo "$TMP/owning"
background ip netns exec "$RUN-router" nft -i <>"$TMP/owning" >/dev/null 2>&1
OWNER=${PIDS##* }
echo 'add table inet aaa { flags owner; comment "turn off: knockctl off"; }' >"$TMP/owning"
await in_ns router nft list table inet aaa
stop KILL
code=0
ctl off >"$TMP/said" 2>&1 || code=$?
[ $code = 1 ] && grep -q 'table inet aaa: .*not permitted' "$TMP/said" || fail "exit $code: $(cat "$TMP/said")"
is_off
kill "$OWNER"
await never in_ns router nft list table inet aaa
begins_again
ok "a table that another process owns, with our comment, keeps no other from going"

stop
for broken in 'typo = 1' 'not toml at all ['; do
  cp "$TMP/knockgate.toml" "$TMP/good"
  echo "$broken" >>"$TMP/knockgate.toml"
  ctl off >"$TMP/said" || fail "$(cat "$TMP/said")"
  opens intruder $R4 22
  [ -s "$TMP/state/off" ] || fail "off is not remembered"
  cp "$TMP/good" "$TMP/knockgate.toml"
  ctl off >/dev/null # which names the boot file
  is_off
  begins_again
  ctl save >/dev/null
  stop
done
ok "a configuration that cannot be read hinders nothing"

stop 2>/dev/null || true
config <<<"$DOOR
[door.web]
opens = [\"tcp/80\"]
knock = [\"udp/7002\"]"
ctl save >"$TMP/said"
grep -q 'tcp/80 is not guarded from boot on' "$TMP/said" || fail "$(cat "$TMP/said")"
grep -q 'guarded { tcp . 22 }' "$BOOT_FILE" && grep -q 'udp . 7002' "$BOOT_FILE" || fail "$(grep element "$BOOT_FILE")"
config <<<"$DOOR"
ok "save without a daemon: what is new, and no port that the file did not guard"

start
kill -STOP "$DAEMON"
stays_closed intruder $R4 22
ctl off >"$TMP/said"
is_off
kill -CONT "$DAEMON"
await status '.state == "off"'
is_off
ctl on >/dev/null
stays_closed intruder $R4 22
ok "a daemon that hangs finds itself off when it goes on"

# What waits in a daemon that hangs, while root turns it off alone.
cat >"$TMP/ask.py" <<'PY'
import socket, sys, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect(sys.argv[1])
s.send(f"1 {sys.argv[2]} at={time.time_ns() // 1000000}".encode())
print("waits", flush=True)
print(s.recv(65536).decode(), flush=True)
PY
asking() { # REQUEST
  python3 "$TMP/ask.py" "$KNOCKGATE_SOCKET" "$1" >"$TMP/asked" &
  ASKING=$! PIDS="$PIDS $!"
  await grep -q waits "$TMP/asked"
}
hangs() { kill -STOP "$DAEMON"; await grep -q '^State:.*T' "/proc/$DAEMON/status"; }
off_elsewhere() { ctl --socket "$TMP/nowhere" off >/dev/null; opens intruder $R4 22; }
goes_on_off() { # WHAT waited: nothing is guarded, until on
  kill -CONT "$DAEMON"
  await status '.state == "off"'
  [ -z "$ASKING" ] || wait "$ASKING"
  expect '.state == "off" and .gate.guarded == []'
  opens intruder $R4 22
  [ -s "$TMP/state/off" ] || fail "$1: off is forgotten"
  ctl on >/dev/null
  stays_closed intruder $R4 22
  [ ! -e "$TMP/state/off" ] || fail "$1: off is remembered"
}
ASKING=
hangs
kill -HUP "$DAEMON"
off_elsewhere
goes_on_off "a signal"
for what in "reload now=1" "reload confirm=10m" "open door=ssh source=203.0.113.9" on; do
  hangs
  asking "$what"
  off_elsewhere
  goes_on_off "$what"
done
grep -q 'root turned it off meanwhile, without the daemon' "$TMP/asked" || fail "$(cat "$TMP/asked")"
ok "nothing that waited in a daemon that hung undoes an off that was done alone"

hangs
off_elsewhere
asking on
kill -CONT "$DAEMON"
wait "$ASKING"
stays_closed intruder $R4 22
[ ! -e "$TMP/state/off" ] || fail "off is remembered: $(cat "$TMP/asked")"
ok "an on that was typed behind it guards, though the daemon hung all the while"

mv "$KNOCKGATE_SOCKET" "$KNOCKGATE_SOCKET.away"
ctl off >/dev/null
mv "$KNOCKGATE_SOCKET.away" "$KNOCKGATE_SOCKET"
await status '.state == "off"'
is_off
ctl on >/dev/null
stays_closed intruder $R4 22
[ ! -e "$TMP/state/off" ] || fail "off is remembered"
ok "a daemon that is well, and cannot be reached, is off, too"

stop
mkdir "$TMP/elsewhere"
rm -rf "$TMP/state/off"
ln -s "$TMP/elsewhere/target" "$TMP/state/off"
ctl off >/dev/null
[ ! -e "$TMP/elsewhere/target" ] && [ -f "$TMP/state/off" ] && [ ! -L "$TMP/state/off" ] || fail "a link in the state directory was followed"
mv "$TMP/state" "$TMP/moved"
ln -s "$TMP/moved" "$TMP/state"
code=0
ctl off >"$TMP/said" 2>&1 || code=$?
[ $code = 1 ] && grep -q "$TMP/state/off" "$TMP/said" || fail "exit $code: $(cat "$TMP/said")"
rm "$TMP/state"
mv "$TMP/moved" "$TMP/state"
chown -R 65533:65533 "$TMP/state"
ctl off >/dev/null
[ "$(stat -c %u:%a "$TMP/state/off")" = 65533:600 ] || fail "the daemon cannot read it: $(stat -c %u:%a "$TMP/state/off")"
chown -R 0:0 "$TMP/state"
ok "no link in the state directory is followed, and the file is the daemon's"

knockctl template embed >"$TMP/embed.nft"
in_ns router nft -f - <<NFT
table inet filter {
  include "$TMP/embed.nft"
  chain input {
    type filter hook input priority filter; policy accept;
    jump knockgate_grants
    ct state established,related accept
    jump knockgate_knocks
  }
  chain theirs { tcp dport 99 accept; }
}
NFT
rm "$TMP/state/off"
NFT_MORE='mode = "embed"
table = "inet filter"'
config <<<"$DOOR"
start
stays_closed intruder $R4 22
stop
ctl off >"$TMP/said"
grep -q 'our sets in table inet filter are empty' "$TMP/said" || fail "$(cat "$TMP/said")"
opens intruder $R4 22
in_ns router nft list chain inet filter theirs | grep -q 99 || fail "the admin's rules were changed"
in_ns router nft -f - <<'NFT'
flush chain inet filter knockgate_grants
delete set inet filter ours_wide
add rule inet filter knockgate_grants th dport @ours meta l4proto . th dport @guarded goto knockgate_guard
add element inet filter ours { 22 }
add element inet filter guarded { tcp . 22 }
NFT
stays_closed intruder $R4 22
ctl off >"$TMP/said" # beside a copy of embed.nft of an older version
opens intruder $R4 22
ok "embed: our sets are emptied, the table is the admin's"

code=0
in_ns router setpriv --reuid 65534 --clear-groups knockctl --config "$TMP/knockgate.toml" off >"$TMP/said" 2>&1 || code=$?
[ $code = 69 ] || fail "another user: exit $code: $(cat "$TMP/said")"
ok "another user than root cannot"

stop 2>/dev/null || true
NFT_MORE=
rm -f "$TMP/state/off"
: | config
start # no door: neither table nor group
sed "s#/control.sock#/second.sock#; s#/state\"#/second\"#" "$TMP/knockgate.toml" >"$TMP/second.toml"
printf '[nflog]\ngroup = 60\n%s\n' "$DOOR" >>"$TMP/second.toml"; chmod 600 "$TMP/second.toml"
ip netns exec "$RUN-router" knockgated --config "$TMP/second.toml" 2>"$TMP/log2" &
SECOND=$! PIDS="$PIDS $!"
await grep -q '^ready' "$TMP/log2"
await logged "table inet knockgate is another daemon's"
stays_closed intruder $R4 22
in_ns router knockctl --socket "$TMP/second.sock" --config "$TMP/second.toml" open ssh 203.0.113.9 >/dev/null
opens client $R4 22
expect '.state == "idle" and [.warnings[].code] == ["healing"]'
stop
code=0
ip netns exec "$RUN-router" timeout 20 knockgated --config "$TMP/knockgate.toml" 2>"$TMP/said" || code=$?
[ $code = 1 ] && grep -q 'bind NFLOG group 60: .*a second knockgated' "$TMP/said" || fail "a start without a door: exit $code: $(cat "$TMP/said")"
opens client $R4 22
stays_closed intruder $R4 22
! grep -q healed "$TMP/log2" || fail "$(cat "$TMP/log2")"
kill -KILL "$SECOND"; wait "$SECOND" 2>/dev/null || true
start
await never in_ns router nft list table inet knockgate
opens intruder $R4 22
ok "without a door: a table of a daemon that lives is left alone, one that no process listens to goes"

stop
config <<<"$DOOR"
chmod 755 "$TMP" "$TMP/state"
background setpriv --reuid 65534 --clear-groups flock -Fx "$TMP/state" sleep 600
taken() { ! flock -n "$TMP/state" true; }
await taken
start
stays_closed intruder $R4 22
[ "$(stat -c %a "$TMP/state/lock")" = 600 ] || fail "others may open the lock"
sed "s#/control.sock#/second.sock#" "$TMP/knockgate.toml" >"$TMP/second.toml"; chmod 600 "$TMP/second.toml"
second_is_refused() { # WHY, a pattern
  local code=0
  ip netns exec "$RUN-router" timeout 20 knockgated --config "$TMP/second.toml" 2>"$TMP/said" || code=$?
  [ $code = 1 ] && grep -q "$1" "$TMP/said" || fail "exit $code: $(cat "$TMP/said")"
}
second_is_refused "another knockgated runs with the state directory $TMP/state"
ok "a state directory that others may read: another user locks it in vain, a second daemon is refused"

of_second() { # the configuration, but for socket, state and groups
  sed "s#/control.sock#/second.sock#; s#/state\"#/second\"#" "$TMP/knockgate.toml" >"$TMP/second.toml"
  printf '[nflog]\ngroup = 60\n' >>"$TMP/second.toml"
  chmod 600 "$TMP/second.toml"
}
stop
of_second
STATE_DIRECTORY="$TMP/second" in_ns router knockctl --config "$TMP/second.toml" off >/dev/null # alone: remembered
start
second_is_refused 'bind NFLOG group 40: .*a second knockgated'
stays_closed intruder $R4 22
! logged healed || fail "a daemon that is off took the table of another"
ok "off: the table of a daemon that lives is left alone"

stop
in_ns router nft delete table inet knockgate
in_ns router nft -f - <<NFT
table inet filter {
$(knockctl template embed)
  chain input {
    type filter hook input priority filter; policy accept;
    tcp dport 4242 log group 5
    jump knockgate_grants
    jump knockgate_knocks
  }
}
NFT
NFT_MORE='mode = "embed"
table = "inet filter"'
config <<<"$DOOR"
start
stays_closed intruder $R4 22
of_second
sed -i '/^\[door/,/^for/d' "$TMP/second.toml"
rm -f "$TMP/second/off"
second_is_refused 'bind NFLOG group 40: .*a second knockgated'
stays_closed intruder $R4 22
! logged healed || fail "a daemon without a door emptied the sets of another"
ok "embedded, without a door: the sets of a daemon that lives are left alone"

stop
rm -f "$TMP/state/off" "$TMP/second/off"
gate_named() { # [nft] of another time, as after an edit and `systemctl restart`
  NFT_MORE=$1
  cp "$TMP/state/applied" "$TMP/applied"
  config <<<"$DOOR"
  cp "$TMP/applied" "$TMP/state/applied"
  start
  stays_closed intruder $R4 22
  ctl open ssh 203.0.113.9 >/dev/null
  opens client $R4 22
  ctl off >/dev/null
  opens intruder $R4 22
  ctl on >/dev/null
  stop
}
for named in 'table = "inet other_name"' "$NFT_MORE" '' 'table = "inet other_name"'; do gate_named "$named"; done
NFT_MORE=
cp "$TMP/state/applied" "$TMP/applied"
: | config
cp "$TMP/applied" "$TMP/state/applied"
start
opens intruder $R4 22
ok "another [nft] table or mode, also without a door: what the one before guarded is free, so grants and off open"
