#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A grant ends as its door says: after its time, at its latest time, by hand; its flows live on or are cut. For a host,
# for its network, for each owner apart.
. "$(dirname "$0")/../harness/lib.sh"

world
serve router 22
for port in 2200 2201; do chatter router $port; done
chatter internet 2201
config <<'TOML'
[gate]
trust = ["lan0"]
[door.ssh]
opens = ["tcp/22", "tcp/2200"]
knock = ["udp/7001"]
for = "3s"
[door.shell]
opens = ["tcp/22"]
knock = ["udp/7002"]
for = "1h"
[door.cut]
opens = ["tcp/2201"]
knock = ["udp/7003"]
for = "3s"
flows = "cut"
[door.capped]
opens = ["tcp/22"]
knock = ["udp/7004"]
within = "1s" # so long one step repeated is a retransmit
for = "6s"
max = "8s"
[door.net]
opens = ["tcp/22"]
knock = ["udp/7005"]
grant = ["/24", "/64"]
for = "1h"
TOML
start
none() { ctl close --all >/dev/null; }
C6=2001:db8:9::9

for target in $R4 $R6; do
  stays_closed client $target 22
  knock_at 7001 client $target
  await reaches client $target 22
  hold kept$target client $target 2200
done
expect '.grants | length == 2 and all(.packets > 0 and .bytes > 0)'
for target in $R4 $R6; do await refused client $target 22; done
await test "$(count_logged '^expire door=ssh .* reason=after')" = 2
for source in 203.0.113.9 $C6; do
  logged "^open door=ssh source=$source ports=tcp/22,tcp/2200 by=- via=knock id=[0-9]+ for=3000ms$" || fail "no open line of $source"
  logged "^expire door=ssh source=$source .* open_ms=(29|30)[0-9]* packets=[1-9][0-9]* bytes=[1-9][0-9]* reason=after$" || fail "no expire line of $source"
done
expect '.grants == []'
for target in $R4 $R6; do goes_on kept$target 20; let_go kept$target; done
ok "for: opened, used, ended; what was connected lives on"

[ "$(in_ns router sysctl -n net.netfilter.nf_conntrack_tcp_loose)" = 1 ] || fail "tcp_loose is not 1"
ctl open cut 203.0.113.66 --for 1m >/dev/null
ctl open cut 2001:db8:66::66 --for 1m >/dev/null
declare -A INTERNET=([$R4]=198.51.100.7 [$R6]=2001:db8:7::7)
for target in $R4 $R6; do
  knock_at 7003 client $target
  await granted "open$([ $target = $R4 ] && echo 4 || echo 6)" "$([ $target = $R4 ] && echo 203.0.113.9 || echo $C6)" 2201
  hold cut$target client $target 2201
  hold other$target intruder $target 2201
  hold transit$target client ${INTERNET[$target]} 2201
done
for set in open4 open6; do await never set_has $set "tcp \. 2201 .*comment \"cut - knock"; done
for target in $R4 $R6; do
  is_dead cut$target other$target
  goes_on other$target
  goes_on transit$target
  stays_closed client $target 2201
done
ok "flows = \"cut\": within a second the flow is dead, that of another source and one in transit are not"
ctl close cut 203.0.113.66 >/dev/null
ctl close cut 2001:db8:66::66 >/dev/null
for target in $R4 $R6; do
  is_dead other$target transit$target
  let_go other$target; let_go cut$target; let_go transit$target
done
ok "so also when it is closed by hand"

for target in $R4 $R6; do
  knock_at 7004 client $target
  await reaches client $target 22
  until logged "^expire door=capped source=$([ $target = $R4 ] && echo 203.0.113.9 || echo $C6) "; do
    ! status '.grants | any(.door == "capped" and .left_ms < 4000 and .cap_ms > 100)' || knock_at 7004 client $target
  done
  none
done
[ "$(count_logged '^expire door=capped .* open_ms=(79|80)[0-9]{2} .* reason=max$')" = 2 ] || fail "not at max: $(grep door=capped "$TMP/log")"
[ "$(count_logged '^extend door=capped ')" -ge 2 ] || fail "never extended"
ok "max: knocked for again and again, closed at its latest time"

in_ns client ip addr add 203.0.113.10/32 dev eth0
in_ns router ip route add 203.0.113.10 dev wan0
in_ns client ip -6 addr add 2001:db8:9::10/64 dev eth0 nodad preferred_lft 0 # never of itself
for way in "$R4 203.0.113.10 internet 203.0.113.0/24" "$R6 2001:db8:9::10 intruder 2001:db8:9::/64"; do
  read -r target neighbour stranger network <<<"$way"
  never reaches_from client $neighbour $target 22 || fail "the neighbour gets in before"
  knock_at 7005 client $target
  await reaches client $target 22
  reaches_from client $neighbour $target 22 || fail "the neighbour does not get in"
  stays_closed $stranger $target 22
  expect ".grants | length == 1 and .[0].prefix == ${network#*/} and .[0].packets > 0"
  ctl close net $neighbour | grep -q '1 grant closed' || fail "not closed by the neighbour's address"
  stays_closed client $target 22
  never reaches_from client $neighbour $target 22 || fail "the neighbour gets in after"
  logged "^close door=net source=$network .* packets=[1-9][0-9]* bytes=[1-9][0-9]* reason=hand$" || fail "no close line"
done
ok "grant = \"/24\", \"/64\": the neighbour gets in, another network does not; his address closes it"

for way in "$R4 203.0.113.9" "$R6 $C6"; do
  read -r target source <<<"$way"
  knock_at 7002 client $target
  await reaches client $target 22
  ctl open shell $source --for 1m >/dev/null
  expect '.grants | length == 2 and (map(.via) | sort == ["hand", "knock"])'
  ctl close "$(ctl --json status | jq -rs '.[].grants[] | select(.via == "knock") | .id')" >/dev/null
  opens client $target 22
  ctl open ssh $source --for 2s >/dev/null
  expect '.grants | length == 2 and (map(.door) | sort == ["shell", "ssh"])'
  await status '.grants | length == 1 and .[0].door == "shell"'
  opens client $target 22
  ctl open ssh $source --for 1m >/dev/null
  ctl close shell >/dev/null
  opens client $target 22
  ctl close ssh $source >/dev/null
  stays_closed client $target 22
  expect '.grants == []'
done
ok "two owners, two doors of one port: counted apart, the end of one does not cut the other"

[ "$(count_logged '^open ')" = "$(count_logged '^(close|expire) ')" ] || fail "opens and ends are not even"
never logged '^error|<3>' || fail "an error in the log"
ok "one line for each open, one for each end"
