#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Signed packets count once: sent again at one instant, after a restart, a kill, a boot; and come in any order.
. "$(dirname "$0")/../harness/lib.sh"
. "$(dirname "$0")/../harness/kn1.sh"

world
kn1_config <<TOML
$(kn1_door ssh 22)
$(kn1_door web 80)
$(kn1_door nas 445)
TOML
start
join alice/laptop --door ssh --door web --door nas
invite bob/pc --psk --door ssh --door web --door nas
devices="alice/laptop bob/pc"
AT=at=now # behind the floor of its key
opened() { [ "$(count_logged "^open door=$2 .*by=$1 ")" = "$3" ]; } # DEVICE DOOR COUNT

# --- at one instant
for device in $devices; do
  for i in $(seq 8); do
    sealed $device >"$TMP/one"
    before=$(judged)
    at_once "$TMP/one"
    await_judged "$before" 4
    expect '.grants | length == 1'
    ctl close ssh >/dev/null
    await opened $device ssh "$i"
  done
done
ok "one packet from four sources at one instant: one is let in"

sealed alice/laptop >"$TMP/kept"
sealed bob/pc >>"$TMP/kept"
sent client $R4 <"$TMP/kept"
for device in $devices; do await grant_now $device ssh 203.0.113.9; done
ctl close --all >/dev/null
fresh_opens() { # NS: an honest packet of each
  local device
  for device in $devices; do
    sealed $device door=ssh $AT | sent client $R6
    await grant_now $device ssh 2001:db8:9::9
  done
  ctl close --all >/dev/null
}
none_again() { # what was kept opens nothing, and what is new does
  local before
  before=$(judged)
  sent intruder $R4 <"$TMP/kept"
  sent client $R4 <"$TMP/kept"
  await_judged "$before" 4
  expect '.grants == [] and .counters.kn1_accepted == 0'
  fresh_opens
}
before=$(kn1_count refused_kn1_replay)
sent intruder $R4 17022 50 <"$TMP/kept"
await status ".counters.refused_kn1_replay == $before + 100"
expect '.grants == []'
fresh_opens
stop
start
none_again
stop KILL
start
none_again
ok "again after a restart, after kill -9: nothing"

# Killed right behind each packet: whatever was done of it, its copy does not do it twice.
for i in $(seq 6); do
  for device in $devices; do sealed $device; done >"$TMP/race"
  sent client $R4 <"$TMP/race"
  sleep 0.00$((2 * i))
  stop KILL
  start
  before=$(judged)
  sent intruder $R4 <"$TMP/race"
  await_judged "$before" 2
  expect '[.grants | group_by(.by)[] | length] | all(. == 1)'
  ctl close --all >/dev/null 2>&1 || true
done
fresh_opens
ok "kill -9 at any moment: a packet opens once, or never"

# --- in any order
for device in $devices; do
  sealed $device >"$TMP/first"
  sealed $device door=web >"$TMP/second"
  sent client $R4 <"$TMP/second"
  await grant_now $device web 203.0.113.9
  sent client $R4 <"$TMP/first"
  await grant_now $device ssh 203.0.113.9
  ctl close --all >/dev/null
  for door in nas ssh web; do sealed $device door=$door; done | sort >"$TMP/three"
  sent client $R4 <"$TMP/three"
  for door in ssh web nas; do await grant_now $device $door 203.0.113.9; done
  before=$(kn1_count refused_kn1_replay)
  cat "$TMP/first" "$TMP/second" "$TMP/three" | sent intruder $R4
  await status ".counters.refused_kn1_replay == $before + 5"
  expect '[.grants[].source] | unique == ["203.0.113.9"]'
  sealed $device >"$TMP/first"
  sealed $device op=close | sent client $R4
  await never grant_now $device ssh 203.0.113.9
  refuses floor client $R4 <"$TMP/first"
  ctl close --all >/dev/null
done
fresh_opens
ok "two in the wrong order, three doors at once: each once; what is older than a close: never"

# --- a boot: the run file is gone, and the table with it
boots() {
  stop
  rm "$TMP/kn1.run"
  in_ns router nft flush ruleset
  "$@"
  start
}
for device in $devices; do sealed $device; done >"$TMP/kept" # never sent before it
refused_all() { # how many of what was kept, and of what is new, are behind the floor
  local before
  before=$(kn1_count refused_kn1_floor)
  cat "$TMP/kept" "$@" | sent intruder $R4
  await status ".counters.refused_kn1_floor >= $before + 2"
  expect '.grants == []'
}
boots true
sealed alice/laptop at=now+29 >"$TMP/new"
refused_all "$TMP/new"
expect '.counters.kn1_accepted == 0' # a minute from the last one accepted
accept_clock() { # what `knockctl clock accept` asks for
  python3 -c 'import socket, sys; s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect(sys.argv[1]); s.send(b"1 clock-accept"); print(s.recv(65536))' "$KNOCKGATE_SOCKET"
}
accept_clock >"$TMP/said"
await status '[.warnings[]? | select(.code == "clock-behind")] == []'
fresh_opens
ok "a boot: nothing older than the last that was accepted, and a minute; clock accept ends that"

# Power failed before the ceiling was on disk: what was sent until the start, and half a minute of clocks that run fast.
AT=at=now+30
boots sed -i "s/^router .*/router 1/" "$TMP/state/kn1.ceiling"
refused_all
fresh_opens
boots rm "$TMP/state/kn1.ceiling"
refused_all
fresh_opens
ok "a boot without its ceiling: nothing from before the start"

# --- without a clock: numbers that ascend
invite carol/box --psk --door ssh --clock none
box() { sealed carol/box at="$1"; } # NUMBER
box_opens() {
  box "$1" | sent client $R4
  await grant_now carol/box ssh 203.0.113.9
  ctl close ssh >/dev/null
}
box_opens 5
refuses replay intruder $R4 < <(box 5)
refuses floor intruder $R4 < <(box 4)
box_opens 6
stop KILL
start
refuses replay intruder $R4 < <(box 6)
box_opens 7
boots true
refuses floor intruder $R4 < <(box 7)
box_opens 8
boots rm "$TMP/state/kn1.ceiling"
refuses state intruder $R4 < <(box 9)
told carol/box state ssh 203.0.113.66
ok "a counter: each number once, over a kill and a boot; without its file none, until the device rotates"
