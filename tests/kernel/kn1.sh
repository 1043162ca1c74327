#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Signed packets: one opens the door, for its device alone and once; over all ways they come by, and all they can ask for.
. "$(dirname "$0")/../harness/lib.sh"
. "$(dirname "$0")/../harness/kn1.sh"

world
chmod 755 "$TMP"
serve router 22
serve router 80
mkdir -m 777 "$TMP/out"
cat >"$TMP/tell" <<'SH'
#!/bin/bash
# Prints what it was given to the directory that its first word names.
{ cat; echo; env | grep ^KNOCKGATE_ | sort; echo started; } >>"$1/told"
SH
chmod 755 "$TMP/tell"
kn1_config <<TOML
[door.ssh]
opens = ["tcp/22"]
kn1 = true
for = "$((8 * SLOW))s"
$(kn1_door web 80)
max = "1h"
[door.wake]
run = ["$TMP/tell", "$TMP/out"]
kn1 = true
args = 32
cooldown = "0s"
TOML
start

# From an invitation to a device.
ctl user add alice --door ssh --door web --door wake >/dev/null
invite alice/laptop --door ssh
sealed alice/laptop | sent client $R4
await status '.counters.refused_kn1_signature == 1'
stays_closed client $R4 22
ctl device add "$(answered alice/laptop)" >"$TMP/said"
grep -q 'alice/laptop opens ssh from now' "$TMP/said" || fail "$(cat "$TMP/said")"
logged '^device-add device=alice/laptop accepts=kn1 doors=ssh until=- uid=0' || fail "not logged"
ok "an invited device opens nothing before its key is back"

for target in $R4 $R6; do
  stays_closed client $target 22
  sealed alice/laptop | tee "$TMP/packet" | sent client $target
  await reaches client $target 22
  stays_closed intruder $target 22
  stays_closed client $target 80
  expect '.grants | length == 1 and .[0].by == "alice/laptop" and .[0].via == "kn1" and .[0].door == "ssh"'
  refuses replay intruder $target <"$TMP/packet"
  stays_closed intruder $target 22
  ctl close ssh >/dev/null
  stays_closed client $target 22
done
logged '^open door=ssh source=203.0.113.9 ports=tcp/22 by=alice/laptop via=kn1 .* bound=no' || fail "no audit line"
sealed alice/laptop | sent client $R4
await reaches client $R4 22
await refused client $R4 22
ok "one packet opens, for its source alone, and the kernel closes; seen and sent again it opens nothing"

# --- bound, and for others
lets_in() { # NS ADDRESS PORT DOOR: it and no other
  await reaches "$1" "$2" "$3"
  local other
  for other in client intruder; do [ $other = "$1" ] || stays_closed $other "$2" "$3"; done
  ctl close "$4" >/dev/null
  stays_closed "$1" "$2" "$3"
}
invite bob/pc --psk --door ssh --door web --require-source
for target in $R4 $R6; do
  src=$(address_of client $target)
  sealed bob/pc flag=yes src="$src" >"$TMP/bound"
  refuses source intruder $target <"$TMP/bound"
  stays_closed intruder $target 22
  stays_closed client $target 22
  sent client $target <"$TMP/bound" # to refuse it cost no stamp
  lets_in client $target 22 ssh
  sealed bob/pc | refuses unbound client $target
done
logged '^open door=ssh source=203.0.113.9 .*by=bob/pc .*bound=yes' || fail "no audit line"
ok "a bound packet counts from its address alone; who must be bound opens by no other"
sealed bob/pc flag=for src=203.0.113.66 | refuses for_src client $R4
echo 'for_src = true' >>"$TMP/users.d/bob.pc.toml"
ctl reload --now >/dev/null
for target in $R4 $R6; do
  sealed bob/pc flag=for src="$(address_of intruder $target)" | sent client $target
  lets_in intruder $target 22 ssh
done
sealed bob/pc flag=for src="$(address_of intruder $R6)" | sent client $R4 # of the other family
lets_in intruder $R6 22 ssh
logged '^open door=ssh source=203.0.113.66 .*by=bob/pc .*bound=for from=203.0.113.9' || fail "no audit line"
ok "for another address, where its device may"

