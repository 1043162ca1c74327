#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Floods of what looks like signed packets: junk, one device's broken packets, one packet very often. Others are served.
. "$(dirname "$0")/../harness/lib.sh"
. "$(dirname "$0")/../harness/kn1.sh"

world
serve router 22
start_with_one_door
invite carol/pad --psk --door ssh
COUNT=$((200000 / SLOW))

flood() { # FILE: from two sources at once, as fast as they can
  in_ns intruder signed_packet send $R4 17022 $COUNT <"$1" &
  FLOODS=$!
  in_ns client signed_packet send $R6 17022 $COUNT <"$1" &
  FLOODS="$FLOODS $!"
}
flooding() { kill -0 $FLOODS 2>/dev/null; }
# As clients send: again after one, three and six seconds. Says how often it took more than one packet.
AGAIN=0 AT=at=now
comes_in() { # USER/DEVICE
  local pause
  for pause in 1 2 3 0; do
    sealed "$1" $AT | sent internet $R4
    end=$(($(ms) + pause * 1000 * SLOW))
    until grant_now "$1" ssh 198.51.100.7; do
      [ "$(ms)" -lt "$end" ] || { AGAIN=$((AGAIN + 1)); continue 2; }
    done
    ctl close ssh >/dev/null
    return
  done
  fail "$1 does not come in: $(ctl --json status | jq -c '.counters, .nflog')"
}
cpu_us() { awk -v hz="$(getconf CLK_TCK)" '{print ($14 + $15) * 1000000 / hz}' "/proc/$(engine)/stat"; }
served_beside() { # FILE REASON...: while it floods, others come in; and it is counted
  local before sum lost cpu judged n=0
  before=$(judged) lost=$(ctl --json status | jq -s '.[0].nflog.lost') cpu=$(cpu_us)
  "${FLOOD_BY:-flood}" "$1"
  while flooding && [ $n -lt 12 ]; do
    comes_in alice/laptop
    comes_in carol/pad
    n=$((n + 1))
  done
  # shellcheck disable=SC2086
  wait $FLOODS
  comes_in alice/laptop
  judged=$(($(judged) - before))
  echo "$judged packets judged, $((($(cpu_us) - cpu) / (judged + 1))) us of a processor each; $(($(ctl --json status | jq -s '.[0].nflog.lost') - lost)) lost; $n rounds beside it, $AGAIN packets sent again"
  [ $n -gt 0 ] || fail "the flood was over at once"
  sum=$(printf ' + .counters.refused_kn1_%s' "${@:2}")
  status "(0$sum) >= 1000" || fail "not counted: $(ctl --json status | jq .counters)"
}

head -c 192 /dev/urandom | od -An -v -tx1 | tr -d ' \n' >"$TMP/junk"
echo >>"$TMP/junk"
served_beside "$TMP/junk" kid
expect '.counters.refused_kn1_limit == 0 and .grants == []'
ok "junk: honest packets open beside it"

sealed bob/pc spoil= >"$TMP/broken"
served_beside "$TMP/broken" limit
status ".counters.refused_kn1_seal <= 20 + 10 * $((SECONDS + 1))" || fail "$(ctl --json status | jq .counters)"
again() { sealed bob/pc | sent client $R4; grant_now bob/pc ssh 203.0.113.9; }
await again
ctl close ssh >/dev/null
ok "fresh packets of one device whose seal is broken: it is limited, others are served at once, and it again afterwards"

# Well maced, new and broken behind it, each another one, each of another source.
in_ns router sysctl -qw net.ipv4.conf.all.rp_filter=0
spoofed() { # FILE
  in_ns internet signed_packet spoof $R4 17022 198.51.100.0 <"$1" &
  FLOODS=$!
}
sealed bob/pc spoil= count=$((50000 / SLOW)) >"$TMP/many"
seals=$(kn1_count refused_kn1_seal) begun=$SECONDS
FLOOD_BY=spoofed served_beside "$TMP/many" limit
status ".counters.refused_kn1_seal <= $seals + 20 + 10 * $((SECONDS - begun + 1))" || fail "$(ctl --json status | jq .counters)"
await again
ctl close ssh >/dev/null
ok "the same of 254 sources that are none: it is limited, others are served at once"

# The same packet from four sources at one instant, in all so many times.
sealed bob/pc >"$TMP/one"
before=$(kn1_count kn1_accepted) opened=$(count_logged '^(open|extend) .* by=bob/pc ')
for at in "client $R4" "intruder $R4" "client $R6" "internet $R6"; do
  # shellcheck disable=SC2086
  sent $at 17022 $((25000 / SLOW)) <"$TMP/one" &
  senders+=($!)
done
wait "${senders[@]}"
honest alice/laptop ssh
expect ".counters.kn1_accepted == $before + 2"
[ $(($(count_logged '^(open|extend) .* by=bob/pc ') - opened)) = 1 ] || fail "it opened more than once"
ok "$((100000 / SLOW)) copies of one packet from four sources at once: one is accepted"

sealed bob/pc >"$TMP/once"
sent client $R4 <"$TMP/once"
await grant_now bob/pc ssh 203.0.113.9
ctl close ssh >/dev/null
seals=$(kn1_count refused_kn1_seal) limits=$(kn1_count refused_kn1_limit)
served_beside "$TMP/once" replay
expect ".counters.refused_kn1_limit == $limits and .counters.refused_kn1_seal == $seals and .grants == []"
honest bob/pc ssh
ok "one packet very often: refused before it costs its device anything"

# What was captured before a start: refused before it costs a DH.
sealed bob/pc count=$((100000 / SLOW)) >"$TMP/old"
sealed bob/pc | sent client $R4
await grant_now bob/pc ssh 203.0.113.9
stop
rm -f "$TMP/kn1.run" # and a boot
in_ns router nft flush ruleset
start
AT=at=now+30 # behind the floor of a start
came_in() { sealed alice/laptop $AT | sent internet $R4; grant_now alice/laptop ssh 198.51.100.7; }
SLOW=$((2 * SLOW)) await came_in # and of the ceiling: a minute beyond what was accepted
ctl close ssh >/dev/null
FLOOD_BY=spoofed served_beside "$TMP/old" floor
expect '.counters.refused_kn1_seal == 0 and .counters.refused_kn1_limit == 0 and .counters.kn1_accepted <= 40'
ok "$((100000 / SLOW)) captures from before a boot: none reaches a DH"
