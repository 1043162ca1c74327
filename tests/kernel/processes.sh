#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Each process is killed or stopped in turn while people knock: grants stay, and soon new knocks open again.
. "$(dirname "$0")/../harness/lib.sh"
export WATCHDOG_USEC=$((2000000 * SLOW))

world
serve router 22
config <<<"$FOUR_STEPS
for = \"1h\"
run = [\"/bin/sleep\", \"100\"]
cooldown = \"1s\"
[runner]
time = \"10m\"
[limits]
per_source = 1024"
start
for i in $(seq 100 250); do in_ns client ip addr add 203.0.113.$i/32 dev eth0 2>/dev/null || true; done
in_ns router ip route add 203.0.113.0/24 dev wan0
# A source of its own each time, all day long; 203.0.113.9 and .66 knock by hand.
background ip netns exec "$RUN-client" python3 - <<'PY'
import socket, time
host = 100
while True:
    for port, kind in ((7143, socket.SOCK_STREAM), (12899, socket.SOCK_DGRAM), (4021, socket.SOCK_STREAM), (33710, socket.SOCK_DGRAM)):
        s = socket.socket(socket.AF_INET, kind)
        s.bind((f"203.0.113.{host}", 0))
        s.setblocking(False)
        s.connect_ex(("203.0.113.1", port))
        if kind == socket.SOCK_DGRAM:
            try: s.send(b"x")
            except OSError: pass
        s.close()
    host = 100 + (host - 99) % 150
    time.sleep(0.005)
PY
await status '(.grants | length) >= 20'
knock_ssh client $R4
await reaches client $R4 22
opened() { ctl --json status | jq -s '.[0].counters.opened'; }
ms() { date +%s%3N; }
# Until a knock from now on opens. Prints how long after $since that is.
knocks_open() {
  local count
  count=$(opened)
  more() { [ "$(opened)" -gt "$count" ]; }
  await more
  echo "$(($(ms) - since)) ms"
}
no_zombie() { ! ps -o stat= --ppid $DAEMON | grep -q Z; }

since=$(ms) old=$(engine); kill -9 "$old"
changed() { local new; new=$(engine) && [ "$new" != "$old" ]; }
await changed
took=$(knocks_open)
opens client $R4 22
no_zombie || fail "a zombie: $(ps -o pid,stat,args --ppid $DAEMON)"
logged 'restart: the engine was killed by SIGKILL; .*Attempts are lost, open grants stay' || fail "not said"
ok "kill -9 of the engine: grants stay, the log says what is lost, knocks open again ($took)"

# Steps before and after: the attempt is lost. All of them after the death: they wait in the socket.
old=$(engine); kill -STOP "$old"; kill -9 "$old"
knock_ssh intruder $R4
await reaches intruder $R4 22
ok "what is knocked while no engine runs is not lost"

since=$(ms) old=$(engine); kill -STOP "$old"
await changed
took=$(knocks_open)
opens client $R4 22
logged 'restart: the engine does not answer' || fail "not said"
no_zombie || fail "a zombie"
ok "SIGSTOP of the engine: noticed and restarted within the watchdog period ($took)"

old=$(engine); kill -STOP "$old"
knock_ssh internet $R4
await changed
knocks_open >/dev/null
granted_to() { ctl --json status | jq -es --arg source "$1" '[.[].grants[] | select(.source == $source)] | length > 0' >/dev/null; }
never granted_to 198.51.100.7 || fail "what waited for an engine that was silent opens"
logged 'restart: the engine does not answer; .* [0-9]+ reports that waited for it are thrown away' || fail "not said"
knock_ssh internet $R4
await reaches internet $R4 22
ok "what waited for it opens nothing, an honest knock right after does"

await runner
old=$(runner); running() { pgrep -u nobody -P "$old" sleep; }
await running
kill -9 "$old"
changed() { local new; new=$(runner) && [ "$new" != "$old" ]; }
await changed
! running >/dev/null || fail "a command outlives its runner"
opens client $R4 22
no_zombie || fail "a zombie"
ok "kill -9 of the runner: its commands end, the next command has another one"

engine=$(engine) runner=$(runner)
kill -9 $DAEMON; wait $DAEMON 2>/dev/null || true
gone() { ! kill -0 "$engine" 2>/dev/null && ! kill -0 "$runner" 2>/dev/null; }
await gone
! pgrep -u nobody -P "$runner" >/dev/null || fail "a command outlives its runner"
opens client $R4 22
opens intruder $R4 22
since=$(ms)
start
took=$(knocks_open)
expect '[.grants[] | select(.source == "203.0.113.9")] | length == 1 and .[0].adopted'
ok "kill -9 of the keeper: the others end, grants stay, the next one adopts them (knocks open $took after its start)"

engine=$(engine)
kill -STOP "$engine"
stop
await gone
! in_ns router grep -Eq '^ *4[0-3] ' /proc/net/netfilter/nfnetlink_log || fail "a group is still bound: $(in_ns router cat /proc/net/netfilter/nfnetlink_log)"
[ ! -e "$TMP/control.sock" ] || fail "the socket stays"
opens client $R4 22
ok "SIGTERM, the engine stopped: nothing is left behind but the grants"

# Silent for less than a period, and asked by somebody shortly before the probe: a busy machine, no reason to kill.
export NOTIFY_SOCKET="$TMP/notify" WATCHDOG_USEC=$((8000000 * SLOW)) # a probe every 2 seconds
background socat -u "UNIX-RECV:$NOTIFY_SOCKET" "OPEN:$TMP/notes,creat,append"
await test -S "$NOTIFY_SOCKET"
start
notes() { grep -ao WATCHDOG=1 "$TMP/notes" | wc -l; }
probed() { [ "$(notes)" -gt "$before" ]; }
before=$(notes); await probed
since=$(ms)
kill -STOP "$(engine)"
ctl status >/dev/null
later() { [ $(($(ms) - since)) -ge $((2500 * SLOW)) ]; }
await later
before=$(notes)
kill -CONT "$(engine)"
await probed
expect '.counters.engine_restarts == 0'
ok "an engine that is silent for less than a watchdog period stays"

stop
unset NOTIFY_SOCKET
export WATCHDOG_USEC=$((60000000 * SLOW)) # silent engines are not ended
config <<<"$FOUR_STEPS
within = \"${SLOW}s\"
for = \"1h\"
[limits]
per_source = 1024"
start
ctl close --all >/dev/null
engine=$(engine)
waited() { [ $(($(ms) - since)) -ge $((step * 400 * SLOW)) ]; }
kill -STOP "$engine"
step=0 since=$(ms)
for port in 7143:tcp 12899:udp 4021:tcp 33710:udp; do
  await waited
  in_ns internet knock $R4 $port
  step=$((step + 1))
done
knock_ssh intruder $R4
kill -CONT "$engine"
await granted_to 203.0.113.66
never granted_to 198.51.100.7 || fail "1.2 s between first and last step opened a door of within = 1s"
[ "$(engine)" = "$engine" ] || fail "the engine was restarted"
expect '.counters.stale == 0 and .counters.engine_restarts == 0'
ok "an engine that was stopped knows when packets came: slow steps open nothing, a knock in time opens"
