#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What only passes through, or only looks: transit, published ports, browsing, what a scanner sees.
. "$(dirname "$0")/../harness/lib.sh"

world
serve router 22
serve router 80
serve internet 22
serve internet 7143
serve lan 8080
in_ns router nft -f - <<'NFT'
table ip nat {
  chain publish { type nat hook prerouting priority dstnat; iifname != "lan0" tcp dport { 2222, 4021 } dnat to 192.0.2.20:8080; }
}
NFT
config <<<"$FOUR_STEPS
within = \"$((10 * SLOW))s\"
[gate]
trust = []"
start
for port in 22 7143; do opens lan 198.51.100.7 $port; opens lan 2001:db8:7::7 $port; done
expect '.counters.seen == 0'
ok "a LAN host reaches guarded and knock ports of an internet host, and nothing is reported"
opens internet 192.0.2.20 8080
in_ns internet knock $R4 7143:tcp
opens internet $R4 2222
expect '.counters.stray == 0 and .tracker.attempts == 1'
ok "published ports of inner hosts are reached in mid-knock and are no strays"

in_ns client knock $R4 7143:tcp 12899:udp
for _ in $(seq 20); do opens client $R4 80; done
in_ns client knock $R4 4021:tcp
in_ns client knock $R4 33710:udp
await status '.counters.step >= 2'
ok "browsing an open service of the router in mid-knock is no stray"
in_ns router nft delete table ip nat
in_ns client knock $R4 7143:tcp 12899:udp
for _ in $(seq 20); do opens client $R4 80; done
in_ns client knock $R4 4021:tcp 33710:udp
await reaches client $R4 22
ok "and does not spoil the knock"
ctl close --all >/dev/null

# closed: not in order, too late, another finishes
in_ns client knock $R4 33710:udp 4021:tcp 12899:udp 7143:tcp
stays_closed client $R4 22
in_ns intruder knock $R4 7143:tcp 12899:udp 4021:tcp
in_ns internet knock $R4 33710:udp
stays_closed internet $R4 22
stays_closed intruder $R4 22
knock_ssh lan $R4
await reaches lan $R4 22
ok "wrong order and another source's last step: closed; an honest knock: open"
config <<<"$FOUR_STEPS
within = \"${SLOW}s\""
ctl reload --now >/dev/null
in_ns client knock $R4 7143:tcp 12899:udp
late() { status '.tracker.attempts == 0'; }
await late
in_ns client knock $R4 4021:tcp 33710:udp
stays_closed client $R4 22
knock_ssh client $R4
await reaches client $R4 22
ok "too late: closed; in time: open"
ctl close --all >/dev/null

for family in "" -6; do
  target=$R4; [ -z "$family" ] || target=$R6
  in_ns intruder nmap $family -n -Pn -sS --reason --max-retries 1 -p 7142,7143,4020,4021 -oG - $target |
    grep -o '[0-9]*/[a-z]*/tcp' | sort >"$TMP/ports"
  [ "$(cut -d/ -f2 "$TMP/ports" | sort -u)" = closed ] && [ "$(wc -l <"$TMP/ports")" = 4 ] || fail "nmap tells knock ports apart: $(cat "$TMP/ports")"
done
ok "to nmap knock ports look like all other closed ports"
