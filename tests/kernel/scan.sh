#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Nobody opens a door by trying all ports, and after each scan an honest knock opens. Scans wait for each other's
# cool-off: a source that was caught is ignored for a while, so each scan has a source of its own.
. "$(dirname "$0")/../harness/lib.sh"

world
serve router 22
# Its answers look for one neighbour: the table of these has 1,024 places for all namespaces, and other tests need it.
in_ns router ip -6 route add 2001:db8:9:0:8000::/65 via 2001:db8:9::9
config <<<'[limits]
cooloff = "1s"
[door.three]
opens = ["tcp/22"]
knock = ["tcp/30000", "tcp/40000", "tcp/50000"]
[door.four]
opens = ["tcp/22"]
knock = ["tcp/20000", "tcp/30001", "tcp/40001", "tcp/50001"]'
start

cat >"$TMP/sweep.py" <<'PY'
# SYNs to every port of a host, by raw sockets: in falling order, or each from another address of one /64
import random, socket, struct, sys
how, target = sys.argv[1:]
ports = list(range(65535, 0, -1))
if how == "subnet":
    random.shuffle(ports)
    s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, 255)
    s.setsockopt(socket.IPPROTO_IPV6, 36, 1)  # IPV6_HDRINCL
    dst = socket.inet_pton(socket.AF_INET6, target)
else:
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    dst = socket.inet_aton(target)
s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
for port in ports:
    tcp = struct.pack("!HHIIBBHHH", random.randrange(1024, 65535), port, random.getrandbits(32), 0, 0x50, 2, 1024, 0, 0)
    if how == "subnet":
        src = socket.inet_pton(socket.AF_INET6, "2001:db8:9::")[:8] + bytes([0x80 | random.getrandbits(7)]) + random.randbytes(7)
        tcp = tcp[:16] + struct.pack("!H", checksum(src + dst + struct.pack("!II", 20, 6) + tcp)) + tcp[18:]
        s.sendto(struct.pack("!IHBB", 6 << 28, 20, 6, 64) + src + dst + tcp, (target, 0))
    else:
        src = socket.inet_aton("203.0.113.9")
        tcp = tcp[:16] + struct.pack("!H", checksum(src + dst + struct.pack("!HH", 6, 20) + tcp)) + tcp[18:]
        s.sendto(struct.pack("!BBHHHBBH", 0x45, 0, 40, random.getrandbits(16), 0, 64, 6, 0) + src + dst + tcp, (target, 0))
PY
honest() {
  in_ns client knock $1 30000:tcp 40000:tcp 50000:tcp
  await reaches client $1 22
  ctl close --all >/dev/null
}
scan() { # TARGET COMMAND...
  local target=$1 before; shift
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    before=$(ctl --json status | jq .counters.opened)
    in_ns client "$@" "$target" >/dev/null
    expect ".counters.opened == $before and .grants == []"
    await never status '.tracker.attempts > 0'
    until honest_now $target; do sleep 0.1; done
  done
}
# The cool-off has to pass first; a knock during it only counts as nothing.
honest_now() { in_ns client knock $1 30000:tcp 40000:tcp 50000:tcp && reaches client $1 22 && ctl close --all >/dev/null; }

honest $R4
NMAP="nmap -n -Pn -sS --max-retries 0 --min-rate 30000 -p-"
scan $R4 $NMAP -r; ok "nmap -p- ascending, ten times"
scan $R4 $NMAP; ok "nmap -p- in random order, ten times"
scan $R4 python3 "$TMP/sweep.py" falling; ok "descending, ten times"
scan $R6 python3 "$TMP/sweep.py" subnet; ok "each packet from another address of one /64, ten times"

# From a hundred sources in turns, and by what is no port scan: FIN, and pings of all sizes.
in_ns client packets sweep 198.51.100.1 $R4 100 2 2
expect '.grants == []'
await never status '.tracker.attempts > 0'
until honest_now $R4; do sleep 0.1; done
ok "two sweeps by a hundred sources in turns open nothing; an honest knock does"
cat >>"$TMP/knockgate.toml" <<'TOML'
[door.fin]
opens = ["tcp/8022"]
knock = ["tcp/30002:fin", "tcp/40002:fin", "tcp/50002:fin"]
[door.pings]
opens = ["tcp/8023"]
knock = ["icmp/len=100", "icmp/len=200", "icmp/len=300"]
TOML
ctl reload --now >/dev/null
before=$(ctl --json status | jq .counters.opened)
in_ns client packets sweep 203.0.113.9 $R4 1 4 1
in_ns client packets pings 203.0.113.9 $R4 4
expect ".counters.opened == $before and .grants == []"
ok "four sweeps of FIN and of pings of all sizes open nothing"
fins() { in_ns client hping3 -q -c 1 -F -p $1 $R4 >/dev/null 2>&1 || true; }
fins_open() { for port in 30002 40002 50002; do fins $port; done; status '[.grants[].door] == ["fin"]'; }
until fins_open; do sleep 0.1; done
ctl close --all >/dev/null
pings_open() { for size in 100 200 300; do in_ns client ping -q -c 1 -W 1 -s $size $R4 >/dev/null; done; status '[.grants[].door] == ["pings"]'; }
until pings_open; do sleep 0.1; done
ctl close --all >/dev/null
ok "honest ones of such steps open"

# The same with strays that nobody reports must open, or all this proves nothing. (Our own chain would come back.)
in_ns router nft -f - <<<'table inet blind { chain before_stray { type filter hook input priority filter - 11; tcp dport != 22 drop; }; }'
opened=0
for _ in 1 2 3; do
  in_ns client $NMAP -r $R4 >/dev/null
  if status '.counters.opened > 0 and (.grants | length) > 0'; then opened=1; fi
done
[ $opened = 1 ] || fail "a scan opens nothing even when strays are not counted: this test is blind"
ok "without stray counting the ascending scan opens: the test can fail"
