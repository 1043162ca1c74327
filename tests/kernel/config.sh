#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Every mistake in a config is one line that says where it is and what to do.
LEAKS=1
. "$(dirname "$0")/../harness/lib.sh"

ip netns add "$RUN-router"
in_ns router ip link set lo up
mkdir "$TMP/etc" "$TMP/etc/doors.d"
MAIN="$TMP/etc/knockgate.toml"
write() { cat >"$1"; chmod "${2:-600}" "$1"; }
DOOR='[door.ssh]
opens = ["tcp/22"]
knock = ["tcp/7143", "udp/12899", "tcp/4021", "udp/33710"]'
mistakes=0
# refused NAME PATTERN: check and the daemon both exit 78 with a line that matches
refused_with() {
  local code=0
  knockctl check "$MAIN" >"$TMP/said" 2>&1 || code=$?
  [ $code = 78 ] || fail "$1: check exits $code: $(cat "$TMP/said")"
  grep -E 'error: ' "$TMP/said" | grep -Eq -- "$2" || fail "$1: $(cat "$TMP/said")"
  grep -E 'error: ' "$TMP/said" | grep -q ';' || fail "$1: it does not say what to do: $(cat "$TMP/said")"
  code=0
  in_ns router knockgated --config "$MAIN" 2>"$TMP/said" || code=$?
  [ $code = 78 ] || fail "$1: the daemon exits $code: $(cat "$TMP/said")"
  mistakes=$((mistakes + 1))
  rm -rf "$MAIN" "$TMP"/etc/doors.d/*
}
write "$MAIN" <<<"${DOOR/knock/knok}"; refused_with "unknown key" 'toml:3:1: error: unknown key "knok".*did you mean "knock"'
write "$MAIN" <<<"$DOOR
within = 10"; refused_with "wrong type" 'toml:4:10: error: .*within'
write "$MAIN" <<<"${DOOR/tcp\/22/tcp/0}"; refused_with "port 0" 'toml:2:10: error: .*tcp/0'
write "$MAIN" <<<"${DOOR/tcp\/4021/tcp/70000}"; refused_with "port 70000" 'toml:3:35: error: .*tcp/70000'
echo "$DOOR" | write "$TMP/etc/doors.d/a.toml"; echo "$DOOR" | write "$TMP/etc/doors.d/b.toml"; write "$MAIN" <<<''
refused_with "door twice" 'b.toml:1:[0-9]+: error: door ssh stands twice, first at .*a.toml:1'
write "$MAIN" <<<'[door.x]
opens = ["tcp/22"]
knock = []'; refused_with "empty sequence" 'toml:3:[0-9]+: error: .*knock'
rm -f "$MAIN"; refused_with "missing file" 'error: cannot be read: No such file'
mkdir "$MAIN"; refused_with "a directory" 'error: cannot be read: Is a directory'
printf '[door.x]\nopens = ["tcp/\xff"]\n' | write "$MAIN"; refused_with "not UTF-8" 'toml:2:[0-9]+: error: not UTF-8'
write "$MAIN" 644 <<<"$DOOR"; refused_with "world-readable" 'error: .*others may use it.*chmod'
write "$MAIN" <<<"$DOOR
[door.nas]
opens = [\"tcp/445\"]
knock = [\"tcp/7143\", \"udp/12899\", \"tcp/4021\", \"udp/33710\"]"; refused_with "same sequence" 'door nas has the same steps as door ssh'
write "$MAIN" <<<"${DOOR/tcp\/4021/tcp/22}"; refused_with "a guarded knock port" 'tcp/22 is guarded by door ssh'
write "$MAIN" <<<"$DOOR
for = \"2h\"
max = \"1h\""; refused_with "max below for" 'toml:[0-9]+:[0-9]+: error: .*max'
write "$MAIN" <<<"[nft]
mode = \"embed\"
table = \"inet filter\"
[gate]
trust = [\"lan0\"]
$DOOR"; refused_with "gate keys in embed" 'error: .*trust'
write "$MAIN" <<<"$DOOR
device_knock = true"; refused_with "a later key" 'toml:4:16: error: .*not in this version'
write "$MAIN" <<<'[door.x
opens = '; refused_with "no TOML" 'toml:1:[0-9]+: error: no TOML'
write "$MAIN" <<<"[limits]
grants = 0"; refused_with "out of limits" 'toml:2:10: error: .*grants'
write "$MAIN" <<<"[limits]
attempts = 600000"; refused_with "no power of 2" 'toml:2:12: error: .*attempts'
write "$MAIN" <<<"[control]
write_group = \"nobody-has-this\""; refused_with "no such group" 'error: there is no group'
ok "$mistakes mistakes, each one line with its place and what to do"

settings() { printf '[control]\nsocket = "%s"\nstate = "%s.state"\n[nft]\nboot_file = ""\n' "$1" "$1"; }
{ settings "$TMP/one.sock"; echo "$DOOR"; } | write "$TMP/knockgate.toml"
KNOCKGATE_SOCKET="$TMP/one.sock"
start
{ settings "$TMP/two.sock"; echo "$DOOR"; } | write "$MAIN"
code=0; in_ns router knockgated --config "$MAIN" 2>"$TMP/said" || code=$?
[ $code = 1 ] && grep -q 'bind NFLOG group 40.*choose \[nflog\] group' "$TMP/said" || fail "code $code: $(cat "$TMP/said")"
expect '.gate.loaded and .state == "enforcing"'
ok "a taken NFLOG group: exit 1, it says which, and the first daemon is not disturbed"

write "$MAIN" <<<"${DOOR/, \"tcp\/4021\", \"udp\/33710\"/}"
knockctl check "$MAIN" >"$TMP/said" 2>&1 || fail "a short knock is no error: $(cat "$TMP/said")"
for way in "--config $MAIN" "--config=$MAIN"; do
  # shellcheck disable=SC2086
  knockgated $way --check >"$TMP/daemon" 2>&1 || fail "knockgated $way --check: $(cat "$TMP/daemon")"
  grep -q 'warning' "$TMP/daemon" || fail "knockgated $way --check reads another file: $(cat "$TMP/daemon")"
done
grep -Eq 'warning: .*knock = \["(tcp|udp)/[0-9]+", "(tcp|udp)/[0-9]+", "(tcp|udp)/[0-9]+", "(tcp|udp)/[0-9]+"\]' "$TMP/said" || fail "no proposal: $(cat "$TMP/said")"
code=0; knockctl check --strict "$MAIN" >/dev/null 2>&1 || code=$?
[ $code = 78 ] || fail "--strict exits $code"
ok "a weak knock: a warning with four good ports; --strict refuses"
chmod 755 "$TMP" "$TMP/etc"; chmod 640 "$MAIN"
code=0; setpriv --reuid 65534 --regid 65534 --clear-groups knockctl check "$MAIN" >"$TMP/said" 2>&1 || code=$?
[ $code = 78 ] && grep -q 'Permission denied' "$TMP/said" || fail "unreadable: $code $(cat "$TMP/said")"
code=0; setpriv --reuid 65534 --regid 65534 --clear-groups knockctl --socket "$TMP/one.sock" status >"$TMP/said" 2>&1 || code=$?
[ $code = 77 ] || fail "a stranger's status exits $code: $(cat "$TMP/said")"
ok "who may not read is told so"
