#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The client where its surroundings fail: signals, closed descriptors, readers that are gone, disks, paths and clocks of others.
. "$(dirname "$0")/../harness/lib.sh"
. "$(dirname "$0")/../harness/kn1.sh"
. "$(dirname "$0")/../harness/client.sh"

router_with <<TOML
[door.ssh]
opens = ["tcp/22"]
kn1 = true
for = "$((3 * SLOW))s"
$(kn1_door web 80)
[door.dns]
opens = ["udp/53"]
kn1 = true
for = "10m"
TOML
ctl user add alice --door ssh --door web --door dns >/dev/null
joins client home alice/laptop --host $R4
open_for() { status "any(.grants[]; .door == \"$1\" and .source == \"203.0.113.9\" and .left_ms > 0)"; } # DOOR
shut() { status "all(.grants[]; .door != \"$1\")"; }
kg_on client
running() { # NAME WORDS...: in the background, its process is PID[NAME]
  local name=$1; shift
  "${KG[@]}" "$@" >"$TMP/$name.out" 2>"$TMP/$name.err" <&0 &
  PID[$name]=$!
  PIDS="$PIDS $!"
}
declare -A PID
jiffies() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }

# --- keep -- COMMAND ends when the command does, and until then the door stays open
cat >"$TMP/deaf" <<'SH'
#!/bin/bash
trap 'echo heard >>"$1"' TERM
while [ ! -e "$1.end" ]; do sleep 0.1; done
exit 7
SH
chmod 755 "$TMP/deaf"
running deaf keep home ssh -- "$TMP/deaf" "$TMP/signals"
await open_for ssh
await pgrep -f "$TMP/deaf $TMP/signals"
for count in 1 2; do
  kill -TERM "${PID[deaf]}"
  heard() { [ "$(grep -c heard "$TMP/signals" 2>/dev/null)" -ge "$1" ]; }
  await heard $count
done
spent=$(jiffies "${PID[deaf]}")
began=$(ms)
longer() { [ $(($(ms) - began)) -gt $((6000 * SLOW)) ]; }
kept_open() { open_for ssh || fail "it is shut under its command"; longer; }
await kept_open
[ $(($(jiffies "${PID[deaf]}") - spent)) -lt 100 ] || fail "it spins"
touch "$TMP/signals.end"
code=0; wait "${PID[deaf]}" || code=$?
[ $code = 7 ] || fail "exit $code, not that of the command"
await shut ssh
ok "a command that lives on behind a signal keeps its door, hears each, and keep does not spin"

# --- a path that was dead for longer than the door is open
running keeper keep home ssh
await open_for ssh
in_ns router nft 'table inet dead { chain pre { type filter hook prerouting priority -500; udp dport 17022 drop; }; }'
await shut ssh
in_ns router nft delete table inet dead
await open_for ssh
# Another that ends while it opens closes nothing of this one.
running second keep home dns
await open_for dns
running third keep home dns
await grep -q dns "$TMP/second.out"
kill -TERM "${PID[third]}"
wait "${PID[third]}" || true
open_for dns || fail "one that ended while it opened closed the door of another"
kill -TERM "${PID[second]}" "${PID[keeper]}"
wait "${PID[second]}" "${PID[keeper]}" || fail "keep ends with $?"
await shut dns
await shut ssh
ok "keep opens again behind an outage, and closes what no other keeps"

# --- descriptors that are closed, full, or read by nobody
code=0; kg client open nosuch 2>&- || code=$?
[ $code = 2 ] || fail "without stderr: exit $code"
code=0; kg client open nosuch 2>/dev/full || code=$?
[ $code = 2 ] || fail "with a full stderr: exit $code"
code=0; kg client list >/dev/full 2>"$TMP/cried" || code=$?
[ $code = 1 ] && cries 'No space left on device' || fail "with a full stdout: exit $code: $(cat "$TMP/cried")"
code=0; kg client connect $R4 80 >&- <&- 2>"$TMP/cried" || code=$?
[ -z "$(find "$(as client)" -name '*.hold' -size +0)" ] || fail "a file of its own was written to in place of stdout"
await shut web
ok "without stdin, stdout or stderr it says what it can, and writes into no file of its own"

