#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# knockgate join: from each kind of line, by each way it comes in, to a connection; the same device again; keys that rotate.
. "$(dirname "$0")/../harness/lib.sh"
. "$(dirname "$0")/../harness/kn1.sh"
. "$(dirname "$0")/../harness/client.sh"

world
chmod 755 "$TMP"
for port in 22 80 8022; do serve router $port; done
kn1_config <<TOML
$(kn1_door ssh 22)
$(kn1_door web 80)
[door.back]
opens = ["tcp/8022"]
knock = ["tcp/7143", "udp/12899", "tcp/4021"]
for = "10m"
[limits]
cooloff = "0s"
TOML
start
AT="--host $R4 --host $R6"
mkfifo "$TMP/silent"
connects() { # MACHINE HOST PORT [OPTION...]: through the door, and the service says which it is
  local code=0 port=$3
  kg_on "$1"
  : >"$TMP/heard"
  "${KG[@]}" connect "${@:2}" <"$TMP/silent" >"$TMP/heard" 2>"$TMP/cried" &
  exec 8>"$TMP/silent"
  heard_or_over() { [ -s "$TMP/heard" ] || [ -s "$TMP/cried" ]; }
  await heard_or_over
  exec 8>&-
  wait $! || code=$?
  [ "$code $(cat "$TMP/heard" "$TMP/cried")" = "0 hello from $port" ] || fail "connect ${*:2}: $code $(cat "$TMP/heard" "$TMP/cried")"
}
seed_in() { grep '^seed' "$(profiles "$1")/$2.key"; }
shut() { ctl close --all >/dev/null; stays_closed client $R4 "$1"; }

# --- an invite, as an argument; the key goes back
ctl user add alice --door ssh --door web >/dev/null
# shellcheck disable=SC2086
line=$(invited alice/laptop $AT)
kg_ends 0 client join "$line"
says '^203\.0\.113\.1,2001:db8:f::1  alice/laptop  ssh \(tcp/22\) web \(tcp/80\)   saved as 203-0-113-1$'
says '^    sudo knockctl device add KNOCKGATE:[A-Z2-7]+$'
says '^        ProxyCommand /.*/knockgate connect %h %p$'
answer=$(answer_in "$TMP/said")
ctl device add "$answer" >"$TMP/added"
grep -q 'alice/laptop opens ssh web from now' "$TMP/added" || fail "$(cat "$TMP/added")"
print=$(grep -oE 'key [0-9a-f]{4} [0-9a-f]{4} [0-9a-f]{4}' "$TMP/added")
kg_ends 0 client list
says "^203-0-113-1  .* ssh \(tcp/22\) web \(tcp/80\)   $print$"
stays_closed client $R4 22
connects client $R4 22
connects client $R6 22
await refused client $R4 22
ok "an invite as an argument; both ends show one fingerprint; connect opens, and closes behind itself"

kg_ends 0 client join "$line" # the same line again
[ "$(answer_in "$TMP/said")" = "$answer" ] || fail "the same line makes another key"
connects client $R4 22

# --- by a file, by stdin, at the prompt; broken by mail
# shellcheck disable=SC2086
line=$(invited alice/pad $AT)
broken=$(fold -w 38 <<<"${line,,}" | sed 's/^/ /; s/$/\r/')
join_and_add() { # WORDS...
  kg_ends 0 client "$@"
  ctl device add "$(answer_in "$TMP/said")" >/dev/null
  connects client $R4 22 --profile by
  rm "$(profiles client)"/by.*
  ctl device rotate alice/pad --grace 0s | grep -o "^KNOCKGATE:.*" >"$TMP/line"
  line=$(cat "$TMP/line")
}
printf '%s\n' "$broken" >"$TMP/mail"
join_and_add join "$TMP/mail" --name by
fold -w 60 <<<"$line" >"$TMP/mail"
join_and_add join - --name by <"$TMP/mail"
printf '\n\n> \n%s\n' "$line" | sed '/>/d' >"$TMP/mail"
join_and_add join --name by <"$TMP/mail"
typed 0 'it is not shown' "$(fold -w 60 <<<"$line" | sed 's/$/\\n/' | tr -d '\n')" client join --name by
! grep -qF "${line:12:20}" "$TMP/screen" || fail "the line is shown: $(cat "$TMP/screen")"
ctl device add "$(tr -d '\r' <"$TMP/screen" | grep -o 'KNOCKGATE:[A-Z0-9]*$')" >/dev/null
connects client $R4 22 --profile by
ok "from a file, from stdin, at the prompt, whole, broken, and with blanks"

