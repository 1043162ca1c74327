#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# An attacker who takes the engine over reads what comes, and opens no door of a device that signs: whatever he makes of
# its packets, no element appears.
. "$(dirname "$0")/../harness/lib.sh"
. "$(dirname "$0")/../harness/kn1.sh"

world
serve router 22
kn1_config <<TOML
$(kn1_door ssh 22)
$(kn1_door web 80)
[door.acts]
opens = ["tcp/4242"]
knock = ["udp/1030", "udp/1031", "udp/1032", "udp/1033", "udp/1034", "udp/1035", "udp/1036"]
[limits]
cooloff = "0s"
TOML
PATH="$KNOCKGATE_BUILD/hostile:$PATH" start
await engine
ctl user add alice --door ssh --door web >/dev/null
join alice/laptop --door ssh
join alice/phone --door ssh --door web
act() { in_ns client nc -u -w 1 -q 0 $R4 "$1" <<<x; }
elements() { in_ns router nft -j list set inet knockgate "$1" | jq '[.nftables[] | .set? // empty | .elem // [] | length] | add'; }
none() { [ "$(elements open4) $(elements open6)" = "0 0" ] || fail "$* opens: $(ctl status)"; }
acts() { # ACT COUNT REASON...: all that it makes is refused, for one of the reasons
  local before sum
  before=$(judged)
  act "$1"
  await_judged "$before" "$2"
  sum=$(printf ' + .counters.refused_kn1_%s' "${@:3}")
  [ "$(judged)" = $((before + $2)) ] || fail "act $1 made $(($(judged) - before)), not $2"
  status "(0$sum) >= $2" || fail "act $1: $(ctl --json status | jq .counters)"
  expect '.counters.kn1_accepted == '"$accepted"
  none "act $1"
}
captured() { sealed "$@" | sent client $R4; } # the engine keeps it, and tells nobody

accepted=0
captured alice/laptop flag=yes src=203.0.113.9
act 1030
await grant_now alice/laptop ssh 203.0.113.9
opens client $R4 22
accepted=1
act 1030
await status '.counters.refused_kn1_replay == 1'
ctl close --all >/dev/null
none "what was sent again"
ok "an honest record is heard, once"

captured alice/laptop flag=yes src=203.0.113.9
acts 1031 112 signature
acts 1032 7 signature kid
acts 1033 4 source
acts 1034 3 signature
acts 1035 3 signature
acts 1036 6 signature
act 1030
await grant_now alice/laptop ssh 203.0.113.9
accepted=2
ctl close --all >/dev/null
ok "altered, re-stamped, of another device, bound elsewhere, for another door, of another size, forged: nothing opens"

# What the security page admits: an unbound packet may be turned to another source, once; and who signs nothing is forged.
captured alice/phone
acts 1031 112 signature
acts 1034 3 signature
act 1033
await status '.grants | length == 1'
accepted=3
ctl close --all >/dev/null
none "the others"
invite bob/pc --psk --door ssh
act 1036
await grant_now bob/pc ssh 203.0.113.66
expect '[.grants[].by] == ["bob/pc"]'
ok "an unbound packet goes to one source alone; a device without a signature is his, as is said, and no other"
