# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# The client knockgate of one user: its directories below $TMP, run in a namespace. Sourced after lib.sh and kn1.sh.

# serve NS PORT, whose greeting is never lost: socat forgets what a program said that is gone at once.
serve() {
  background ip netns exec "$RUN-$1" socat -U "TCP6-LISTEN:$2,ipv6only=0,fork,reuseaddr" SYSTEM:'echo hello from $SOCAT_SOCKPORT; sleep 0.2' 2>/dev/null
  await in_ns "$1" socat -u /dev/null "TCP4:127.0.0.1:$2"
}
# A world whose router has these doors, by stdin, and services at 22 and 80; what lies in $TMP, all users can read.
router_with() {
  world
  chmod 755 "$TMP"
  serve router 22
  serve router 80
  kn1_config
  start
}
as() { echo "$TMP/home.$1"; } # where the profiles of this machine lie
# Of the signed packets to come, the first are lost: a limit lets these on, here to be dropped.
lost() { # COUNT
  in_ns router nft "table inet lossy { chain pre { type filter hook prerouting priority -500;
    udp dport 17022 limit rate 1/day burst $1 packets counter drop; }; }"
}
found() { # COUNT: all that should be lost was
  in_ns router nft list table inet lossy | grep -q "counter packets $1 " || fail "not lost: $(in_ns router nft list table inet lossy)"
  in_ns router nft delete table inet lossy
}
profiles() { echo "$(as "$1")/.config/knockgate"; }
# KG is how knockgate is run on MACHINE, which is a namespace unless NS says another: by WITH (a program that runs others),
# and without a terminal.
kg_on() { # MACHINE
  mkdir -p "$(as "$1")"
  # shellcheck disable=SC2206
  KG=(ip netns exec "$RUN-${NS:-$1}" setsid env -i PATH="$PATH" HOME="$(as "$1")" TERM=dumb
    ASAN_OPTIONS="$ASAN_OPTIONS${WITH:+:detect_leaks=0:verify_asan_link_order=0}"
    ${ASKPASS:+SSH_ASKPASS="$ASKPASS"} ${WITH:-} knockgate)
}
# On MACHINE: knockgate WORDS...
kg() {
  kg_on "$1"; shift
  "${KG[@]}" "$@"
}
# It ends with CODE; what it said is in $TMP/said, its errors in $TMP/cried.
kg_ends() { # CODE MACHINE WORDS...
  local wanted=$1 code=0; shift
  kg "$@" >"$TMP/said" 2>"$TMP/cried" || code=$?
  [ "$code" = "$wanted" ] || fail "knockgate ${*:2}: exit $code, not $wanted: $(cat "$TMP/said" "$TMP/cried")"
}
says() { grep -qE -- "$1" "$TMP/said" || fail "not said: $1: $(cat "$TMP/said" "$TMP/cried")"; }
cries() { grep -qF -- "$1" "$TMP/cried" || fail "not said: $1: $(cat "$TMP/cried")"; }
# The same on a terminal, where a person types TEXT once it shows PROMPT; its screen is $TMP/screen.
typed() { # CODE PROMPT TEXT MACHINE WORDS...
  local wanted=$1 prompt=$2 text=$3 code=0; shift 3
  kg_on "$1"; shift
  rm -f "$TMP/keys"; mkfifo "$TMP/keys"; : >"$TMP/screen"
  shown() { grep -qF -- "$prompt" "$TMP/screen"; }
  (await shown; printf '%b' "$text"; await test -e "$TMP/typed.over") >"$TMP/keys" 2>&1 &
  local fingers=$!
  rm -f "$TMP/typed.over"
  script -qefc "$(printf '%q ' "${KG[@]/#setsid/env}" "$@")" "$TMP/screen" <"$TMP/keys" >/dev/null || code=$?
  touch "$TMP/typed.over"
  wait $fingers || fail "no $prompt: $(cat "$TMP/screen")"
  [ "$code" = "$wanted" ] || fail "knockgate $*: exit $code, not $wanted: $(cat "$TMP/screen")"
}
# The line of an invite, on stdout: invited alice/laptop --door ssh
invited() { ctl invite "$@" --no-qr | grep -o '^KNOCKGATE:[A-Z0-9:]*$'; }
answer_in() { grep -o 'KNOCKGATE:[A-Z0-9]*' "$1" || true; } # FILE: the line that goes back
# Joins MACHINE by an invite that `knockctl invite WORDS...` prints, as profile NAME; its key goes back to the router.
joins() { # MACHINE NAME WORDS...
  local machine=$1 name=$2; shift 2
  invited "$@" | kg "$machine" join - --name "$name" >"$TMP/joined" || fail "join: $(cat "$TMP/joined")"
  local answer; answer=$(answer_in "$TMP/joined")
  [ -z "$answer" ] || ctl device add "$answer" >/dev/null
}
