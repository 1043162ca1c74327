#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# knockctl replay: recordings of every link, made by scapy, and what it says of each packet in them.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
PATH="$KNOCKGATE_BUILD:$PATH"
python=/usr/bin/python3 # whose scapy is Debian's
for tool in $python jq; do command -v "$tool" >/dev/null || { echo "skip: no $tool"; exit 77; }; done
$python -c 'import scapy.all' 2>/dev/null || { echo "skip: no scapy (packaging/prepare test)"; exit 77; }
TMP=$(mktemp -d "${TMPDIR:-/tmp}/knockgate.XXXXXX")
trap 'rm -rf "$TMP"' EXIT
umask 077
fail() { echo "FAILED (${BASH_SOURCE[1]##*/}:${BASH_LINENO[0]}): $*"; exit 1; }
ok() { echo "ok  $*"; }
$python "$here/captures/replay.py" "$TMP"

replay() { knockctl --config "$TMP/doors.toml" replay "$@"; } # NAME [--json]
# What became of the packets, without the times.
fates() { replay "$1" --json | jq -r ".packets[] | [.source, .what, .fate, (.opened + .closed | join(\" \"))] | join(\"|\")"; }
same() { # WHAT: of its two inputs
  diff -u "$TMP/expected" "$TMP/said" || fail "$1"
  ok "$1"
}
says() { # PATTERN...: each is in what was said
  local line
  for line; do grep -q "$line" "$TMP/said" || fail "not said: $line"; done
}
config() { cat >"$TMP/doors.toml"; }
config <<'TOML'
[door.ssh]
opens = ["tcp/22"]
knock = ["tcp/7143", "udp/12899", "tcp/4021"]
strays = 3
[door.nas]
opens = ["tcp/445"]
knock = ["udp/33710", "tcp/7143", "udp/5001"]
strays = 3
TOML

# --- the recording of packet_path_test, line by line
cat >"$TMP/expected" <<'TEXT'
    0.000          203.0.113.9     tcp/7143             begins door ssh
    0.020  +0.020  203.0.113.9     udp/12899            step 2 of 3 of door ssh
    1.000  +0.980  203.0.113.9     tcp/7143             copy or repeat
    1.020  +0.020  203.0.113.9     tcp/4021             OPENS ssh
    2.020  +1.000  203.0.113.9     tcp/4021             copy or repeat
    3.000          198.51.100.7    tcp/7143             begins door ssh
    3.020  +0.020  198.51.100.7    tcp/4021             step 3 of 3 of door ssh before step 2
    3.030  +0.010  198.51.100.7    udp/12899            OPENS ssh
    4.000          198.51.100.8    tcp/7143             begins door ssh
    4.020  +0.020  198.51.100.8    tcp/4021             step 3 of 3 of door ssh before step 2
    4.220  +0.200  198.51.100.8    udp/12899            step 2 of 3 of door ssh; too late to swap with what came before it, which counts no more
    5.000          203.0.113.66    tcp/7143             begins door ssh
    5.010  +0.010  203.0.113.66    tcp/7144             stray 1 of 3
    5.020  +0.010  203.0.113.66    tcp/7145             stray 2 of 3
    5.030  +0.010  203.0.113.66    tcp/7146             stray 3 of 3
    5.040  +0.010  203.0.113.66    tcp/7147             stray 4, 3 are allowed: a scan, ignored for 30s
    5.050  +0.010  203.0.113.66    tcp/7143             ignored: cooling off
    5.060  +0.010  203.0.113.66    udp/12899            ignored: cooling off
    5.070  +0.010  203.0.113.66    tcp/4021             ignored: cooling off
    6.000          2001:db8:1::9   udp/33710            begins door nas
    6.020  +0.020  2001:db8:1::9   tcp/7143             step 2 of 3 of door nas; begins door ssh
    6.040  +0.020  2001:db8:1::10  udp/5001             OPENS nas
    7.000          198.51.100.9    -                    a fragment: the kernel may put it together, replay does not
    7.010  +0.010  198.51.100.9    -                    a fragment: the kernel may put it together, replay does not
    7.020          2001:db8:2::9   -                    a fragment: the kernel may put it together, replay does not
    8.000          198.51.100.10   -                    cut within its headers: not read
    8.020  +0.020  198.51.100.10   udp/33710 500 bytes  begins door nas
    9.000          198.51.100.11   tcp/7143:syn+ack     not a step: no SYN, or one with ACK
    9.010  +0.010  198.51.100.11   tcp/7143:ack         not a step: no SYN, or one with ACK
    9.030          127.0.0.1       tcp/7143             not a step: such a source is never let in
    9.040          fe80::9         tcp/7143             of a link-local address: it can be given nothing
   10.000          203.0.113.20    tcp/7143             begins door ssh
   14.000  +4.000  203.0.113.20    udp/12899            step 2 of 3 of door ssh
   20.500  +6.500  203.0.113.20    tcp/4021             too late: 10s were over after step 2 of 3 of door ssh
   21.000  +0.500  203.0.113.20    udp/33710            begins door nas
   21.020  +0.020  203.0.113.20    tcp/7143             step 2 of 3 of door nas; begins door ssh
   21.040  +0.020  203.0.113.20    udp/5001             OPENS nas

