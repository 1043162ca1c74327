#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Doors and knockers beside each other: two doors at once, two knockers behind one address, a knock that another begins with,
# the knock that closes; and who is taken for a scanner.
. "$(dirname "$0")/../harness/lib.sh"
. "$(dirname "$0")/../harness/clients.sh"

world
serve router 22
serve router 81

# Two doors at once, of one address: one knocker, then two behind it. No step of the one is a stray for the other.
Y='strays = 0
[door.y]
opens = ["tcp/81"]
for = "10m"
within = "60s"
strays = 0
knock = '
door '"tcp/7143", "udp/12899", "tcp/4021"' "$Y[\"udp/33710\", \"tcp/12899\", \"udp/4021\"]"
in_ns client knock $R4 7143:tcp 33710:udp 12899:udp 12899:tcp 4021:tcp 4021:udp
holds "x 203.0.113.9, y 203.0.113.9"
opens client $R4 22
opens client $R4 81
stays_closed intruder $R4 81
ctl close --all >/dev/null
for home in 1 2; do
  ip netns add "$RUN-home$home"
  ip link add eth0 netns "$RUN-home$home" type veth peer name home$home netns "$RUN-client"
  in_ns client ip addr add 192.0.2.$((100 * home))/30 dev home$home
  in_ns client ip link set home$home up
  in_ns home$home ip link set lo up
  in_ns home$home ip addr add 192.0.2.$((100 * home + 1))/30 dev eth0
  in_ns home$home ip link set eth0 up
  in_ns home$home ip route add default via 192.0.2.$((100 * home))
done
in_ns client sysctl -qw net.ipv4.ip_forward=1
in_ns client nft -f - <<<'table ip nat { chain post { type nat hook postrouting priority srcnat; ip saddr 192.0.2.0/24 oifname eth0 masquerade; }; }'
in_turns() { # STEP-OF-ONE STEP-OF-TWO...
  while [ $# -gt 0 ]; do
    send home1 $R4 "$1"
    send home2 $R4 "$2"
    shift 2
  done
}
in_turns tcp/7143 udp/33710 udp/12899 tcp/12899 tcp/4021 udp/4021
holds "x 203.0.113.9, y 203.0.113.9"
opens home1 $R4 22
opens home2 $R4 81
stays_closed intruder $R4 81
fresh
in_turns udp/33710 tcp/7143 tcp/12899 tcp/7143 udp/4021 udp/12899 tcp/7143 tcp/4021
holds "x 203.0.113.9, y 203.0.113.9"
fresh
in_turns tcp/7143 tcp/7143 udp/12899 udp/12899 tcp/4021 tcp/4021
holds "x 203.0.113.9"
opens home2 $R4 22
ok "two doors at once of one source; two behind one address, at two doors and at one, do not spoil each other's knock"

door '"tcp/7143", "udp/12899"' "$Y[\"tcp/7143\", \"udp/12899\", \"tcp/4021\"]"
play client $R4 tcp/7143 udp/12899
holds "x 203.0.113.9"
is_heard internet $R4
stays_closed client $R4 81
play client $R4 tcp/4021
holds "x 203.0.113.9, y 203.0.113.9"
opens client $R4 81
ok "a door whose knock another's begins with: each at its own last step"

door '"tcp/7143", "udp/12899", "tcp/4021"' 'close_knock = ["tcp/4021", "udp/12899", "tcp/7143"]
[door.y]
opens = ["tcp/81"]
for = "10m"
within = "60s"
knock = ["udp/33710", "icmp:\"open\""]
close_knock = ["icmp:\"close\""]'
for ns in client intruder; do
  play $ns $R4 tcp/7143 udp/12899 tcp/4021 udp/33710 'icmp:"open"'
  await reaches $ns $R4 81
done
play client $R6 tcp/7143 udp/12899 tcp/4021
holds "x 2001:db8:9::9, x 203.0.113.66, x 203.0.113.9, y 203.0.113.66, y 203.0.113.9"
play client $R4 tcp/4021 udp/12899 tcp/7143
holds "x 2001:db8:9::9, x 203.0.113.66, y 203.0.113.66, y 203.0.113.9"
stays_closed client $R4 22
opens client $R4 81
opens intruder $R4 22
opens client $R6 22
logged '^close door=x source=203.0.113.9 .* reason=knock$' || fail "the log does not say why it closed"
play intruder $R4 'icmp:"close"'
play client $R6 tcp/4021 udp/12899 tcp/7143
holds "x 203.0.113.66, y 203.0.113.9"
play internet $R4 tcp/4021 udp/12899 tcp/7143 'icmp:"close"' # has nothing to close
is_heard internet $R4
play client $R4 tcp/7143 udp/12899 tcp/4021
holds "x 203.0.113.66, x 203.0.113.9, y 203.0.113.9"
[ "$(count_logged 'reason=knock$')" = 3 ] || fail "$(grep -c reason=knock "$TMP/log") are closed by a knock, not 3"
ok "a closing knock closes what its source holds of its door, and no more"

# A scanner is one line in the log, and another after its cool-off.
config <<<"[limits]
cooloff = \"$((2 * SLOW))s\"
[door.x]
opens = [\"tcp/22\"]
within = \"60s\"
knock = [\"tcp/7143\", \"tcp/12899\", \"tcp/4021\"]"
ctl reload --now >/dev/null
scans() { count_logged "^scan source=$1\$"; }
scan() { # NS ADDRESS
  in_ns "$1" knock "$2" 7143:tcp $(seq -f '%g:tcp' 50001 50100)
}
for target in $R4 $R6; do
  case $target in $R4) source=203.0.113.66 ;; *) source=2001:db8:66::66 ;; esac
  first=$(scans $source) began=$(ms) seen=$(ctl --json status | jq -s '.[0].counters.seen')
  scan intruder $target
  await logged "^scan source=$source\$"
  scan intruder $target
  scan intruder $target
  knock_ssh intruder $target
  await status ".counters.seen >= $seen + 303"
  lines=$(($(scans $source) - first)) most=$((1 + ($(ms) - began) / (2000 * SLOW)))
  [ $lines -ge 1 ] && [ $lines -le $most ] || fail "$lines lines of a scan, not 1 to $most"
  again() { scan intruder $target; [ "$(scans $source)" -gt $((first + lines)) ]; }
  await again
done
opens_honestly() { in_ns client knock $R4 7143:tcp 12899:tcp 4021:tcp && reaches client $R4 22; }
await opens_honestly
ok "a scan is one line a source and cool-off"
never logged '^error|<3>' || fail "an error in the log"
