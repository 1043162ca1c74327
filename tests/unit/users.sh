#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# knockctl user, device, invite, key: what they print and write, two at once, and a kill before each system call.
# shellcheck disable=SC2016 # what is said has backquotes
set -eu
PATH="$KNOCKGATE_BUILD:$PATH"
[ "$(id -u)" = 0 ] || { echo "skip: not root"; exit 77; }
export ASAN_OPTIONS=detect_leaks=0 # which does not work under strace
for tool in jq strace python3; do command -v $tool >/dev/null || { echo "skip: no $tool"; exit 77; }; done
TMP=$(mktemp -d "${TMPDIR:-/tmp}/knockgate.XXXXXX")
fake=
trap '[ -z "$fake" ] || kill "$fake"; rm -rf "$TMP"' EXIT
umask 022
export TZ=UTC
fail() { echo "FAILED (${BASH_SOURCE[1]##*/}:${BASH_LINENO[0]}): $*"; cat "$TMP/said" "$TMP/cried" 2>/dev/null; exit 1; }
ok() { echo "ok  $*"; }

users=$TMP/users.d
doors='[door.ssh]
opens = ["tcp/22"]
kn1 = true
[door.nas]
opens = ["tcp/445"]
knock = ["tcp/7143", "udp/12899", "tcp/4021", "udp/33710"]'
main() { # LINE...: beside the usual
  printf '[gate]\ntrust = ["lo"]\n[control]\nsocket = "%s/control.sock"\n[kn1]\nkey = "%s/kn1.key"\nhosts = ["router.example"]\n%s\n' \
    "$TMP" "$TMP" "$doors" >"$TMP/k.toml"
  chmod 600 "$TMP/k.toml"
}
afresh() { rm -rf "$users" "$TMP/kn1.key"; main; }
k() { # EXIT ARGUMENT...
  local want=$1 code=0
  shift
  knockctl --socket "$TMP/control.sock" --config "$TMP/k.toml" "$@" >"$TMP/said" 2>"$TMP/cried" || code=$?
  [ "$code" = "$want" ] || fail "knockctl $* said $code, not $want"
}
says() { local line; for line; do grep -qxE -- "$line" "$TMP/said" || fail "not said: $line"; done; }
cries() { local line; for line; do grep -qF -- "$line" "$TMP/cried" || fail "not on stderr: $line"; done; }
holds() { local file=$1 line; shift; for line; do grep -qxE -- "$line" "$file" || fail "$file has no $line"; done; }
away='knockgated is not running: it counts when it starts'
line_of() { grep -o 'KNOCKGATE:[A-Z2-7]*' "$TMP/said"; }
# What `knockgate join` answers for a device, with a public key of one byte all over.
answer() { # FILE BYTE
  python3 - "$1" "$2" <<'PY'
import base64, hashlib, re, sys
text = open(sys.argv[1]).read()
kid = bytes.fromhex(re.search(r'kid *= "(\w+)"', text)[1])
secret = base64.b64decode(re.search(r'secret *= "([^"]+)"', text)[1])
public = bytes([int(sys.argv[2])]) * 32
body = b'\x01K' + kid + public + hashlib.blake2b(b'KN1 join ' + kid + public, key=secret, digest_size=16).digest()
print('KNOCKGATE:' + base64.b32encode(body).decode().rstrip('='))
PY
}
mode() { stat -c '%a %U:%G' "$1"; }
group=$(getent group _knockgate >/dev/null && echo "640 root:_knockgate" || echo "600 root:root")

# --- an invite and its answer
afresh
k 1 key
cries "there is no $TMP/kn1.key; sudo knockctl invite USER --door DOOR makes it"
k 0 invite alice/laptop --door ssh
says 'alice/laptop  kn1  ssh   opens nothing before its key is back \(until 20..-..-.. ..:..\)' \
  'On the device: `knockgate join`, paste \(send it privately\):' 'KNOCKGATE:[A-Z2-7]+' \
  'Then here: sudo knockctl device add LINE \(which join prints\)' "$away"
for file in "$TMP/kn1.key" "$users/alice.toml" "$users/alice.laptop.toml"; do
  [ "$(mode "$file")" = "$group" ] || fail "$file is $(mode "$file")"
