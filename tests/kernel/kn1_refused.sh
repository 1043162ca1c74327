#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Signed packets: each reason to refuse one has its counter and, behind the seal, its line; an honest one opens beside it.
. "$(dirname "$0")/../harness/lib.sh"
. "$(dirname "$0")/../harness/kn1.sh"

world
chmod 755 "$TMP"
kn1_config <<TOML
$(kn1_door ssh 22)
$(kn1_door web 80)
[door.wake]
run = ["/bin/true"]
kn1 = true
args = 16
cooldown = "0s"
TOML
start
join alice/laptop --door ssh --door wake
invite bob/pc --psk --door ssh --require-source
printf 'correct horse\n' >"$TMP/word"
invite carol/pad --password --password-fd 3 --door ssh 3<"$TMP/word"
honest alice/laptop ssh
honest alice/laptop ssh client $R6

# --- by the engine
cat >"$TMP/length.py" <<'PY'
import os, socket, struct, sys
# An UDP header that promises more than comes; a ping whose header has options in place of bytes.
udp = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
udp.sendto(struct.pack("!HHHH", 40000, 17022, 200, 0) + os.urandom(100), (sys.argv[1], 0))
ping = struct.pack("!BBHHH", 8, 0, 0, 1, 1) + os.urandom(188)
total = sum(struct.unpack("!98H", ping))
total = (total >> 16) + (total & 0xffff)
total += total >> 16
icmp = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
icmp.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, bytes([1, 1, 1, 1]))
icmp.sendto(ping[:2] + struct.pack("!H", ~total & 0xffff) + ping[4:], (sys.argv[1], 0))
PY
in_ns client python3 "$TMP/length.py" $R4
await status '.counters.refused_kn1_length == 1 and .counters.unparsed == 1'
honest alice/laptop ssh
ok "length: what a header promises does not count"

junk() { head -c "$1" /dev/urandom | od -An -v -tx1 | tr -d ' \n'; echo; } # BYTES
before=$(kn1_count refused_kn1_kid)
for size in 192 320 576 1088; do for target in $R4 $R6; do junk $size | sent client $target; done; done
await status ".counters.refused_kn1_kid == $before + 8"
for size in 191 193 1232; do junk $size | sent client $R4; done # these are of nobody: not even reported
invite bob/gone --psk --door ssh
honest bob/gone ssh
ctl device remove bob/gone >/dev/null
sealed bob/gone | refuses kid client $R4
expect ".counters.refused_kn1_kid == $before + 9"
ctl user show alice | grep -q '^[0-9]* packets since the start named no device of this router' || fail "$(ctl user show alice)"
ok "kid: junk of all sizes, and who was removed"

flip() { python3 -c 'import sys; t = bytearray.fromhex(sys.stdin.read().strip()); t[int(sys.argv[1])] ^= 1; print(t.hex())' "$1"; } # BYTE
for byte in 48 100 175; do sealed alice/laptop | flip $byte | refuses mac client $R4; done
for byte in 0 40 191; do # of the head and of what masks it
  before=$(($(kn1_count refused_kn1_mac) + $(kn1_count refused_kn1_kid)))
  sealed alice/laptop | flip $byte | sent client $R4
  await status ".counters.refused_kn1_mac + .counters.refused_kn1_kid == $before + 1"
done
honest alice/laptop ssh
ok "mac: a bit of the packet is another"

sealed alice/laptop at=now-122 | refuses age client $R4
await last_refused alice/laptop age
ctl --json user list | jq -es 'any(.[].users[].devices[]; .last_refused.skew_ms <= -121000 and .last_refused.source == "203.0.113.9")' >/dev/null ||
  fail "no skew: $(ctl --json user list)"
sealed alice/laptop at=now+33 | refuses ahead client $R6
await last_refused alice/laptop ahead
honest alice/laptop ssh client $R4 at=now+28
honest alice/laptop ssh client $R4 at=now
ok "age, ahead: told with how far its clock is off; within the window it may be off, and come in any order"

sealed alice/laptop >"$TMP/once"
sent client $R4 <"$TMP/once"
await grant_now alice/laptop ssh 203.0.113.9
refuses replay intruder $R4 <"$TMP/once"
refuses replay client $R4 <"$TMP/once"
await last_refused alice/laptop replay
ctl close ssh >/dev/null
sealed alice/laptop at=now+1 >"$TMP/earlier"
sealed alice/laptop op=close at=now+29 | sent client $R4
await status '.counters.kn1_idle >= 1'
refuses floor client $R4 <"$TMP/earlier"
await last_refused alice/laptop floor
honest alice/laptop ssh client $R4 at=now+30
ok "replay, floor: a stamp counts once, and none that is older than what closed"

sealed carol/pad password='wrong horse' | refuses seal client $R4
await last_refused carol/pad seal
honest carol/pad ssh client $R4 password='correct horse'
sealed alice/laptop spoil= at=now+29 | refuses seal client $R4
ok "seal: another password; the seal of a packet whose mac is right"

