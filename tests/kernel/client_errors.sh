#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# knockgate when it fails: what it says, how it ends, and what the router has to tell; and where it opens all the same.
. "$(dirname "$0")/../harness/lib.sh"
. "$(dirname "$0")/../harness/kn1.sh"
. "$(dirname "$0")/../harness/client.sh"

world
chmod 755 "$TMP"
serve router 22
KN1_GATE='' kn1_config <<TOML
$(kn1_door ssh 22)
$(kn1_door web 80)
TOML
start
ctl user add alice --door ssh --door web >/dev/null
# Names are in files of this test: of the router, and of a resolver that does not answer.
cat >"$TMP/names" <<EOF
#!/bin/sh
mount --bind "$TMP/hosts" /etc/hosts
mount --bind "$TMP/resolv.conf" /etc/resolv.conf
exec "\$@"
EOF
chmod 755 "$TMP/names"
echo "nameserver 127.0.0.1" >"$TMP/resolv.conf"
named() { printf '%s router.example\n' "$@" >"$TMP/hosts"; } # ADDRESS...
named $R4
NAMES="$TMP/names env RESOLV_MULTI=on" WITH=$NAMES
joins client home alice/laptop --door ssh --host router.example
cp -a "$(as client)" "$TMP/good"
again() { rm -rf "$(as client)"; cp -a "$TMP/good" "$(as client)"; } # as it was joined
home() { sed -i -E "$1" "$(profiles client)/home.${2:-toml}"; }      # SED [key]
opens_now() { # OPTION...
  kg_ends 0 client open home ssh --timeout $((10 * SLOW))s "$@"
  says '^ssh open at 203\.0\.113\.1 for 203\.0\.113\.9 \(unbound\), '
  ctl close --all >/dev/null
}
in_time() { # COMMAND...: of a client that tries for 1 s
  local began; began=$(ms)
  "$@"
  [ $(($(ms) - began)) -lt $((4000 * SLOW)) ] || fail "it took $(($(ms) - began)) ms"
}
nothing_opens() { # OPTION...
  in_time kg_ends 1 client open home ssh --timeout 1s "$@"
  cries 'nothing opened at router.example tcp/22 within 1 s (1 knock to 203.0.113.1, unbound)'
  cries '  the router is silent but knows why: sudo knockctl user show alice'
}
opens_now

