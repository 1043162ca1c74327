# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Steps as a config writes them, each sent by a client that Debian ships; and doors that are tried with them. Sourced
# behind lib.sh.

hex() { printf %s "$1" | od -An -v -tx1 | tr -d ' \n'; }
ping_one() { in_ns "$1" ping -n -q -c 1 -W "$SLOW" "${@:3}" "$2" >/dev/null || true; } # NS ADDRESS OPTION...
# Debian 12's nping sometimes ends before it sends, and says so.
nping_one() {
  nping_sends() { in_ns "$1" nping -N -c 1 $([[ $2 != *:* ]] || echo -6) "${@:3}" "$2" 2>&1 | grep -q 'packets sent: 1 '; }
  await nping_sends "$@"
}
datagram() { # NS ADDRESS PORT: its payload from stdin; Debian 12's nping sends no UDP over IPv6
  in_ns "$1" socat -u - "UDP:$(at "$2" "$3")"
}
flags() { # FLAG+FLAG...: as nping wants them
  local flags=${1//+/,}
  echo "${flags^^}"
}
is_port() { [[ $1 =~ ^(tcp|udp)/[0-9]+$ ]]; }
# By one process: the rhythm of five knocks is the client's.
send_ports() { # NS ADDRESS PORT [COUNT]
  local all=() i
  for ((i = 0; i < ${4:-1}; ++i)); do all+=("${3#*/}:${3%/*}"); done
  in_ns "$1" knock -d 20 "$2" "${all[@]}"
}
send() { # NS ADDRESS STEP, without what stands behind x
  is_port "$3" && { send_ports "$@"; return; }
  local port=${3#*/} word=${3#*:}
  port=${port%%[:/]*}
  word=${word#\"} word=${word%\"}
  case $3 in
    icmp*:*) ping_one "$1" "$2" -p "$(hex "$word")" ;;
    icmp*/len=*) ping_one "$1" "$2" -s "${3##*=}" ;;
    icmp*) ping_one "$1" "$2" ;;
    udp/*:*) if [[ $2 = *:* ]]; then datagram "$1" "$2" "$port" <<<"$word"; else nping_one "$1" "$2" --udp -p "$port" --data-string "$word"; fi ;;
    udp/*/len=*) if [[ $2 = *:* ]]; then printf "%${3##*=}s" '' | datagram "$1" "$2" "$port"; else nping_one "$1" "$2" --udp -p "$port" --data-length "${3##*=}"; fi ;;
    tcp/*:*) nping_one "$1" "$2" --tcp -p "$port" --flags "$(flags "$word")" ;;
  esac
}
play() { # NS ADDRESS STEP...
  local ns=$1 to=$2 step count
  for step in "${@:3}"; do
    count=1
    [[ ! $step =~ \ x([0-9]+)$ ]] || { count=${BASH_REMATCH[1]} step=${step% x*}; }
    case $step in
      'pause '*) sleep "${step#pause }" ;; # the knocker's rhythm
      *) if is_port "$step"; then send_ports "$ns" "$to" "$step" $count; else while ((count--)); do send "$ns" "$to" "$step"; done; fi ;;
    esac
  done
}

# One door, x, and one that shows what was heard before it: the reports of one source come in the order of its packets.
# `[gate] answer = "reset"` lets a closed port say so at once.
door() { # KNOCK [LINES]: of the array
  KNOCK=$1 LINES_MORE=${2-}
  [[ $LINES_MORE = within* ]] || LINES_MORE="within = \"60s\"
$LINES_MORE"
  fresh
}
# Nothing of what came before counts.
fresh() {
  local rest='[door.mark]
opens = ["tcp/4242"]
knock = ["udp/4243"]'
  [ -z "$DAEMON" ] || { config_door "$rest"; ctl reload --now >/dev/null; }
  config_door "$rest
[door.x]
opens = [\"tcp/22\"]
knock = [$KNOCK]
for = \"10m\"
$LINES_MORE"
  if [ -n "$DAEMON" ]; then ctl reload --now >/dev/null; else start; fi
}
config_door() { config <<<"[gate]
answer = \"reset\"
[limits]
cooloff = \"0s\"
$1"; }
# Waits until all that NS sent is heard.
is_heard() { # NS ADDRESS
  knock_at 4243 "$1" "$2"
  await status 'any(.grants[]; .door == "mark")'
  ctl close mark >/dev/null
}
# What is open: "DOOR SOURCE, ...", sorted.
holds() { await status "[.grants[] | select(.door != \"mark\") | .door + \" \" + .source] | sort | join(\", \") == \"$1\""; }
tried() { in_ns "$1" nc -z -w 1 "$2" 22 2>/dev/null; }
let_in_alone() { # WHAT NS ADDRESS
  await reaches "$2" "$3" 22
  stays_closed intruder "$3" 22
  expect '[.grants[].door] == ["x"]'
  ctl close --all >/dev/null
  ! tried "$2" "$3" || fail "$1: close does not close"
}
by() { # STEP...: the client is let in by them, at both addresses
  local target
  for target in $TARGETS; do
    play client $target "${@//icmp/$(ping_at $target)}"
    let_in_alone "$*" client $target
  done
}
opened_nothing() { status '.grants == []' || fail "$KNOCK opens by $1"; } # STEPS
not_by() { # STEP...
  local target
  for target in $TARGETS; do
    play client $target "${@//icmp/$(ping_at $target)}"
    is_heard client $target
    opened_nothing "$*"
    ! tried client $target || fail "$* opens"
    fresh
  done
}
ping_at() { case $1 in *:*) echo icmp6 ;; *) echo icmp ;; esac; }