invite bob/flood --psk --door ssh
sealed bob/flood spoil= count=60 | refuses limit client $R4
await last_refused bob/flood limit
honest alice/laptop ssh client $R4 at=now+30
again() { sealed bob/flood | sent client $R4; grant_now bob/flood ssh 203.0.113.9; }
await again
ctl close ssh >/dev/null
ok "limit: of one device; others are served at once, and it again after a moment"

# --- by the keeper
join alice/phone --door ssh
phone() { sealed alice/phone "$@"; }
phone seed="$(seed_of another)" | refuses signature client $R4
told alice/phone signature - 203.0.113.9
honest alice/phone ssh
ok "signature: of another key"
for patch in 9:03 9:01 9:02 40:01 11:01 47:01; do phone patch=$patch | refuses form client $R4; done
phone flag=yes src=203.0.113.9 patch=9:00 | refuses form client $R4
told alice/phone form - 203.0.113.9
phone patch=8:05 | refuses op client $R4
phone patch=8:00 | refuses op client $R4
told alice/phone op - 203.0.113.9
honest alice/phone ssh client $R4 patch=8:01
ok "form, op: flags, lengths, zeros and ops that are none"

phone door=nosuch | refuses door client $R4
told alice/phone door - 203.0.113.9
phone door=web | refuses user client $R6
told alice/phone user web 2001:db8:9::9
honest alice/phone ssh
ok "door, user: none, or not theirs"

sealed bob/pc | refuses unbound client $R4
told bob/pc unbound ssh 203.0.113.9
sealed bob/pc flag=yes src=203.0.113.9 | refuses source intruder $R4
told bob/pc source ssh 203.0.113.66
sealed bob/pc flag=for src=203.0.113.66 | refuses for_src client $R4
told bob/pc for_src ssh 203.0.113.9
honest bob/pc ssh client $R4 flag=yes src=203.0.113.9
honest bob/pc ssh client $R6 flag=yes src=2001:db8:9::9
ok "unbound, source, for_src: bound means from there, and for others asks for a right"

write() { printf '%s\n' "${@:2}" >>"$TMP/users.d/${1%/*}.${1#*/}.toml"; ctl reload --now >"$TMP/said" 2>&1 || fail "$(cat "$TMP/said")"; } # USER/DEVICE LINE...
invite bob/for --psk --door ssh
write bob/for 'for_src = true'
for src in 127.0.0.1 0.0.0.0 169.254.1.1 224.0.0.1 255.255.255.255 240.0.0.1 203.0.113.1 ::1 fe80::1 ff02::1 2001:db8:f::1; do
  sealed bob/for flag=for src=$src | refuses range client $R4
done
told bob/for range ssh 203.0.113.9
sealed bob/for flag=for src=203.0.113.66 | sent client $R4
await grant_now bob/for ssh 203.0.113.66
ctl close ssh >/dev/null
ok "range: what is never granted, and our own"

invite carol/home --psk --door ssh
write carol/home 'sources = ["198.51.100.0/24", "2001:db8:7::/48"]'
for target in $R4 $R6; do
  sealed carol/home | refuses sources client $target
  honest carol/home ssh internet $target
done
told carol/home sources ssh 203.0.113.9
ok "sources: where packets may come from"

invite carol/soon --psk --door ssh
write carol/soon 'from = 2099-01-01'
sealed carol/soon | refuses dates client $R4
told carol/soon dates ssh 203.0.113.9
sed -i 's/^from.*/until = 2020-01-01/' "$TMP/users.d/carol.soon.toml"
ctl reload --now >/dev/null
sealed carol/soon | refuses dates client $R4
sed -i 's/^until.*/until = 2099-01-01/' "$TMP/users.d/carol.soon.toml"
ctl reload --now >/dev/null
honest carol/soon ssh
ok "dates: before from, after until"

laptop() { sealed alice/laptop at=now+30 "$@"; }
laptop op=run door=ssh | refuses op client $R4
told alice/laptop op ssh 203.0.113.9
laptop op=open door=wake | refuses op client $R4
laptop op=run door=wake args=seventeen-letters | refuses args client $R4
told alice/laptop args wake 203.0.113.9
laptop op=run door=wake args=sixteen-letters. | sent client $R4
await logged '^run door=wake source=203.0.113.9 by=alice/laptop via=kn1'
ok "op, args: a door that runs is run, and takes no byte more than it says"

invite bob/once --psk --door ssh --openings 1
honest bob/once ssh
stop
start
sealed bob/once | refuses openings client $R4
ctl --json user list | jq -es 'any(.[].users[].devices[]; .device == "bob/once" and .state == "used up" and .openings_left == 0)' >/dev/null || fail "$(ctl user list)"
honest bob/flood ssh
ok "openings: counted over a restart"
