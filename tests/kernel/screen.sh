#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What the screen says of connections that outlive their grant, how they are ended, and of files that nobody loaded.
. "$(dirname "$0")/../harness/lib.sh"

world
chatter router 2200
chatter lan 2201
doors() {
  cat <<'TOML'
[gate]
trust = ["lan0"]
[door.term]
opens = ["tcp/2200"]
knock = ["udp/7001"]
for = "1h"
[door.inner]
forward = { "tcp/8443" = ["192.0.2.20:2201", "[2001:db8:20::20]:2201"] }
knock = ["udp/7002"]
for = "1h"
[door.visit]
opens = ["tcp/2202"]
knock = ["udp/7003"]
for = "30s"
close = "on-disconnect"
[door.away]
enabled = false
opens = ["tcp/25"]
knock = ["udp/7004"]
TOML
}
chatter router 2202
doors | config
start
row() { ctl | grep -Eq "^$1 +$2 .* $3$"; }

ctl | grep -qx "disabled  away" || fail "$(ctl)"
expect '.config.disabled == ["away"] and .connections == []'
for target in $R4 $R6; do
  knock_at 7001 client $target
  knock_at 7002 client $target
done
await status '.grants | length == 4'
for target in $R4 $R6; do
  hold term$target client $target 2200
  hold inner$target client $target 8443
done
hold lan lan $R4 2200 # over a trusted interface: never had a grant, and needs none
expect '.connections == []'
said=$(ctl close term 203.0.113.9)
grep -qx "1 connection lives on without a grant; to end it: sudo knockctl close --cut term 203.0.113.9" <<<"$said" || fail "$said"
id=$(ctl --json status | jq '.grants[] | select(.door == "inner" and .prefix == 32) | .id')
ctl status --ids | grep -Eq "^$id +inner +203.0.113.9 " || fail "$(ctl status --ids)"
said=$(ctl close "$id")
grep -q "1 connection lives on" <<<"$said" || fail "$said"
row term 203.0.113.9 "1 connection" || fail "$(ctl)"
row inner 203.0.113.9 "1 connection" || fail "$(ctl)"
expect '.connections | map([.door, .source, .count]) == [["inner", "203.0.113.9", 1], ["term", "203.0.113.9", 1]]'
for target in $R4 $R6; do goes_on term$target; goes_on inner$target; done
ok "a connection that outlives its grant is on the screen, and close says so"

ctl close --cut term 203.0.113.9 | grep -qx "1 connection ended." || fail "not ended"
is_dead term$R4 term$R6
goes_on inner$R4
said=$(ctl --json close --cut --all)
grep -q "3 connections ended." <<<"$said" || fail "$said"
for name in inner$R4 term$R6 inner$R6; do is_dead $name lan; done
goes_on lan
expect '.connections == [] and .grants == []'
code=0
ctl close --cut --all | grep -qx "0 connections ended." || fail "ends what is not there"
ctl close --cut term >/dev/null 2>&1 || code=$?
[ $code = 1 ] || fail "close --cut of nothing: $code"
chmod 755 "$TMP"; chmod 666 "$KNOCKGATE_SOCKET"
code=0
in_ns router setpriv --reuid 65534 --regid 65534 --clear-groups "$(command -v knockctl)" close --cut --all 2>/dev/null || code=$?
[ $code = 77 ] || fail "others end connections: $code"
ok "close --cut ends connections to this router and to an inner host over both families, and no other"

knock_at 7003 client $R4
await status '.grants | length == 1 and .[0].connected == false'
hold visit client $R4 2202
await status '.grants[0].connected'
ctl | grep -Eq "^visit .* connected .* disconnect$" || fail "$(ctl)"
opened=$(ctl --json status | jq -r '.grants[0].opened')
stop
start
for _ in $(seq 20); do
  [ "$(ctl --json status | jq -r '.grants[0].opened')" = "$opened" ] || fail "opened moves"
done
let_go visit
ok "who is connected is so on the screen; opened does not move, restarts included"

expect '.warnings | map(.code) | index("not-loaded") | not'
doors | sed 's/for = "1h"/for = "2h"/' | config
expect '.warnings[] | select(.code == "not-loaded" and .run == "sudo knockctl reload --confirm 10m")'
ctl reload --now >/dev/null
expect '.warnings | map(.code) | index("not-loaded") | not'
echo 'typo = 1' >>"$TMP/knockgate.toml"
expect '.warnings[] | select(.code == "not-loaded" and .run == "sudo knockctl check" and (.text | test("typo")))'
[ "$(count_logged "verb=save")" = 1 ] || fail "a look is logged" # one by the reload
ok "an edit that is not loaded is a warning, a bad one too"

doors | sed 's/for = "2h"/for = "1h"/' | config
ctl reload --now >/dev/null
for i in $(seq 250); do ctl open term "198.51.100.$i" >/dev/null; done
[ "$(ctl --json status | wc -l)" = 1 ] || fail "several documents"
ctl --json status | jq -e '.grants | map(select(.door == "term")) | length == 250' >/dev/null || fail "not all grants"
ok "one document, however many grants"
