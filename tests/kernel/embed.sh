#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Embed: the sets and two chains inside the admin's own table.
. "$(dirname "$0")/../harness/lib.sh"
. "$(dirname "$0")/../harness/clients.sh"

world
serve router 22
NFT_MORE='mode = "embed"
table = "inet filter"'
config <<<"$FOUR_STEPS
for = \"$((8 * SLOW))s\""
code=0; ip netns exec "$RUN-router" knockgated --config "$TMP/knockgate.toml" 2>"$TMP/said" || code=$?
[ $code = 1 ] && grep -q 'knockctl template embed' "$TMP/said" || fail "code $code: $(cat "$TMP/said")"
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
  lets_in_alone $target
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

# What only he can mend is said plainly: in status, and in the log.
faulty() { status '.gate.loaded == false and .gate.differs and ([.warnings[] | select(.code == "table")] | length) == 1'; }
lacks() { # WHAT NFT-TEXT
  in_ns router nft -f - <<<"$2"
  await faulty
  ctl status >"$TMP/said"
  grep -q 'table DIFFERS' "$TMP/said" && grep -q "$1" "$TMP/said" && grep -q 'run: sudo nft ' "$TMP/said" || fail "$1: $(cat "$TMP/said")"
  { echo 'flush ruleset'; cat "$TMP/admin.nft"; } | in_ns router nft -f -
  await status '.gate.loaded and .gate.differs == false and [.warnings[] | select(.code == "table")] == []'
  stays_closed intruder $R4 22
}
lacks 'chain knockgate_guard is empty' 'flush chain inet filter knockgate_guard'
logged '^embed: .*chain knockgate_guard is empty; run: sudo nft -f ' || fail "the log does not say what is wrong"
lacks 'chain knockgate_guard has 12 rules, not 11' 'insert rule inet filter knockgate_guard ip saddr 203.0.113.66 accept'
lacks 'no rule jumps to knockgate_grants.*$' 'flush chain inet filter input; add rule inet filter input jump knockgate_knocks'
lacks 'chain knockgate_knocks is gone' 'flush chain inet filter input; add rule inet filter input jump knockgate_grants; delete chain inet filter knockgate_knocks'
in_ns router nft flush ruleset
await status '.gate.loaded == false and any(.warnings[]; .code == "healing" and (.run | contains("include")))'
{ echo 'flush ruleset'; cat "$TMP/admin.nft"; } | in_ns router nft -f -
await status .gate.loaded
knock_ssh client $R4
await reaches client $R4 22
ok "a chain that is gone, empty or changed, a jump that is gone, a table that is gone: each with the line to type"

sed 's/range4 .*timeout; timeout 30s;/range4 { type ipv4_addr . inet_proto . inet_service; flags interval,timeout;/' "$TMP/embed.nft" >"$TMP/endless.nft"
cmp -s "$TMP/embed.nft" "$TMP/endless.nft" && fail "embed.nft is not as it was"
stop
cp "$TMP/endless.nft" "$TMP/embed.nft"
{ echo 'flush ruleset'; cat "$TMP/admin.nft"; } | in_ns router nft -f -
start
in_ns router nft add element inet filter range4 '{ 203.0.113.66 . tcp . 20-25 }'
await status '[.grants[] | [.source, .left_ms]] == [["203.0.113.66", null]]'
opens intruder $R4 22
ctl close --all >/dev/null
stays_closed intruder $R4 22
in_ns router nft add element inet filter range4 '{ 203.0.113.0-203.0.113.255 . tcp . 20-25 }'
await refused intruder $R4 22
expect '.grants == [] and .gate.loaded'
ok "an element without an end is listed and can be closed; one of many sources goes"

# Pings: who accepts or answers them before knockgate_knocks is asked hides them from it.
stop
config <<<'[door.ssh]
opens = ["tcp/22"]
for = "10m"
within = "60s"
knock = ["icmp/len=42", "icmp:\"Passw0rd\"", "icmp/len=42"]
[door.six]
opens = ["tcp/22"]
for = "10m"
within = "60s"
knock = ["icmp6:\"Passw0rd\" x3"]
[door.mark]
opens = ["tcp/4242"]
knock = ["udp/4243"]'
knockctl template embed >"$TMP/embed.nft"
reload_admin() { { echo 'flush ruleset'; ruleset | sed "$1"; } | in_ns router nft -f -; }
ping_knocks() {
  ping_one client $R4 -s 42
  ping_one client $R4 -p "$(hex Passw0rd)"
  ping_one client $R4 -s 42
  in_ns client ping -n -q -c 3 -i 0.2 -p "$(hex Passw0rd)" $R6 >/dev/null # the second one is of a connection
}
reload_admin 's/^ *tcp dport 80 accept/    meta l4proto { icmp, icmpv6 } accept\n&/'
start
ping_knocks
for target in $R4 $R6; do is_heard client $target; done
expect '.grants == []'
reload_admin 's/^ *ct state established.*/    icmp type echo-request jump knockgate_knocks\n    icmpv6 type echo-request jump knockgate_knocks\n&/; s/^ *tcp dport 80 accept/    meta l4proto { icmp, icmpv6 } accept\n&/'
await status .gate.loaded
in_ns client ping -n -q -c 1 -W $((2 * SLOW)) $R4 >/dev/null || fail "a ping is not answered"
ping_knocks
await status '[.grants[].door] == ["ssh", "six"]'
opens client $R4 22
opens client $R6 22
stays_closed intruder $R4 22
in_ns client ping -n -q -c 3 -i 0.2 -p "$(hex Passw0rd)" $R6 >"$TMP/ping"
grep -q '3 received' "$TMP/ping" || fail "$(cat "$TMP/ping")"
ok "pings knock where his table asks knockgate_knocks before it takes them, and are answered"
