#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Sequences, by real clients: the classic examples beside a scan of all ports; repeats, pauses, order. After those that open
# nothing comes one that opens.
. "$(dirname "$0")/../harness/lib.sh"
. "$(dirname "$0")/../harness/clients.sh"

world
serve router 22
serve router 80
# Knocks of one client, with so many milliseconds between them, times SLOW.
at_pace() { in_ns client knock -d $((PACE * SLOW)) $R4 "$@"; } # PORT:PROTOCOL...
# On a busy machine a client may be late: then it tries again.
in_rhythm() { # NS PORT STEP...
  local ns=$1 port=$2 steps=("${@:3}")
  in_now() { play "$ns" $R4 "${steps[@]}"; reaches "$ns" $R4 "$port"; }
  await in_now
}
rhythm_opens() { # STEP...
  in_rhythm client 22 "$@"
  let_in_alone "$*" client $R4
}
opens_at() { # PACE PORT:PROTOCOL...
  local pace=$1 ports=("${@:2}")
  at_once() {
    PACE=$pace at_pace "${ports[@]}"
    is_heard client $R4
    tried client $R4 || { fresh; return 1; } # or two tries were one
  }
  await at_once
  let_in_alone "${*:2}, $1 ms apart" client $R4
}
opens_not_at() {
  PACE=$1 at_pace "${@:2}"
  is_heard client $R4
  opened_nothing "${*:2}, $1 ms apart"
  fresh
}

# As they are told everywhere: two ports, a word in a ping, five knocks and two; while another tries every port there is.
config <<<'[gate]
answer = "reset"
[door.ports]
opens = ["tcp/80"]
for = "10m"
within = "60s"
knock = ["tcp/1234", "tcp/12345"]
[door.word]
opens = ["tcp/80"]
for = "10m"
knock = ["icmp:\"Passw0rd\""]
[door.rhythm]
opens = ["tcp/80"]
for = "10m"
within = "60s"
knock = ["tcp/7143 x5", "pause '$SLOW's", "tcp/7143 x2"]'
start
background ip netns exec "$RUN-intruder" nmap -n -Pn -sS --max-retries 0 --max-rate $((8000 / SLOW)) -p- $R4 >/dev/null
SCAN=${PIDS##* }
await status '.counters.seen >= 1'
classic() { # NS STEP...
  local ns=$1
  stays_closed "$ns" $R4 80
  play "$ns" $R4 "${@:2}"
  await reaches "$ns" $R4 80
}
classic client tcp/1234 tcp/12345
classic internet 'icmp:"Passw0rd"'
kill -0 "$SCAN" 2>/dev/null || echo "    the scan was over before"
wait "$SCAN" || fail "no scan"
stays_closed intruder $R4 80
stays_closed lan $R4 80
in_rhythm lan 80 'tcp/7143 x5' "pause $SLOW" 'tcp/7143 x2'
holds "ports 203.0.113.9, rhythm 192.0.2.20, word 198.51.100.7"
[ "$(count_logged '^scan source=203.0.113.66$')" -ge 1 ] || fail "the scan is not in the log"
[ "$(count_logged '^scan')" = "$(count_logged '^scan source=203.0.113.66$')" ] || fail "others are called scanners"
ok "tcp/1234 then tcp/12345, and a ping with Passw0rd, beside a scan of all ports; five knocks and two: each for its source alone"

TARGETS="$R4 $R6"
door '"tcp/7143 x5"'
not_by 'tcp/7143 x4'
by 'tcp/7143 x5'
door '"udp/12899 x3", "icmp x2"'
not_by 'udp/12899 x3' icmp
not_by 'udp/12899 x2' 'icmp x3'
TARGETS=$R4
by 'udp/12899 x3' 'icmp x2'
in_ns client knock -d 20 $R4 12899:udp 12899:udp 12899:udp
in_ns client ping -n -q -c 2 -i 0.2 $R4 >/dev/null
let_in_alone "two pings of one process" client $R4
ok "as many as the door says: not four for five"

# Pauses of SLOW seconds, 75 to 125 %; all other gaps at most half of one.
door "\"tcp/7143\", \"pause ${SLOW}s\", \"udp/12899\", \"pause ${SLOW}s\", \"tcp/4021\""
opens_not_at 550 7143:tcp 12899:udp 4021:tcp
opens_not_at 1450 7143:tcp 12899:udp 4021:tcp
opens_at 1000 7143:tcp 12899:udp 4021:tcp
door "\"tcp/7143\", \"udp/12899\", \"pause ${SLOW}s\", \"tcp/4021\""
opens_not_at 1000 7143:tcp 12899:udp 4021:tcp
not_by tcp/7143 udp/12899 tcp/4021
rhythm_opens tcp/7143 udp/12899 "pause $SLOW" tcp/4021
door "\"tcp/7143 x5\", \"pause ${SLOW}s\", \"tcp/7143 x2\""
not_by 'tcp/7143 x4' "pause $SLOW" 'tcp/7143 x2'
not_by 'tcp/7143 x6' "pause $SLOW" 'tcp/7143'
not_by 'tcp/7143 x7'
rhythm_opens 'tcp/7143 x5' "pause $SLOW" 'tcp/7143 x2'
ok "a pause that is right, too short, too long; one where none is"

door '"tcp/7143", "udp/12899", "tcp/4021", "udp/33710"' 'reorder = "200ms"'
opens_at 0 7143:tcp 4021:tcp 12899:udp 33710:udp
opens_at 0 12899:udp 7143:tcp 33710:udp 4021:tcp
opens_not_at 400 7143:tcp 4021:tcp 12899:udp 33710:udp
opens_not_at 400 12899:udp 7143:tcp 33710:udp 4021:tcp
opens_not_at 0 4021:tcp 7143:tcp 12899:udp 33710:udp
opens_not_at 0 33710:udp 4021:tcp 12899:udp 7143:tcp
door '"tcp/7143", "udp/12899", "tcp/4021", "udp/33710"' 'reorder = "0s"'
opens_not_at 0 7143:tcp 4021:tcp 12899:udp 33710:udp
opens_at 400 7143:tcp 12899:udp 4021:tcp 33710:udp
ok "neighbours that come swapped within the window; not later, not others"

door '"tcp/7143", "udp/12899", "icmp"' 'order = "any"'
not_by tcp/7143 udp/12899
not_by icmp tcp/7143 'icmp x2' tcp/7143
not_by udp/12899 'icmp x3'
by tcp/7143 udp/12899 icmp
by tcp/7143 icmp udp/12899
by udp/12899 tcp/7143 icmp
by udp/12899 icmp tcp/7143
by icmp tcp/7143 udp/12899
by icmp icmp udp/12899 udp/12899 tcp/7143
ok "any order, none missing"

never logged '^error|<3>' || fail "an error in the log"