done
holds "$users/alice.toml" '\[user.alice\]' 'doors = \["ssh"\]'
holds "$users/alice.laptop.toml" '\[user.alice.laptop\]' 'kid    = "[0-9a-f]{16}"' 'secret = ".{44}"' 'claim = 20.*Z' 'require_source = false'
first=$(line_of)
k 0 device line alice/laptop
[ "$(line_of)" = "$first" ] || fail "the line again is another"
k 0 check
grep -q 'takes packets from any address' "$TMP/cried" || fail "no warning of an unbound device"
line=$(answer "$users/alice.laptop.toml" 7)
other=A
[ "${line:80:1}" != A ] || other=B
k 1 device add "${line:0:80}$other${line:81}"
k 1 device add "$first"
cries 'this is the line for the device alice/laptop; paste it there, into `knockgate join`'
k 1 device add KNOCKGATE:NOLINE
cries 'this is no line that `knockgate join` prints at its end'
k 2 device add
cries 'usage: knockctl device add LINE; for example: sudo knockctl device add KNOCKGATE:'
k 0 device add "$line"
says 'alice/laptop opens ssh from now.   key [0-9a-f]{4} [0-9a-f]{4} [0-9a-f]{4} \(compare: knockgate list\)' "$away"
cp "$TMP/said" "$TMP/before"
holds "$users/alice.laptop.toml" 'public = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="'
! grep -q claim "$users/alice.laptop.toml" || fail "the claim is still there"
k 0 device add "$line"
[ "$(cat "$TMP/said")" = "$(head -1 "$TMP/before")" ] || fail "the same again says something else"
k 1 device add "$(answer "$users/alice.laptop.toml" 8)"
cries 'alice/laptop has another key already; knockctl device rotate alice/laptop'
k 1 invite alice/laptop
cries 'there is a device alice/laptop already'
ok "an invite, its answer once, twice, and another one"

# --- the other ways, and what is not
k 2 invite bob
cries 'which doors may bob open?; knockctl invite bob --door DOOR'
k 0 invite bob/pc --door ssh --psk --for 3d --openings 5 --clock none --require-source
says 'bob/pc  psk  ssh   opens from now until 20..-..-.. ..:... The line IS the key:' "$away"
holds "$users/bob.pc.toml" 'accepts = "psk"' 'openings = 5' 'clock = "none"' 'until = 20.*Z'
! grep -q require_source "$users/bob.pc.toml" || fail "it is bound by default"
printf 'short\n' >"$TMP/password"
k 1 invite carol --door ssh --password --password-fd 3 3<"$TMP/password"
cries 'the password is too short; 8 bytes at least'
[ ! -e "$users/carol.toml" ] || fail "a refused invite left a file"
printf 'correct horse\n' >"$TMP/password"
k 0 invite carol --door ssh --password --password-fd 3 3<"$TMP/password"
says 'carol/d1  password  ssh   opens from now. The line and the password are the key:'
! grep -rq horse "$users" "$TMP/said" || fail "the password stands somewhere"
k 0 invite carol
says 'carol/d2  kn1  ssh   opens nothing .*'
for later in --rotating "--one-time 5" --fwknop; do
  # shellcheck disable=SC2086
  k 2 invite dave --door ssh $later
  cries 'is not in this version'
