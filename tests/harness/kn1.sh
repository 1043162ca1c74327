# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Devices and their signed packets. Sourced behind lib.sh.

mkdir -p "$TMP/users.d"
# `config`, with what signed packets need; closed ports say so at once.
kn1_config() {
  { printf '%s\n[kn1]\nports = ["udp/17022", "icmp"]\nhosts = ["%s"]\nkey = "%s/kn1.key"\nclock = "trust"\n' "${KN1_GATE-[gate]
answer = \"reset\"}" "$R4" "$TMP"
    cat; } | config
}
# A door that signed packets open, for long enough.
kn1_door() { printf '[door.%s]\nopens = ["tcp/%s"]\nkn1 = true\nfor = "10m"\n' "$1" "$2"; } # NAME PORT
declare -A LINE
line_said() { grep -o 'KNOCKGATE:[A-Z2-7]*' "$TMP/said"; }
invite() { # USER/DEVICE OPTION...
  ctl invite "$@" --no-qr >"$TMP/said" 2>&1 || fail "$(cat "$TMP/said")"
  LINE[$1]=$(line_said)
}
seed_of() { printf %s "$1" | sha256sum | cut -c1-64; } # USER/DEVICE: of the key that signs
answered() { SEED=${2:-$(seed_of "$1")} signed_packet answer "${LINE[$1]}"; } # USER/DEVICE [SEED]
join() { # USER/DEVICE OPTION...: of a device that signs, its key comes back
  invite "$@"
  ctl device add "$(answered "$1")" >"$TMP/said" 2>&1 || fail "$(cat "$TMP/said")"
}
# The daemon with one door, ssh; alice, whose device signs, and bob may open it.
start_with_one_door() {
  kn1_config <<<"$(kn1_door ssh 22)"
  start
  join alice/laptop --door ssh
  invite bob/pc --psk --door ssh
}
sealed() { signed_packet seal "${LINE[$1]}" seed="$(seed_of "$1")" "${@:2}"; } # USER/DEVICE KEY=VALUE...
sent() { in_ns "$1" signed_packet send "$2" "${3:-17022}" "${4:-1}"; } # NS ADDRESS [PORT|icmp] [COPIES]: packets of stdin
grant_now() { status "any(.grants[]; .by == \"$1\" and .door == \"$2\" and .source == \"$3\")"; } # USER/DEVICE DOOR SOURCE
address_of() { # NS ADDRESS-OF-THE-ROUTER: the namespace's own, of the same family
  case $1,$2 in
    client,*:*) echo 2001:db8:9::9 ;; client,*) echo 203.0.113.9 ;;
    intruder,*:*) echo 2001:db8:66::66 ;; intruder,*) echo 203.0.113.66 ;;
    internet,*:*) echo 2001:db8:7::7 ;; internet,*) echo 198.51.100.7 ;;
  esac
}
# An honest packet of the device opens, and the door closes again.
honest() { # USER/DEVICE DOOR [NS [ADDRESS [KEY=VALUE...]]]
  local ns=${3:-client} to=${4:-$R4}
  sealed "$1" door="$2" "${@:5}" | sent "$ns" "$to"
  await grant_now "$1" "$2" "$(address_of "$ns" "$to")"
  ctl close "$2" >/dev/null
}
kn1_count() { ask | jq -s ".[0].counters.$1 // 0"; }
# What is sent, by stdin, is counted under a reason and changes no grant.
refuses() { # REASON NS ADDRESS [PORT [COPIES]]
  local before grants
  before=$(kn1_count "refused_kn1_$1")
  grants=$(ask | jq -c '[.grants[]? | [.door, .source]]')
  sent "${@:2}"
  await status ".counters.refused_kn1_$1 > $before" || fail "not counted: $1"
  [ "$(ask | jq -c '[.grants[]? | [.door, .source]]')" = "$grants" ] || fail "$1 opens: $(ctl status)"
}
# It was told, with its reason.
told() { # USER/DEVICE REASON DOOR SOURCE
  await logged "^refused by=$1 source=$4 reason=$2 door=$3 skew_ms=-?[0-9]+$"
}
last_refused() { # USER/DEVICE REASON
  ctl --json user list | jq -es "any(.[].users[]?.devices[]?; .device == \"$1\" and .last_refused.reason == \"$2\")" >/dev/null
}
# Four sources send at one instant: the first line of a file from the first, and so on; one that is missing: its first.
at_once() { # FILE
  local at n=0 all=() packet
  for at in "client $R4" "intruder $R4" "client $R6" "internet $R6"; do
    n=$((n + 1)) # not in the subshell
    packet=$(sed -n "${n}p" "$1")
    # shellcheck disable=SC2086
    sent $at <<<"${packet:-$(head -n 1 "$1")}" &
    all+=($!)
  done
  wait "${all[@]}"
}
judged() { ask | jq -s '[.[0].counters | to_entries[] | select(.key | test("^(refused_kn1_|kn1_accepted)")) | .value] | add // 0'; }
# All that was sent is judged: as many more than before.
await_judged() { # BEFORE MORE
  judged_now() { [ "$(judged)" -ge $(($1 + $2)) ]; }
  await judged_now "$@"
}