198.51.100.8 came to step 2 of 3 of door ssh; next was tcp/4021
198.51.100.10 came to step 1 of 3 of door nas; next was tcp/7143
203.0.113.66 came to step 1 of 3 of door ssh; next was udp/12899, before its strays were spent
41 packets in 21.040s, 37 of them concern a knock; 4 sequences completed
TEXT
replay "$here/captures/knocks.pcap" >"$TMP/said"
same "each packet of a recording, its time and its fate, and how far each source came"

# --- links
cat >"$TMP/expected" <<'TEXT'
203.0.113.9|tcp/7143|begins|
203.0.113.9|udp/12899 5 bytes|step|
203.0.113.9|tcp/4021|opens|ssh
2001:db8:9::9|tcp/7143|begins|
2001:db8:9::9|udp/12899 5 bytes|step|
2001:db8:9::9|tcp/4021|opens|ssh
TEXT
for name in ethernet.pcap vlan.pcap nanoseconds.pcap raw.pcap sll.pcap sll2.pcap nflog.pcap ethernet.pcapng; do
  fates "$TMP/$name" >"$TMP/said"
  same "$name"
done
[ "$(replay "$TMP/ethernet.pcap" --json | jq -c '[.schema, .sources, .summary.packets, .summary.rows, .summary.span_ms]')" = '[1,[],7,6,2000]' ] || fail "summary"
[ "$(replay "$TMP/raw.pcap" --json | jq -c '.packets[1] | [.time_ms, .gap_ms, .door, .closing, .step, .of, .next]')" = '[20,20,"ssh",false,2,3,"tcp/4021"]' ] || fail "a packet in JSON"
ok "a document of schema 1"

# --- kinds of steps
config <<'TOML'
[door.ssh]
opens = ["tcp/22"]
knock = ['udp/5000:"Passw0rd"', "udp/5000/len=42", "tcp/6000:fin+syn", "icmp/len=7"]
[door.nas]
opens = ["tcp/445"]
knock = ['icmp6:"let me in"', "tcp/6001:fin"]
close_knock = ['icmp6:"let me out" x2']
TOML
cat >"$TMP/expected" <<'TEXT'
203.0.113.1|udp/5000 13 bytes|begins|
203.0.113.1|udp/5000 42 bytes|step|
203.0.113.1|tcp/6000:fin+syn|step|
203.0.113.1|ping 7 bytes|opens|ssh
203.0.113.2|udp/5000 13 bytes|unexpected|
203.0.113.2|udp/5000 13 bytes|begins|
203.0.113.2|udp/5000 41 bytes|stray|
203.0.113.2|udp/5000 42 bytes|step|
203.0.113.2|tcp/6000:fin+syn+urg|stray|
203.0.113.2|tcp/6000:fin+syn|step|
203.0.113.2|ping 8 bytes|stray|
2001:db8:1::1|ping 10 bytes|begins|
2001:db8:1::2|ping 10 bytes|closes|nas
2001:db8:2::1|ping 9 bytes|begins|
2001:db8:2::1|tcp/6001:fin|opens|nas
203.0.113.4|udp/5000 13 bytes|begins|
203.0.113.4|udp/5000 42 bytes|step|
203.0.113.4|tcp/8443|stray|
TEXT
fates "$TMP/kinds.pcap" >"$TMP/said"
same "words, lengths, flags and pings, right and not quite"
replay "$TMP/kinds.pcap" >"$TMP/said"
says 'no step has this length or word, and no knock is under way' 'no step has this length or word, stray 1 of 12' \
  'no step has these flags, stray 2 of 12' '^203.0.113.2 came to step 3 of 4 of door ssh; next was icmp/len=7$' 'CLOSES nas$'
replay "$TMP/cut.pcap" >"$TMP/said"
grep -q 'cut in the recording, a word in it may be missed' "$TMP/said" || fail "a word that may be missed"
grep -q '^1 packet cut where a word is looked for' "$TMP/said" || fail "how many words may be missed"
ok "in words, and where a recording is cut"