done
k 1 invite dave --door nas
cries 'dave/d1 may open no door that takes signed packets; write kn1 = true in [door.nas]'
[ ! -e "$users/dave.toml" ] || fail "a refused invite left a file"
k 78 invite alice/pad --door nas
cries 'error: alice/pad names door nas, and alice'
! grep -q 'alice.pad.toml' "$TMP/cried" || fail "a file is named that was never written"
k 1 invite alice/pad --door shs
cries 'there is no door shs; did you mean ssh? doors here: ssh nas'
k 1 invite dave --door moonlight
cries 'there is no door moonlight; doors here: ssh nas'
[ ! -e "$users/dave.toml" ] || fail "a refused invite left a file"
k 1 invite --knock nsa
cries 'there is no door nsa; did you mean nas?'
k 0 invite --knock nas
says 'door nas   opens from now. The line IS the knock, of everybody who has it:' 'KNOCKGATE:[A-Z2-7]+'
k 0 --json invite alice/phone
jq -e '.schema == 1 and .device == "alice/phone" and (.line | startswith("KNOCKGATE:")) and .claim != null' "$TMP/said" >/dev/null || fail "no JSON"
k 0 invite alice/tv --qr
grep -q $'\e\[30;107m' "$TMP/said" || fail "no QR code"
k 0 user add erin --door ssh --door nas --door ssh --until 2030-12-24
cries 'warning: door nas takes no signed packets; write kn1 = true in [door.nas]'
holds "$users/erin.toml" 'doors = \["ssh", "nas"\]' 'until = 2030-12-24'
k 1 user add erin --door ssh
k 1 user add gina --door ssh --door nass
cries 'there is no door nass; did you mean nas?'
[ ! -e "$users/gina.toml" ] || fail "a refused user left a file"
k 0 user add gina --door ssh --until 2020-01-01
cries "warning: 2020-01-01 is past: gina opens nothing; write a later until in $users/gina.toml, then: sudo knockctl reload"
k 0 invite gina/pc --psk
says 'gina/pc  psk  ssh   opens nothing: the access of user gina ended 2020-01-01 00:00' \
  "Before it opens anything: write a later until in $users/gina.toml, then: sudo knockctl reload"
sed -i 's/^until.*/enabled = false/' "$users/gina.toml"
for verb in 'device line' 'device rotate'; do
  # shellcheck disable=SC2086
  k 0 $verb gina/pc
  says 'gina/pc  psk  ssh   opens nothing: user gina is off' \
    "Before it opens anything: take enabled = false out of $users/gina.toml, then: sudo knockctl reload" 'KNOCKGATE:[A-Z2-7]+'
done
k 0 user remove gina
k 2 user add frank --door ssh --until tomorrow
k 2 user add 'a/../b' --door ssh
k 2 device remove ../alice/laptop
ok "a shared secret, a password, a user; later ways and bad doors are refused and leave no file"

# --- hosts that a line cannot name: nothing is written
for host in 'a b' '' 'https://router.example'; do
  k 2 invite zoe/x --door ssh --host "$host"
  cries 'is no name or address of a host'
done
k 2 invite zoe/x --door ssh --host a --host b --host c --host d --host e
cries 'a line names 4 hosts at most'
[ ! -e "$users/zoe.toml" ] && [ ! -e "$users/zoe.x.toml" ] || fail "files were left: $(ls "$users")"

# --- rotation
old=$(grep -o 'kid *= "[^"]*"' "$users/alice.laptop.toml" | cut -d'"' -f2)
k 0 device rotate alice/laptop
says 'Until 20..-..-.. ..:.. it opens by the key it had \(--grace 0s: no more\)\.'
holds "$users/alice.laptop.toml" "old = \{ kid = \"$old\", secret = \".{44}\", public = \".{44}\", until = 20.*Z \}" 'claim = .*'
! grep -q "^kid    = \"$old\"" "$users/alice.laptop.toml" || fail "the kid is the old one"
touch "$users/alice.toml.backup" "$users/alice.toml.draft-k2Xq0b"
k 0 device rotate alice/laptop # the line was lost: what the device has still goes on
holds "$users/alice.laptop.toml" "old = \{ kid = \"$old\", .*" 'claim = .*'
[ -e "$users/alice.toml.backup" ] && [ ! -e "$users/alice.toml.draft-k2Xq0b" ] || fail "swept: $(ls "$users")"
rm "$users/alice.toml.backup"
k 0 device rotate alice/laptop --grace 0s
! grep -q '^old' "$users/alice.laptop.toml" || fail "no grace, and the old key is there"
sed -i '1a until = 2026-01-01' "$users/alice.laptop.toml"
k 0 device rotate alice/laptop
says 'alice/laptop  kn1  ssh   opens nothing: the access of alice/laptop ended 2026-01-01 00:00' \
  "Before it opens anything: write a later until in $users/alice.laptop.toml, then: sudo knockctl reload"
