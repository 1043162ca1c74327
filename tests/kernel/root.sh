#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What root's knockctl believes: not the daemon (its user may be in other hands), and no file that others may write.
. "$(dirname "$0")/../harness/lib.sh"

world
serve router 22
mkdir "$TMP/boot.d" "$TMP/doors.d"
export BOOT_FILE="$TMP/boot.d/knockgate.nft"
MAIN='[gate]
trust = ["lan0"]'
config <<<"$MAIN"
door() { cat >"$TMP/doors.d/ssh.toml"; chmod 600 "$TMP/doors.d/ssh.toml"; }
door <<<"$FOUR_STEPS"
start
save() { ctl save; }
save >/dev/null
cp "$BOOT_FILE" "$TMP/good"
grep -q 'guarded { tcp . 22 }' "$TMP/good" || fail "the boot file does not guard: $(cat "$TMP/good")"
# save is refused with EXIT and PATTERN, and the boot file is as it was
refused_save() {
  local code=0
  ctl save >"$TMP/said" 2>&1 || code=$?
  [ $code = "$1" ] && grep -Eq -- "$2" "$TMP/said" || fail "save exits $code: $(cat "$TMP/said")"
  cmp "$TMP/good" "$BOOT_FILE" || fail "the boot file is another"
}

# --- another configuration
door <<<"$FOUR_STEPS
for = \"1h\""
refused_save 1 'the configuration on disk is not the one that runs: reload first; .*--config FILE'
ctl reload >/dev/null 2>&1 # no new port
save >/dev/null
mv "$TMP/doors.d/ssh.toml" "$TMP/doors.d/tss.toml"
save >/dev/null || fail "the name of a file is no other configuration"
door <<<"$FOUR_STEPS
[door.web]"
refused_save 78 'error: '
door <<<"$FOUR_STEPS"
rm "$TMP/doors.d/tss.toml"
ctl reload >/dev/null
ctl reload >"$TMP/said" # the same once more: of the boot file there is nothing to tell
! grep -q "$BOOT_FILE" "$TMP/said" || fail "the boot file is told again: $(cat "$TMP/said")"
ok "the boot file is of the configuration that runs, or is not written"

# --- a socket of somebody else's, and a daemon that turned evil
cat >"$TMP/evil.py" <<'PY'
import os, socket, sys
path, uid, reply, asked = sys.argv[1:5]
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.bind(path); os.chmod(path, 0o666)
os.setgroups([]); os.setgid(int(uid)); os.setuid(int(uid))
log = open(asked, "a") if int(uid) == 0 else sys.stdout
s.listen()  # whose credentials these are, unix(7) says
print("listening", flush=True)
while True:
    c, _ = s.accept()
    data = c.recv(4096)
    if data: print(data.decode(), file=log, flush=True)
    try: c.send(open(reply, "rb").read())
    except OSError: pass
    c.close()
PY
chmod 711 "$TMP"
evil() { # SOCKET UID
  background python3 "$TMP/evil.py" "$TMP/$1" "$2" "$TMP/reply" "$TMP/asked.$1" >"$TMP/out.$1"
  await grep -q listening "$TMP/out.$1"
}
END='{"end":true,"exit":0,"error":null}'
echo "$END" >"$TMP/reply"; chmod 644 "$TMP/reply"
evil stranger.sock 65533
for verb in status save "reload --now" confirm off on "close --all"; do
  code=0; ctl --socket "$TMP/stranger.sock" $verb >"$TMP/said" 2>&1 || code=$?
  [ $code = 77 ] && grep -q 'neither root nor _knockgate listens at .*stranger.sock' "$TMP/said" || fail "$verb exits $code: $(cat "$TMP/said")"
done
! grep -v listening "$TMP/out.stranger.sock" || fail "root asked a stranger"
setpriv --reuid 65533 --regid 65533 --clear-groups "$KNOCKGATE_BUILD/knockctl" --socket "$TMP/stranger.sock" wait || fail "the stranger cannot ask his own"
ok "root does not ask where neither root nor the daemon's user listens"

