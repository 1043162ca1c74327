#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The client of a user without rights: no key is on a screen, in an argument, an environment, a core, or a file that others
# read; it asks for no privilege, and wakes for its timers alone. How soon the first packet is out is printed.
. "$(dirname "$0")/../harness/lib.sh"
. "$(dirname "$0")/../harness/kn1.sh"
. "$(dirname "$0")/../harness/client.sh"

world
chmod 755 "$TMP"
chatter router 22
serve router 80
serve router 8022
kn1_config <<TOML
$(kn1_door ssh 22)
[door.short]
opens = ["tcp/80"]
kn1 = true
for = "3s"
[door.back]
opens = ["tcp/8022"]
knock = ["tcp/7143", "udp/12899", "tcp/4021"]
TOML
start
PASSWORD='correct horse battery staple'
echo "$PASSWORD" >"$TMP/word"
ctl user add alice --door ssh --door short >/dev/null
mkdir -m 755 "$(as nobody)"
chown 65534:65534 "$(as nobody)"
NS=client NOBODY='setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all'
WITH=$NOBODY

# --- whatever it says, of good files and of bad ones
declare -A INVITED
INVITED[home]=$(invited alice/laptop --host $R4)
INVITED[psk]=$(invited bob/pc --psk --door ssh --host $R4)
INVITED[word]=$(invited carol/pad --password --password-fd 3 --door ssh --host $R4 3<"$TMP/word")
INVITED[kept]=$(invited carol/kept --password --password-fd 3 --door ssh --host $R4 3<"$TMP/word")
INVITED[back]=$(invited --knock back --host $R4)
printf '%s\n' "${INVITED[@]}" >"$TMP/lines"
umask 0
for name in home psk word back; do kg nobody -v join - --name $name <<<"${INVITED[$name]}"; done >"$TMP/said-join" 2>&1
kg nobody -v join - --name kept --password-fd 3 <<<"${INVITED[kept]}" 3<"$TMP/word" >>"$TMP/said-join" 2>&1
grep -q '^psk' "$(profiles nobody)/kept.key" || fail "the password's key was not kept"
ctl device add "$(answer_in "$TMP/said-join" | tail -n 1)" >"$TMP/said-add"
printf '#!/bin/sh\n{ tr "\\0" "\\n" </proc/$PPID/environ; tr "\\0" "\\n" </proc/$PPID/cmdline; env; echo "$@"; ls -l /proc/self/fd; } >"%s/said-ask" 2>&1\ncat "%s"\n' \
  "$(as nobody)" "$TMP/word" >"$TMP/askpass"
chmod 755 "$TMP/askpass"
chmod 644 "$TMP/word"
everything() {
  local name
  for name in home psk kept back; do
    kg nobody -v open $name $([ $name != home ] || echo ssh) --timeout 1s
    kg nobody -v --json close $name $([ $name != home ] || echo ssh)
  done
  ASKPASS=$TMP/askpass kg nobody -v --json open word --timeout 1s
  kg nobody -v open word --password-fd 3 --timeout 1s 3<"$TMP/word"
  kg nobody open word --password-fd 3 --timeout 1s 3<<<'correct horse'
  kg nobody status; kg nobody --json status; kg nobody list; kg nobody --json list; kg nobody list --ssh
  for name in home psk word back; do kg nobody join "${INVITED[$name]}"; kg nobody open "${INVITED[$name]}"; done
}
everything >"$TMP/said-good" 2>&1 || true
umask 022
grep -q 'ssh open at' "$TMP/said-good" || fail "it never opened: $(cat "$TMP/said-good")"
[ -s "$(as nobody)/said-ask" ] || fail "no program was asked for the password"
mv "$(as nobody)/said-ask" "$TMP/"
cp -a "$(as nobody)" "$TMP/good"
spoil() { # SED: of each key file; what is said of it, then it is whole again
  local file
  for file in "$(profiles nobody)"/*.key; do
    sed -i -E "$1" "$file"
    kg nobody -v open "$(basename "$file" .key)" --timeout 1s
    kg nobody --json list
    cp -p "$TMP/good/.config/knockgate/${file##*/}" "$file"
  done
}
{
  spoil 's/^((secret|seed|psk) *= ".*)"$/\1/'
  spoil 's/^((secret|seed|psk) *= )"(.*)"$/\1\3/'
  spoil 's/^((secret|seed|psk) *= ".*)="$/\1"/'
  spoil 's/^((secret|seed|psk) *= )(".*")$/\1[\3]/'
  spoil 's/^((secret|seed|psk) *= ".*")$/\1\n\1/'
  spoil 's/^(secret|seed|psk) *= "(.*)"$/\2 = "\1"/'
  spoil 's/^kid( *= ".*)"$/kid\1zz"/'
} >"$TMP/said-bad" 2>&1 || true
[ "$(grep -c 'error: ' "$TMP/said-bad")" -gt 20 ] || fail "the bad files were taken: $(cat "$TMP/said-bad")"

