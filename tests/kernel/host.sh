#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What stands in the way on this host, on status: what is dropped behind the gate, and what is not there.
. "$(dirname "$0")/../harness/lib.sh"

world
serve router 22
config <<TOML
[gate]
trust = ["lan0", "lan7"]
$FOUR_STEPS
TOML
in_ns router nft -f - <<'NFT'
table inet filter {
  chain input {
    type filter hook input priority 0; policy drop;
    ct state established,related accept
    iif lo accept
    meta l4proto { icmp, icmpv6 } accept
  }
}
NFT
# The codes of all warnings, sorted.
codes() { [ "$("$@" --json status | jq -rs '[.[].warnings[].code] | sort | join(" ")')" = "$want" ]; }
start
logged "\[door-dropped\]" || fail "the daemon does not say at its start what drops"
want="door-dropped no-interface"
codes ctl || fail "$(ctl status)"
knock_ssh client $R4
await status '.grants | length == 1'
stays_closed client $R4 22
line=$(ctl --json status | jq -rs '.[].warnings[] | select(.code == "door-dropped") | .run')
[[ $line == "nft insert rule inet filter input tcp dport { 22 } accept" ]] || fail "to type: $line"
ctl status | grep -q "run: $line" || fail "$(ctl status)"
ok "a grant behind a chain that drops: status names chain and line to type"

# shellcheck disable=SC2086
in_ns router $line
opens client $R4 22
stays_closed intruder $R4 22
want="no-interface"
codes ctl || fail "$(ctl status)"
ok "with that line the grant lets in, and no other source; the warning is gone"

in_ns router nft 'add table ip nat; add chain ip nat pre { type nat hook prerouting priority dstnat; }; add rule ip nat pre tcp dport 2222 redirect to :22'
in_ns router sysctl -qw net.netfilter.nf_conntrack_tcp_timeout_established=600
want="no-interface redirect short-flows"
codes ctl || fail "$(ctl status)"
chmod 755 "$TMP"; chmod 666 "$KNOCKGATE_SOCKET"
want="no-interface short-flows"
codes in_ns router setpriv --reuid 65534 --regid 65534 --clear-groups "$(command -v knockctl)" || fail "$(in_ns router setpriv --reuid 65534 --regid 65534 --clear-groups knockctl)"
as_member() { in_ns router setpriv --reuid 65534 --regid 65534 --clear-groups "$(command -v knockctl)" "$@"; }
as_member | grep -qx "what this host's firewall drops is shown to root alone: sudo knockctl status" || fail "$(as_member)"
[ "$(as_member --json | jq .findings_hidden)" = true ] || fail "$(as_member --json)"
[ "$(ctl --json | jq .findings_hidden)" = false ] && ! ctl | grep -q 'shown to root' || fail "$(ctl)"
ok "who may read status but neither rules nor configuration sees what needs neither, and is told so"

in_ns router ip link add lan7 type veth peer name lan8
in_ns router nft delete table ip nat
in_ns router sysctl -qw net.netfilter.nf_conntrack_tcp_timeout_established=432000
expect '.warnings == []'
ctl off >/dev/null
in_ns router ip link del lan7
want="off"
codes ctl || fail "$(ctl status)"
ok "nothing stays that is mended; while off nothing is in the way"
stop

# Where the package's user is: what it may not read.
for file in passwd group; do { grep -v '^_knockgate:' /etc/$file; } >"$TMP/$file"; done
echo '_knockgate:x:64510:64510::/:/bin/false' >>"$TMP/passwd"
echo '_knockgate:x:64510:' >>"$TMP/group"
# shellcheck disable=SC2016
packaged() { # COMMAND: with that user
  in_ns router unshare -m sh -c 'for f in passwd group; do mount --bind "$0/$f" /etc/$f; done; exec "$@"' "$TMP" "$@"
}
closed() { # FILE...: just these are found, with what to type
  packaged knockctl --config "$TMP/knockgate.toml" --json check | jq -r '.findings[] | select(.name == "not-readable") | .file + " " + .advice' >"$TMP/said"
  for file in "$@"; do echo "$file run: chown root:_knockgate $file && chmod $([ -d "$file" ] && echo 0750 || echo 0640) $file"; done >"$TMP/wanted"
  cmp "$TMP/said" "$TMP/wanted" || fail "$(cat "$TMP/said")"
}
mkdir -m 755 "$TMP/doors.d" "$TMP/users.d"
echo '[door.web]
opens = ["tcp/80"]
knock = ["tcp/7243", "udp/12999", "tcp/4121", "udp/33810"]' >"$TMP/doors.d/web.toml"
chmod 600 "$TMP/doors.d/web.toml"
closed "$TMP/knockgate.toml" "$TMP/doors.d/web.toml"
packaged sh -c "chgrp _knockgate $TMP/knockgate.toml $TMP/doors.d && chmod 640 $TMP/knockgate.toml && chmod 700 $TMP/users.d $TMP/doors.d"
closed "$TMP/doors.d" "$TMP/users.d"
packaged sh -c "chmod 750 $TMP/doors.d; chmod 755 $TMP/users.d; chmod 640 $TMP/doors.d/web.toml; chgrp _knockgate $TMP/doors.d/web.toml"
closed
chmod 600 "$TMP/doors.d/web.toml"
printf '[check]\naccept = ["not-readable"]\n' >>"$TMP/knockgate.toml"
closed
code=0
packaged setpriv --reuid 65533 --clear-groups knockctl --config "$TMP/knockgate.toml" check >"$TMP/said" 2>&1 || code=$?
! grep -q not-readable "$TMP/said" || fail "not root's: $(cat "$TMP/said")"
ok "root's check names what the service's user may not read, and what to type"