HASH=$(python3 - "$KNOCKGATE_SOCKET" <<'PY'
import json, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect(sys.argv[1]); s.send(b"1 save")
print(json.loads(s.recv(65536).split(b"\n")[0])["config"])
PY
)
[ ${#HASH} = 64 ] || fail "the hash is $HASH"
evil daemon.sock 0
mkdir -m 755 "$TMP/etc"; echo 'important' >"$TMP/etc/shadow"
KNOCKGATE_SOCKET="$TMP/daemon.sock"
evil_says() { printf '%s\n' "$@" "$END" >"$TMP/reply"; }
NOTHING="{\"config\":\"$HASH\",\"off\":false,\"unconfirmed\":[]}"
for lines in '{"part":"table inet kgx { comment \"$(id)\" }"}' "{\"path\":\"$TMP/etc/shadow\"}" \
  "{\"config\":\"$HASH\",\"off\":false,\"unconfirmed\":[\"tcp/22 }; include \\\"/etc/shadow\\\"; #\"]}" \
  "{\"config\":\"$HASH\",\"off\":false,\"unconfirmed\":[\"tcp/99999\"]}" "{\"config\":\"$HASH\",\"off\":0,\"unconfirmed\":[]}"; do
  evil_says "$lines"
  refused_save 1 "the daemon's answer makes no sense"
  evil_says "$NOTHING" "$lines"
  refused_save 1 "the daemon's answer makes no sense"
done
evil_says "{\"config\":\"$HASH\",\"off\":false,\"unconfirmed\":[],\"path\":\"$TMP/etc/shadow\",\"text\":\"table inet kgx {}\"}"
save >/dev/null
cmp "$TMP/good" "$BOOT_FILE" || fail "text of the daemon's is in the boot file"
[ "$(cat "$TMP/etc/shadow")" = important ] && [ "$(ls "$TMP/etc" "$TMP/boot.d")" = "$TMP/boot.d:
knockgate.nft

$TMP/etc:
shadow" ] || fail "root wrote elsewhere: $(ls -R "$TMP/etc" "$TMP/boot.d")"
evil_says "${NOTHING/$HASH/${HASH%????}0000}"
refused_save 1 'is not the one that runs'
evil_says "${NOTHING/\[\]/[\"tcp/22\",\"tcp/9999\"]}"
save >/dev/null
diff "$TMP/good" "$BOOT_FILE" >"$TMP/said" || true
[ "$(grep -c '^[<>]' "$TMP/said")" -le 3 ] && ! grep -q '^> .*guarded' "$TMP/said" && ! grep -q 9999 "$BOOT_FILE" || fail "an evil daemon chose: $(cat "$TMP/said")"
evil_says "${NOTHING/false/true}"
save >/dev/null
[ ! -e "$BOOT_FILE" ] && [ -e "$TMP/etc/shadow" ] || fail "off does not remove the boot file, and that alone"
ok "an evil daemon chooses what is not guarded at boot (it could unguard it anyway), and no path and no text"

ESC=$'\x1b'
printf '{"text":"a\\u001b]0;owned\\u0007b\\u009bc"}\n{"end":true,"exit":1,"error":{"code":"x\\u001b","text":"\\u001b[2Jgone","advice":"\\u001b[8m","file":"\\u001b"}}\n' >"$TMP/reply"
screens() { LC_ALL=C grep -Pq '[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]' "$1"; }
for verb in status "close --all" confirm; do
  ctl $verb >"$TMP/said" 2>&1 || true
  ! screens "$TMP/said" && grep -qF '\x1b[2Jgone' "$TMP/said" || fail "$verb obeys: $(cat -v "$TMP/said")"
  ctl --json $verb >"$TMP/said" 2>&1 || true
  ! screens "$TMP/said" && grep -q gone "$TMP/said" || fail "--json $verb obeys: $(cat -v "$TMP/said")"
done
evil_says '{"text":"a\u001b[2Jb"}'
ctl close --all >"$TMP/said"; ! screens "$TMP/said" && grep -qF 'a\x1b[2Jb' "$TMP/said" || fail "$(cat -v "$TMP/said")"
evil_says "{\"text\":\"$ESC[2Jraw\"}"
for json in "" --json; do
  code=0; ctl $json close --all >"$TMP/said" 2>&1 || code=$?
  [ $code = 1 ] && ! screens "$TMP/said" && grep -q 'makes no sense' "$TMP/said" || fail "$code: $(cat -v "$TMP/said")"
done
KNOCKGATE_SOCKET="$TMP/control.sock"
ctl --json status | sed 's/"mode":"gate"/"mode":"g\\u001b[2Jate"/; s/"trust":\["lan0"\]/"trust":["\\u001b[31m"]/' >"$TMP/reply"
echo "$END" >>"$TMP/reply"
ctl --socket "$TMP/daemon.sock" >"$TMP/said" || fail "$(cat -v "$TMP/said")"
! screens "$TMP/said" && grep -qF '\x1b[2J' "$TMP/said" && grep -qF '\x1b[31m' "$TMP/said" || fail "$(cat -v "$TMP/said")"
ok "no control byte of its reaches root's terminal, as text or as JSON"

# --- files that others may write, and links that they may plant
save >/dev/null
cmp "$TMP/good" "$BOOT_FILE" || fail "not as before"
mkdir -m 755 "$TMP/elsewhere"
planted() { # PATTERN: refused, and nothing came to be elsewhere
  refused_save 1 "$1"
  [ -z "$(ls "$TMP/elsewhere")" ] || fail "root followed: $(ls "$TMP/elsewhere")"
}
chown 65533 "$TMP/boot.d"; planted "boot.d is not root's: root does not follow; sudo chown root"
chown 0 "$TMP/boot.d"; chmod 775 "$TMP/boot.d"; planted 'boot.d can be written by others: .*chmod go-w'; chmod 755 "$TMP/boot.d"
mv "$TMP/boot.d" "$TMP/boot.real"; ln -s "$TMP/elsewhere" "$TMP/boot.d"
code=0; ctl save >"$TMP/said" 2>&1 || code=$?
[ $code = 1 ] && grep -q 'boot.d is a link' "$TMP/said" && [ -z "$(ls "$TMP/elsewhere")" ] || fail "$code: $(cat "$TMP/said")"
rm "$TMP/boot.d"; mv "$TMP/boot.real" "$TMP/boot.d"
rm "$BOOT_FILE"; ln -s "$TMP/etc/shadow" "$BOOT_FILE" # in a directory of root's: root's own link
save >/dev/null
[ ! -L "$BOOT_FILE" ] && [ "$(cat "$TMP/etc/shadow")" = important ] || fail "root wrote through a link"
chmod 770 "$TMP/doors.d"; planted 'doors.d can be written by others'; chmod 755 "$TMP/doors.d"
chmod 620 "$TMP/knockgate.toml"; planted 'knockgate.toml can be written by others'; chmod 600 "$TMP/knockgate.toml"
mv "$TMP/doors.d/ssh.toml" "$TMP/ssh.real"; ln -s "$TMP/ssh.real" "$TMP/doors.d/ssh.toml"; planted 'ssh.toml is a link'
rm "$TMP/doors.d/ssh.toml"; mv "$TMP/ssh.real" "$TMP/doors.d/ssh.toml"
save >/dev/null || fail "not saved any more"
ok "what others may write, or a link, is neither read nor written as root"

# --- who did it
stop
MEMBER=64502 GROUP=$(getent group users | cut -d: -f3)
sed -i '1s/$/\nwrite_group = "users"/' "$TMP/knockgate.toml"
start
chgrp users "$KNOCKGATE_SOCKET"
as_member() { in_ns router setpriv --reuid $MEMBER --regid "$GROUP" --clear-groups knockctl "$@" 2>/dev/null; }
door <<<"${FOUR_STEPS/tcp\/22\"/tcp/22\", \"tcp/23\"}"
as_member reload --confirm 5m >/dev/null
as_member open ssh 203.0.113.9 --for 5s >/dev/null
logged "^hand verb=reload uid=$MEMBER confirm=5m exit=0\$" && logged "^hand verb=open uid=$MEMBER door=ssh source=203.0.113.9 for=5s exit=0\$" ||
  fail "$(grep ^hand "$TMP/log")"
code=0; as_member save || code=$?
[ $code = 77 ] || fail "a member may save: $code"
python3 - "$KNOCKGATE_SOCKET" $MEMBER "$GROUP" <<'PY' || fail "a member reads the hash"
import os, socket, sys
os.setgroups([]); os.setgid(int(sys.argv[3])); os.setuid(int(sys.argv[2]))
def ask(text):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect(sys.argv[1]); s.send(text)
    return s.recv(65536)
ask(b"1 close all=1 uid=0 exit=9 verb=save")
sys.exit(b'"exit":77' not in ask(b"1 save"))
PY
logged "^hand verb=close uid=$MEMBER all=1 exit=0\$" || fail "a request says who it is: $(grep ^hand "$TMP/log")"
stop
start
knock_ssh client $R4
await granted open4 203.0.113.9 23
ctl confirm >"$TMP/said" && grep -q "ended: the trial that uid $MEMBER began .* ago" "$TMP/said" || fail "$(cat "$TMP/said")"
logged "^confirm: ended: the trial that uid $MEMBER began" || fail "$(tail -n 5 "$TMP/log")"
ok "every change says who made it, and confirm whose trial it ends, over a restart too"
stays_closed intruder $R4 22
opens client $R4 22
