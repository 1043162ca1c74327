#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What a reload takes away is gone, what it adds is asked for, also while off; and no grant keeps the guard away.
. "$(dirname "$0")/../harness/lib.sh"

world
serve router 22
serve router 80
doors() { # PORTS-OF-GUEST [MORE]
  cat <<TOML
[door.guest]
opens = [$1]
knock = ["udp/7001"]
within = "1s"
for = "1h"
$2
TOML
}
ADMIN='[door.admin]
opens = ["tcp/80"]
knock = ["udp/7002"]
within = "1s"'
config < <(doors '"tcp/22", "tcp/80"' '')
start
knock_at 7001 client $R4
await reaches client $R4 80
config < <(doors '"tcp/22"' "$ADMIN")
ctl reload --now >/dev/null
logged '^close door=guest source=203.0.113.9 ports=tcp/22,tcp/80 .* reason=door-changed$' || fail "the grant holds a port of another door"
stays_closed client $R4 80
knock_at 7001 client $R4
await reaches client $R4 22
stays_closed client $R4 80
knock_at 7002 client $R4
await reaches client $R4 80
ok "a port that goes to another door leaves the grants of the first"

ctl close --all >/dev/null
ctl off >/dev/null
config < <(doors '"tcp/22"' "$ADMIN"$'\n[door.new]\nopens = ["tcp/443"]\nknock = ["udp/7003"]')
code=0; ctl reload >"$TMP/said" 2>&1 || code=$?
[ $code = 2 ] && grep -q 'would guard tcp/443' "$TMP/said" || fail "exit $code: $(cat "$TMP/said")"
code=0; ctl reload --confirm 1m >"$TMP/said" 2>&1 || code=$?
[ $code = 1 ] && grep -q 'is off' "$TMP/said" || fail "exit $code: $(cat "$TMP/said")"
ctl on >/dev/null
expect '(.gate.guarded | map(.port)) == ["tcp/22", "tcp/80"] and (.gate.guarded | map(.confirmed) | all)'
stays_closed intruder $R4 22
ok "while off a reload takes no port in unasked, and no port that was guarded goes on trial"

# An element of another hand, whose comment ends the string that it stands in.
in_ns router nft -j -f - <<'JSON'
{"nftables": [{"add": {"element": {"family": "inet", "table": "knockgate", "name": "open4", "elem": [
  {"elem": {"val": {"concat": ["203.0.113.66", "tcp", 9]}, "timeout": 3600, "comment": "guest x\"} # knock 1 9"}}]}}}]}
JSON
stop KILL
start
expect 'any(.grants[]; .door == "foreign" and .source == "203.0.113.66")'
in_ns router nft delete table inet knockgate
await logged '^healed by=nft'
stays_closed intruder $R4 22
expect '.gate.loaded'
knock_at 7001 client $R4
await reaches client $R4 22
ok "a comment that is none of ours is not believed, and keeps no guard away"
