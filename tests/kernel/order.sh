#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A source's reports come in the order of its packets: all of them in one group, and knocks sent back to back among
# thousands of others open, as do honest ones among floods. What it takes is printed and not judged.
. "$(dirname "$0")/../harness/lib.sh"

MANY=20000 STEPS="7143:tcp 12899:udp 4021:tcp"
world
serve router 22
in_ns router ip route add 198.18.0.0/15 via 203.0.113.9 dev wan0 onlink # answers to the sources that packets come from
# RFC 2544 for the honest; a flood wants more sources than any range for examples has.
in_ns router sysctl -qw net.ipv4.icmp_ratemask=0 net.ipv6.icmp.ratemask=128
for target in $R4 $R6; do await reaches client $target 22; await reaches intruder $target 22; done

# Which group would hear of whom, at once and in batches: our rules with a set in the place of each report.
{
  echo "table inet knockgate {"
  for kind in once batch; do
    for n in 0 1 2 3; do
      echo "set ${kind}4$n { type ipv4_addr; flags dynamic; size 65535; }; set ${kind}6$n { type ipv6_addr; flags dynamic; size 65535; }"
    done
  done
  echo "}"
  note() { echo "meta nfproto ipv4 update @${1}4\\1 { ip saddr } return\n meta nfproto ipv6 update @${1}6\\1 { ip6 saddr and ffff:ffff:ffff:ffff:: } return"; }
  # A tenth of the limit, so that both ways are taken on a busy machine, too.
  knockctl template gate | sed -E "s/limit rate 4000/limit rate 400/; s/log group 4([0-3]) queue-threshold 1 return/$(note once)/; s/log group 4([0-3]) return/$(note batch)/"
  echo "add element inet knockgate knocks { tcp . 7143, udp . 12899, tcp . 4021 }; add element inet knockgate ours { 7143, 12899, 4021 }"
} >"$TMP/groups.nft"
in_ns router nft -f "$TMP/groups.nft"
in_ns client packets knock 198.18.0.1 $R4 $MANY 15000 $STEPS 2>/dev/null
in_ns client packets knock 2001:db8:8000::1 $R6 $MANY 15000 $STEPS 2>/dev/null
members() { # KIND FAMILY: "GROUP SOURCE" each
  for n in 0 1 2 3; do
    in_ns router nft -j list set inet knockgate $1$2$n | jq -r ".nftables[] | select(.set) | .set.elem[]? | if type == \"object\" then .elem.val // . else . end | \"$n \\(.)\""
  done
}
for family in 4 6; do
  members once $family >"$TMP/once"
  members batch $family >"$TMP/batch"
  [ "$(wc -l <"$TMP/once")" -gt 1000 ] && [ "$(wc -l <"$TMP/batch")" -gt 1000 ] || fail "not both ways were taken: this test is blind"
  sort -u "$TMP/once" "$TMP/batch" | awk '{print $2}' >"$TMP/sources"
  [ "$(sort -u "$TMP/sources" | wc -l)" = $MANY ] || fail "IPv$family: $(sort -u "$TMP/sources" | wc -l) of $MANY sources are reported"
  twice=$(sort "$TMP/sources" | uniq -d | wc -l)
  [ "$twice" = 0 ] || fail "IPv$family: of $MANY sources $twice have two groups"
done
in_ns router nft delete table inet knockgate
ok "$MANY sources of each family at 15,000 packets a second: each has one group, at once and in batches"

config <<TOML
[limits]
grants = 262144
[door.ssh]
opens = ["tcp/22"]
knock = ["tcp/7143", "udp/12899", "tcp/4021"]
for = "1s"
TOML
start
number() { ctl --json status | jq -s ".[0].$1"; }
settled() { # the engine has read all that was reported
  local now
  now=$(number nflog.packets)
  [ "$now" = "${SEEN-}" ] && STILL=$((STILL + 1)) || STILL=0
  SEEN=$now
  [ $STILL -ge 3 ]
}
end() { kill "$1"; wait "$1" 2>/dev/null || true; }
knocks() { # FIRST COUNT RATE [FLOOD-TO-END...]: how many opened, in OPENED
  local flood
  OPENED=$(number counters.opened)
  in_ns client packets knock $1 $R4 $2 $3 $STEPS 2>"$TMP/pace"
  for flood in "${@:4}"; do end $flood; done
  SEEN=
  await settled
  OPENED=$(($(number counters.opened) - OPENED))
}
knocks 198.19.0.1 $MANY 30000 # ten thousand knocks a second
[ $((OPENED * 1000)) -ge $((MANY * 999)) ] || fail "of $MANY knocks back to back $OPENED open ($(cat "$TMP/pace"))"
ok "$OPENED of $MANY knocks back to back open ($(cat "$TMP/pace"))"

# One packet in a hundred comes twice, one in a hundred 30 ms late, a stray in each.
OPENED=$(number counters.opened)
in_ns client packets rough 198.19.100.1 $R4 2000 20 $STEPS
SEEN=
await settled
OPENED=$(($(number counters.opened) - OPENED))
[ $OPENED -ge 1980 ] || fail "over a rough line $OPENED of 2000 knocks open"
ok "$OPENED of 2,000 knocks open over a rough line"

enter() { # FIRST: a hundred honest ones, one after the other
  in_ns client packets enter $1 $R4 100 22 $STEPS 2>"$TMP/times" >"$TMP/entered" || fail "only $(cat "$TMP/entered") of 100 come in"
}
enter 198.19.200.1
idle=$(cat "$TMP/times")
background ip netns exec $RUN-intruder packets spray 172.16.0.0 $R4 10000 7143:tcp
FLOOD=$!
flooded() { [ "$(number nflog.packets)" -ge $((before + $1)) ]; }
before=$(number nflog.packets)
await flooded 20000
enter 198.19.201.1
flooded 21000 || fail "the flood is over"
ok "a hundred of a hundred come in under 10,000 spoofed first knocks a second; last knock to open idle: $idle; flooded: $(cat "$TMP/times")"

# Strays, too; the set of sources in mid-knock is full after seven seconds, so that those of every source are reported.
background ip netns exec $RUN-internet packets spray 172.16.0.0 $R4 2000 0:tcp 0:udp
STRAYS=$!
HONEST=10000
knocks 198.18.128.1 $HONEST 3000 $FLOOD $STRAYS
[ $OPENED = $HONEST ] || fail "of $HONEST honest knocks $OPENED open"
[ "$(number nflog.lost)" = 0 ] || echo "    $(number nflog.lost) reports lost"
ok "$HONEST of $HONEST honest knocks open under first knocks and strays of others ($(cat "$TMP/pace"))"
never logged '^error|<3>' || fail "an error in the log"