# --- what others see of it while it runs
limited() { ulimit -c unlimited; exec "$@"; }
cd "$TMP"
kg_on nobody
limited "${KG[@]}" keep home ssh -- sh -c "env; ls -l /proc/self/fd; exec sleep 1000" >"$TMP/said-command" 2>&1 &
KEEP=$!
PIDS="$PIDS $KEEP"
await grant_now alice/laptop ssh 203.0.113.9
await grep -q '/proc' "$TMP/said-command"
kg_on nobody
mkfifo "$TMP/never"
limited "${KG[@]}" connect $R4 22 --profile psk <"$TMP/never" >"$TMP/heard.psk" 2>&1 &
CONNECT=$!
PIDS="$PIDS $CONNECT"
exec 9>"$TMP/never"
await test -s "$TMP/heard.psk"
for pid in $KEEP $CONNECT; do
  tr '\0' '\n' <"/proc/$pid/cmdline" | grep -q 'knockgate' || fail "$pid is another"
  cat /proc/$pid/cmdline /proc/$pid/environ >>"$TMP/said-proc"
  ! $NOBODY cat /proc/$pid/environ >/dev/null 2>&1 || fail "its user's other programs look into $pid"
  grep -q '^CapEff:.*0000000000000000$' /proc/$pid/status || fail "it has rights"
done
# Of this test alone: what another one types would be found, too.
ps eww -p "$(for ns in client router; do ip netns pids "$RUN-$ns"; done | paste -sd,)" >"$TMP/said-ps"
for pid in $KEEP $CONNECT; do grep -q "^ *$pid .*knockgate" "$TMP/said-ps" || fail "ps does not show $pid: $(cat "$TMP/said-ps")"; done
! grep -E ' -> (/.*knockgate/(home|psk)|socket|anon_inode)' "$TMP/said-command" || fail "the command has descriptors of knockgate"
dumped() { # PID: whether the kernel wrote a core of it
  python3 - "$1" <<'PY'
import ctypes, os, signal, sys, time
pid = int(sys.argv[1])
os.kill(pid, signal.SIGQUIT)
PY
  local code=0
  { wait "$1"; } 2>"$TMP/waited" || code=$?
  [ $code = 131 ] || fail "SIGQUIT ended it with $code"
  find "$TMP" -name 'core*' | grep -q . || grep -q 'core dumped' "$TMP/waited"
}
! dumped $CONNECT || fail "a core of it holds keys"
kill $KEEP
wait $KEEP || true
await never grant_now alice/laptop ssh 203.0.113.9
ctl close --all >/dev/null

find "$(as nobody)" -mindepth 1 -printf '%y %m %U %P\n' | grep -v '^d 7.. .* \.\(config\|local\|local/state\)$' >"$TMP/files"
grep -q 'home.state$' "$TMP/files" || fail "no state: $(cat "$TMP/files")"
! grep -vE '^(d 700|f 600) 65534 ' "$TMP/files" || fail "others may read it"
python3 - "$TMP" "$PASSWORD" >"$TMP/found" <<'PY' || fail "a key is seen: $(cat "$TMP/found")"
import base64, glob, re, sys
top, password = sys.argv[1:3]
secrets = {"the password": password.encode()}
for file in glob.glob(top + "/home.nobody/.config/knockgate/*.key"):
    for name, text in re.findall(r'^(secret|psk|seed) *= "([^"]+)"', open(file).read(), re.M):
        raw = base64.b64decode(text)
        key = file.rsplit("/", 1)[1] + " " + name
        secrets[key + ", base64"] = text.rstrip("=").encode()[:40]
        secrets[key + ", hexadecimal"] = raw.hex().encode()
        secrets[key + ", base32"] = base64.b32encode(raw)[:48]
        secrets[key + ", as it is"] = raw
