#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The main job: closed, knock, open for that source alone, closed again by the kernel. Debian's own clients.
. "$(dirname "$0")/../harness/lib.sh"

world
serve router 22
config <<<"$FOUR_STEPS
for = \"$((8 * SLOW))s\""
opens client $R4 22
start
for target in $R4 $R6; do
  stays_closed client $target 22
  lets_in_alone $target
done
ok "Debian's knock opens for its source alone, over IPv4 and IPv6"
expect '.counters.opened == 2 and (.grants | length) == 2'
await refused client $R4 22
await refused client $R6 22
await status '.grants == []'
ok "the kernel closes it by itself"

tcp='tcp/7143", "tcp/12899", "tcp/4021'
config <<<"
[door.three]
opens = [\"tcp/22\"]
knock = [\"$tcp\"]
for = \"$((2 * SLOW))s\""
ctl reload --now >/dev/null
by() {
  for target in $R4 $R6; do
    await refused client $target 22
    "$@" $target
    await reaches client $target 22
    stays_closed intruder $target 22
    ctl close --all >/dev/null
  done
}
by_nmap() { in_ns client nmap -n $([ "$1" = $R6 ] && echo -6) -Pn -sS -r --max-retries 0 -p 4021,7143,12899 "$1" >/dev/null; }
in_order() { for port in 7143 12899 4021; do "$@" $port || true; done; }
by_nc() { nc_one() { in_ns client nc -z -w 1 "$1" "$2" 2>/dev/null; }; in_order nc_one "$1"; }
by_bash() { one() { in_ns client timeout 1 bash -c "echo >/dev/tcp/$1/$2" 2>/dev/null; }; in_order one "$1"; }
by by_nc
ok "nc opens"
by by_bash
ok "bash and /dev/tcp open"
hping() { in_ns client hping3 -q -S -c 1 -p "$2" "$1" >/dev/null 2>&1; }
in_order hping $R4
await reaches client $R4 22
ctl close --all >/dev/null
ok "hping3 opens"

config <<<'
[door.sorted]
opens = ["tcp/22"]
knock = ["tcp/4021", "tcp/7143", "tcp/12899"]'
ctl reload --now >/dev/null
by by_nmap
ok "nmap opens"

config <<<"$FOUR_STEPS"
ctl reload --now >/dev/null
for i in $(seq 10 19); do
  in_ns client ip addr add 203.0.113.$i/32 dev eth0
  in_ns router ip route add 203.0.113.$i dev wan0
done
python() { in_ns client python3 - "$@"; }
python <<'PY'
import socket
# ten sources, their steps interleaved: each must follow its own way
for port, kind in ((7143, "tcp"), (12899, "udp"), (4021, "tcp"), (33710, "udp")):
    for host in range(10, 20):
        s = socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
        s.bind((f"203.0.113.{host}", 0))
        s.setblocking(False)
        if kind == "udp":
            s.sendto(b"", ("203.0.113.1", port))
        else:
            s.connect_ex(("203.0.113.1", port))
PY
await status '(.grants | length) == 10'
for i in $(seq 10 19); do [ -n "$(in_ns client nc -s 203.0.113.$i -w "$SLOW" $R4 22 </dev/null)" ] || fail "203.0.113.$i is not let in"; done
stays_closed client $R4 22
ok "ten sources at once: each opens for itself alone"
