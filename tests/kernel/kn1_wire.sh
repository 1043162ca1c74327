#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Signed packets on the wire: no answer tells where they go. Without a door for them nothing of them is there; and in the
# admin's own table.
. "$(dirname "$0")/../harness/lib.sh"
. "$(dirname "$0")/../harness/kn1.sh"

world
serve router 22
# In the emulated machine each address by one way, and one device: its processes start slowly.
WAYS=("$R4 17022" "$R4 icmp" "$R6 17022" "$R6 icmp") DEVICES=(alice/laptop bob/pc)
[ "$SLOW" = 1 ] || { WAYS=("$R4 icmp" "$R6 17022"); DEVICES=(bob/pc); }

# --- without such a door
config <<<"$FOUR_STEPS"
start
in_ns router nft list ruleset >"$TMP/ruleset"
! grep -q kn1 "$TMP/ruleset" || fail "$(grep kn1 "$TMP/ruleset")"
lets_in_alone $R4
[ ! -e "$TMP/kn1.run" ] && [ -z "$(find "$TMP/state" -name 'kn1*')" ] || fail "files: $(ls "$TMP" "$TMP/state")"
stop
[ ! -e "$TMP/kn1.run" ] && [ -z "$(find "$TMP/state" -name 'kn1*')" ] || fail "files: $(ls "$TMP" "$TMP/state")"
in_ns router nft flush ruleset
ok "without a door for signed packets: no rule, no file"

start_with_one_door
in_ns router nft list ruleset | grep -q 'set kn1 ' || fail "no rules"
await test -e "$TMP/kn1.run"
[ "$(stat -c %a "$TMP/kn1.run")" = 600 ] || fail "mode of kn1.run"
honest alice/laptop ssh
[ "$(stat -c %a "$TMP/state/kn1.ceiling")" = 600 ] || fail "mode of kn1.ceiling"
honest bob/pc ssh client $R6
ok "with one: rules and files, for us alone"

# --- what comes back
in_ns client sysctl -qw net.ipv4.ping_group_range='0 0'
in_ns client nft -f - <<'NFT'
table inet wire {
  counter back {}
  chain in { type filter hook prerouting priority raw; icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert, nd-router-solicit, mld-listener-query, mld-listener-report, mld-listener-done, mld2-listener-report } accept; counter name back; }
}
NFT
heard_back() { in_ns client nft -j list counter inet wire back | jq '[.nftables[].counter? // empty | .packets] | add'; }
junk() { head -c 192 /dev/urandom | od -An -v -tx1 | tr -d ' \n'; echo; }
all_kinds() { # one packet of each fate
  sealed alice/laptop >"$TMP/honest"
  cat "$TMP/honest" "$TMP/honest"
  sealed bob/pc
  junk
  sealed alice/laptop at=now-300
  sealed alice/laptop at=now+300
  sealed bob/pc spoil=
  sealed alice/laptop seed="$(seed_of another)"
  sealed bob/pc door=nosuch
  sealed bob/pc flag=yes src=203.0.113.66
  sealed alice/laptop op=close
}
in_ns router nft add table inet admin
in_ns router nft add chain inet admin in '{ type filter hook input priority 0; policy drop; iif lo accept; icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept; tcp dport 22 accept; }'
for pair in "${WAYS[@]}"; do
  read -r target way <<<"$pair"
  quiet=$(heard_back)
  before=$(judged)
  all_kinds >"$TMP/kinds"
  sent client $target $way <"$TMP/kinds"
  await_judged "$before" 11
  [ "$(heard_back)" = "$quiet" ] || fail "$(($(heard_back) - quiet)) packets came back from $target $way"
  honest alice/laptop ssh client $target
  [ "$(heard_back)" = "$quiet" ] || fail "an honest one was answered"
done
sealed alice/laptop | sent client $R4
await reaches client $R4 22
[ "$(heard_back)" -gt "$quiet" ] || fail "what comes back is not counted"
ctl close --all >/dev/null
ok "where the admin's rules drop, nothing comes back, whatever was sent"

# By default a closed port says so, by the kernel's own hand: this one as its neighbour, byte for byte.
in_ns router nft delete table inet admin
answers() { # ADDRESS PORT|icmp: what comes back for one packet of each fate, without what must differ
  python3 - "$@" "$TMP/kinds" <<'PY'
import socket, struct, sys
address, port, file = sys.argv[1:4]
six = ":" in address
family = socket.AF_INET6 if six else socket.AF_INET
raw = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP)
raw.settimeout(5)
plain = socket.socket(family, socket.SOCK_DGRAM)
plain.bind(("", 0))
ours = plain.getsockname()[1]
for line in open(file):
    packet = bytes.fromhex(line.strip())
    plain.sendto(packet, (address, int(port)))
    while True:
        answer, sender = raw.recvfrom(2048)
        if not six:
            header, answer = answer[:20], answer[20:]
            shown = [header[1], len(header) + len(answer), header[6], header[8]] # tos, length, flags, ttl
        else:
            shown = [len(answer)]
        kind = (answer[0], answer[1])
        inner = answer[8:]
        udp = inner[40:] if six else inner[20:]
        if kind == ((1, 4) if six else (3, 3)) and struct.unpack("!H", udp[:2])[0] == ours:
            print(kind, shown, udp[4:6].hex(), udp[8:] == packet[:len(udp) - 8], sender[0])
            break
raw.settimeout(0.2)
try:
    while True:
        answer = raw.recvfrom(2048)[0]
        kind = answer[0] if six else answer[20]
        if kind == (1 if six else 3): # neighbours may ask for each other meanwhile
            print("one more")
except TimeoutError:
    pass
PY
}
for target in $R4 $R6; do
  all_kinds >"$TMP/kinds"
  before=$(judged)
  in_ns client true
  answers_in() { ip netns exec "$RUN-client" bash -c "$(declare -f answers); TMP='$TMP'; answers $1 $2"; }
  answers_in $target 17022 >"$TMP/here"
  await_judged "$before" 11
  all_kinds >"$TMP/kinds"
  answers_in $target 17023 >"$TMP/neighbour"
  [ "$(wc -l <"$TMP/here")" = 11 ] || fail "$(cat "$TMP/here")"
  cmp -s "$TMP/here" "$TMP/neighbour" || fail "$(diff "$TMP/here" "$TMP/neighbour")"
  ctl close --all >/dev/null
  honest alice/laptop ssh client $target
done
ok "by default each is answered as a closed port answers, once, as its neighbour"

# --- in the admin's own table
stop
in_ns router nft flush ruleset
KN1_GATE= NFT_MORE='mode = "embed"
table = "inet filter"'
kn1_config <<TOML
$(kn1_door ssh 22)
TOML
knockctl template embed >"$TMP/embed.nft"
in_ns router nft -f - <<NFT
table inet filter {
  include "$TMP/embed.nft"
  chain input {
    type filter hook input priority filter; policy drop;
    iif lo accept
    jump knockgate_grants
    meta l4proto { icmp, icmpv6 } jump knockgate_knocks
    ct state established,related accept
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert } accept
    jump knockgate_knocks
  }
}
NFT
start
for pair in "${WAYS[@]}"; do
  read -r target way <<<"$pair"
  for device in "${DEVICES[@]}"; do
    stays_closed client $target 22
    sealed $device | tee "$TMP/packet" | sent client $target $way
    await reaches client $target 22
    stays_closed intruder $target 22
    refuses replay intruder $target <"$TMP/packet"
    ctl close ssh >/dev/null
    stays_closed client $target 22
  done
done
ok "in the admin's own table, too"
