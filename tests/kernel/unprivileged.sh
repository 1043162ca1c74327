#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# As the unit runs it: a user of its own with CAP_NET_ADMIN and nothing else, and the runner at its own socket.
. "$(dirname "$0")/../harness/lib.sh"
export WATCHDOG_USEC=60000000 # an engine that is slow to start on a busy machine is not ended: a report would be lost with it
USER_ID=64501 # nobody has it
AS="setpriv --reuid $USER_ID --regid $USER_ID --clear-groups --no-new-privs --inh-caps -all,+net_admin --ambient-caps -all,+net_admin --bounding-set -all,+net_admin"

world
serve router 22
chmod 711 "$TMP"
mkdir -m 755 "$TMP/bin" # the build may be where only root comes
cp "$(command -v knockgated)" "$(command -v knockctl)" "$TMP/bin/"
PATH="$TMP/bin:$PATH"
mkdir -m 700 "$TMP/state"; mkdir -m 755 "$TMP/run"; chown $USER_ID "$TMP/state" "$TMP/run"
KNOCKGATE_SOCKET="$TMP/run/control.sock"
cat >"$TMP/touch" <<SH
#!/bin/sh
id -u >"\$1"
SH
chmod 755 "$TMP/touch"; mkdir -m 777 "$TMP/out"
config <<<"$FOUR_STEPS
for = \"1h\"
run = [\"$TMP/touch\", \"$TMP/out/ran\"]
cooldown = \"0s\""
chown $USER_ID "$TMP/knockgate.toml"
ctl() { in_ns router $AS knockctl "$@"; } # root asks no daemon of a user it does not know
ask() { ctl --json status; }
start() {
  ip netns exec "$RUN-router" $AS "${1:-knockgated}" --config "$TMP/knockgate.toml" 2>>"$TMP/log" &
  DAEMON=$!
  ctl wait --timeout 10s || fail "the daemon does not start"
}
start
field() { awk -v key="$2:" '$1 == key {print $2}' "/proc/$1/status"; }
confined() { [ "$(field "$(engine)" Seccomp)" = 2 ]; } # the last thing it does before it begins
await confined
[ "$(field $DAEMON CapEff) $(field $DAEMON CapPrm)" = "0000000000001000 0000000000001000" ] || fail "the keeper holds $(field $DAEMON CapEff)"
for key in CapPrm CapEff CapAmb; do [ "$(field "$(engine)" $key)" = 0000000000000000 ] || fail "$key of the engine: $(field "$(engine)" $key)"; done
[ "$(field "$(engine)" Uid)" = "$USER_ID" ] || fail "the engine has another uid"
lets_in_alone $R4
ok "CAP_NET_ADMIN alone is enough; the engine of the same user holds none"

expect '[.warnings[] | select(.code == "runner" and .run == "sudo systemctl enable --now knockgate-runner.socket")] | length == 1'
logged 'reach the runner at .*/run/runner.sock: No such file' || fail "not said"
# What systemd does for knockgate-runner.socket: listens, and hands the socket to the runner it starts.
cat >"$TMP/activate" <<'PY'
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
new = sys.argv[1] + ".new"
s.bind(new); os.chown(new, 0, int(sys.argv[2])); os.chmod(new, 0o660); s.listen(); os.rename(new, sys.argv[1])
os.dup2(s.fileno(), 9); os.dup2(9, 3) # not in one: onto itself it would stay close-on-exec
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.setgroups([]); os.setgid(65534); os.setuid(65534)
os.execvp("knockgated", ["knockgated", "--runner"])
PY
background python3 "$TMP/activate" "$TMP/run/runner.sock" $USER_ID 2>>"$TMP/log"
await test -S "$TMP/run/runner.sock"
knock_ssh intruder $R4
await grep -qx 65534 "$TMP/out/ran"
await status '.warnings == []'
ok "without a runner the door opens and a warning says what to type; with its socket the command runs"

for i in 1 2; do
  old=$(engine); kill -9 "$old"
  changed() { local new; new=$(engine) && [ "$new" != "$old" ]; }
  await changed
done
engine=$(engine); kill -STOP "$engine"
stop
gone() { ! kill -0 "$engine" 2>/dev/null; }
await gone
ok "killed, stopped: the keeper restarts and ends an engine of its own user too"

rm -f "$TMP/run/runner.sock"
config <<<'[door.ssh]
opens = ["tcp/22"]
knock = ["udp/1004", "udp/1005", "udp/1006", "udp/1007", "udp/1018"]'
chown $USER_ID "$TMP/knockgate.toml"
act() { in_ns client nc -u -w 1 -q 0 $R4 "$1" <<<x; }
start "$KNOCKGATE_BUILD/hostile/knockgated"
for port in 1004 1005 1006; do
  before=$(count_logged 'killed by SIGSYS')
  act $port
  more() { [ "$(count_logged 'killed by SIGSYS')" -gt "$before" ]; }
  await more
  await engine
done
kill -0 $DAEMON || fail "the keeper is dead"
act 1018
await status '(.grants | length) == 2'
ok "the engine cannot signal, trace or look into a keeper of its own user"
stop
export KNOCKGATE_TEST_OPEN=1
start "$KNOCKGATE_BUILD/hostile/knockgated"
for port in 1005 1006 1007; do act $port; await logged "hostile $port"; done
logged 'hostile 1005: Operation not permitted' && logged 'hostile 1006: Permission denied' &&
  logged 'hostile 1007: Permission denied' || fail "$(grep hostile "$TMP/log")"
ok "without its sandbox too: the keeper cannot be traced, and its memory and environment not be read"
unset KNOCKGATE_TEST_OPEN
stop

# A kernel without Landlock, as a filter that says so: the sandbox holds by seccomp, and that is said.
cat >"$TMP/without" <<'PY'
import ctypes, os, sys
lib = ctypes.CDLL("libseccomp.so.2")
lib.seccomp_init.restype = ctypes.c_void_p
filter = lib.seccomp_init(0x7fff0000)  # allow
for call in (444, 445, 446):           # landlock_*, the same number everywhere
    lib.seccomp_rule_add(ctypes.c_void_p(filter), 0x00050000 | 38, call, 0)  # ENOSYS
lib.seccomp_load(ctypes.c_void_p(filter))
os.execvp(sys.argv[1], sys.argv[1:])
PY
AS="$AS /usr/bin/python3 $TMP/without"
start
await logged 'engine: sandbox: no Landlock, files are closed by seccomp alone: Function not implemented'
[ "$(field "$(engine)" Seccomp)" = 2 ] || fail "no seccomp either"
knock_ssh client $R4
ok "a kernel without Landlock: said, and the rest holds"
