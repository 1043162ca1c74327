#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Readers of the control socket who take all they get: root is not kept out, and nobody's knock waits for them.
. "$(dirname "$0")/../harness/lib.sh"
READERS=65532 # a group nobody has

world
serve router 22
chmod 711 "$TMP"
install -m 755 "$KNOCKGATE_BUILD/knockctl" "$TMP/" # where others may run it
config <<<"$FOUR_STEPS
for = \"1h\"
enabled = false"
start
chgrp $READERS "$KNOCKGATE_SOCKET"
as() { local uid=$1; shift; in_ns router setpriv --reuid "$uid" --regid $READERS --clear-groups "$@"; }
cat >"$TMP/reader.py" <<'PY'
import os, socket, sys, threading, time
path, what = os.environ["KNOCKGATE_SOCKET"], sys.argv[1]

def connect():
    one = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    one.connect(path)
    return one

def whole(one):
    reply = b""
    while b'{"end":true' not in reply:
        part = one.recv(70000)
        if not part: raise OSError("hung up on")
        reply += part
    return reply

def say(*words):
    print(*words, flush=True)

def mark(name):  # what the script waits for
    open(sys.argv[-1] + "." + name, "w").close()

if what == "hold":  # COUNT FILE: connects and says nothing, until it is told to count who is still there
    held = [connect() for _ in range(int(sys.argv[2]))]
    mark("holds")
    sys.stdin.readline()
    left = busy = 0
    for one in held:
        one.setblocking(False)
        try: busy += b'"exit":75' in one.recv(70000)
        except BlockingIOError: left += 1
    say(left, busy)
elif what == "ask":  # COUNT FILE: connects; told to, all ask; prints how many replies name the address
    held = [connect() for _ in range(int(sys.argv[2]))]
    mark("holds")
    sys.stdin.readline()
    for one in held: one.send(b"1 status")
    mark("asked")
    say(sum(b'"source":"203.0.113.9"' in whole(one) for one in held))
elif what == "hammer":  # COUNT FILE: asks without pause until the file is gone; prints the answers each one got
    answers = [0] * int(sys.argv[2])
    def hammer(i):
        one = connect()
        while os.path.exists(sys.argv[3]):
            one.send(b"1 status")
            answers[i] += b'"exit":0' in whole(one)
            if i == 0 and answers[0] == 1: mark("hammers")
    threads = [threading.Thread(target=hammer, args=(i,)) for i in range(len(answers))]
    for one in threads: one.start()
    for one in threads: one.join()
    say(min(answers), sum(answers))
elif what == "flood":  # FILE: connects without pause until the file is gone
    while os.path.exists(sys.argv[2]):
        try: connect().close()
        except OSError: pass
elif what == "fill":  # FILE: connects until nobody can any more, and stays
    held = []
    while True:
        one = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        one.setblocking(False)
        try: one.connect(path)
        except BlockingIOError: break
        held.append(one)
    mark("holds")
    time.sleep(1000)
PY
# UID WHAT ...: its input comes from $TMP/tell.UID, which is open until `tell`; its output goes to $TMP/said.UID.
reader() {
  local uid=$1; shift
  mkfifo -m 644 "$TMP/tell.$uid" 2>/dev/null || true
  background as "$uid" /usr/bin/python3 "$TMP/reader.py" "$@" <>"$TMP/tell.$uid" >"$TMP/said.$uid" 2>>"$TMP/log"
}
tell() { echo go >"$TMP/tell.$1"; }
said() { await test -s "$TMP/said.$1"; cat "$TMP/said.$1"; }
mkdir -m 777 "$TMP/marks"

sed -i '/^enabled/d' "$TMP/knockgate.toml"
ctl reload --confirm 10m >/dev/null
reader 65531 hold 64 "$TMP/marks/one"
await test -e "$TMP/marks/one.holds"
expect '[.gate.guarded[] | select(.confirmed)] == []'
as 65530 "$TMP/knockctl" status >/dev/null || fail "another reader is kept out"
ctl confirm --anyway >/dev/null 2>&1 || ctl confirm >/dev/null || fail "confirm is kept out"
expect '[.gate.guarded[] | select(.confirmed)] | length == 1'
ctl off >/dev/null; ctl on >/dev/null; ctl close --all >/dev/null
tell 65531
[ "$(said 65531)" = "8 56" ] || fail "of 64 of one user stay, and are told that it is busy: $(said 65531)"
ok "64 idle connections of a reader keep nobody out; 8 of them stay, the oldest ones are told why not"