sed -i '/^until/d' "$users/alice.laptop.toml"
k 0 device add "$(answer "$users/alice.laptop.toml" 9)"
k 0 key
says 'KEY       MADE        UNTIL  DEVICES' '[0-9a-f]{8}  20..-..-..  -      -'
key=$(sed -n 2p "$TMP/said" | cut -c1-8)
k 0 key rotate
says "key [0-9a-f]{8} from now, $key until 20..-..-... Next: knockctl device line for each, before then" \
  '[0-9]+ devices need a new line before 20..-..-.. ..:..: alice/laptop .*'
! grep -q warning "$TMP/cried" || fail "nothing was cut"
[ "$(mode "$TMP/kn1.key")" = "$group" ] || fail "kn1.key is $(mode "$TMP/kn1.key")"
k 0 key rotate
k 0 key rotate
k 1 key rotate
cries '4 keys are accepted still'
k 0 key rotate --grace 0s
says 'key [0-9a-f]{8} from now. Next: .*' '[0-9]+ devices need a new line, and open nothing before: alice/laptop .*'
grep -qE "warning: key $key was to be accepted until 20..-..-.. ..:.., and ends now; who has a line that old" "$TMP/cried" ||
  fail "who is out is not said"
[ "$(grep -c 'private' "$TMP/kn1.key")" = 1 ] || fail "a former key is left"
ok "keys of devices and of the router rotate"

# --- kn1.key is gone
mv "$TMP/kn1.key" "$TMP/lost.key"
k 0 check
cries "there is no $TMP/kn1.key, by which devices were invited: they open nothing"
for verb in 'invite alice/late' 'device line alice/laptop' 'device rotate alice/laptop' 'key rotate' 'key rotate --grace 0s' key; do
  # shellcheck disable=SC2086
  k 69 $verb
  cries "there is no $TMP/kn1.key, and by it "
  cries 'start it: sudo systemctl start knockgated; or put the file back'
  [ ! -e "$TMP/kn1.key" ] || fail "$verb made another key"
done
[ ! -e "$users/alice.late.toml" ] || fail "a refused invite left a file"
mv "$TMP/lost.key" "$TMP/kn1.key"
ok "without the key that devices were invited by, and no daemon to ask, no other key is made"

# --- out, whatever else is wrong
printf '[user\n' >"$users/broken.toml"
k 78 invite alice/late
k 0 device remove alice/laptop --cut
says 'alice/laptop is out\.' "$away" \
  'What it opened stays open until it ends by itself, or knockgated starts; no connection was cut\.'
[ ! -e "$users/alice.laptop.toml" ] || fail "the file is still there"
k 1 device remove alice/laptop
cries 'there is no device alice/laptop'
rm "$users/broken.toml"
printf '[user.alice.pad]\nkid = "0102030405060708"\nsecret = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="\n' >"$users/all.toml"
chmod 600 "$users/all.toml"
for verb in 'device remove' 'device rotate'; do
  # shellcheck disable=SC2086
  k 1 $verb alice/pad
  cries 'alice/pad stands in users.d/all.toml:1: change it there, then: knockctl reload'
done
k 1 user remove alice
cries 'alice/pad stands in users.d/all.toml:1'
[ -e "$users/alice.toml" ] || fail "half of a user is gone"
rm "$users/all.toml"
k 0 user remove alice
says 'alice is out\.'
[ "$(find "$users" -name 'alice*' | wc -l)" = 0 ] || fail "a file of alice is left"
k 0 user remove carol
k 0 check
ok "a device and a user are out, also beside a broken file; what stands elsewhere is named"

# --- who may read what is secret
for wrong in 'chmod 644' 'chown nobody'; do
  afresh
  k 0 invite alice --door ssh
  for file in "$TMP/kn1.key" "$users/alice.d1.toml" "$users/alice.toml"; do
    $wrong "$file"
    k 78 check
    cries 'it holds a secret'
    case $wrong in *nobody) cries 'belongs to user nobody (65534), where root is expected; sudo chown root' ;; esac
    chmod 600 "$file"
    chown root "$file"
  done
done
k 0 check
for mode in 777 770; do
  chmod $mode "$users"
  k 78 check
  cries 'write into it (mode 0'
  cries "chmod 07"
  k 78 invite alice/late
