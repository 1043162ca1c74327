#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Users, devices and keys change while doors are open: what ends, ends at once, and what stays, stays.
LEAKS=1
. "$(dirname "$0")/../harness/lib.sh"
. "$(dirname "$0")/../harness/kn1.sh"

world
serve router 22
chatter router 80
dead_session() { ! kill -0 "${HELD[session]}" 2>/dev/null; }
kn1_config <<TOML
$(kn1_door ssh 22)
max = "20m"
$(kn1_door web 80)
TOML
start
join alice/laptop --door ssh
join alice/pad
invite bob/pc --psk --door ssh
AT=at=now # later where a start was: stamps count from half a minute behind it
knocks() { # USER/DEVICE [NS [KEY=VALUE...]]
  sealed "$1" $AT "${@:3}" | sent "${2:-client}" $R4
  await grant_now "$1" ssh "$(address_of "${2:-client}" $R4)"
}
out() { sealed "$1" $AT "${@:3}" | refuses "$2" client $R4; } # USER/DEVICE REASON [KEY=VALUE...]
granted_to() { await status "[.grants[].by] | sort == $1"; }
reload() { ctl reload --now >"$TMP/said" 2>&1 || fail "$(cat "$TMP/said")"; }
users=$TMP/users.d

# --- what is told
said() { local line; for line; do grep -qE -- "$line" "$TMP/said" || fail "not said: $line: $(cat "$TMP/said")"; done; }
ctl clock accept >"$TMP/said"
said '^now is 20..-..-.. ..:.., and so were signed packets: nothing was to do\.$'
invite dave/pc --psk --door ssh
chmod 777 "$users" # who may write into it is nobody's business to let in
cp "$users/alice.toml" "$users/carol.toml"
sed -i 's/alice/carol/' "$users/carol.toml"
! ctl reload --now >"$TMP/said" 2>&1 || fail "a directory that anybody may write is taken"
said 'users.d: error: anybody may write into it \(mode 0777\)'
ctl user remove dave >/dev/null 2>&1 || true # the daemon reads users anew
! ctl user show dave >/dev/null 2>&1 || fail "dave is not out"
! ctl user show carol >/dev/null 2>&1 || fail "carol let himself in"
chmod 700 "$users"
rm "$users/carol.toml"
reload
mv "$TMP/kn1.key" "$TMP/lost.key"
! ctl invite alice/late >"$TMP/said" 2>&1 || fail "an invite without the key that runs"
said "there is no $TMP/kn1.key, and by it 3 devices were invited; put it back"
[ ! -e "$TMP/kn1.key" ] || fail "another key was made"
mv "$TMP/lost.key" "$TMP/kn1.key"
knocks alice/pad
ctl close --all >/dev/null
ok "a clock that is right, a directory of everybody, a key that is gone: said, and nothing changes"

# --- removal
knocks alice/laptop client
knocks alice/pad intruder
ctl device remove alice/laptop >"$TMP/said"
said 'alice/laptop is out, 1 grant closed\.$'
stays_closed client $R4 22
opens intruder $R4 22
granted_to '["alice/pad"]'
logged '^close door=ssh source=203.0.113.9 .*reason=revoked' || fail "no audit line"
logged '^device-remove device=alice/laptop .*uid=0' || fail "no line"
out alice/laptop kid
ok "device remove: its grant ends, its packets are of nobody; others stay"

invite dave/pc --psk --door web
sealed dave/pc door=web | sent client $R4
await grant_now dave/pc web 203.0.113.9
hold session client $R4 80
ctl device remove dave/pc >"$TMP/said"
said 'dave/pc is out, 1 grant closed; 1 connection lives on\.$'
end=$(sed -n 's/^to end what lives on: sudo knockctl //p' "$TMP/said")
[ "$end" = 'close web 203.0.113.9 --cut' ] || fail "not what ends it: $end"
goes_on session
# shellcheck disable=SC2086
ctl $end >/dev/null
await dead_session
ok "device remove says what lives on, and the line that ends it"

knocks bob/pc
echo 'this is no toml [' >"$users/carol.toml"
ctl device remove alice/pad >"$TMP/said" 2>&1 || fail "$(cat "$TMP/said")"
granted_to '["bob/pc"]'
stays_closed intruder $R4 22
out alice/pad kid
rm "$users/carol.toml"
join alice/laptop
knocks alice/laptop intruder
knocks bob/pc
stop
mv "$users/bob.pc.toml" "$TMP/bob.pc.toml" # by hand, while we are down
echo 'nor this' >"$users/carol.toml"
start
granted_to '["alice/laptop"]'
out bob/pc kid
out alice/pad kid
AT=at=now+30
knocks alice/laptop intruder
rm "$users/carol.toml"
mv "$TMP/bob.pc.toml" "$users"
reload
knocks bob/pc client
ok "with a broken file beside it, too, and over a restart: who is removed is out"

# --- off, and until
sed -i '1a enabled = false' "$users/bob.pc.toml"
reload
granted_to '["alice/laptop"]'
out bob/pc user
sed -i '/^enabled/d' "$users/bob.pc.toml"
reload
knocks bob/pc
sed -i '1a enabled = false' "$users/alice.toml"
reload
granted_to '["bob/pc"]'
out alice/laptop user
sed -i '/^enabled/d' "$users/alice.toml"
reload
knocks alice/laptop
ok "enabled = false of a device, of a user: refused, and what it opened ends"

