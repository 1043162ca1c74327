#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Forwards: a knock leads its source alone from a port of the router to an inner host, until the grant ends, and never to
# a service of the router itself; whatever ends grants ends forwards too. Guarded hosts behind the router; run_close.
. "$(dirname "$0")/../harness/lib.sh"
chmod 755 "$TMP"

world
for port in 443 444 22; do serve lan $port; done
chatter lan 2200
for port in 22 8443 8446 2222; do serve router $port; done
declare -A FROM=([$R4]=203.0.113.9 [$R6]=2001:db8:9::9) SET=([$R4]=4 [$R6]=6) INNER=([$R4]=192.0.2.20 [$R6]=2001:db8:20::20)
greets() { [ "$(greeting "$1" "$2" "$3")" = "hello from $4" ]; } # NS ADDRESS PORT GREETED-PORT
ended() { count_logged "^(expire|close) door=$1 source=$2 "; }
forwards() { # TARGET PORT
  in_ns router nft list map inet knockgate forward${SET[$1]} | grep -q "${FROM[$1]} \. tcp \. $2 .*comment"
}
nothing_open() { status '.grants == []'; }

web() { # PORT-OF-TARGET
  cat <<TOML
[door.web]
forward = { "tcp/8443" = ["192.0.2.20:$1", "[2001:db8:20::20]:$1"] }
knock = ["udp/7001"]
within = "1s"
for = "$((8 * SLOW))s"
TOML
}
ends() {
  cat <<TOML
[door.four]
forward = { "tcp/8444" = "192.0.2.20:443" }
knock = ["udp/7002"]
within = "1s"
[door.visit]
forward = { "tcp/8445" = ["192.0.2.20:2200", "[2001:db8:20::20]:2200"] }
knock = ["udp/7003"]
within = "1s"
for = "2s"
close = "on-disconnect"
linger = "1s"
[door.single]
forward = { "tcp/8446" = ["192.0.2.20:443", "[2001:db8:20::20]:443"] }
knock = ["udp/7004"]
within = "1s"
for = "1h"
uses = 1
[door.stays]
forward = { "tcp/8447" = ["192.0.2.20:2200", "[2001:db8:20::20]:2200"] }
knock = ["udp/7005"]
within = "1s"
for = "5s"
[door.cut]
forward = { "tcp/8448" = ["192.0.2.20:2200", "[2001:db8:20::20]:2200"] }
knock = ["udp/7006"]
within = "1s"
for = "5s"
flows = "cut"
TOML
}
config < <(web 443; ends)
start

# Tries again and again, from eight threads, and notes who greets.
cat >"$TMP/probe" <<'PY'
import os, socket, sys, threading
def probe():
    while True:
        try:
            with socket.create_connection((sys.argv[1], 8443), 0.1) as s:
                s.settimeout(1)
                os.write(1, s.recv(100).strip() + b"\n")
        except OSError:
            pass
for _ in range(8):
    threading.Thread(target=probe).start()
