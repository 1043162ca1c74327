#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# ssh and what goes over it, through `knockgate connect`: each connects at the first try, by each family, also where one of
# them is dead; behind each the door is closed.
. "$(dirname "$0")/../harness/lib.sh"
. "$(dirname "$0")/../harness/kn1.sh"
. "$(dirname "$0")/../harness/client.sh"
. "$(dirname "$0")/../harness/sshd.sh"

MANY=${MANY:-20} # times ssh; of the others, and of each family, fewer
FEW=${FEW:-4}
[ "$SLOW" = 1 ] || MANY=5 FEW=2
world
chmod 755 "$TMP"
sshd_in router 22
KN1_GATE= # what is closed is silent
kn1_config <<<"$(kn1_door ssh 22 | sed 's/10m/1h/')"
start
ctl user add alice --door ssh >/dev/null
joins client home alice/laptop --host $R4 --host $R6
in_ns client timeout 1 nc -z $R4 22 && fail "the door is open"

# By the client: the door is open for an hour. So many in succession may be more than the router hears of one device; a
# close that it refused comes with the next one.
closed() { status '.grants == []' || { says home && false; }; }
LONGEST=0
first_time() { # WHAT COMMAND...
  local what=$1 began; shift
  began=$(ms)
  "$@" >"$TMP/said" 2>&1 || fail "$what: exit $?: $(cat "$TMP/said"; tail -n 5 "$TMP/sshd")"
  began=$(($(ms) - began))
  [ $began -le $LONGEST ] || LONGEST=$began
}
# As many times, in succession; each one opens the door and closes it.
times() { # COUNT WHAT COMMAND...
  local count=$1 what=$2 i began; shift 2
  LONGEST=0 began=$(ms)
  for ((i = 1; i <= count; ++i)); do first_time "$what, number $i" "$@"; done
  await closed
  stays_closed intruder $R4 22
  ok "$what: $count of $count, $((($(ms) - began) / count)) ms each, $LONGEST the longest"
}
says() { [ "$(sh_at client "$1" echo hello)" = hello ]; }

times "$MANY" ssh says home
times "$FEW" 'ssh to its address of IPv4' says $R4
times "$FEW" 'ssh to its address of IPv6' says $R6

# --- what goes over it
head -c 300000 /dev/urandom >"$TMP/file"
copied() { cmp -s "$TMP/file" "$1" && rm "$1"; }
by_scp() { on client scp -q -F "$TMP/ssh_config" "$TMP/file" home:up && copied "$TMP/far/up"; }
by_old_scp() { on client scp -q -O -F "$TMP/ssh_config" "home:$TMP/file" "$TMP/down" && copied "$TMP/down"; }
by_sftp() { on client sftp -q -F "$TMP/ssh_config" -b - home <<<"put $TMP/file up" && copied "$TMP/far/up"; }
by_rsync() { on client rsync -e "ssh -F $TMP/ssh_config" "$TMP/file" home:up && copied "$TMP/far/up"; }
by_git() { rm -rf "$TMP/clone"; on client env GIT_SSH_COMMAND="ssh -F $TMP/ssh_config" git clone -q home:repository "$TMP/clone" && cmp -s "$TMP/file" "$TMP/clone/file"; }
mkdir "$TMP/far/repository"
in_git() { env -i PATH="$PATH" HOME="$TMP/far" git -C "$TMP/far/repository" -c user.name=alice -c user.email=alice@example.org "$@"; }
in_git init -q
cp "$TMP/file" "$TMP/far/repository"
in_git add file; in_git commit -qm 'a file'
for what in scp old_scp sftp rsync git; do times "$FEW" "${what/_/ }" by_$what; done

# --- a family that is dead, or is not there
dead() { in_ns router nft "table inet dead { chain pre { type filter hook prerouting priority -500; meta nfproto $1 iifname wan0 ${2-} drop; }; }"; }
alive() { in_ns router nft delete table inet dead; }
for family in ipv4 ipv6; do
  dead $family
  times "$FEW" "nothing passes by $family" says home
  alive
  dead $family 'meta l4proto tcp'
  times "$FEW" "no connection passes by $family" says home
  alive
done
in_ns client ip -4 addr flush dev eth0
times "$FEW" 'a machine with IPv6 alone' says home
in_ns client ip addr add 203.0.113.9 peer $R4 dev eth0
in_ns client ip route add default via $R4
in_ns client ip -6 addr flush dev eth0 scope global
times "$FEW" 'a machine with IPv4 alone' says home
[ "$(kn1_count refused_kn1_limit)" = "$(ctl --json status | jq -s '[.[0].counters | to_entries[] | select(.key | test("^refused_")) | .value] | add')" ] ||
  fail "refused: $(ctl --json status | jq -sc '.[0].counters')"
never logged '^error|<3>' || fail "an error in the log"
