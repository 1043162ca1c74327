#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Embed: the sets and two chains inside the admin's own table.
. "$(dirname "$0")/../harness/lib.sh"

world
serve router 22
NFT_MORE='mode = "embed"
table = "inet filter"'
config <<<"$FOUR_STEPS
for = \"$((8 * SLOW))s\""
code=0; ip netns exec "$RUN-router" knockgated --config "$TMP/knockgate.toml" 2>"$TMP/said" || code=$?
[ $code = 1 ] && grep -q 'embed.nft' "$TMP/said" || fail "code $code: $(cat "$TMP/said")"
ok "a missing table: it says what to include"

knockctl template embed >"$TMP/embed.nft"
ruleset() {
  cat <<NFT
table inet filter {
  include "$TMP/embed.nft"
  chain input {
    type filter hook input priority filter; policy drop;
    iif lo accept
    jump knockgate_grants
    ct state established,related accept
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert } accept
    tcp dport 80 accept
    jump knockgate_knocks
  }
}
NFT
}
ruleset >"$TMP/admin.nft"
printf 'table inet filter {\n set open4 { type ipv4_addr; flags timeout; }\n}\n' | in_ns router nft -f -
code=0; ip netns exec "$RUN-router" knockgated --config "$TMP/knockgate.toml" 2>"$TMP/said" || code=$?
[ $code = 1 ] && grep -q 'wrong type.*open4.*ipv4_addr . inet_proto . inet_service' "$TMP/said" && grep -q 'add set guarded' "$TMP/said" ||
  fail "code $code: $(cat "$TMP/said")"
ok "sets of the wrong type or missing: each is named with its definition"

in_ns router nft flush ruleset
in_ns router nft -f "$TMP/admin.nft"
start
serve router 80
for target in $R4 $R6; do
  stays_closed client $target 22
  opens client $target 80
  knock_ssh client $target
  await reaches client $target 22
  stays_closed intruder $target 22
done
expect '.mode == "embed" and .config.boot_file == "none" and (.grants | length) == 2'
await refused client $R4 22
await refused client $R6 22
ok "knocks that his policy drops open, for their source alone, and the kernel closes"
stop KILL
start
knock_ssh client $R4
await reaches client $R4 22
in_ns router nft list chain inet filter input | grep -q 'tcp dport 80 accept' || fail "the admin's chain changed"
ok "his rules stay as he wrote them"
