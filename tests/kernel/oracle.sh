#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Nothing on the wire tells a knock port from a closed one: packet by packet the same answers, and as many of them, idle
# and under thousands, with full sets too. What the answers take is printed and not judged.
. "$(dirname "$0")/../harness/lib.sh"

MANY=$((5000 / (SLOW * SLOW)))
declare -A FROM=([$R4]=203.0.113.9 [$R6]=2001:db8:9::9)
declare -A KNOCK=([tcp]=7143 [udp]=12899) CLOSED=([tcp]=7144 [udp]=12900)
world
in_ns router sysctl -qw net.ipv4.icmp_ratemask=0 net.ipv6.icmp.ratemask=128 # else the kernel limits errors of all ports together
serve router 22
for target in $R4 $R6; do
  for ns in client intruder; do await reaches $ns $target 22; done
done

# The admin's firewall, around our chains where these are his.
firewall() { # accept|reject [GRANTS KNOCKS]
  cat <<NFT
table inet filter {
  ${2:+include \"$TMP/embed.nft\"}
  chain input {
    type filter hook input priority filter; policy $([ "$1" = accept ] && echo accept || echo drop);
    iif lo accept
    ${2:+jump $2}
    ct state established,related accept
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert } accept
    tcp dport 22 accept
    ${3:+jump $3}
    $([ "$1" = accept ] || echo reject)
  }
}
NFT
}
begin() { # MODE FIREWALL [DOORS]
  in_ns router nft flush ruleset
  NFT_MORE= TABLE=knockgate
  [ "$1" = gate ] || NFT_MORE='mode = "embed"
table = "inet filter"' TABLE=filter
  config <<<"$FOUR_STEPS${3-}"
  if [ "$1" = embed ]; then
    knockctl template embed >"$TMP/embed.nft"
    firewall "$2" knockgate_grants knockgate_knocks | in_ns router nft -f -
  else
    firewall "$2" | in_ns router nft -f -
  fi
  start
}
# Nobody finds a place any more in the sets that knocks fill.
fill() {
  local set
  for set in knocking4 recent4 knocking6 recent6; do
    awk -v set=$set -v table=$TABLE 'BEGIN {
      for (i = 0; i < 65535; ++i) {
        if (i % 5000 == 0) printf "%sadd element inet %s %s {", i ? "}\n" : "", table, set
        if (set ~ /6$/) printf "2001:db8:f000:%x:: timeout 1h,", i
        else printf "198.18.%d.%d timeout 1h,", i / 256, i % 256
      }
      print "}"
    }'
  done | in_ns router nft -f - || fail "the sets cannot be filled"
}
still_full() {
  local set
  for set in knocking4 recent4 knocking6 recent6; do
    ! in_ns router nft add element inet $TABLE $set "{ $([[ $set = *4 ]] && echo 192.0.2.1 || echo 2001:db8:f001::) }" 2>/dev/null ||
      fail "$set has room"
  done
}
probe() { in_ns client packets "$1" "${FROM[$2]}" "$2" "$3" "$4" ${5-}; } # VERB TARGET PROTO PORT [COUNT]
same() { # WHAT VERB TARGET PROTO [COUNT]
  local what=$1 verb=$2 target=$3 proto=$4
  probe $verb $target $proto ${CLOSED[$proto]} ${5-} >"$TMP/closed" 2>"$TMP/closed.time"
  probe $verb $target $proto ${KNOCK[$proto]} ${5-} >"$TMP/knock" 2>"$TMP/knock.time"
  diff "$TMP/closed" "$TMP/knock" || fail "$what, $verb, $target $proto: a knock port (>) and a closed one (<) answer differently"
  [ "$verb" != many ] || [ "$(awk '{print $1}' "$TMP/closed")" = "$MANY" ] || fail "$what: not every probe of $proto is answered: $(cat "$TMP/closed")"
  [ "$verb" != ask ] || [ "$(grep -c ': 1$' "$TMP/closed")" -gt 5 ] || fail "$what: hardly anything is answered: $(cat "$TMP/closed")"
  TIMES="$TIMES $proto $(cat "$TMP/closed.time")/$(cat "$TMP/knock.time"),"
}
compare() { # WHAT
  local target proto TIMES
  for target in $R4 $R6; do
    TIMES=
    for proto in tcp udp; do
      same "$1" ask $target $proto
      same "$1" many $target $proto $MANY
    done
    echo "    closed/knock to $target:$TIMES"
  done
}
honest() {
  local target
  for target in $R4 $R6; do
    stays_closed intruder $target 22
    knock_ssh intruder $target
    await reaches intruder $target 22
  done
}

both() { # MODE FIREWALL
  begin "$1" "$2"
  compare "$1, $2"
  await status ".nflog.packets >= $((4 * MANY))" # or this test is blind
  ok "$1, default $2: a knock port answers like a closed one, one by one and $MANY at once"
  stop
  [ "$SLOW" = 1 ] || return 0 # a quarter of a million elements are minutes there
  begin "$1" "$2"
  fill
  compare "$1, $2, full sets"
  still_full
  honest
  ok "$1, default $2: the same with full sets"
  stop
}
both gate accept
both embed reject
if [ "$SLOW" = 1 ]; then
  both gate reject
  both embed accept
fi

# Echo requests, where no door has one as a step, and where one has.
echoes() { # FILE
  local target verb
  for target in $R4 $R6; do
    for verb in ask many; do probe $verb $target icmp 0 $MANY 2>/dev/null; done
  done >"$1"
}
reported() { ctl --json status | jq -s '.[0].nflog.packets'; }
begin gate accept
echoes "$TMP/closed"
[ "$(grep -Ec "^$MANY .*78|: 1$" "$TMP/closed")" = 16 ] || fail "not every echo request is answered: $(cut -c 1-200 "$TMP/closed")"
[ "$(reported)" = 0 ] || fail "echo requests are reported without a door that wants them"
stop
begin gate accept '
[door.ping]
opens = ["tcp/8080"]
knock = ["icmp/len=42"]
[door.ping6]
opens = ["tcp/8080"]
knock = ["icmp6/len=42"]'
echoes "$TMP/knock"
diff "$TMP/closed" "$TMP/knock" || fail "an echo request that is reported (>) is answered differently"
await status ".nflog.packets >= $((2 * MANY))"
ok "echo requests that are reported are answered like others, one by one and $MANY at once"