until_in() { date -u -d "+$1 seconds" +%Y-%m-%dT%H:%M:%SZ; } # SECONDS
sed -i "1a until = $(until_in 3600)" "$users/bob.pc.toml"
reload
granted_to '["alice/laptop","bob/pc"]'
sed -i "s/^until.*/until = $(until_in $((4 * SLOW)))/" "$users/bob.pc.toml"
reload
granted_to '["alice/laptop"]'
logged '^close door=ssh .*by=bob/pc .*reason=revoked' || fail "no audit line"
knocks bob/pc
expect 'all(.grants[]; .by != "bob/pc" or .cap_ms <= '$((4000 * SLOW))')'
granted_to '["alice/laptop"]' # its end comes by itself
out bob/pc dates
ctl user show bob >"$TMP/said"
said 'bob/pc was refused .*, from 203\.0\.113\.9: dates: before its from, or behind its until'
sed -i '/^until/d' "$users/bob.pc.toml"
reload
knocks bob/pc
ok "until, shortened: what lasts longer ends, no grant outlasts it, and then nothing opens"

# --- keys
ctl key rotate --grace 1h >"$TMP/said"
knocks bob/pc client at=now+30 # by the former key
ctl device line bob/pc >"$TMP/said"
former=${LINE[bob/pc]}
LINE[bob/pc]=$(line_said)
[ "${LINE[bob/pc]}" != "$former" ] || fail "the line is as it was"
knocks bob/pc intruder
ctl close --all >/dev/null
knocks bob/pc client server=1 # the line has both
knocks alice/laptop
ctl key rotate --grace 0s >"$TMP/said"
out bob/pc kid
out alice/laptop kid
for device in bob/pc alice/laptop; do
  ctl device line $device >"$TMP/said"
  LINE[$device]=$(line_said)
  knocks $device
done
stop
start
knocks bob/pc
knocks alice/laptop
ok "key rotate: both count until the grace is over, then the new one alone"

ctl device rotate bob/pc --grace 1h >"$TMP/said"
NEW=$(line_said)
knocks bob/pc
LINE[bob/old]=${LINE[bob/pc]} LINE[bob/pc]=$NEW
ctl close --all >/dev/null
knocks bob/pc
join carol/tab --door ssh
ctl device rotate carol/tab --grace 1h >"$TMP/said"
said 'its new key opens nothing before it is back' '^Until .* it opens by the key it had '
knocks carol/tab
ctl user list >"$TMP/said"
said '^carol +tab +kn1 +ssh +[^-].* invited, [67] d left, old key until 20..-..-.. ..:..$'
ctl user remove carol >/dev/null
ctl device rotate alice/laptop --grace 0s >"$TMP/said"
NEW=$(line_said)
out alice/laptop kid
LINE[alice/laptop]=$NEW
out alice/laptop signature # invited anew
ctl device add "$(answered alice/laptop "$(seed_of new)")" >/dev/null
knocks alice/laptop client seed="$(seed_of new)"
ctl device remove bob/pc >/dev/null
out bob/old kid
out bob/pc kid
ok "device rotate: the former key counts until its grace is over; who is removed is out by both"

# --- addresses
invite carol/pad --psk --door ssh
sed -i '1a addresses = 2' "$users/carol.pad.toml"
reload
ctl close --all >/dev/null
for ns in client intruder internet; do knocks carol/pad $ns; done
expect '[.grants[].source] | sort == ["198.51.100.7","203.0.113.66"]'
stays_closed client $R4 22
logged '^close door=ssh source=203.0.113.9 .*reason=addresses' || fail "no audit line"
knocks carol/pad intruder # again: it has it already
expect '[.grants[].source] | sort == ["198.51.100.7","203.0.113.66"]'
opens internet $R4 22
ok "addresses: one more closes the oldest"

invite carol/once --psk --door ssh --openings 2
knocks carol/once
sealed carol/once | sent client $R6 # over both families: one opening
await grant_now carol/once ssh 2001:db8:9::9
for i in 1 2; do
  ctl close --all >/dev/null
  stop
  start
  [ $i = 2 ] || knocks carol/once
done
out carol/once openings
knocks carol/pad
ok "openings: as often as it may in all, over restarts"

# --- keys that the service manager hands out
stop
mkdir -m 700 "$TMP/credentials"
mv "$TMP/kn1.key" "$TMP/credentials/"
export CREDENTIALS_DIRECTORY=$TMP/credentials
start
unset CREDENTIALS_DIRECTORY
ctl key rotate --grace 1h >"$TMP/new" 2>"$TMP/told" || fail "$(cat "$TMP/told")"
[ ! -e "$TMP/kn1.key" ] || fail "a file was made"
knocks alice/laptop client seed="$(seed_of new)"
grep -q 'systemd-creds encrypt' "$TMP/told" || fail "$(cat "$TMP/told")"
grep -q 'before that date: alice/laptop ' "$TMP/told" || fail "who needs a new line is not said"
{ cat "$TMP/new"; sed "/^made/a until = $(sed -n 's/^ *until = //p' "$TMP/told")" "$TMP/credentials/kn1.key"; } >"$TMP/sealed"
mv "$TMP/sealed" "$TMP/credentials/kn1.key"
stop
! ctl invite alice/late >"$TMP/said" 2>&1 || fail "an invite without its key"
said 'and knockgated, which may have it sealed, does not answer; start it'
[ ! -e "$TMP/kn1.key" ] || fail "a second key was made"
export CREDENTIALS_DIRECTORY=$TMP/credentials
start
unset CREDENTIALS_DIRECTORY
knocks alice/laptop client seed="$(seed_of new)" # by the former key
ctl device line alice/laptop >"$TMP/said" || fail "$(cat "$TMP/said")"
LINE[alice/laptop]=$(line_said)
ctl close --all >/dev/null
knocks alice/laptop client seed="$(seed_of new)"
ctl close --all >/dev/null
knocks alice/laptop client seed="$(seed_of new)" server=1
ok "sealed keys: rotate prints what the file needs, and writes nothing"