# --- secrets, passwords, pings
invite bob/key --psk --door ssh
printf 'correct horse\n' >"$TMP/word"
invite carol/pad --password --password-fd 3 --door ssh 3<"$TMP/word"
in_ns client sysctl -qw net.ipv4.ping_group_range='0 0'
in_ns intruder sysctl -qw net.ipv4.ping_group_range='0 0'
for target in $R4 $R6; do
  sealed bob/key | sent client $target
  lets_in client $target 22 ssh
  sealed carol/pad password='correct horse' | sent client $target
  lets_in client $target 22 ssh
  sealed carol/pad password='correct hors' | refuses seal client $target
  sealed bob/key | sent client $target icmp
  lets_in client $target 22 ssh
  for size in 192 320 576 1088; do
    sealed alice/laptop size=$size | sent client $target icmp
    lets_in client $target 22 ssh
    sealed bob/key size=$size | sent client $target
    lets_in client $target 22 ssh
  done
  sealed alice/laptop | tee "$TMP/packet" | sent client $target icmp
  lets_in client $target 22 ssh
  refuses replay intruder $target icmp <"$TMP/packet"
  refuses replay intruder $target <"$TMP/packet"
done
ok "devices with a secret, or a password; all sizes; by UDP and in pings, over both families"

# --- what they can ask for
left() { ctl --json status | jq -s "[.[].grants[]? | select(.by == \"$1\") | .left_ms] | max // 0"; } # USER/DEVICE
idle() { local before; before=$(kn1_count kn1_idle); sent "$@"; await status ".counters.kn1_idle == $before + 1"; }
join alice/phone --door web
phone() { sealed alice/phone door=web "$@"; }
phone op=refresh | idle client $R4
expect '.grants == []'
stays_closed client $R4 80
phone ttl=30 | sent client $R4
await grant_now alice/phone web 203.0.113.9
[ "$(left alice/phone)" -le 30000 ] || fail "it asked for 30 s, and has $(left alice/phone)"
phone op=refresh ttl=200 | sent client $R4
longer() { [ "$(left alice/phone)" -gt 100000 ]; }
await longer
phone op=refresh ttl=4000000 | sent client $R4
longest() { [ "$(left alice/phone)" -gt 300000 ]; }
await longest
[ "$(left alice/phone)" -le 600000 ] || fail "it has $(left alice/phone) ms"
sealed bob/pc door=web op=refresh flag=yes src=203.0.113.9 | idle client $R4 # another's
phone op=refresh | idle intruder $R4                                          # its own, of another source
opens client $R4 80
stays_closed intruder $R4 80
sealed bob/pc door=web op=close flag=yes src=203.0.113.9 | idle client $R4
phone op=close | idle intruder $R4
opens client $R4 80
phone | sent intruder $R4
await reaches intruder $R4 80
phone op=close | sent client $R4
await refused client $R4 80
opens intruder $R4 80
expect '[.grants[].source] == ["203.0.113.66"]'
logged '^close door=web source=203.0.113.9 .*reason=client' || fail "no audit line"
ctl close web >/dev/null
phone op=refresh | idle intruder $R4
stays_closed intruder $R4 80
ok "refresh extends what is one's own and makes nothing; close ends one's own, for its source"

join alice/remote --door wake
sealed alice/remote door=wake op=run args='two words; $(id)' count=4 stamp=same >"$TMP/copies"
before=$(judged)
at_once "$TMP/copies"
await_judged "$before" 4
await grep -q started "$TMP/out/told"
sealed alice/remote door=wake op=run | sent client $R4 # all before it came to its end
second() { [ "$(grep -c started "$TMP/out/told")" = 2 ]; }
await second
grep -qxF 'two words; $(id)' "$TMP/out/told" || fail "stdin: $(cat "$TMP/out/told")"
[ "$(grep -cxE 'KNOCKGATE_BY=alice/remote|KNOCKGATE_VIA=kn1|KNOCKGATE_DOOR=wake|KNOCKGATE_EVENT=open' "$TMP/out/told")" = 8 ] || fail "environment: $(cat "$TMP/out/told")"
[ "$(count_logged '^run door=wake .*by=alice/remote via=kn1')" = 2 ] || fail "it ran $(count_logged '^run door=wake') times"
ok "run: four copies to four addresses start one command, which reads their words and who sent them"
