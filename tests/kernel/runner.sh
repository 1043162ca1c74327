#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Doors that run a command: exactly what the config says, as nobody, for its time and not longer.
. "$(dirname "$0")/../harness/lib.sh"
chmod 755 "$TMP"
OUT="$TMP/out"
mkdir -m 777 "$OUT"
cat >"$TMP/tell" <<'SH'
#!/bin/bash
# Prints what it was given to the directory that its first word names.
{ printf '<%s>' "$@"; echo; } >"$1/argv"
env | sort >"$1/env"
{ id -un; id -Gn; grep -E '^(CapEff|CapPrm)' /proc/self/status; ulimit -c; ulimit -n; pwd; readlink /proc/self/fd/0; } >"$1/who"
ls /proc/self/fd >"$1/fds"
echo started >>"$1/times"
SH
cat >"$TMP/hang" <<'SH'
#!/bin/bash
sleep 1000 &
sleep 1001 &
echo $$ >"$1/hang"
wait
SH
chmod 755 "$TMP/tell" "$TMP/hang"

world
serve router 22
mkdir "$TMP/www"; echo 'hello from the web' >"$TMP/www/index.html"
background ip netns exec "$RUN-internet" python3 -m http.server -d "$TMP/www" 8000 >/dev/null 2>&1
ssh-keygen -qt ed25519 -N '' -f "$TMP/host"; ssh-keygen -qt ed25519 -N '' -f "$TMP/key"
chown nobody "$TMP/key"; mkdir -p /run/sshd
background ip netns exec "$RUN-internet" /usr/sbin/sshd -D -e -f /dev/null -h "$TMP/host" -o AuthorizedKeysFile="$TMP/key.pub" \
  -o StrictModes=no -o PermitRootLogin=yes -o PidFile=none -o UsePAM=no -p 2200 2>"$TMP/sshd"
in_ns client sysctl -qw net.ipv6.ip_nonlocal_bind=1
in_ns client ip -6 route add local 2001:db8:a000::/36 dev lo
in_ns router ip -6 route add 2001:db8:a000::/36 via 2001:db8:9::9
doors() { # COOLDOWN-OF-TELL
  config <<TOML
[runner]
time = "$((3 * SLOW))s"
[door.tell]
run = ["$TMP/tell", "$OUT", "", "a b", "; touch $OUT/pwned", "\$(touch $OUT/pwned)", "\`id\`", "*", "'\"", "-rf"]
knock = ["udp/7001"]
cooldown = "$1"
[door.hang]
run = ["$TMP/hang", "$OUT"]
knock = ["udp/7002"]
[door.web]
run = ["/usr/bin/curl", "-s", "-o", "$OUT/web", "http://198.51.100.7:8000/"]
knock = ["udp/7003"]
[door.tunnel]
run = ["/usr/bin/ssh", "-N", "-F", "none", "-i", "$TMP/key", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
       "-oKexAlgorithms=curve25519-sha256", "-R", "2222:127.0.0.1:22", "-p", "2200", "root@198.51.100.7"]
knock = ["udp/7004"]
[door.both]
opens = ["tcp/22"]
run = ["/nonexistent"]
knock = ["udp/7005"]
for = "1h"
TOML
}
knock_at() { in_ns client knock "$2" "$1:udp"; }
doors 0s
start
expect '.state == "enforcing" and [.warnings[].code] == ["run-file"] and .gate.guarded == [{port: "tcp/22", confirmed: true, left_ms: null}]'

knock_at 7001 $R6
await test -s "$OUT/times"
[ "$(cat "$OUT/argv")" = "<$OUT><><a b><; touch $OUT/pwned><\$(touch $OUT/pwned)><\`id\`><*><'\"><-rf>" ] || fail "argv: $(cat "$OUT/argv")"
[ ! -e "$OUT/pwned" ] || fail "a shell was between"
ok "the words arrive one by one, as they stand in the config"
env=$(grep -Ev '^(_|PWD|SHLVL)=' "$OUT/env" | tr '\n' ' ') # bash adds these itself
[ "$env" = "KNOCKGATE_BY=- KNOCKGATE_DOOR=tell KNOCKGATE_EVENT=open KNOCKGATE_SOURCE=2001:db8:9::9 KNOCKGATE_VIA=knock PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin " ] || fail "env: $env"
[ "$(tr '\n\t' '  ' <"$OUT/who")" = "nobody nogroup CapPrm: 0000000000000000 CapEff: 0000000000000000 0 256 / /dev/null " ] || fail "who: $(tr '\n\t' '  ' <"$OUT/who")"
[ "$(tr '\n' ' ' <"$OUT/fds")" = "0 1 2 3 " ] || fail "descriptors: $(tr '\n' ' ' <"$OUT/fds")" # 3 is ls's own
await logged 'ran door=tell source=2001:db8:9::9 result="exited with 0" ms='
logged '^run door=tell source=2001:db8:9::9 by=- via=knock event=open$' || fail "the audit line is missing"
ok "nobody, no capability, a clean environment, no descriptor of ours; the log says what ran, for whom, how it ended"

knock_at 7002 $R4
await test -s "$OUT/hang"
pid=$(cat "$OUT/hang")
children() { pgrep -s "$pid" >/dev/null; }
children || fail "the command has no session of its own"
await logged 'ran door=hang .* result="was killed by SIGKILL" ms='$((3 * SLOW))'[0-9]{3} reason=time'
await never children
ok "a hanging command is killed when its time is over, its children with it"

knock_at 7003 $R4
await grep -q 'hello from the web' "$OUT/web"
ok "curl fetches from the network"
knock_at 7004 $R4
tunnelled() { in_ns internet timeout "$SLOW" nc -w "$SLOW" 127.0.0.1 2222 </dev/null | grep -q 'hello from 22'; }
await tunnelled
await logged 'ran door=tunnel .*reason=time'
await never tunnelled
ok "ssh -R holds a way back open, for the time of the runner"

knock_at 7005 $R4
await reaches client $R4 22
await logged 'cannot run /nonexistent: No such file'
await logged 'ran door=both .*result="exited with 127"'
ctl close both >/dev/null
ctl open both 203.0.113.66 >"$TMP/said"
grep -q 'opened both for 203.0.113.66' "$TMP/said" && grep -q '/nonexistent did not start: cooldown' "$TMP/said" || fail "$(cat "$TMP/said")"
opens intruder $R4 22
ctl open tell 203.0.113.66 >"$TMP/said"
grep -q "^started $TMP/tell" "$TMP/said" || fail "$(cat "$TMP/said")"
await grep -q KNOCKGATE_VIA=hand "$OUT/env"
await logged 'ran door=tell source=203.0.113.66 '
ok "a door may open and run; a command that is missing is said; by hand it runs too"

rm "$OUT/times"
doors 10m
stop; start
in_ns client python3 - <<'PY'
import socket
# a thousand sources, one knock each
for i in range(1000):
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    s.bind((f"2001:db8:a{i:03x}::1", 0))
    s.sendto(b"", ("2001:db8:f::1", 7001))
    s.close()
PY
await status '.counters.refused_cooldown == 999 and .counters.runs == 1'
await test -s "$OUT/times"
ctl reload --now >/dev/null
knock_at 7001 $R4
await status '.counters.refused_cooldown == 1000 and .counters.runs == 1'
[ "$(wc -l <"$OUT/times")" = 1 ] || fail "started $(wc -l <"$OUT/times") times"
ok "a thousand knocks in a second start a command once; a reload does not forget that"
stop
! pgrep -f "$OUT" >/dev/null || fail "left behind: $(pgrep -af "$OUT")"
