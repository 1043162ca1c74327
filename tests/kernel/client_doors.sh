#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The client through every kind of door, where what is closed says so and where it is silent: uses, all that ends a door,
# forwards, hosts behind the router, commands; what passes through `connect`, also when the first packets are lost.
. "$(dirname "$0")/../harness/lib.sh"
. "$(dirname "$0")/../harness/kn1.sh"
. "$(dirname "$0")/../harness/client.sh"
. "$(dirname "$0")/../harness/sshd.sh"

world
chmod 755 "$TMP"
mkdir -m 777 "$TMP/out"
serve router 22
for port in 23 24 25 29; do serve router $port; done
for port in 28 443; do serve lan $port; done
chatter router 2200
service() { # NS PORT COMMAND: of it, which has the connection as its input and output
  background ip netns exec "$RUN-$1" socat -t 600 "TCP6-LISTEN:$2,ipv6only=0,fork,reuseaddr" "EXEC:$3" 2>/dev/null
  await in_ns "$1" nc -z 127.0.0.1 "$2"
}
service router 26 sha256sum # answers when all has come
service router 27 cat
head -c 50000000 /dev/urandom >"$TMP/large"
SUM=$(sha256sum <"$TMP/large")
cat >"$TMP/tell" <<'TELL'
#!/bin/bash
{ echo "<$(cat)>"; echo started; } >>"$1/told"
TELL
chmod 755 "$TMP/tell"
doors() {
  for port in 22 26 27 28; do kn1_door plain$port $port; done
  kn1_door once 23
  echo 'uses = 1'
  cat <<TOML
[door.visit]
opens = ["tcp/24"]
kn1 = true
close = "on-disconnect"
[door.quiet]
opens = ["tcp/25"]
kn1 = true
idle = "$((5 * SLOW))s"
close = "on-idle"
[door.cut]
opens = ["tcp/2200"]
kn1 = true
for = "$((4 * SLOW))s"
flows = "cut"
[door.inner]
forward = { "tcp/8443" = ["192.0.2.20:443", "[2001:db8:20::20]:443"] }
kn1 = true
[door.both]
opens = ["tcp/29"]
run = ["$TMP/tell", "$TMP/out"]
kn1 = true
cooldown = "0s"
[door.wake]
run = ["$TMP/tell", "$TMP/out"]
kn1 = true
args = 100
cooldown = "0s"
TOML
}
closed() { status "[.grants[] | select(.door == \"$1\")] == []"; } # DOOR
open_now() { status "any(.grants[]; .door == \"$1\")"; }
hello() { # HOST PORT GREETING: a service that greets and ends, through `connect`
  local said
  said=$(on client knockgate connect "$1" "$2" </dev/null 2>"$TMP/said") || fail "$1 port $2: exit $?: $(cat "$TMP/said")"
  [ "$said" = "hello from $3" ] || fail "$1 port $2 says: $said"
  [ ! -s "$TMP/said" ] || fail "connect is not silent: $(cat "$TMP/said")"
}
# Hears the chatter through `connect`.
hold_by_connect() { # NAME HOST PORT
  [ -e "$TMP/in" ] || mkfifo "$TMP/in"
  background ip netns exec "$RUN-client" env -i PATH="$PATH" HOME="$(as client)" ASAN_OPTIONS="$ASAN_OPTIONS" knockgate connect "$2" "$3" <>"$TMP/in" >"$TMP/heard.$1"
  HELD[$1]=$!
  await test -s "$TMP/heard.$1"
}
declare -A INNER=([$R4]=192.0.2.20 [$R6]=2001:db8:20::20)
for answer in drop reset; do
  KN1_GATE="[gate]
