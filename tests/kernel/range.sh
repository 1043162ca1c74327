#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Wide ranges: one element a grant and range; two doors that overlap; what mosh does; heal, restart, close, expiry.
. "$(dirname "$0")/../harness/lib.sh"

world
for port in 60001 60600 60999 61500; do # of mosh-server; it answers each datagram
  background ip netns exec "$RUN-router" socat "UDP6-RECVFROM:$port,ipv6only=0,fork" EXEC:cat
done
serve router 22
answers() { [ "$(echo "$RANDOM" | in_ns "$1" timeout 1 socat -t 0.5 - "UDP:$(at "$2" "$3")" 2>/dev/null)" ]; }
silent() { ! answers "$@"; }
doors() { config <<TOML
[door.mosh]
opens = ["tcp/22", "udp/60001-60999"]
knock = ["udp/7001"]
within = "1s"
for = "${1:-1h}"
max = "1h"
${2:-}
TOML
}
R6=2001:db8:9::1 # of the interface: what answers has it as its source
RTP='[door.rtp]
opens = ["udp/60500-61999"]
knock = ["udp/7002"]
for = "1h"'
for port in 60001 60600 60999 61500; do await answers client $R4 $port; await answers client $R6 $port; done
doors 1h "$RTP"
start
enters() { knock_at 7001 client $R4; answers client $R4 60001; } # a knock within a second is the one before again
for target in $R4 $R6; do
  for port in 60001 60600 60999 61500; do silent client $target $port || fail "udp/$port is open"; done
done
expect '[.gate.guarded[].port] == ["tcp/22", "udp/60001-61999"]'
ok "every port of a range is guarded, and shown as one row"

holds() { in_ns router nft -j list set inet knockgate "$1" | jq -es ".[0].nftables[1].set.elem // [] | length == $2" >/dev/null; }
for target in $R4 $R6; do knock_at 7001 client $target; done
for target in $R4 $R6; do
  for port in 60001 60600 60999; do await answers client $target $port; done
  opens client $target 22
  silent client $target 61500 || fail "udp/61500 belongs to another door"
  silent intruder $target 60001 || fail "open to another source"
done
holds range4 2 && holds range6 2 || fail "not one element for each piece"
logged '^open door=mosh source=203.0.113.9 ports=tcp/22,udp/60001-60499,udp/60500-60999 '
expect '.grants[0].ports == ["tcp/22", "udp/60001-60499", "udp/60500-60999"]'
status '[.grants[].packets] | all(. > 0)' || fail "packets of a range are not counted"
ok "a knock opens the range, as the pieces that two doors have in common"

knock_at 7002 client $R4
await answers client $R4 61500
holds range4 3 || fail "the common piece stands twice"
ctl close mosh >/dev/null
silent client $R4 60001 || fail "closed, and open"
answers client $R4 60600 || fail "closing one door closed the piece of the other"
ctl close rtp >/dev/null
for port in 60600 61500; do silent client $R4 $port || fail "udp/$port is open, and closed by hand"; done
holds range4 0 || fail "an element stays"
ok "a piece that two grants hold goes with the second"

await enters
in_ns router nft delete table inet knockgate
await logged '^healed by=nft'
answers client $R4 60600 || fail "a healed table forgot the range"
in_ns router nft delete element inet knockgate range4 '{ 203.0.113.9 . udp . 60001-60499 }'
await logged '^close door=mosh .* reason=foreign$'
await silent client $R4 60600
ok "the range comes back with the table; a piece that another deletes ends the grant"

await enters
stop KILL
start
expect '[.grants[] | [.door, .adopted, (.ports | length)]] == [["mosh", true, 3]]'
answers client $R4 60600 || fail "not open after a restart"
ok "a restart takes over ports and ranges as one grant"

doors 2s
ctl reload --now >/dev/null
await logged '^close door=mosh .* reason=door-changed$'
silent client $R4 60001 || fail "open after ranges were cut elsewhere"
await enters
holds range4 1 || fail "not cut anew"
await logged '^expire door=mosh .* reason=after$'
silent client $R4 60001 || fail "open, and over"
await enters
answers client $R4 60999
ok "a reload cuts anew; a range that is over is closed, and opens again beside ended elements"

# nft 1.0.6 turns the order of bytes of a protocol, one byte, before it looks for a range of keys; newer kernels
# (6.12.118) refuse that instruction.
for template in gate forward cut wide embed; do
  {
    [ $template = gate ] || [ $template = embed ] || knockctl template gate
    [ $template != embed ] || echo 'table inet embedding {'
    knockctl template $template
    [ $template != embed ] || echo '}'
  } >"$TMP/template.nft"
  in_ns client nft --debug=netlink --check --file "$TMP/template.nft" >"$TMP/instructions" || fail "$template is not taken"
  grep -q ' lookup ' "$TMP/instructions" || fail "nft shows no instruction"
  ! grep byteorder "$TMP/instructions" || fail "$template is refused by newer kernels"
done
ok "no template has an instruction that a newer kernel refuses"