done
chmod 700 "$users"
chown nobody "$users"
k 78 check
cries 'it belongs to user nobody (65534), where root is expected; sudo chown '
chown root "$users"
mkdir -m 777 "$TMP/doors.d"
chmod 777 "$TMP/doors.d"
k 78 check
cries 'anybody may write into it (mode 0777)'
rmdir "$TMP/doors.d"
k 0 check
if [ -n "$(command -v setpriv)" ]; then
  chmod 711 "$TMP"
  mkdir "$TMP/open"
  mkdir -m 700 "$TMP/open/users.d"
  chmod 755 "$TMP/open"
  printf '[gate]\ntrust = ["lo"]\n[door.ssh]\nopens = ["tcp/22"]\nkn1 = true\n' >"$TMP/open/k.toml"
  setpriv --reuid=65534 --clear-groups "$(command -v knockctl)" check "$TMP/open/k.toml" >"$TMP/said" 2>"$TMP/cried" && fail "it read what it may not"
  cries "$TMP/open/users.d: error: cannot be listed: Permission denied: users and devices are not checked; run it as root"
  ! grep -q 'no-device\|no-server-key' "$TMP/cried" || fail "it tells what it cannot know"
  chmod 700 "$TMP"
  for verb in 'user add frank --door ssh' 'invite frank' key 'device line alice/d1'; do
    # shellcheck disable=SC2086
    setpriv --reuid=65534 --clear-groups "$(command -v knockctl)" --config "$TMP/k.toml" $verb >"$TMP/said" 2>"$TMP/cried" && fail "nobody may $verb"
    cries 'run it with sudo'
  done
fi
ln -s /etc/passwd "$users/alice.d2.toml"
k 78 invite alice/d3
rm "$users/alice.d2.toml"
ok "files that others may use are refused, and so are others"

# --- a key that the service manager hands out
afresh
k 0 invite alice --door ssh
mkdir "$TMP/credentials"
sed -E 's/^(private = "....)(....)(....)/\1\3\2/' "$TMP/kn1.key" >"$TMP/credentials/kn1.key"
k 0 key
mv "$TMP/said" "$TMP/before"
CREDENTIALS_DIRECTORY=$TMP/credentials k 0 key
! cmp -s "$TMP/said" "$TMP/before" || fail "the file wins over the credential"
chmod 644 "$TMP/credentials/kn1.key" # an access list makes it look so
CREDENTIALS_DIRECTORY=$TMP/credentials k 0 check
CREDENTIALS_DIRECTORY=$TMP/doors.d k 0 check
rm -r "$TMP/credentials"
ok "a credential wins over kn1.key"

# --- another configuration has a key of its own, beside it
afresh
mkdir -m 700 "$TMP/trial"
sed '/^key/d' "$TMP/k.toml" >"$TMP/trial/k.toml"
chmod 600 "$TMP/trial/k.toml"
before=$(stat -c %Y /etc/knockgate/kn1.key 2>/dev/null || echo none)
for verb in 'invite alice --door ssh' 'key rotate'; do
  # shellcheck disable=SC2086
  knockctl --socket "$TMP/control.sock" --config "$TMP/trial/k.toml" $verb >"$TMP/said" 2>"$TMP/cried" || fail "$verb"
done
[ "$(grep -c private "$TMP/trial/kn1.key")" = 2 ] || fail "its key is elsewhere"
[ "$(stat -c %Y /etc/knockgate/kn1.key 2>/dev/null || echo none)" = "$before" ] || fail "the installed key was touched"
rm -r "$TMP/trial"
ok "another configuration has its key beside it"

# --- two at once
afresh
k 0 user add alice --door ssh
for i in $(seq 12); do
  knockctl --socket "$TMP/control.sock" --config "$TMP/k.toml" invite alice >"$TMP/said.$i" 2>&1 &
done
wait
[ "$(find "$users" -name 'alice.d*.toml' | wc -l)" = 12 ] || fail "12 invites at once made $(ls "$users")"
[ "$(cat "$TMP"/said.* | grep -o 'KNOCKGATE:.*' | sort -u | wc -l)" = 12 ] || fail "two lines are one"
[ "$(grep -c private "$TMP/kn1.key")" = 1 ] || fail "several keys"
k 0 check
ok "twelve invites at once are twelve devices"