PY
for target in $R4 $R6; do
  stays_closed client $target 8443
  background ip netns exec "$RUN-client" python3 "$TMP/probe" $target >"$TMP/probed.$target"
  PROBE=${PIDS##* }
  stays_closed client $target 8443
  knock_at 7001 client $target
  await greets client $target 8443 443
  stays_closed intruder $target 8443
  expect ".grants | length == 1 and .[0].forward == {\"tcp/8443\": \"$(at ${INNER[$target]} 443)\"}"
  await nothing_open
  logged "^expire door=web source=${FROM[$target]} .* reason=after$" || fail "no expire line"
  stays_closed client $target 8443
  for _ in 1 2 3; do
    knock_at 7001 client $target
    await greets client $target 8443 443
    ctl close web >/dev/null
    stays_closed client $target 8443
  done
  # Of an expiry they are read 100 ms before it, by a daemon that gets a processor in time.
  logged "^close door=web source=${FROM[$target]} .* packets=[1-9][0-9]* .* reason=hand$" || fail "no packet is counted"
  kill $PROBE; wait $PROBE 2>/dev/null || true
  grep -qx 'hello from 443' "$TMP/probed.$target" || fail "the probe never got through"
  [ "$(sort -u "$TMP/probed.$target")" = 'hello from 443' ] || fail "shown: $(sort "$TMP/probed.$target" | uniq -c)"
  ok "$target: closed, knocked for, forwarded for its source alone, ended by time and by hand; of $(wc -l <"$TMP/probed.$target") greetings none was the router's own"
done

for target in $R4 $R6; do
  for door in 7005 7006; do knock_at $door client $target; done
  for port in 8447 8448; do await forwards $target $port; done
  hold kept$target client $target 8447
  hold cut$target client $target 8448
done
[ "$(in_ns router sysctl -n net.netfilter.nf_conntrack_tcp_loose)" = 1 ] || fail "tcp_loose is not 1"
await nothing_open
in_ns client nft 'table inet heard { chain in { type filter hook prerouting priority raw; tcp sport 8448 counter; }; }'
arrived() { in_ns client nft list table inet heard | grep -o 'packets [0-9]*'; }
for target in $R4 $R6; do goes_on kept$target 40; done # the inner host sends again what nobody acknowledged
[ "$(arrived)" = 'packets 0' ] || fail "what the inner host sends still arrives: $(arrived)"
for target in $R4 $R6; do
  is_dead cut$target kept$target
  goes_on kept$target 20
  stays_closed client $target 8447
  let_go kept$target; let_go cut$target
done
ok "what was connected lives on with flows = \"keep\", and is dead at once with \"cut\""

for target in $R4 $R6; do
  knock_at 7003 client $target
  await forwards $target 8445
  hold visit$target client $target 8445
done
for target in $R4 $R6; do goes_on visit$target 70; done # longer than `for` and `linger`
for target in $R4 $R6; do
  forwards $target 8445 || fail "closed while connected"
  never refused client $target 8445 || fail "refused while connected"
  stays_closed intruder $target 8445
  let_go visit$target
  await logged "^expire door=visit source=${FROM[$target]} .* reason=disconnect$"
  stays_closed client $target 8445
done
ok "on-disconnect: forwarded while connected, longer than \`for\`, and no longer"

for target in $R4 $R6; do
  knock_at 7004 client $target
  await forwards $target 8446
  greets client $target 8446 443 || fail "the first connection is refused"
  stays_closed client $target 8446
  await logged "^close door=single source=${FROM[$target]} .* reason=uses$"
done
ok "uses = 1: one connection, then closed, not even to the router's own service"

knock_at 7002 client $R4
await greets client $R4 8444 443
knock_at 7002 client $R6
await logged "^refused door=four source=${FROM[$R6]} reason=family"
expect '.counters.refused_family == 1 and (.grants | length) == 1'
stays_closed client $R6 8444
code=0; ctl open four ${FROM[$R6]} >"$TMP/said" 2>&1 || code=$?
[ $code = 1 ] && grep -q 'leads nowhere over IPv6' "$TMP/said" || fail "code $code: $(cat "$TMP/said")"
ctl open four 203.0.113.66 >/dev/null
greets intruder $R4 8444 443 || fail "by hand it does not lead over IPv4"
ctl close --all >/dev/null
ok "without a target of the family it does not open, and says so; over the other it does"

with_any() {
  web "$1" | sed 's/^for = .*/for = "1h"/'
  cat <<'TOML'
[door.ssh]
opens = ["tcp/22"]
[door.any]
opens = ["any"]
knock = ["udp/7007"]
within = "1s"
for = "1h"
TOML
}
config < <(with_any 443)
ctl reload --now >/dev/null
for target in $R4 $R6; do
  knock_at 7001 client $target
  await greets client $target 8443 443
done
config < <(with_any 444)
ctl reload --now >/dev/null
for target in $R4 $R6; do
  leads_on() { knock_at 7001 client $target; greets client $target 8443 444; }
  await leads_on
  logged "^extend door=web source=${FROM[$target]} " || fail "no extend line"
  greets lan ${INNER[$target]} 444 444 || fail "the inner host does not reach itself"
  greets client ${INNER[$target]} 443 443 || fail "the inner address is not reached"
done
ctl close --all >/dev/null
for target in $R4 $R6; do
  stays_closed client $target 8443
  knock_at 7007 client $target
  await greets client $target 8443 444
  greets client $target 22 22 || fail "any does not open tcp/22"
  stays_closed intruder $target 8443
done
ctl close any >/dev/null
for target in $R4 $R6; do for port in 22 8443; do stays_closed client $target $port; done; done
ok "a new target is led to by a new knock; \"any\" opens ports and forwards"

# Killed and started again.
thrice() {
  web 443 | sed "s/^for = .*/for = \"$((15 * SLOW))s\"/"
  cat <<TOML
[door.thrice]
forward = { "tcp/8444" = ["192.0.2.20:444", "[2001:db8:20::20]:444"] }
knock = ["udp/7002"]
within = "1s"
for = "1h"
uses = 3
TOML
}
config < <(thrice)
ctl reload --now >/dev/null
for target in $R4 $R6; do
  for door in 7001 7002; do knock_at $door client $target; done
  await forwards $target 8444
  greets client $target 8444 444 || fail "the first of three is refused"
done
await status '[.grants[] | select(.uses_left == 2)] | length == 2'
stop KILL
for target in $R4 $R6; do greets client $target 8443 443 || fail "closed without a daemon"; done
start
for target in $R4 $R6; do
  expect ".grants | length == 4 and all(.adopted) and
    any(.source == \"${FROM[$target]}\" and .door == \"web\" and .uses_left == null and .forward == {\"tcp/8443\": \"$(at ${INNER[$target]} 443)\"}) and
    any(.source == \"${FROM[$target]}\" and .door == \"thrice\" and .uses_left == 2 and .forward == {\"tcp/8444\": \"$(at ${INNER[$target]} 444)\"})"
done
for target in $R4 $R6; do
  greets client $target 8443 443 || fail "an adopted forward does not lead"
  await greets client $target 8444 444
  await status "any(.grants[]; .source == \"${FROM[$target]}\" and .uses_left == 1)"
  await greets client $target 8444 444
  await logged "^close door=thrice source=${FROM[$target]} .* reason=uses$"
  stays_closed client $target 8444
done
await nothing_open
for target in $R4 $R6; do
  logged "^expire door=web source=${FROM[$target]} .* id=[0-9] .* packets=[1-9][0-9]* .* reason=after$" || fail "no expire line"
  stays_closed client $target 8443
done
ok "killed and started again: forwards and uses are adopted, work and end"

# Hosts behind the router, without NAT; and what a refused one hears.
also() {
  cat <<TOML
[gate]
also = ["192.0.2.0/24", "2001:db8:20::/64"]
answer = "$1"
[door.ssh]
opens = ["tcp/22", "udp/5000"]
knock = ["udp/7001"]
within = "1s"
for = "1h"
TOML
}
hears() { # PROTOCOL ADDRESS PORT: the error of a client that waits a second, `timed out` for none
  in_ns client python3 - "$@" <<'PY'
import socket, sys
kind = socket.SOCK_STREAM if sys.argv[1] == "tcp" else socket.SOCK_DGRAM
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[2] else socket.AF_INET, kind)
s.settimeout(1)
try:
    s.connect((sys.argv[2], int(sys.argv[3])))
    s.send(b"x")
    s.recv(1)
    print("answer")
except ConnectionRefusedError:
    print("refused")
except TimeoutError:
    print("timed out")
PY
}
for target in $R4 $R6; do opens client ${INNER[$target]} 22; done
for answer in drop reset; do
  config < <(also $answer)
  ctl reload --now >/dev/null
  wanted=$([ $answer = drop ] && echo 'timed out' || echo refused)
  for target in $R4 $R6; do
    for host in $target ${INNER[$target]}; do
      for what in tcp/22 udp/5000; do
        [ "$(hears ${what%/*} $host ${what#*/})" = "$wanted" ] || fail "$answer: $host $what: $(hears ${what%/*} $host ${what#*/})"
      done
    done
    opens client ${INNER[$target]} 443
    knock_at 7001 client $target
    await reaches client ${INNER[$target]} 22
    opens client $target 22
    stays_closed intruder ${INNER[$target]} 22
    ctl close ssh >/dev/null
    stays_closed client ${INNER[$target]} 22
  done
  ok "also: a host behind the router is guarded like the router, and opened with it; answer = \"$answer\": $wanted"
done

# What runs when a grant ends.
OUT="$TMP/out"
mkdir -m 777 "$OUT"
cat >"$TMP/bye" <<'BYE'
#!/bin/bash
echo "$KNOCKGATE_EVENT $KNOCKGATE_SOURCE $(id -un)" >>"$1"
BYE
chmod 755 "$TMP/bye"
config <<TOML
[door.ports]
opens = ["tcp/22"]
run = ["/bin/true"]
run_close = ["$TMP/bye", "$OUT/ports"]
cooldown = "0s"
knock = ["udp/7011"]
within = "1s"
for = "5s"
[door.only]
run = ["/bin/true"]
run_close = ["$TMP/bye", "$OUT/only"]
cooldown = "0s"
knock = ["udp/7012"]
within = "1s"
for = "$((12 * SLOW))s"
TOML
ctl reload --now >/dev/null
for target in $R4 $R6; do
  knock_at 7011 client $target
  await reaches client $target 22
  [ ! -e "$OUT/ports" ] || fail "said while open: $(cat "$OUT/ports")"
  await test -s "$OUT/ports"
  await logged "^runner: ran door=ports source=${FROM[$target]} .*" # of run
  await nothing_open
  [ "$(cat "$OUT/ports")" = "close ${FROM[$target]} nobody" ] || fail "ports: $(cat "$OUT/ports")"
  rm "$OUT/ports"
done
for target in $R4 $R6; do knock_at 7012 client $target; done
await status '[.grants[] | select(.door == "only")] | length == 2'
stop KILL
start
[ ! -e "$OUT/only" ] || fail "said while open: $(cat "$OUT/only")"
expect '[.grants[] | select(.door == "only" and .adopted)] | length == 2'
twice() { [ "$(wc -l <"$OUT/only")" = 2 ]; }
await twice
await nothing_open
ctl open ports 203.0.113.66 >/dev/null
ctl close ports >/dev/null
await grep -qx 'close 203.0.113.66 nobody' "$OUT/ports"
for file in only ports; do
  wanted=$([ $file = only ] && printf 'close %s nobody\n' ${FROM[$R6]} ${FROM[$R4]} | sort || echo 'close 203.0.113.66 nobody')
  [ "$(sort "$OUT/$file")" = "$wanted" ] || fail "$file: $(cat "$OUT/$file")"
done
ok "run_close: once when the grant ends, by time or by hand, of a door without ports too, also over a restart"
never logged '^error|<3>' || fail "an error in the log"