# Eight of a uid wait for their answers, so none of them makes place for a ninth. Root has a place all the same.
kill -STOP $DAEMON
reader 65531 ask 8 "$TMP/marks/two"
await test -e "$TMP/marks/two.holds"
tell 65531
await test -e "$TMP/marks/two.asked"
background as 65531 "$TMP/knockctl" status >"$TMP/ninth" 2>&1
ninth=$!
# Of those who wait to be accepted, a listener's Recv-Q.
callers() { [ "$(in_ns router ss -Hxl src "$KNOCKGATE_SOCKET" | awk '{ print $3 }')" = "$1" ]; }
await callers 9
kill -CONT $DAEMON
code=0; wait $ninth || code=$?
[ $code = 75 ] && grep -q '^knockgated is busy' "$TMP/ninth" || fail "the ninth: exit $code, $(cat "$TMP/ninth")"
said 65531 >/dev/null
code=0; as 65531 "$TMP/knockctl" --json status >/dev/null || code=$?
[ $code = 0 ] || fail "a place that is free again is not given: exit $code"
ok "a uid whose eight places wait for answers is told exit 75 for the ninth"

# They are connected before the next engine is: what it says comes from a descriptor behind theirs.
old=$(engine); kill -9 "$old"
reader 65531 ask 8 "$TMP/marks/three"
await test -e "$TMP/marks/three.holds"
changed() { local new; new=$(engine) && [ "$new" != "$old" ]; }
await changed
expect '.tracker.attempts == 0' # it runs: it has answered
kill -STOP $DAEMON
knock_ssh client $R4
record() { in_ns router ss -Hxp | awk -v pid="pid=$DAEMON," '$1 == "u_seq" && $3 > 0 && index($0, pid) { found = 1 } END { exit !found }'; }
await record
tell 65531
await test -e "$TMP/marks/three.asked"
kill -CONT $DAEMON
[ "$(said 65531)" = 8 ] || fail "of 8 who asked while a knock waited, so many were answered first: $((8 - $(said 65531)))"
opens client $R4 22
ok "what an engine asks for is done before any request that waits beside it"

took() { local since; since=$(ms); "$@"; echo "$(($(ms) - since)) ms"; }
knocks() { knock_ssh client $R4; await granted open4 203.0.113.9 22; }
ctl close --all >/dev/null
before=$(took knocks)
ctl close --all >/dev/null
touch "$TMP/marks/hammered"
for uid in 65531 65530 65529 65528; do reader $uid hammer 8 "$TMP/marks/hammered"; done
reader 65527 flood "$TMP/marks/hammered"
await test -e "$TMP/marks/hammered.hammers"
for i in 1 2 3 4 5; do
  took=$(took knocks)
  expect '[.grants[] | select(.source == "203.0.113.9")] | length == 1'
  opens client $R4 22
  ctl close --all >/dev/null
  expect '.grants == []'
  ctl open ssh 198.51.100.$i >/dev/null
  expect '[.grants[] | select(.source == "198.51.100.'$i'")] | length == 1'
done
rm "$TMP/marks/hammered"
for uid in 65531 65530 65529 65528; do
  read -r least all <<<"$(said $uid)"
  [ "$least" -gt 0 ] || fail "a reader got no answer"
done
stays_closed intruder $R4 22
knock_ssh intruder $R4
await reaches intruder $R4 22
ok "32 readers who ask without pause, and one who connects without pause: knocks open ($took, alone $before), each reader is answered ($all of one uid), root sees his own change at once"

kill -STOP $DAEMON
reader 65531 fill "$TMP/marks/four"
await test -e "$TMP/marks/four.holds"
code=0; in_ns router timeout -s KILL $((20 * SLOW)) knockgated --config "$TMP/knockgate.toml" 2>"$TMP/second" || code=$?
[ $code = 1 ] && grep -q 'another knockgated runs' "$TMP/second" || fail "a second daemon: exit $code, $(cat "$TMP/second")"
code=0; timeout $((20 * SLOW)) ip netns exec "$RUN-router" knockctl wait --timeout 1s >/dev/null 2>&1 || code=$?
[ $code = 1 ] || fail "wait: exit $code"
code=0; timeout $((50 * SLOW)) ip netns exec "$RUN-router" knockctl status >"$TMP/silent" 2>&1 || code=$?
[ $code = 69 ] && grep -q '^knockgated does not answer' "$TMP/silent" || fail "exit $code: $(cat "$TMP/silent")"
kill -CONT $DAEMON
expect '.state == "enforcing"'
ok "a daemon that is stopped, with no room in its queue: who asks is told that it does not answer"