assert len(secrets) == 1 + 4 * (2 + 2 + 1 + 2), secrets.keys()
bad = False
for line in open(top + "/lines").read().split():
    secrets["a line, " + line[10:14]] = line[20:60].encode()
files = glob.glob(top + "/said-*") + [top + "/log"] + glob.glob(top + "/home.nobody/.local/state/knockgate/*")
files += glob.glob(top + "/home.nobody/.config/knockgate/*.toml")
for file in files:
    text = open(file, "rb").read()
    for name, secret in secrets.items():
        if secret in text or secret.upper() in text.upper():
            print(name, "in", file); bad = True
sys.exit(bad)
PY
ok "$(cat "$TMP"/said-* | wc -c) bytes of screens, JSON, environments, arguments and command's descriptors, no core: no key; files are its user's alone"

# --- no privilege asked for; it wakes for its timers
WITH="strace -f -qq -o $(as nobody)/calls $NOBODY" # as root: as the user itself nobody may trace it
calls() { grep -c . "$(as nobody)/calls"; }
kg_on nobody
"${KG[@]}" keep home short >"$TMP/kept" 2>&1 9>&- &
KEEP=$!
PIDS="$PIDS $KEEP"
extends() { [ "$(count_logged '^extend door=short .*by=alice/laptop')" -ge "$1" ]; }
await extends 1
WITH=${WITH/calls/calls2} kg_on nobody
"${KG[@]}" connect $R4 8022 --profile back <"$TMP/never" >"$TMP/heard.back" 2>&1 9>&- &
CONNECT=$!
PIDS="$PIDS $CONNECT"
await grep -q hello "$TMP/heard.back"
still() { local before; before=$(grep -c . "$(as nobody)/calls2"); await extends $(($(count_logged '^extend door=short') + 1)); [ "$(grep -c . "$(as nobody)/calls2")" = "$before" ]; }
await still # what was under way has ended
before=$(grep -c ppoll "$(as nobody)/calls")
connect_before=$(grep -c . "$(as nobody)/calls2")
from=$(count_logged '^extend door=short')
await extends $((from + 4))
woken=$(($(grep -c ppoll "$(as nobody)/calls") - before))
refreshed=$(($(count_logged '^extend door=short') - from))
[ "$woken" -le $((2 * refreshed + 2)) ] || fail "keep woke $woken times for $refreshed refreshes"
[ "$(grep -c . "$(as nobody)/calls2")" = "$connect_before" ] || fail "connect woke: $(tail -n 3 "$(as nobody)/calls2")"
echo "    keep woke $woken times for $refreshed refreshes, an idle connect never"
exec 9>&-
for pid in $KEEP $CONNECT; do pkill -TERM -P $pid || true; wait $pid || true; done # of strace, which waits for what it traces
! grep -hE 'EPERM|EACCES' "$(as nobody)"/calls* || fail "it asked for what it may not"
! grep -hE '(setuid|setgid|capset|setns|unshare|mount|bpf|ptrace)\(|SOCK_RAW.*IPPROTO_(RAW|ICMP|UDP|TCP)|AF_PACKET' \
  <(sed '/execve("[^"]*\/knockgate"/,$!d' "$(as nobody)"/calls) || fail "a privileged call"
ok "nothing that needs rights is asked for; it wakes for its timers alone"

# --- from exec to the first packet, with an address that is known
fastest=
for _ in 1 2 3 4 5; do
  WITH="strace -f --seccomp-bpf -ttt -qq -o $TMP/first -e trace=execve,sendto $NOBODY" kg nobody open psk --timeout 5s >/dev/null
  took=$(awk '/execve\("[^"]*\/knockgate"/ && / = 0$/ {began = $2} /sendto\(/ {printf "%d\n", ($2 - began) * 1000000; exit}' "$TMP/first")
  [ -z "$fastest" ] || [ "$took" -lt "$fastest" ] && fastest=$took
  ctl close --all >/dev/null
done
echo "    first packet $fastest us after exec (fastest of 5, under strace)"
ok "measured"
