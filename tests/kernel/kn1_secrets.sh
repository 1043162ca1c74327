#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# No key is on a screen, in a log, in JSON, in a ruleset, an argument or a core: not of devices, nor of the router.
. "$(dirname "$0")/../harness/lib.sh"
. "$(dirname "$0")/../harness/kn1.sh"

world
start_with_one_door
PASSWORD='correct horse battery staple'
invite carol/pad --password --password-fd 8 --door ssh 8<<<"$PASSWORD"
honest alice/laptop ssh
honest bob/pc ssh client $R6
sealed carol/pad password="$PASSWORD" | sent client $R4
await grant_now carol/pad ssh 203.0.113.9
sealed bob/pc spoil= | sent client $R4
sealed alice/laptop seed="$(seed_of another)" | sent client $R4
told alice/laptop signature - 203.0.113.9
limit_of() { awk '/Max core file size/ {print $5}' "/proc/$1/limits"; }
for process in "$DAEMON" "$(engine)"; do [ "$(limit_of "$process")" = 0 ] || fail "a core of $process would hold keys"; done

# Whatever is said from here on, of good files and of bad ones.
everything() {
  ctl status; ctl --json status; ctl user list; ctl user show alice; ctl --json user list; ctl device list; ctl --json device list
  ctl check; ctl --json check; ctl check --strict; ctl key show; ctl --json key show; ctl template; ctl save
  ctl reload --now; ctl --json reload --now
  in_ns router nft list ruleset
  for pid in "$DAEMON" "$(engine)"; do tr '\0' ' ' <"/proc/$pid/cmdline"; done
}
everything >"$TMP/said-good" 2>&1 || true
mkdir "$TMP/good"
cp -rp "$TMP/users.d" "$TMP/kn1.key" "$TMP/good/"
spoil() { # SED: of each file with keys; what is said of it, then it is whole again
  local file
  for file in "$TMP"/users.d/*.*.toml "$TMP/kn1.key"; do
    sed -i -E "$1" "$file"
    everything
    cp -p "$TMP/good/${file#"$TMP/"}" "$file"
  done
}
{
  spoil 's/^((secret|private) *= ".*)"$/\1/'
  spoil 's/^((secret|private) *= )"(.*)"$/\1\3/'
  spoil 's/^((secret|private) *= ".*)="$/\1"/'
  spoil 's/^((secret|private) *= )(".*")$/\1[\3]/'
  spoil 's/^((secret|private) *= ".*")$/\1\n\1/'
  spoil 's/^kid( *= ".*)"$/kid\1zz"/'
} >"$TMP/said-bad" 2>&1 || true
grep -q 'error: ' "$TMP/said-bad" || fail "the bad files were taken"
ctl reload --now >/dev/null

[ "$(stat -c %a "$TMP/state/applied")" = 600 ] || fail "what was applied, with keys in it, may be read by others"
python3 - "$TMP" "$PASSWORD" >"$TMP/found" <<'PY' || fail "a key is said: $(cat "$TMP/found")"
import base64, glob, re, sys
top, password = sys.argv[1:3]
secrets = {"the password": password.encode()}
for file in glob.glob(top + "/users.d/*.toml") + [top + "/kn1.key"]:
    for name, text in re.findall(r'(secret|psk|private|hide) *= "([^"]+)"', open(file).read()):
        raw = base64.b64decode(text)
        key = file.rsplit("/", 1)[1] + " " + name
        secrets[key + ", base64"] = text.rstrip("=").encode()[:40]
        secrets[key + ", hexadecimal"] = raw.hex().encode()
        secrets[key + ", as it is"] = raw
assert len(secrets) >= 1 + 3 * (3 + 1 + 2), secrets.keys()
bad = False
for file in glob.glob(top + "/said-*") + [top + "/log"] + glob.glob(top + "/state/*"):
    text = open(file, "rb").read()
    for name, secret in secrets.items():
        if secret in text and not file.endswith("/state/applied"):
            print(name, "in", file); bad = True
sys.exit(bad)
PY
ok "$(cat "$TMP"/said-* "$TMP/log" | wc -c) bytes of screens, JSON, rulesets and logs, of good files and bad ones: no key"