# --- a rhythm
config <<'TOML'
[door.ssh]
opens = ["tcp/22"]
knock = ["tcp/7001", "pause 1s", "tcp/7002", "tcp/7003"]
TOML
cat >"$TMP/expected" <<'TEXT'
203.0.113.1|tcp/7001|begins|
203.0.113.1|tcp/7002|step|
203.0.113.1|tcp/7003|opens|ssh
203.0.113.2|tcp/7001|begins|
203.0.113.2|tcp/7002|rhythm|
203.0.113.2|tcp/7003|unexpected|
203.0.113.3|tcp/7001|begins|
203.0.113.3|tcp/7002|rhythm|
203.0.113.3|tcp/7003|unexpected|
203.0.113.4|tcp/7001|begins|
203.0.113.4|tcp/7002|step|
203.0.113.4|tcp/7003|rhythm|
TEXT
fates "$TMP/rhythm.pcap" >"$TMP/said"
same "a pause in time, too short, too long, and one too many"
replay "$TMP/rhythm.pcap" >"$TMP/said"
says '+0.500 .*out of rhythm: door ssh wants a pause of 1s, a quarter more or less, before step 2$' \
  '+0.800 .*out of rhythm: door ssh wants step 3 at most 500ms after step 2$' \
  '^203.0.113.3 came to step 1 of 3 of door ssh; next was tcp/7002, in its rhythm$'
ok "and what it should have been"

# --- what the kernel would not report, and what nobody can know
config <<'TOML'
[gate]
trust = ["198.51.100.0/24"]
[door.ssh]
opens = ["tcp/22"]
knock = ["tcp/7143", "udp/12899", "tcp/4021"]
kn1 = true
TOML
cat >"$TMP/expected" <<'TEXT'
203.0.113.1|tcp/7143|begins|
203.0.113.1|tcp/22|guarded|
203.0.113.1|udp/17022 192 bytes|signed|
203.0.113.1|tcp/8080|stray|
203.0.113.1|udp/53|stray|
203.0.113.1|udp/12899|step|
203.0.113.1|tcp/4021|opens|ssh
198.51.100.9|tcp/7143|trusted|
198.51.100.9|udp/12899 5 bytes|trusted|
198.51.100.9|tcp/4021|trusted|
203.0.113.5|tcp/7143:syn+ack|not-step|
203.0.113.6|tcp/4021|unexpected|
203.0.113.8|udp/12899|begins|
203.0.113.7|tcp/7143|begins|
203.0.113.7|udp/12899|step|
203.0.113.7|tcp/7144|stray|
203.0.113.1|tcp/4021|unexpected|
TEXT
fates "$TMP/doubts.pcap" >"$TMP/said"
same "guarded ports, signed packets, connections, groups and trusted prefixes are no strays"
replay "$TMP/doubts.pcap" >"$TMP/said"
says '^203.0.113.6 began no knock: tcp/4021 begins none; door ssh begins with tcp/7143$' \
  'begins step 2 of 3 of door ssh before step 1$' '^2 packets older than one before: counted as of the latest$' '^203.0.113.7 came to step 2 of 3 of door ssh; next was tcp/4021$'
! grep '^203.0.113.1 ' "$TMP/said" || fail "it got in"
[ "$(replay "$TMP/doubts.pcap" --json | jq -c '[.summary.backwards, .summary.trusted]')" = '[2,3]' ] || fail "counted"
ok "time that goes backwards is counted, and who began no knock is told how"

# --- what goes wrong: the exit status, and what is said
refused() { # STATUS TEXT ARGUMENT...
  local status=0 wanted=$1 text=$2; shift 2
  replay "$@" >"$TMP/out" 2>"$TMP/said" || status=$?
  [ $status = "$wanted" ] || fail "exit $status for $*"
  grep -q "$text" "$TMP/said" "$TMP/out" || fail "not said: $text: $(cat "$TMP/said")"
}
refused 1 'nothing.pcap: No such file or directory' "$TMP/nothing.pcap"
refused 1 'unknown file format' "$TMP/doors.toml"
refused 1 'packets of the link IEEE802_11 are not read' "$TMP/wireless.pcap"
refused 1 'torn.pcap: truncated dump file' "$TMP/torn.pcap"
grep -q 'OPENS ssh' "$TMP/out" || fail "what was read before is told"
refused 1 'truncated dump file' --json "$TMP/torn.pcap"
[ "$(jq -rs '.[0].packets[2].fate + " " + .[1].error.code' "$TMP/out")" = "opens failed" ] || fail "a document, then the error"
refused 2 'replay takes a recording'
config <<<'[door.ssh]'
refused 78 'doors.toml:1:.*: error: ' "$TMP/raw.pcap"
refused 78 '"code":"bad-config"' --json "$TMP/raw.pcap"
ok "a file that is none, or torn, and a bad configuration are named"