# --- lines that are keys are no arguments
ctl user add bob --door ssh >/dev/null
# shellcheck disable=SC2086
line=$(invited bob/pc --psk $AT)
for words in "join $line" "join ${line,,}" "open $line" "join --name=$line" "join - $line" "connect $R4 $line"; do
  # shellcheck disable=SC2086
  kg_ends 2 client $words
  ! grep -qF "${line:12:16}" "$TMP/cried" || fail "it is shown: $(cat "$TMP/cried")"
done
kg_ends 2 client join "$line"
cries 'this line is a key: an argument is shown by ps'
[ ! -e "$(profiles client)/bob.toml" ] || fail "it was joined"
kg_ends 0 client join --name bob - <<<"$line"
[ -z "$(answer_in "$TMP/said")" ] || fail "a secret needs no answer: $(cat "$TMP/said")"
connects client $R4 22 --profile bob
ok "a line that is a key is refused as an argument, and not shown; from stdin it opens at once"

# --- a password: a descriptor, a program, a terminal; kept or not
printf 'correct horse\n' >"$TMP/word"
# shellcheck disable=SC2086
line=$(invited carol/pad --password --password-fd 3 --door ssh $AT 3<"$TMP/word")
kg_ends 0 client join --name word - <<<"$line"
! grep -q '^psk' "$(profiles client)/word.key" || fail "kept, and nobody said so"
connects client $R4 22 --profile word --password-fd 3 3<"$TMP/word"
printf '#!/bin/sh\necho "$1" >"%s"\ncat "%s"\n' "$TMP/asked" "$TMP/word" >"$TMP/askpass"
chmod 755 "$TMP/askpass"
ASKPASS=$TMP/askpass connects client $R4 22 --profile word
grep -q 'Password of carol/pad' "$TMP/asked" || fail "asked: $(cat "$TMP/asked")"
typed 0 'Password of carol/pad: ' 'correct horse\n' client open word ssh
! grep -q 'correct' "$TMP/screen" || fail "the password is shown"
grep -q 'ssh open at' "$TMP/screen" || fail "$(cat "$TMP/screen")"
kg_ends 1 client open word ssh
cries 'no password for carol/pad; --password-fd 3 3<FILE'
typed 0 'Keep the key' 'n\n' client join "$(echo "$line" >"$TMP/line"; echo "$TMP/line")" --name word
! grep -q '^psk' "$(profiles client)/word.key" || fail "kept, against what was said"
kg_ends 0 client join --name word --password-fd 3 - 3<"$TMP/word" <<<"$line"
connects client $R4 22 --profile word
ok "a password from a descriptor, \$SSH_ASKPASS, a terminal; join keeps what it makes, if asked to"

# --- a door's knock: by its line, by typed steps
shut 8022
# shellcheck disable=SC2086
line=$(invited --knock back $AT)
kg_ends 2 client join "$line"
kg_ends 0 client join --name back - <<<"$line"
kg_ends 0 client open back
says '^back open at (203\.0\.113\.1|2001:db8:f::1) for '
shut 8022
for target in $R4 $R6; do
  connects client $target 8022 --profile back
  opens client $target 8022 # a knock does not close
done
shut 8022
for steps in 'tcp/7143 udp/12899 tcp/4021' '7143 12899:udp 4021:tcp' '-d 50 tcp/7143 udp/12899 4021'; do
  for target in $R4 $R6; do
    # shellcheck disable=SC2086
    kg_ends 0 client knock $target $steps
    says "^knock sent to $target; cannot be verified$"
    await reaches client $target 8022
    stays_closed intruder $target 8022
    shut 8022
  done