# --- what opened and was not seen to is closed, too
in_ns router nft 'table inet dead { chain out { type filter hook output priority -500; tcp sport 80 drop; }; }'
kg_ends 1 client connect $R4 80 --timeout 2s
await logged '^open door=web .*by=alice/laptop'
await shut web
count_opened() { count_logged '^open door=web .*by=alice/laptop'; }
opened=$(count_opened)
kg_ends 1 client keep home web --timeout 2s
[ "$(count_opened)" -gt "$opened" ] || fail "keep opened nothing"
await shut web
in_ns router nft delete table inet dead
ok "a connect that fails leaves no door open, nor does a keep"

# --- signals
in_ns router nft 'table inet dead { chain pre { type filter hook prerouting priority -500; udp dport 17022 counter drop; }; }'
running early keep home web --timeout 60s -- touch "$TMP/ran"
knocked() { in_ns router nft list table inet dead | grep -q 'counter packets [1-9]'; }
await knocked
kill -TERM "${PID[early]}"
code=0; wait "${PID[early]}" || code=$?
[ $code = 143 ] && [ ! -e "$TMP/ran" ] || fail "its command never ran, and it ends with $code"
in_ns router nft delete table inet dead
KG=(ip netns exec "$RUN-client" env --ignore-signal=HUP "${KG[@]:4}")
running nohup keep home web
kg_on client
await open_for web
kill -HUP "${PID[nohup]}"
kill -TERM "${PID[nohup]}"
wait "${PID[nohup]}" || fail "keep ends with $?"
await shut web
ok "a signal before the command begins, and one that nohup ignores"

# --- files
chmod 0777 "$(profiles client)"
kg_ends 77 client open home web
cries "$(profiles client) may be written by others (mode 0777); chmod 0700 $(profiles client)"
chmod 0700 "$(profiles client)"
states=$(as client)/.local/state/knockgate
mount -t tmpfs -o ro none "$states"
code=0; kg client open home web >"$TMP/said" 2>"$TMP/cried" || code=$?
umount "$states"
[ $code = 0 ] || fail "without a place for its state: $(cat "$TMP/cried")"
cries 'Read-only file system'
says '^web open at '
kg client close home web >/dev/null
await shut web
mount -t tmpfs -o ro none "$states"
code=0; kg client connect $R4 80 </dev/null >"$TMP/said" 2>"$TMP/cried" || code=$?
umount "$states"
[ $code = 0 ] || fail "without a place for its hold: exit $code: $(cat "$TMP/cried")"
cries 'Read-only file system'
says '^hello from 80'
await shut web
exec {lock}<>"$states/home.lock"
flock "$lock"
began=$(ms)
kg_ends 0 client open home web --timeout 5s
exec {lock}>&-
cries "lock $states/home.state: Resource temporarily unavailable"
kg client close home web >/dev/null
await shut web
joins client counter alice/pad --clock none --host $R6
kg client open counter web >/dev/null
await status 'any(.grants[]; .by == "alice/pad")'
rm "$states/counter.state"
kg_ends 1 client open counter web
cries 'the last stamp of this device'
cries 'knockctl device rotate'
[ ! -e "$states/counter.state" ] || fail "a counter begins anew by itself"
ok "a directory of others, a disk that takes nothing, a lock that is never let go, a counter that is lost"

# --- a terminal that shows letters again
for signal in INT TERM; do
  rm -f "$TMP/keys"; mkfifo "$TMP/keys"; : >"$TMP/screen"
  kg_on client
  script -qefc "stty -F /dev/tty echo; $(printf '%q ' "${KG[@]/#setsid/env}") join; stty -F /dev/tty -a" "$TMP/screen" <"$TMP/keys" >/dev/null &
  PIDS="$PIDS $!"
  exec 7>"$TMP/keys"
  await grep -q 'Paste the line' "$TMP/screen"
  asks() { pgrep -f "knockgate join\$" | while read -r pid; do [ "$(ip netns identify "$pid")" = "$RUN-client" ] && [ "$(cat "/proc/$pid/comm")" = knockgate ] && echo "$pid"; done; }
  for pid in $(asks); do kill -$signal "$pid"; done
  await grep -qE '(^| )echo( |$)' "$TMP/screen"
  exec 7>&-
done
ok "a question that a signal ends leaves the terminal as it was"
