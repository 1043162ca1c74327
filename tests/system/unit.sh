#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The units as installed, under a booted systemd of its own: who may do what, watchdog, runner, reload, stop, reboot.
. "$(dirname "$0")/machine.sh"

DESTDIR="$TMP/plain" cmake --install "$KNOCKGATE_BUILD" --prefix /usr >/dev/null
! find "$TMP/plain" -name '*.service' -o -name '*.socket' | grep -q . || fail "units are installed unasked"
install_service
cat >"$LAB/root/usr/local/bin/tell" <<'SH'
#!/bin/bash
touch /tmp/mine && rm /tmp/mine || exit 1
! touch /usr/mine /var/mine 2>/dev/null || exit 2
echo "$(id -un) $(grep -E '^(CapEff|CapBnd|NoNewPrivs)' /proc/self/status | tr -s '\t\n' ' ') $(cat /etc/hostname) $(cat </dev/tcp/198.51.100.7/8000)"
SH
chmod 755 "$LAB/root/usr/local/bin/tell"
echo router >"$LAB/root/etc/hostname"

world
serve router 22
serve internet 8000
boot
ok "a systemd of its own: $(inside systemctl --version | head -n 1)"

inside systemd-sysusers
inside systemd-tmpfiles --create knockgate.conf
OURS=$(inside id -u _knockgate)
inside getent group knockgate >/dev/null || fail "no group knockgate"
write() { # PATH: stdin, as the package would leave it
  inside sh -c "cat >$1 && chown root:_knockgate $1 && chmod 640 $1"
}
inside install -d -m 750 -g _knockgate /etc/knockgate /etc/knockgate/doors.d
write /etc/knockgate/knockgate.toml <<<'[gate]
trust = ["lan0"]'
door() { # FOR
  write /etc/knockgate/doors.d/ssh.toml <<<"$FOUR_STEPS
for = \"$1\"
run = [\"/usr/local/bin/tell\"]
cooldown = \"0s\""
}
door 1h

# --- looks at it
property() { inside systemctl show -P "$1" "${2:-knockgated.service}"; }
active() { [ "$(property ActiveState "${1:-knockgated.service}")" = active ]; }
processes() { # UNIT: their numbers, as we see them from outside
  find "$CGROUP" -type d -name "$1" -exec cat {}/cgroup.procs \; 2>/dev/null
}
engine() { pgrep -f -- '--engine' | grep -xF "$(processes knockgated.service)"; }
keeper() { processes knockgated.service | grep -vxF "$(engine)"; }
field() { awk -v name="$2:" '$1 == name {print $2}' "/proc/$1/status"; }
has() { # PROCESS FIELD VALUE
  [ "$(field "$1" "$2")" = "$3" ] || fail "$(tr '\0' ' ' <"/proc/$1/cmdline"): $2 is $(field "$1" "$2"), not $3"
}
told() { inside journalctl -q -b --no-pager -o cat -u "$1" | grep -Eq -- "$2"; }
status() { inside knockctl --json status | jq -es '.[0] * {grants: [.[].grants[]]} | '"$1" >/dev/null; }
# Its own nft: ours may be too old to read what a newer one wrote.
set_has() { inside nft list set inet knockgate "$1" | grep -q "$2"; }
expect() { status "$1" || { inside knockctl; fail "status is not: $1"; }; }

inside systemd-analyze verify --man=no /usr/lib/systemd/system/knockgate{d.service,-runner.service,-runner.socket} || fail "systemd-analyze verify"
for unit in knockgated:15 knockgate-runner:20; do
  inside systemd-analyze security --offline=yes --no-pager --threshold=${unit#*:} "/usr/lib/systemd/system/${unit%:*}.service" >"$TMP/said" ||
    { cat "$TMP/said"; fail "${unit%:*} is more exposed than ${unit#*:} tenths"; }
  tail -n 1 "$TMP/said"
done
ok "systemd-analyze: valid, and little exposed"

inside systemctl start knockgated.service || fail "it does not start"
active || fail "not active"
[ "$(property NotifyAccess)" = main ] && [ "$(property SubState)" = running ] || fail "$(property SubState)"
[ -n "$(engine)" ] || fail "no engine"
K=$(keeper) E=$(engine)
for process in $K $E; do
  has "$process" Uid "$OURS"; has "$process" NoNewPrivs 1; has "$process" Seccomp 2; has "$process" CapAmb 0000000000000000
done
net_admin=0000000000001000
has "$K" CapEff $net_admin; has "$K" CapPrm $net_admin; has "$K" CapBnd $net_admin
has "$E" CapEff 0000000000000000; has "$E" CapPrm 0000000000000000
[ "$(field "$E" Seccomp_filters)" -gt "$(field "$K" Seccomp_filters)" ] || fail "the engine has no filter of its own"
[ "$(cat "/proc/$E/oom_score_adj")" = $(($(cat "/proc/$K/oom_score_adj") + 500)) ] || fail "oom_score_adj of the engine: $(cat "/proc/$E/oom_score_adj")"
[ "$(awk '/^Max (processes|open files|file size)/ {printf "%s ", $(NF-1)}' "/proc/$E/limits")" = "0 0 16 " ] || fail "limits of the engine: $(cat "/proc/$E/limits")"
inside journalctl -q --sync
! told knockgated 'sandbox: .*not permitted' || fail "the unit forbids what the engine confines itself with"
ok "ready; keeper: CAP_NET_ADMIN alone, as _knockgate; engine: nothing, behind a filter of its own"

[ "$(inside stat -c '%U:%G %a' /run/knockgate/control.sock)" = '_knockgate:knockgate 660' ] || fail "$(inside stat -c '%U:%G %a' /run/knockgate/control.sock)"
[ "$(inside stat -c '%U %a' /var/lib/knockgate)" = '_knockgate 700' ] || fail "$(inside stat -c '%U %a' /var/lib/knockgate)"
as() { local groups=$1; shift; inside setpriv --reuid nobody --regid nogroup --groups "$groups" "$@"; }
as knockgate knockctl status >/dev/null || fail "a member of knockgate may not read"
! as nogroup knockctl status >/dev/null 2>&1 || fail "anybody may read"
expect '.state == "enforcing" and .config.boot_file == "ok"'
[ "$(inside stat -c '%U:%G %a' /etc/knockgate/nftables.d/knockgate.nft)" = 'root:_knockgate 640' ] || fail "boot file: $(inside stat -c '%U:%G %a' /etc/knockgate/nftables.d/knockgate.nft)"
ok "members of knockgate may read, others not; the unit saved the boot file"

stays_closed client $R4 22
knock_ssh client $R4
await reaches client $R4 22
stays_closed intruder $R4 22
ok "a knock opens, for its source only"

# --- runner
expect '[.warnings[] | select(.code == "runner" and (.run | contains("enable --now knockgate-runner.socket")))] | length == 1'
[ "$(property UnitFileState knockgate-runner.socket)" = disabled ] || fail "the runner is enabled by itself"
inside systemctl -q enable --now knockgate-runner.socket
socket=$(inside stat -c '%G %a' /run/knockgate/runner.sock)
[ "$socket" = '_knockgate 660' ] || fail "the runner's socket: $socket"
knock_ssh intruder $R4
await reaches intruder $R4 22
told_by() { told knockgate-runner "^$1 CapEff: 0{16} CapBnd: 0{16} NoNewPrivs: 1 +router hello from 8000$"; }
await told_by _knockgate-run
await told knockgate-runner 'ran door=ssh source=203.0.113.66 result="exited with 0"'
expect '[.warnings[] | select(.code == "runner")] | length == 0'
[ "$(keeper)" = "$K" ] || fail "the keeper was restarted"
ok "runner: warned of until its socket is enabled; then, without a restart, commands run as _knockgate-run, with the network"

[ "$(inside stat -c '%U:%G %a' /run/knockgate)" = 'root:_knockgate 1775' ] || fail "$(inside stat -c '%U:%G %a' /run/knockgate)"
as_ours() { inside setpriv --reuid _knockgate --regid _knockgate --clear-groups "$@"; }
! as_ours rm -f /run/knockgate/runner.sock 2>/dev/null && ! as_ours mv /run/knockgate/runner.sock /run/knockgate/x 2>/dev/null || fail "the daemon's user replaces the runner's socket"
inside sh -c 'echo secret >/etc/target && chmod 640 /etc/target'
inside systemctl stop knockgate-runner.socket
as_ours ln -s /etc/target /run/knockgate/runner.sock || fail "the daemon's user cannot plant a link"
inside systemctl start knockgate-runner.socket
[ "$(inside stat -c '%U:%G %a' /etc/target)" = 'root:root 640' ] || fail "systemd followed a link of the daemon's: $(inside stat -c '%U:%G %a' /etc/target)"
[ "$(inside stat -c '%F %G %a' /run/knockgate/runner.sock)" = 'socket _knockgate 660' ] || fail "the runner's socket is not back"
inside knockctl reload >/dev/null # connects to it
ok "the daemon's user cannot stand in for the runner's socket, nor make systemd give away a file"

inside useradd -r worker
inside mkdir -p /etc/systemd/system/knockgate-runner.service.d
printf '[Service]\nUser=worker\n' | inside sh -c 'cat >/etc/systemd/system/knockgate-runner.service.d/user.conf'
inside systemctl daemon-reload
inside systemctl restart knockgate-runner.service
knock_ssh client $R4
await told_by worker
ok "runner: as the user of a drop-in"

# --- watchdog
kill -STOP "$E"
renewed() { local new; new=$(engine) && [ -n "$new" ] && [ "$new" != "$E" ]; }
await renewed
active && [ "$(keeper)" = "$K" ] && [ "$(property NRestarts)" = 0 ] || fail "the unit was restarted"
told knockgated 'restart: the engine does not answer' || fail "not said"
inside knockctl close --all >/dev/null
stays_closed intruder $R4 22
knock_ssh client $R4
await reaches client $R4 22
ok "SIGSTOP of the engine: the keeper restarts it, the unit stays active, a knock opens"

inside mkdir -p /etc/systemd/system/knockgated.service.d
printf '[Service]\nWatchdogSec=2\n' | inside sh -c 'cat >/etc/systemd/system/knockgated.service.d/watchdog.conf'
inside systemctl daemon-reload
inside systemctl restart knockgated.service
expect '.grants | length == 1 and .[0].adopted'
K=$(keeper)
kill -STOP "$K"
set_has open4 203.0.113.9 || fail "the grant is gone"
restarted() { [ "$(property NRestarts)" -ge 1 ] && active; }
await restarted
[ "$(keeper)" != "$K" ] && [ "$(property Result)" = success ] || fail "$(property Result)"
inside journalctl -q -b -o cat | grep -q 'knockgated.service: Watchdog timeout' || fail "it was not the watchdog"
expect '.grants | length == 1 and .[0].adopted and .[0].source == "203.0.113.9"'
opens client $R4 22
stays_closed intruder $R4 22
knock_ssh intruder $R4
await reaches intruder $R4 22
ok "SIGSTOP of the keeper: the service manager restarts the unit; grants stay and are adopted, knocks open"
inside rm /etc/systemd/system/knockgated.service.d/watchdog.conf
inside systemctl daemon-reload
inside systemctl restart knockgated.service

# --- reload, trial, reboot
K=$(keeper)
door 2h
write /etc/knockgate/doors.d/web.toml <<<'[door.web]
opens = ["tcp/80"]
knock = ["tcp/1301", "udp/1207", "tcp/1409", "udp/1003"]'
! inside systemctl reload knockgated.service 2>/dev/null || fail "systemctl reload guards a new port unasked"
expect '.config.doors == 1 and (.gate.guarded | map(.port) == ["tcp/22"])'
inside journalctl -q --sync
told knockgated 'this would guard tcp/80, maybe the port you are on' || fail "not said"
active && [ "$(keeper)" = "$K" ] || fail "a refused reload ends the unit"
inside knockctl reload --now >/dev/null || fail "reload --now"
told knockgated 'hand verb=reload uid=0 now=1 exit=0' || fail "no line says who"
door 3h
inside systemctl reload knockgated.service || fail "reload"
expect '.config.doors == 2 and (.gate.guarded | map(.port) == ["tcp/22", "tcp/80"]) and .config.boot_file == "ok"'
write /etc/knockgate/doors.d/web.toml <<<'[door.web]
opens = "nothing"'
! inside systemctl reload knockgated.service 2>/dev/null || fail "a reload with a bad file succeeds"
active || fail "a bad file ends the unit"
[ "$(keeper)" = "$K" ] || fail "a reload restarts"
expect '.config.ok == false and (.gate.guarded | map(.port) == ["tcp/22", "tcp/80"])'
ok "systemctl reload: takes the new config and saves; fails with a new port or a bad one, and the old one stays"

write /etc/knockgate/doors.d/web.toml <<<'[door.web]
opens = ["tcp/81"]
knock = ["tcp/1301", "udp/1207", "tcp/1409", "udp/1003"]'
inside knockctl reload --confirm 10m >/dev/null
trial='any(.gate.guarded[]; .port == "tcp/81" and .confirmed == false and .left_ms > 0)'
expect "$trial"
inside systemctl restart knockgated.service
! inside knockctl confirm >"$TMP/said" 2>&1 && grep -q 'tcp/81 (door web)' "$TMP/said" || fail "confirm says: $(cat "$TMP/said")"
expect "$trial and ([.warnings[].code] | index(\"runner\") == null)"
inside systemctl -q enable knockgated.service
halt
in_ns router chroot "$LAB/root" nft delete table inet knockgate # as the power does
boot
await active
expect '(.gate.guarded | map(.port) == ["tcp/22"]) and ([.warnings[].code] | contains(["not-confirmed"])) and .grants == []'
ok "a port on trial stays so over a restart; after a reboot it is not guarded, though its time has not come"

# --- stop
socket=$(inside stat -c '%G %a' /run/knockgate/runner.sock)
[ "$socket" = '_knockgate 660' ] || fail "the runner's socket after boot: $socket"
knock_ssh client $R4
await reaches client $R4 22
await told_by worker
await active knockgate-runner.service
inside systemctl stop knockgated.service
[ "$(property Result)" = success ] || fail "$(property Result)"
[ -z "$(processes knockgated.service)" ] || fail "left: $(processes knockgated.service)"
! inside test -e /run/knockgate/control.sock || fail "the socket stays"
inside test -S /run/knockgate/runner.sock || fail "it takes the runner's socket with it"
await never active knockgate-runner.service
[ -z "$(processes knockgate-runner.service)" ] || fail "left: $(processes knockgate-runner.service)"
opens client $R4 22
stays_closed intruder $R4 22
set_has open4 203.0.113.9 || fail "no grant"
said=0; inside knockctl status >/dev/null 2>&1 || said=$?
[ $said = 69 ] || fail "knockctl exits with $said"
ok "systemctl stop: table and grants stay, no process and no socket is left"
