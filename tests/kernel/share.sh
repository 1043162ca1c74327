#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A neighbour who knows one door's knock and forges thousands of sources spends that door's share, and nobody else's:
# the other door opens, who uses a grant keeps it, what nobody used makes room, and the log stays small.
. "$(dirname "$0")/../harness/lib.sh"

world
serve router 22
chatter router 2200
config <<TOML
[gate]
trust = ["lan0"]
[limits]
grants = 256
$FOUR_STEPS
[door.guest] # its share: 64, a quarter
opens = ["udp/4500", "tcp/2200"]
knock = ["udp/7001", "udp/7002"]
for = "1h"
[door.small]
opens = ["udp/4501"]
knock = ["udp/7003"]
for = "1h"
grants = 2
TOML
start
knock_guest() { in_ns "$1" knock "$2" 7001:udp 7002:udp; }
grant_of() { status ".grants | any(.door == \"$1\" and .source == \"$2\")"; } # DOOR SOURCE

for way in "client 203.0.113.9" "intruder 203.0.113.66" "internet 198.51.100.7"; do
  knock_at 7003 "${way% *}" $R4
  await grant_of small "${way#* }"
done
await logged '^close door=small source=203.0.113.9 ports=udp/4501 by=- via=knock id=1 open_ms=[0-9]+ packets=0 bytes=0 reason=share$'
never set_has open4 "203.0.113.9 \. udp \. 4501" || fail "given up, and still open"
in_ns intruder nc -u -w 0 $R4 4501 <<<'in use'
ctl open small 203.0.113.9 >/dev/null # in the place of what nobody uses
expect '.grants | map(.source) | sort == ["203.0.113.66", "203.0.113.9"]'
ctl open small 203.0.113.77 2>"$TMP/said" && fail "a third grant by hand"
grep -q '\[door.small\] grants is reached: 2;' "$TMP/said" || fail "does not name the limit: $(cat "$TMP/said")"
knock_at 7003 internet $R6
await status '.counters.refused_door_grants == 2'
expect '.grants | map(.source) | sort == ["203.0.113.66", "203.0.113.9"]'
ok "at its limit a door gives up what nobody uses, with a line; what is used or was opened by hand stays"
ctl close --all >/dev/null

# The oldest of the door: two that are used, one by hand, one that nobody uses.
knock_guest internet $R4
knock_guest internet $R6
knock_guest client $R4
for source in 198.51.100.7 2001:db8:7::7 203.0.113.9; do await grant_of guest $source; done
ctl open guest 203.0.113.66 --for 1h >/dev/null
in_ns internet nc -u -w 0 $R4 4500 <<<'in use'
hold guest internet $R6 2200

# A busy machine loses reports, and a knock with them: then he knocks again.
gets_in() { # TARGET
  local end=$((SECONDS + 3 * SLOW))
  knock_ssh client "$1"
  until reaches client "$1" 22; do [ $SECONDS -lt $end ] || return 1; done
}
begun=$(ms)
background ip netns exec "$RUN-intruder" packets knock 2001:db8:100::1 $R6 18000 3000 7001:udp 7002:udp 2>"$TMP/spoofed"
flood=${PIDS##* }
await status '.counters.refused_pace > 0 and (.grants | length) >= 60'
expect '.warnings | any(.code == "pace" and (.text | test("door guest")))'
tries=0
while kill -0 "$flood" 2>/dev/null; do
  for target in $R4 $R6; do
    await gets_in $target
    ctl close ssh >/dev/null
    tries=$((tries + 1))
  done
done
wait "$flood" || fail "the flood: $(cat "$TMP/spoofed")"
[ $tries -ge 2 ] || fail "the honest client had $tries tries only"
took=$((($(ms) - begun) / 1000 + 1))
ok "under the flood ($(cat "$TMP/spoofed")) an honest client opens the other door, $tries times of $tries"

expect '.grants | length == 64 and all(.door == "guest")'
for source in 198.51.100.7 2001:db8:7::7 203.0.113.66; do grant_of guest $source || fail "$source lost its grant"; done
never grant_of guest 203.0.113.9 || fail "what nobody uses was not given up"
goes_on guest
expect '.counters | (.refused_door_grants == 2) and (has("refused_grants") | not) and (has("refused_kernel") | not)'
before=$(count_logged '^open door=ssh')
knock_guest client $R6
await grant_of guest 2001:db8:9::9
ok "what is used stays, what was opened by hand stays, the rest makes room for the next guest"

# Each opening and each end is a line, or counted in a sum.
even() {
  awk -v open="$(ctl --json status | jq -s 'map(.grants | length) | add')" '
    /^open / { opened++ } /^(close|expire) / { closed++ }
    /^summed / { for (i = 3; i <= NF; i++) { split($i, part, "="); if (part[1] == "open") opened += part[2]; else if (part[1] == "close" || part[1] == "expire") closed += part[2] } }
    END { exit opened - closed != open || opened < 300 }' "$TMP/log"
}
await even
logged '^summed door=guest open=[0-9]+ extend=0 expire=0 close=[0-9]+ seconds=1$' || fail "nothing is summed up"
[ "$(count_logged '^(open|close) door=guest')" -le $((120 * took)) ] || fail "$(count_logged '^(open|close) door=guest') lines in $took s"
[ "$before" -ge $tries ] || fail "$before lines of $tries grants of the other door: the flood hides them"
ok "$(wc -c <"$TMP/log") bytes of log in $took s, nothing uncounted, the other door has its lines"