# --- a resolver that says nothing: a signal ends it all the same
background ip netns exec "$RUN-client" socat -u UDP4-RECV:53 /dev/null
resolver=$!
silent() { in_ns client ss -Huln sport = :53 | grep -q .; }
await silent
cp "$(profiles client)/home.toml" "$TMP/home.toml"
sed -i 's/"router.example"/"a.example", "b.example", "c.example"/' "$(profiles client)/home.toml"
kg_on client
for signal in TERM ''; do
  began=$(ms)
  "${KG[@]}" keep home ssh --timeout $((${#signal} == 0 ? 2 : 60))s >"$TMP/said" 2>"$TMP/cried" <&0 &
  asked=$!
  asks() { in_ns client ss -Hun dport = :53 | grep -q .; }
  await asks
  [ -z "$signal" ] || kill -$signal $asked
  code=0; wait $asked || code=$?
  [ $code = "$([ -n "$signal" ] && echo 0 || echo 69)" ] || fail "exit $code: $(cat "$TMP/cried")"
  [ $(($(ms) - began)) -le $((6000 * SLOW)) ] || fail "after $(($(ms) - began)) ms"
done
cries 'no answer of the resolver in time'
cp "$TMP/home.toml" "$(profiles client)/home.toml"
kill $resolver
ok "three names without an answer take one timeout, and a signal ends it"

# --- who is asked, and by which name
kg_ends 2 client open nas.example
cries 'no profile for nas.example; there are: home (router.example). knockgate join adds one'
kg_ends 2 client list --profile nosuch
cries 'there are: home (router.example)'
kg_ends 2 client connect home 443
cries 'profile home has no door for tcp/443; it has ssh (tcp/22)'
for host in -oX 'router example' "a'b" 'a"b' '$(id)' 'a;b' "$(printf 'a%.0s' {1..300})" '' $'a\nb'; do
  for words in 'open --' 'connect -- H 22' 'list --' 'close --' 'keep' 'knock -- H tcp/1'; do
    read -ra words <<<"$words"
    case "${words[*]}" in *H*) words=("${words[@]/H/$host}") ;; *) words+=("$host") ;; esac
    WITH="strace -f -qq -o $TMP/sent -e trace=%network" kg_ends 2 client "${words[@]}"
    [ ! -s "$TMP/sent" ] || fail "${words[*]}: $(cat "$TMP/sent")"
    [ "$(wc -l <"$TMP/cried")" = 1 ] || fail "not one line: $(cat "$TMP/cried")"
  done
done
ok "hosts and doors that are none; names from a hostile link are refused before a packet is sent"

: >"$TMP/hosts"
kg_ends 69 client open home ssh
cries 'router.example has no address (Temporary failure in name resolution); check the network, or put an address into home.toml'
kg_ends 69 client --json open router.example ssh
jq -e '.error.code == "unreachable" and (.error.text | test("has no address"))' "$TMP/said" >/dev/null || fail "$(cat "$TMP/said")"
named 192.0.2.77 2001:db8:77::7
in_ns client ip route del default
in_ns client ip -6 route del default
kg_ends 69 client connect router.example 22
cries 'no route to router.example ('
cries '192.0.2.77: Network is unreachable'
cries '2001:db8:77::7: Network is unreachable'
in_ns client ip route add default via $R4
in_ns client ip -6 route add default via 2001:db8:9::1
in_ns router ip route add blackhole 192.0.2.77
named 192.0.2.77 203.0.113.5 2001:db8:77::7 $R4
opens_now
named $R4
ok "no address, no route; of four addresses one works"

# --- keys, rights, clocks
reason() { await logged "^refused by=$1 source=203.0.113.9 reason=$2 "; } # DEVICE REASON
clock_reason() { # REASON LEAST MOST: skew in ms
  refused_so() { ctl --json user list | jq -es "any(.[].users[]?.devices[]?; .device == \"alice/laptop\" and .last_refused.reason == \"$1\" and
    .last_refused.skew_ms >= $2 and .last_refused.skew_ms <= $3)"; }
  await refused_so "$@"
}
counted() { [ "$(kn1_count "refused_kn1_$1")" -gt "${2:-0}" ]; }
mangle() { home "s/^($1 *= \"....)(....)(....)/\1\3\2/" key; }
mangle seed
nothing_opens
reason alice/laptop signature
cries '  the router answers (port unreachable): packets arrive'
! grep -q 'never opened' "$TMP/cried" || fail "it opened before: $(cat "$TMP/cried")"
again
mangle secret
nothing_opens
await counted mac
again
printf 'correct horse\n' >"$TMP/word"
invited carol/pad --password --password-fd 3 --door ssh --host router.example 3<"$TMP/word" | kg client join - --name carol >/dev/null
kg_ends 0 client open carol --password-fd 3 3<"$TMP/word"
ctl close ssh >/dev/null
kg_ends 1 client open carol --timeout 1s --password-fd 3 3<<<'correct hors'
cries 'sudo knockctl user show carol'
await last_refused carol/pad seal
ok "a wrong key, a wrong password: the router's log names the device and the reason"

invited alice/new --door ssh --host router.example | kg client join - --name new >"$TMP/new"
kg_ends 1 client open new --timeout 1s
cries '  never opened yet: has the admin run device add?'
reason alice/new signature
ctl device add "$(answer_in "$TMP/new")" >/dev/null
kg_ends 0 client open new
ctl device remove alice/new >/dev/null
before=$(kn1_count refused_kn1_kid)
kg_ends 1 client open new --timeout 1s
await counted kid "$before"
printf '[door.web]\nports = ["tcp/80"]\n' >>"$(profiles client)/home.toml"
kg_ends 1 client open home web --timeout 1s
reason alice/laptop user
again
sed -i '1a until = 2026-01-02' "$TMP/users.d/alice.laptop.toml"
ctl reload --now >/dev/null
home '1a until = 2026-01-02'
nothing_opens
cries '  your access ended 2026-01-02'
reason alice/laptop dates
sed -i '/^until/d' "$TMP/users.d/alice.laptop.toml"
ctl reload --now >/dev/null
again
opens_now
ok "not yet there, removed, ended, a door that is another's: by their hints and reasons"

shifted() { # SECONDS SYNCHRONISED
  WITH="$NAMES LD_PRELOAD=$KNOCKGATE_BUILD/shifted_clock.so SHIFT_S=$1 SYNCHRONISED=$2" nothing_opens
}
clock='  this clock is not synchronised; 30 s fast or 2 min slow is refused; timedatectl'
shifted 41 0
cries "$clock"
clock_reason ahead 40000 42000
again
shifted -600 0
cries "$clock"
clock_reason age -610000 -599000
again
shifted 600 1
! grep -q 'clock' "$TMP/cried" || fail "it is right, as far as this machine knows: $(cat "$TMP/cried")"
clock_reason ahead 599000 601000
ctl user show alice >"$TMP/shown"
grep -Eq '^alice/laptop was refused .*203\.0\.113\.9: ahead, its clock is ' "$TMP/shown" || fail "$(cat "$TMP/shown")"
opens_now # after a clock that was 10 min fast
ok "a clock that is 41 s fast, 10 min slow, 10 min fast: nothing opens, and both ends know why"

# --- the way there
on_the_way() { in_ns router nft "add table netdev way; add chain netdev way in { type filter hook ingress device wan0 priority 0; }; add rule netdev way in $1"; }
rejecting() { in_ns router nft "add table inet way; add chain inet way in { type filter hook prerouting priority -450; }; add rule inet way in $1 reject with icmpx admin-prohibited"; }
clear_way() { in_ns router nft delete table "$1" way; } # FAMILY
on_the_way 'udp dport 17022 quota until 500 bytes drop' # two packets
kg_ends 0 client --json open home ssh
jq -e '.packets == 3 and .state == "open" and .took_ms >= 3000' "$TMP/said" >/dev/null || fail "$(cat "$TMP/said")"
ctl close ssh >/dev/null
clear_way netdev
on_the_way 'ip daddr 203.0.113.1 drop'
nothing_opens
! grep -q 'packets arrive\|firewall\|each try' "$TMP/cried" || fail "more than it can know: $(cat "$TMP/cried")"
clear_way netdev
rejecting 'udp dport 17022'
nothing_opens
cries '  a firewall rejects udp/17022; try --icmp'
in_ns client sysctl -qw net.ipv4.ping_group_range='0 2147483647'
opens_now --icmp
clear_way inet
rejecting 'icmp type echo-request'
in_time kg_ends 1 client --json open home ssh --icmp --timeout 1s
jq -e '.error.code == "failed" and .error.hints[-1] == "the router is silent but knows why: sudo knockctl user show alice" and
  any(.error.hints[]; . == "a firewall rejects icmp; try without --icmp")' "$TMP/said" >/dev/null || fail "$(cat "$TMP/said")"
clear_way inet
ok "two packets lost, a router that is down, UDP and pings that a firewall rejects"

in_ns client sysctl -qw net.ipv4.ping_group_range='1 0'
kg_ends 77 client open home ssh --icmp
cries "a ping needs a ping socket, which this system does not give to your group; sudo sysctl -w net.ipv4.ping_group_range='0 2147483647'"
home 's/^send .*/send = ["icmp", "udp\/17022"]/'
opens_now # another way is there
again
cp -a "$TMP/good" "$(as nobody)"
chown -R 65534:65534 "$(as nobody)"
in_ns client sysctl -qw net.ipv4.ping_group_range='65534 65534'
WITH="$NAMES setpriv --reuid=65534 --regid=65534 --clear-groups" NS=client kg_ends 0 nobody open home ssh --icmp
ctl close ssh >/dev/null
kg_ends 77 client open home ssh --icmp
ok "pings by who may send them, and by no other"

sed -i '/^doors/d' "$TMP/users.d/alice.laptop.toml"
ctl reload --now >/dev/null
printf '[door.web]\nports = ["tcp/80"]\n' >>"$(profiles client)/home.toml"
on_the_way 'udp dport 17022 quota until 250 bytes drop' # so it is silent first
kg_ends 1 client connect router.example 80
cries 'web is open, but router.example tcp/80 refuses; does the service run?'
clear_way netdev
kg_ends 1 client connect router.example 80 --timeout 1s
cries '  each try was refused: shut, or nothing listens'
again
home '1a require_source = true'
kg_ends 2 client open home ssh
cries '203.0.113.9 is no public address, and the router takes bound packets alone of alice/laptop'
again
ok "a service that is down; an address that no packet can be bound to"

# --- files
path=$(profiles client)/home
chmod 0644 "$path.key"
kg_ends 77 client open home ssh
cries "home.key may be read by others (mode 0644); chmod 0600 $path.key"
chmod 0600 "$path.key"
chown 65534 "$path.key"
kg_ends 77 client open home ssh
cries 'home.key belongs to another user (65534)'
cries "chmod 0600 $path.key"
again
mv "$path.key" "$TMP/elsewhere"
ln -s "$TMP/elsewhere" "$path.key" # lrwxrwxrwx, and what it points at is 0600
opens_now
chmod 0640 "$TMP/elsewhere"
kg_ends 77 client open home ssh
cries 'home.key may be read by others (mode 0640)'
again
chmod 0666 "$path.toml"
kg_ends 77 client open home ssh
cries 'home.toml may be written by others (mode 0666)'
wrong() { # SED FILE LINE:COL TEXT
  again
  home "$1" "$2"
  kg_ends 78 client open home ssh
  cries "$path.$2:$3: error: $4"
}
wrong 's/^send .*/send = ["tcp\/22"]/' toml 3:9 '"tcp/22" carries no packet; write "udp/17022" or "icmp"'
wrong '1a colour = "red"' toml 2:1 ''
wrong 's/^(kid *= ")./\1z/' key 2:10 'kid is not 16 of 0 to 9 and a to f'
wrong '2s/"$//' key 2:27 "no TOML, or a key twice"
again
ok "files that others may read, that are another's, that are wrong: the place, and what to type"
