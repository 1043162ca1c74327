#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A reader of the control socket queues descriptors whose close waits: nobody waits for it.
. "$(dirname "$0")/../harness/lib.sh"

world
serve router 22
config <<<"$FOUR_STEPS"
start
chmod 711 "$TMP"
chgrp 65532 "$TMP/control.sock" # the group of readers
# A TCP connection whose close lingers for a minute, handed on and let go. HOW: one, behind, crowd.
cat >"$TMP/hand_on.py" <<'PY'
import array, os, socket, struct, sys, time
path, how = sys.argv[1:]
os.setgroups([65532]); os.setgid(65532); os.setuid(65531)
listener = socket.socket(); listener.bind(("127.0.0.1", 0)); listener.listen(1)
full = socket.socket(); full.connect(listener.getsockname()); peer, _ = listener.accept()
full.setblocking(False)
for wait in (0, 0.3):
    time.sleep(wait)
    try:
        while True: full.send(b"x" * 65536)
    except BlockingIOError: pass
full.setblocking(True)
full.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 60))
def caller():
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect(path); return s
held = []
try:
    for _ in range(1 if how != "crowd" else 40): # beyond its share: most are turned away, unread
        s = caller(); held.append(s)
        if how == "behind": s.send(b"1 status") # unread: it hangs up meanwhile
        s.sendmsg([b"1 wait"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [full.fileno()]))])
    print("handed on", flush=True)
except PermissionError:
    print("refused by the kernel", flush=True)
except BrokenPipeError: # put out before it could
    print("turned away", flush=True)
full.close()
if how == "behind": [s.close() for s in held]
time.sleep(600)
PY
fine() { # WHAT: root is answered, and a knock opens
  [ "$(in_ns router timeout $((5 * SLOW)) knockctl --json status | jq -r .state)" = enforcing ] || fail "$1: root waits"
  knock_ssh client $R4
  await granted open4 203.0.113.9 22
  ctl close --all >/dev/null
  stays_closed client $R4 22
}
for how in one behind crowd; do
  background ip netns exec "$RUN-router" python3 "$TMP/hand_on.py" "$KNOCKGATE_SOCKET" $how >"$TMP/said"
  await test -s "$TMP/said"
  fine "$how"
  ok "$how: $(cat "$TMP/said"); root is answered, a knock opens"
done
since=$SECONDS
stop
[ $((SECONDS - since)) -lt $((10 * SLOW)) ] || fail "the end waits"
ok "nor does the end of the daemon wait"