answer = \"$answer\"
also = [\"192.0.2.20\", \"2001:db8:20::20\"]"
  kn1_config < <(doors)
  if [ $answer = drop ]; then
    start
    # shellcheck disable=SC2046
    ctl user add alice $(doors | sed -n 's/^\[door\.\(.*\)\]/--door \1/p') >/dev/null
    joins client home alice/laptop --host $R4 --host $R6
  else
    ctl reload --now >/dev/null
  fi

  for target in $R4 $R6 home; do
    for port in 22 23 24 25; do hello $target $port $port; done
    hello $target 8443 443
    [ $target = home ] || hello ${INNER[$target]} 28 28
    await status '.grants == []'
    stays_closed client $R4 22
    [ "$(on client knockgate connect $target 26 <"$TMP/large")" = "$SUM" ] || fail "$target: what is sent does not arrive, or its end"
    on client knockgate connect $target 27 <"$TMP/large" | cmp - "$TMP/large" || fail "$target: what comes back is not what was sent"
    ok "$answer, $target: a connection through each door; 50 MB pass each way, and the end of one way leaves the other"

    case $answer,$target in drop,home | reset,2*) continue ;; esac # so much for 90 s
    hold_by_connect cut $target 2200
    goes_on cut $((160 * SLOW)) # eight seconds: longer than the door is open by itself
    open_now cut || fail "closed while connected"
    stays_closed intruder $R4 2200
    let_go cut
    await closed cut
    ok "$answer, $target: a door that cuts stays open as long as the connection, and is closed at its end"
  done
done

# From the address that knocked, also where the system would take another one.
in_ns client ip addr add 203.0.113.10/32 dev eth0
in_ns client ip route add 192.0.2.20 via $R4 src 203.0.113.10
in_ns client ip -6 addr add 2001:db8:9::10/128 dev eth0 nodad
in_ns client ip -6 route add 2001:db8:20::20 via 2001:db8:9::1 src 2001:db8:9::10
for target in $R4 $R6; do hello ${INNER[$target]} 28 28; done
ok "a machine with more addresses connects from the one that knocked"

# --- commands, and packets that are lost
kg client open home once >"$TMP/said"
grep -qx 'once sent; cannot be verified' "$TMP/said" || fail "$(cat "$TMP/said")"
for target in $R4 $R6; do
  await reaches client $target 23
  stays_closed client $target 23
done
ok "open uses no door up"
ran() { [ "$(grep -c started "$TMP/out/told")" = "$1" ]; }
for count in 0 2; do
  rm -f "$TMP/out/told"
  [ $count = 0 ] || lost $count
  before=$(judged)
  kg client open home wake --args-fd 3 3<<<"two words; \$(id) $count" >"$TMP/said" || fail "exit $?"
  grep -qx 'wake sent; cannot be verified' "$TMP/said" || fail "$(cat "$TMP/said")"
  [ $count = 0 ] || found $count
  await_judged "$before" $((6 - count))
  await grep -q started "$TMP/out/told"
  [ "$(kn1_count refused_kn1_replay)" = 5 ] || [ $count = 2 ] || fail "refused as seen: $(kn1_count refused_kn1_replay)"
  grep -qxF "<two words; \$(id) $count>" "$TMP/out/told" || fail "it got: $(cat "$TMP/out/told")"
  on client knockgate connect home 22 </dev/null >/dev/null # what comes behind
  ran 1 || fail "it ran more than once: $(cat "$TMP/out/told")"
  [ "$(count_logged '^run door=wake ')" = $((1 + count / 2)) ] || fail "it ran $(count_logged '^run door=wake ') times"
  ok "run: of $((6 - count)) packets to two addresses one runs it, once, with its words; $count are lost"
done
for target in $R4 $R6; do
  rm -f "$TMP/out/told"
  hello $target 29 29
  await ran 1
  hello $target 22 22 # what comes behind
  ran 1 || fail "it ran more than once: $(cat "$TMP/out/told")"
done
ok "connect comes through a door that runs a command, too, which runs once"
for target in $R4 $R6; do
  lost 1
  hello $target 22 22
  found 1
done
lost 2
kg client open home plain22 >"$TMP/said" || fail "exit $?"
found 2
grep -Eq '^plain22 open at .* \(unbound\), [1-9][.0-9]* s$' "$TMP/said" || fail "$(cat "$TMP/said")"
opens client $R4 22
kg client close home plain22 >/dev/null
await closed plain22
ok "what is lost is sent again: the door opens with the second knock"
never logged '^error|<3>' || fail "an error in the log"
