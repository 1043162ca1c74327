#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Knocks as people publish them, for knockd and others: each opens when a client sends it, or `knockctl check` says what to
# write instead, and that opens.
. "$(dirname "$0")/../harness/lib.sh"
. "$(dirname "$0")/../harness/clients.sh"

world
serve router 22
TARGETS=$R4
knocks() { # KNOCK [LINES] -- STEP...: as published; the client is let in by the steps
  local knock=$1 lines=
  [ "$2" = -- ] || { lines=$2; shift; }
  door "$knock" "$lines"
  by "${@:3}"
}
scapy() { in_ns client /usr/bin/python3 -c "from scapy.layers.inet import *; from scapy.sendrecv import *; $1" >/dev/null; }
# KNOCK [LINES] -- SENTENCE: refused, with the sentence.
refused_with() {
  local knock=$1 lines=
  [ "$2" = -- ] || { lines=$2; shift; }
  printf '[door.x]\nopens = ["tcp/22"]\nknock = [%s]\n%s\n' "$knock" "$lines" >"$TMP/x.toml"
  chmod 600 "$TMP/x.toml"
  local code=0
  knockctl check "$TMP/x.toml" >"$TMP/said" 2>&1 || code=$?
  [ $code = 78 ] || fail "$knock, $lines: check exits $code"
  grep error: "$TMP/said" | grep -qF -- "; $3" || fail "$knock, $lines: $(cat "$TMP/said")"
}

# knockd's own examples: [openSSH], its closing sequence, flags, udp and tcp mixed, its time-out.
knocks '"tcp/7000", "tcp/8000", "tcp/9000"' 'within = "5s"' -- tcp/7000 tcp/8000 tcp/9000
refused_with '7000, 8000, 9000' -- 'write it in quotes'
refused_with '"7000,8000,9000"' -- 'write each step in quotes: "tcp/7000", "tcp/8000", "tcp/9000"'
refused_with '"7000", "8000", "9000"' 'within = 5' -- 'did you mean "tcp/8000"?'
refused_with '"tcp/7000", "tcp/8000"' 'within = 5' -- 'write a whole number with ms, s, m, h or d in quotes: "500ms", "10s", "5m"'
refused_with '"tcp/7000", "tcp/8000"' 'within = "500ms"' -- 'write 1s to 2m'
knocks '"tcp/7000", "tcp/8000"' 'within = "1s"' -- tcp/7000 tcp/8000
play client $R4 tcp/7000 "pause $((2 * SLOW))" tcp/8000
is_heard client $R4
expect '.grants == []'
refused_with '"7000:udp,8000:tcp,9000:udp"' -- 'write each step in quotes: "udp/7000", "tcp/8000", "udp/9000"'
refused_with '"7000:udp", "8000:tcp", "9000:udp"' -- 'did you mean "udp/9000"?'
knocks '"udp/7000", "tcp/8000", "udp/9000"' -- udp/7000 tcp/8000 udp/9000
refused_with '"tcp/7000:syn,!ack"' -- 'did you mean "tcp/7000:syn"?'
knocks '"tcp/7000:syn", "tcp/8000:syn"' -- tcp/7000 tcp/8000
refused_with '"tcp/7000:FIN,SYN"' -- 'did you mean "tcp/7000:fin+syn"?'
knocks '"tcp/7000:fin+syn", "tcp/8000:fin", "tcp/9000:syn"' -- tcp/7000:syn+fin tcp/8000:fin tcp/9000
knocks '"tcp/7000", "tcp/8000", "tcp/9000"' 'close_knock = ["tcp/9000", "tcp/8000", "tcp/7000"]' -- tcp/7000 tcp/8000 tcp/9000
play client $R4 tcp/7000 tcp/8000 tcp/9000
await reaches client $R4 22
play client $R4 tcp/9000 tcp/8000 tcp/7000
holds ''
logged 'reason=knock$' || fail "closed by what?"
refused_with '"tcp/7000", "tcp/8000"' 'close_knock = ["tcp/7000", "tcp/8000"]' -- 'begin it with another step'
ok "knockd's examples: udp and tcp mixed, flags, a short time-out, the reversed closing sequence"

# The service as the last step.
refused_with '"tcp/1234", "tcp/12345", "tcp/22"' -- 'leave it out: the port opens with the step before it, and is then used as always'
door '"tcp/1234", "tcp/12345"'
in_ns client knock $R4 1234:tcp 12345:tcp
await reaches client $R4 22
# One port again and again; with gaps; with other words for these.
knocks '"tcp/7000", "tcp/7000", "tcp/7000"' -- 'tcp/7000 x3'
refused_with '"tcp/7000x3"' -- 'did you mean "tcp/7000 x3"?'
refused_with '"tcp/7000 x3", "sleep 2", "tcp/7000"' -- 'did you mean "pause 2s"?'
refused_with '"tcp/7000", "1s", "tcp/7000"' -- 'did you mean "pause 1s"?'
door "\"tcp/7000 x3\", \"pause ${SLOW}s\", \"tcp/7000\""
again() { play client $R4 'tcp/7000 x3' "pause $SLOW" tcp/7000; reaches client $R4 22; } # a late process: once more
await again
let_in_alone "three knocks and one" client $R4
refused_with '"tcp/7000", "pause 15s", "tcp/7000"' -- 'write a longer within'
refused_with '"tcp/7000", "udp/7000", "tcp/7000"' 'order = "any"' -- 'write at most 6 steps, no pause, none twice'
ok "the service as the last step; a port that comes again, after gaps"

# Pings by size, by type, by what they hold.
for published in icmp/42 'icmp length 42' 'ping -s 42' icmp:len=42; do refused_with "\"$published\"" -- 'did you mean "icmp/len=42"?'; done
knocks '"icmp/len=42", "icmp/len=142", "icmp/len=4"' -- icmp/len=42 icmp/len=142 icmp/len=4
for published in icmp/8 ping icmp/echo-request; do refused_with "\"$published\"" -- 'did you mean "icmp"?'; done
for published in icmp:Passw0rd ping:Passw0rd 'ping \"Passw0rd\"' 'ICMP:\"Passw0rd\"'; do
  refused_with "\"$published\"" -- "did you mean 'icmp:\"Passw0rd\"'?"
done
door "'icmp:\"Passw0rd\"', 'udp/53:\"open sesame\"', \"tcp/7000\""
scapy "send([IP(dst='$R4') / ICMP() / b'Passw0rd', IP(dst='$R4') / UDP(sport=5353, dport=53) / b'please open sesame.', IP(dst='$R4') / TCP(sport=RandShort(), dport=7000, seq=RandInt())], verbose=0)"
let_in_alone "scapy" client $R4
refused_with "'udp/53:open sesame'" -- "did you mean 'udp/53:\"open sesame\"'?"
refused_with "'tcp/80:\"secret\"'" -- 'the first packet of TCP carries no payload: let a udp or icmp step hold the word'
refused_with "'udp/53/len=20:\"x\"'" -- 'write the word or the length, not both'
refused_with "'icmp:\"a\"', 'icmp6:\"a\"'" -- 'write a door for each family'
ok "pings by size and by word, a word in a datagram, by scapy"
