#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Processes of one profile at one door, which ask for different times, over different addresses: no connection is lost because
# another one knocked, and the last one that ends closes what all of them opened.
. "$(dirname "$0")/../harness/lib.sh"
. "$(dirname "$0")/../harness/kn1.sh"
. "$(dirname "$0")/../harness/client.sh"

world
chmod 755 "$TMP"
for port in 80 2200; do chatter router $port; done
FOR=$((6 * SLOW))
kn1_config <<TOML
$(kn1_door web 80)
[door.cut]
opens = ["tcp/2200"]
kn1 = true
for = "${FOR}s"
flows = "cut"
TOML
start
ctl user add alice --door web --door cut >/dev/null
joins client home alice/laptop --host $R4 --host $R6
kg_on client
connects() { # NAME WORDS...: what it hears goes to $TMP/heard.NAME
  local name=$1; shift
  background "${KG[@]}" connect "$@" >"$TMP/heard.$name" 2>"$TMP/cried.$name"
  HELD[$name]=$!
  await test -s "$TMP/heard.$name"
}
no_grants() { status '.grants == []'; }
# Longer than the door is open by itself; what is done meanwhile, again and again.
meanwhile() { # COMMAND...
  local end=$((SECONDS + FOR + FOR / 3 + 1))
  while [ $SECONDS -lt $end ]; do "$@"; done
}
left() { "${KG[@]}" status --json | jq -es "map(select(.door == \"$1\" and .address == \"$R4\")) | $2" >/dev/null; } # DOOR FILTER

# --- at a door that cuts: another asks for less, again and again
connects one -4 home 2200
briefly() { kg client -4 open home cut --for 1s >/dev/null || fail "open --for 1s"; goes_on one 5; }
meanwhile briefly
goes_on one
ok "a connection extends though another knocks for a second again and again"
let_go one
await no_grants

# --- it finds the door open, for a moment more
kg client -4 open home cut --for 2s >/dev/null
connects one -4 home 2200
await grep -q '^extend door=cut .*by=alice/laptop' "$TMP/log"
meanwhile goes_on one 5
ok "a connection that finds the door open extends in time, however long it is open still"
let_go one
await no_grants

# --- one that asks for less is not enough for one that asks for more
kg client -4 open home web --for 1s >/dev/null
kg client -4 open home web >/dev/null
expect 'any(.grants[]; .door == "web" and .left_ms > 60000)'
kg client -4 open home web --for 1s >/dev/null
left web 'length == 1 and .[0].left_ms > 60000 and .[0].state == "open"' || fail "$("${KG[@]}" status)"
kg client -4 close home web >/dev/null
await no_grants
left web 'length == 0' || fail "$("${KG[@]}" status)"
ok "who opens has the door's own time, though another opened it for a second; status knows the longest"

# --- what is kept is no reason for each connection to extend by itself
background "${KG[@]}" -4 keep home cut >"$TMP/kept" 2>&1
HELD[keep]=$!
await test -s "$TMP/kept"
for i in 1 2 3 4 5 6 7 8; do connects "$i" -4 home 2200; done
before=$(judged) began=$(ms)
meanwhile goes_on 8 5
sent=$(($(judged) - before)) most=$((8 + ($(ms) - began) * 9 / (FOR * 1000)))
[ $sent -le $most ] || fail "$sent packets, $most would do"
left cut '.[0].state == "open"' || fail "$("${KG[@]}" status)"
ok "beside a keep, eight connections extend by $sent packets"
for i in 1 2 3 4 5 6 7 8 keep; do let_go "$i"; done
await no_grants

# --- the last one closes what the others opened, too
for first in 4 6; do
  second=$((10 - first))
  connects one -$first home 80
  connects two -$second home 80
  expect '[.grants[].source] | length == 2'
  let_go one
  expect '[.grants[].source] | length == 2'
  let_go two
  await no_grants
done
ok "of two connections over both families, the last one closes both"

kg_ends 2 client status --profile nosuch
cries 'there are: home'
chmod 0666 "$(profiles client)/home.toml"
kg_ends 77 client status
! grep -q 'nothing is open' "$TMP/said" || fail "it tells what it cannot know"
ok "status of a profile that is not there, or of others to write"
never logged '^error|<3>' || fail "an error in the log"