# --- killed before each system call that changes something
afresh
k 0 invite alice/laptop --door ssh
k 0 device add "$(answer "$users/alice.laptop.toml" 7)"
cp -a "$users" "$TMP/kept.d"
cp -a "$TMP/kn1.key" "$TMP/kept.key"
kills=0
die_at() { # SYSCALL NTH VERB...: whether it was killed
  local call=$1 nth=$2 code=0
  shift 2
  rm -rf "$users"
  cp -a "$TMP/kept.d" "$users"
  cp -a "$TMP/kept.key" "$TMP/kn1.key"
  # The shell tells of the killed one; nobody needs it.
  { strace -qq -o /dev/null -e trace="$call" -e inject="$call:signal=KILL:when=$nth" \
    knockctl --socket "$TMP/control.sock" --config "$TMP/k.toml" "$@" >"$TMP/said" 2>"$TMP/cried"; } 2>/dev/null || code=$?
  [ "$code" != 0 ] || return 1
  [ "$code" = 137 ] || fail "strace: $code"
  kills=$((kills + 1))
}
for verb in 'invite bob/pc --door ssh' 'device rotate alice/laptop' 'key rotate' 'device remove alice/laptop' 'user remove alice'; do
  for call in write fchmod fchown fsync rename unlink; do
    for nth in $(seq 40); do
      # shellcheck disable=SC2086
      die_at $call "$nth" $verb || break
      k 0 check
      case $verb in
        *rotate*) cmp -s "$users/alice.laptop.toml" "$TMP/kept.d/alice.laptop.toml" || grep -q '^old' "$users/alice.laptop.toml" ||
          fail "$verb, $call $nth: neither old nor new" ;;
      esac
      case $verb in key*) cmp -s "$TMP/kn1.key" "$TMP/kept.key" || grep -q '^until' "$TMP/kn1.key" || fail "$call $nth: neither" ;; esac
      case $verb in user*) [ -e "$users/alice.toml" ] || [ ! -e "$users/alice.laptop.toml" ] || fail "$call $nth: a device without its user" ;; esac
      # Once more, and it is done: nothing of the killed one stands in the way.
      # shellcheck disable=SC2086
      case $verb in
        invite*) [ -e "$users/bob.pc.toml" ] || k 0 $verb ;;
        *rotate*) k 0 $verb ;;
      esac
      [ "$(find "$users" -name '*.toml.??????' | wc -l)" = 0 ] || k 0 key rotate
      [ "$(find "$users" -name '*.toml.??????' | wc -l)" = 0 ] || fail "$verb, $call $nth: a draft is left"
    done
  done
done
[ "$kills" -gt 20 ] || fail "only $kills kills"
ok "killed $kills times: all old or all new"

# --- no argument is a secret
afresh
strace -f -qq -e trace=execve -o "$TMP/exec" knockctl --socket "$TMP/control.sock" --config "$TMP/k.toml" invite alice --door ssh >"$TMP/said"
[ "$(wc -l <"$TMP/exec")" = 1 ] || fail "it starts others"
ok "nothing secret is anybody's argument"

# --- what the daemon tells
echo "$TMP/sealed/kn1.key" >"$TMP/place"
python3 - "$TMP/control.sock" "$TMP/place" >"$TMP/asked" <<'PY' &
import json, socket, sys, time
now = time.time()
at = lambda seconds: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now + seconds))
device = lambda name, **more: {"device": name, "accepts": "kn1", "symmetric": False, "kid": "00", "doors": ["ssh"], "state": "ok", "until": None,
                               "claim": None, "openings_left": None, "last_opened": None, "server_key": None, "fingerprint": None, "last_refused": None} | more
user = lambda name, *devices: {"user": name, "enabled": True, "doors": ["ssh"], "from": None, "until": None, "devices": devices}
users = [user("alice", device("alice/laptop", doors=["ssh", "nas"], last_opened=at(-125)),
              device("alice/pad", state="invited", claim=at(2 * 86400 + 3600))),
         user("bob", device("bob/pc", accepts="psk", symmetric=True,
                            last_refused={"reason": "ahead", "time": at(-60), "source": "198.51.100.7", "skew_ms": 41000}))]