done
kg_ends 2 client knock $R4 tcp/7143 7143/udp
ok "a door's knock, by open and connect; typed, as knockgate and as knock(1) write it, over both families"

# --- a device that was rotated: asks
key=$(seed_in client 203-0-113-1)
ctl device rotate alice/laptop | grep -o "^KNOCKGATE:.*" >"$TMP/line"
kg_ends 1 client join "$TMP/line"
cries '203-0-113-1 is alice/laptop already, with another key'
typed 1 '[y/N] ' 'n\n' client join "$TMP/line"
[ "$(seed_in client 203-0-113-1)" = "$key" ] || fail "its key is another"
connects client $R4 22 --profile 203-0-113-1 # the old key, for now
typed 0 '[y/N] ' 'y\n' client join "$TMP/line"
[ "$(seed_in client 203-0-113-1)" != "$key" ] || fail "its key is the old one"
ctl device add "$(tr -d '\r' <"$TMP/screen" | grep -o 'KNOCKGATE:[A-Z0-9]*$')" >/dev/null
connects client $R4 22 --profile 203-0-113-1
ok "the same device with another key: asks, and does as it is told"

# --- the router's key is another
key=$(seed_in client 203-0-113-1)
renewed() { # the device line, joined over the old profile
  ctl device line alice/laptop | grep -o "^KNOCKGATE:.*" >"$TMP/line"
  kg_ends 0 client join "$TMP/line"
  [ -z "$(answer_in "$TMP/said")" ] || fail "an answer, where the router has the key: $(cat "$TMP/said")"
  [ "$(seed_in client 203-0-113-1)" = "$key" ] || fail "its key is another"
}
ctl key rotate >/dev/null
connects client $R4 22 --profile 203-0-113-1 # accepted still
renewed
connects client $R4 22 --profile 203-0-113-1
ctl key rotate --grace 0s >/dev/null
kg_ends 1 client open 203-0-113-1 ssh --timeout 1s
renewed
connects client $R4 22 --profile 203-0-113-1
ok "a server key that rotated: its new line over the old profile, the device's own key stays"

# --- written by hand, and keys from elsewhere
mv "$(profiles client)/203-0-113-1.key" "$TMP/my.key"
rm "$(profiles client)"/*.toml
cat >"$(profiles client)/home.toml" <<TOML
hosts  = ["$R4"]
device = "alice/laptop"
send   = ["udp/17022"]
[door.ssh]
ports = ["tcp/22"]
TOML
kg_ends 78 client open home ssh
cries 'home.key: error: '
connects client $R4 22 --key "$TMP/my.key"
connects client $R4 22 --key-fd 4 4<"$TMP/my.key"
ok "a profile written by hand; --key, --key-fd"

# --- list
mv "$TMP/my.key" "$(profiles client)/home.key"
for words in "" home $R4 "$R4 22" "home 22"; do
  # shellcheck disable=SC2086
  kg_ends 0 client list $words
done
for words in "$R4 443" "$R6 22" "router.example 22"; do
  # shellcheck disable=SC2086
  kg_ends 1 client list $words
  [ ! -s "$TMP/said" ] && [ ! -s "$TMP/cried" ] || fail "list $words says: $(cat "$TMP/said" "$TMP/cried")"
done
kg_ends 0 client list --ssh
printf 'Host %s\n    ProxyCommand %s connect %%h %%p\n' $R4 "$(command -v knockgate)" | cmp - "$TMP/said" || fail "$(cat "$TMP/said")"
kg_ends 0 client list --json
jq -e '.profile == "home" and .hosts == ["'$R4'"] and (.fingerprint | test("^[0-9a-f ]{14}$"))' "$TMP/said" >/dev/null || fail "$(cat "$TMP/said")"
ok "list answers Match exec by its exit code alone; --ssh, --json"
