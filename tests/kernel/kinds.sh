#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Every kind of step, by real clients: ports, flags, words and lengths, pings; and what is nearly one and opens nothing.
# What the kernel is told for them: how much of a packet it copies, which pings it reports. Pings are answered as ever.
. "$(dirname "$0")/../harness/lib.sh"
. "$(dirname "$0")/../harness/clients.sh"

BOOT_FILE="$TMP/boot.nft" MANY=$((3000 / SLOW))
world
serve router 22
TARGETS="$R4 $R6"
[ "$SLOW" = 1 ] || TARGETS=$R4 # and words over IPv6, below: each trial takes seconds there

# How much of a packet each group copies.
copies() { [ "$(in_ns router awk '$1 >= 40 && $1 <= 43 {print $5}' /proc/net/netfilter/nfnetlink_log | uniq -c | tr -d ' ')" = "4$1" ]; }
pings_reported() { # 4 6: whether those of each family are
  local family wanted
  for family in 4 6; do
    wanted=${1:$((family == 6)):1}
    [ "$(set_has knock_icmp${family/4/} 'elements = { echo-request }' && echo y || echo n)" = "$wanted" ] || return
  done
}
kernel_knows() { # RANGE 4-AND-6
  await copies "$1"
  pings_reported "$2" || fail "$KNOCK: pings are not reported as $2"
  ctl save >/dev/null
  [ "$(grep -Eo 'add element inet knockgate knock_icmp6? ' "$BOOT_FILE" | wc -l)" = "$(tr -dc y <<<"$2" | wc -c)" ] || fail "$KNOCK: boot file: $(cat "$BOOT_FILE")"
}

door '"tcp/7143"'
kernel_knows 128 nn
by tcp/7143
not_by tcp/7144 udp/7143 tcp/7143:ack tcp/7143:syn+ack tcp/7143:fin icmp
door '"tcp/7143:syn+fin"'
kernel_knows 128 nn
by tcp/7143:fin+syn
not_by tcp/7143 tcp/7143:fin tcp/7143:syn+fin+psh tcp/7144:syn+fin
in_ns client hping3 -q -c 1 -S -F -p 7143 $R4 >/dev/null 2>&1 || true
let_in_alone "hping3 -S -F" client $R4
door '"tcp/7143:fin+psh+urg", "tcp/7143:fin", "tcp/7143:ack", "tcp/7143"'
for target in $TARGETS; do
  for scan in X F A S; do in_ns client nmap -n $([ $target = $R4 ] || echo -6) -Pn -s$scan --max-retries 0 -p 7143 $target >/dev/null; done
  let_in_alone "nmap -sX, -sF, -sA, -sS" client $target
done
not_by tcp/7143:fin+psh+urg tcp/7143:fin tcp/7143:ack
ok "tcp: just the flags that a step names, without any a SYN; by nmap, hping3, nping, knock"

door '"udp/12899"'
kernel_knows 128 nn
by udp/12899
by udp/12899/len=20
not_by tcp/12899 udp/12898 icmp
door "'udp/12899:\"Passw0rd\"'"
[ "$SLOW" = 1 ] || TARGETS=$R6
kernel_knows 1400 nn
by 'udp/12899:"Passw0rd"'
by 'udp/12899:"xPasswPassw0rdx"'
not_by udp/12899 'udp/12899:"passw0rd"' 'udp/12899:"Passw0r"' 'udp/12899:"d Passw0r"' 'udp/12898:"Passw0rd"' icmp
for target in $TARGETS; do
  printf "%1292sPassw0rd" '' | datagram client $target 12899
  let_in_alone "a word at the end of 1,300 bytes" client $target
done
door '"udp/12899/len=20"'
kernel_knows 128 nn
by udp/12899/len=20
not_by udp/12899 udp/12899/len=19 udp/12899/len=21 udp/12898/len=20
door "'udp/12899/len=0', 'udp/12899:\"\\x00\\xff\\\"\"', 'udp/12899', 'udp/12899/len=5'"
in_ns client hping3 -q --udp -c 1 -p 12899 $R4 >/dev/null 2>&1 || true
printf '\001\000\377"\000' | datagram client $R4 12899
printf '%6s' '' | datagram client $R4 12899
printf '%5s' '' | datagram client $R4 12899
let_in_alone "no payload, bytes that are no text, any, five" client $R4
ok "udp: port, length, a word wherever it stands, up to the end of 1,300 bytes"

# Of the family that the step names, and of no other.
TARGETS=$R4
door '"icmp"'
kernel_knows 128 yn
by icmp
by icmp/len=1400
in_ns client hping3 -q --icmp -c 1 $R4 >/dev/null 2>&1
let_in_alone "hping3 --icmp" client $R4
not_by tcp/7143
nping_one client $R4 --icmp --icmp-type timestamp
is_heard client $R4
opened_nothing "what came before"
ping_one client $R6
is_heard client $R6
opened_nothing "what came before"
door "'icmp6'"
kernel_knows 128 ny
ping_one client $R4
is_heard client $R4
opened_nothing "what came before"
TARGETS=$R6
by icmp
for family in 4 6; do
  name=icmp${family/4/} target=R$family
  TARGETS=${!target}
  only=$([ $family = 4 ] && echo yn || echo ny)
  door "'$name:\"Passw0rd\"'"
  kernel_knows 1400 $only
  by 'icmp:"Passw0rd"'
  by 'icmp:"rdPassw0"' # ping repeats it
  not_by icmp 'icmp:"passw0rd"' 'icmp:"Passw0r"' icmp/len=8 'udp/12899:"Passw0rd"'
  ping_one client $TARGETS -s 8 -p "$(hex Passw0rd)"
  let_in_alone "a ping of the word alone" client $TARGETS
  ping_one client $TARGETS -s 1300 -p "$(hex Passw0rd)"
  let_in_alone "a ping of 1,300 bytes" client $TARGETS
  door "'$name/len=42'"
  kernel_knows 128 $only
  by icmp/len=42
  not_by icmp icmp/len=41 icmp/len=43 icmp/len=1042
done
door '"tcp/7143"'
kernel_knows 128 nn
door "'icmp:\"Passw0rd\"'" '[door.six]
opens = ["tcp/22"]
knock = ["icmp6/len=42"]'
kernel_knows 1400 yy
ok "icmp and icmp6: any echo request, a length, a word; the kernel reports and copies what the doors need, by each reload anew"

before=$(ctl --json status | jq -s '.[0].nflog.packets')
for target in $R4 $R6; do
  for how in '' "-p $(hex Passw0rd)" '-s 42' '-s 0' '-s 1452' '-s 20000'; do
    in_ns client ping -n -c 1 -W $((2 * SLOW)) $how $target >"$TMP/ping" || fail "ping $how: $(cat "$TMP/ping")"
  done
  for how in '' "-p $(hex Passw0rd)" '-s 42'; do
    in_ns client ping -n -q -f -c $MANY $how $target >"$TMP/ping" || true
    grep -q " $MANY received" "$TMP/ping" || fail "ping -f $how: $(cat "$TMP/ping")"
  done
done
await status ".nflog.packets > $before"
expect '([.grants[] | .door] | sort) == ["six", "x"]'
await reaches client $R4 22
await reaches client $R6 22
stays_closed intruder $R4 22
ok "an echo request is answered whatever it holds, as many as come"