server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
server.bind(sys.argv[1])
server.listen()
while True:
    client, _ = server.accept()
    verb = client.recv(4096).decode().split()[1]
    print(verb, flush=True)
    lines = [{"schema": 1, "users": [one]} for one in users] if verb == "users" else []
    if verb == "keys" and len(sys.argv) > 2:
        lines = [{"schema": 1, "made": at(-60), "until": None, "public": "A" * 43 + "=", "hide": "A" * 43 + "=", "file": open(sys.argv[2]).read().strip()}]
    for line in lines:
        client.send(json.dumps(line).encode() + b"\n")
    client.send(b'{"end":true,"exit":0,"error":null}\n')
    client.close()
PY
fake=$!
for _ in $(seq 100); do [ ! -S "$TMP/control.sock" ] || break; sleep 0.05; done
k 0 user list
diff - "$TMP/said" <<'SAID' || fail "another list"
USER   DEVICE  WAY   DOORS    LAST OPENED  UNTIL  STATE
alice  laptop  kn1   ssh nas  2 min ago    -      ok
alice  pad     kn1   ssh      -            -      invited, 2 d left
bob    pc      psk   ssh      -            -      ok
SAID
k 0 device list bob
[ "$(wc -l <"$TMP/said")" = 2 ] || fail "more than bob"
k 0 user show bob
says 'bob/pc was refused 1 min ago, from 198.51.100.7: ahead, its clock is 41 s fast: made more than 30 s from now .*'
k 0 --json user list
jq -e '.schema == 1 and (.users | length) == 2 and .users[0].devices[1].state == "invited"' "$TMP/said" >/dev/null || fail "no JSON"
k 1 user show carol
: >"$TMP/asked"
k 0 invite alice/pad
! grep -q running "$TMP/said" || fail "the daemon runs"
grep -qx users-read "$TMP/asked" || fail "the daemon is not told"
mv "$TMP/kn1.key" "$TMP/lost.key"
k 0 invite alice/sealed
[ ! -e "$TMP/kn1.key" ] || fail "another key was made beside the sealed one"
k 0 check
! grep -q no-server-key "$TMP/cried" || fail "sealed keys count as lost"
for place in kn1.key "$TMP/./kn1.key"; do # what it holds is from the file that is gone, as the daemon was told of it
  echo "$place" >"$TMP/place"
  k 1 key
done
for verb in 'invite alice/late' 'device line alice/pad' 'key rotate' key; do
  # shellcheck disable=SC2086
  k 1 $verb
  cries "put it back; or, for a new one and a new line for each device: sudo knockctl key rotate --grace 0s"
done
k 0 key rotate --grace 0s
[ -e "$TMP/kn1.key" ] || fail "no key was made"
says 'key [0-9a-f]{8} from now. Next: knockctl device line for each, now'
kill $fake
fake=
rm "$TMP/control.sock"
k 0 user list
cries 'knockgated does not answer: this is what the files say'
says 'USER +DEVICE .*' 'alice +pad +kn1 .* invited, .*'
k 0 user show alice
k 0 --json device list alice
jq -e '.users[0].user == "alice"' "$TMP/said" >/dev/null || fail "no JSON"
k 1 user show nobody
k 1 user show alice/pad
cries 'knockctl user show alice'
cp "$users/alice.toml" "$TMP/alice.toml"
echo 'dors = 1' >>"$users/alice.toml"
k 78 user list
cries "$users/alice.toml:"
cp "$TMP/alice.toml" "$users/alice.toml"
if [ -n "$(command -v setpriv)" ]; then
  cp "$(command -v knockctl)" "$TMP/knockctl"
  chmod 711 "$TMP"
  setpriv --reuid=65534 --clear-groups "$TMP/knockctl" --config "$TMP/k.toml" user list >"$TMP/said" 2>"$TMP/cried" && fail "who may not read them lists users"
  cries 'knockgated is not running'
fi
ok "lists come from the daemon, or from the files where none is; and it is told of changes"
