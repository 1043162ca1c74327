#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The client: from an invitation to a connection; what it prints, what it closes, what its processes share.
LEAKS=1
. "$(dirname "$0")/../harness/lib.sh"
. "$(dirname "$0")/../harness/kn1.sh"
. "$(dirname "$0")/../harness/client.sh"

router_with <<TOML
[door.ssh]
opens = ["tcp/22"]
kn1 = true
$(kn1_door web 80)
TOML
ctl user add alice --door ssh --door web >/dev/null
joins client home alice/laptop --host $R4 --host $R6
grep -qx "$R4,$R6  alice/laptop  ssh (tcp/22) web (tcp/80)   saved as home" "$TMP/joined" || fail "$(cat "$TMP/joined")"
grep -qx "    Host $R4 $R6" "$TMP/joined" || fail "no ssh_config: $(cat "$TMP/joined")"
[ "$(stat -c %a "$(as client)"/.config/knockgate/{,home.toml,home.key} | tr '\n' ' ')" = '700 600 600 ' ] || fail "modes"
kg client list $R6 22 | grep -q '^home  .*   key [0-9a-f ]*$' || fail "not listed"
! kg client list $R6 443 || fail "a port of no door is listed"
ok "joined: profile, keys and the lines to type"

open_by() { expect "any(.grants[]; .door == \"$1\" and .source == \"$2\" and .by == \"alice/laptop\")"; } # DOOR SOURCE
closed() { await status "all(.grants[]; .door != \"$1\" or .source != \"$2\")"; }
for family in 4 6; do
  to=$R4; [ $family = 4 ] || to=$R6
  own=$(address_of client $to)
  stays_closed client $to 22
  kg client -$family open home ssh | grep -qE "^ssh open at $to for $own \(unbound\), [0-9.]+ m?s$" || fail "open says another thing"
  await reaches client $to 22
  open_by ssh "$own"
  stays_closed intruder $to 22
  kg client -$family --json open home web --for 90s |
    jq -e ".state == \"open\" and .door == \"web\" and .address == \"$to\" and .source == \"$own\" and .port == 80 and .packets >= 1" \
      >/dev/null || fail "JSON of open"
  expect "any(.grants[]; .door == \"web\" and .source == \"$own\" and .left_ms < 91000)"
  kg client status | grep -q "^home  web  open at $to for $own, " || fail "$(kg client status)"
  kg client -$family close home ssh | grep -qx "ssh: close sent to $to" || fail "close says another thing"
  closed ssh "$own"
  open_by web "$own"
  stays_closed client $to 22
  kg client -$family close home web >/dev/null
  closed web "$own"
done
kg client status | grep -qx 'nothing is open by this machine' || fail "$(kg client status)"
ok "open and close, over both families"

[ "$(kg client connect $R4 22 </dev/null 2>"$TMP/said")" = 'hello from 22' ] || fail "connect: $(cat "$TMP/said")"
[ ! -s "$TMP/said" ] || fail "connect is not silent: $(cat "$TMP/said")"
closed ssh 203.0.113.9
stays_closed client $R4 22
ok "connect pipes what proved it, is silent, and closes at the end"

# Two connections, each until its input ends.
mkfifo "$TMP/one" "$TMP/two"
declare -A CONNECTED
held_by() { kg client connect $R4 80 <"$TMP/$1" >"$TMP/heard.$1"; }
for name in one two; do
  background held_by $name
  CONNECTED[$name]=$!
done
exec 7>"$TMP/one" 8>"$TMP/two"
await grep -q hello "$TMP/heard.one"
await grep -q hello "$TMP/heard.two"
exec 7>&-
wait "${CONNECTED[one]}" || fail "connect ends with $?"
open_by web 203.0.113.9
exec 8>&-
wait "${CONNECTED[two]}" || fail "connect ends with $?"
closed web 203.0.113.9
ok "of two connections the last one closes the door"
