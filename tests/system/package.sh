#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The package as a router's admin meets it, on a booted Debian, with nothing of the build tree: installed, the first five
# minutes over one ssh session, firewall reloads, upgrade, power cuts, bad files, removal, purge. And the package of the client,
# beside it and alone.   Usage: package.sh SUITE
SUITE=$1
DEB=$(echo "$KNOCKGATE_BUILD/deb/$SUITE"/knockgate_*.deb)
CLIENT_DEB=$(echo "$KNOCKGATE_BUILD/deb/$SUITE"/knockgate-client_*.deb)
[ -e "$DEB" ] && [ -e "$CLIENT_DEB" ] || { echo "skip: no package for $SUITE (tests/system/build-packages)"; exit 77; }
# What it depends on, of alternatives the first; apt finds nothing to fetch then.
INCLUDE=$(dpkg-deb -f "$DEB" Depends | sed 's/([^)]*)//g; s/|[^,]*//g' | tr -d ' '),
MORE=openssh-server,bash-completion,zsh,fish
. "$(dirname "$0")/machine.sh"

mkdir -p "$LAB/root/var/cache/packages"
cp "$DEB" "$CLIENT_DEB" "$LAB/root/var/cache/packages/"
PACKAGE=/var/cache/packages/${DEB##*/} CLIENT=/var/cache/packages/${CLIENT_DEB##*/}
root() { inside env DEBIAN_FRONTEND=noninteractive bash -ec "$1"; }
try() { root "$1" >"$TMP/said" 2>&1 || { cat "$TMP/said"; fail "as root on the router: $1"; }; }
refuse() { ! root "$1" >"$TMP/said" 2>&1 || { cat "$TMP/said"; fail "succeeds: $1"; }; }
said() { grep -Eq -- "$1" "$TMP/said" || { cat "$TMP/said"; fail "not said: $1"; }; }
install_it() { try "apt-get install -qy --reinstall --allow-downgrades -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold $1"; }
state_of() { inside systemctl show -P "$2" "$1"; }
active() { [ "$(state_of knockgated.service ActiveState)" = active ]; }
status() { inside knockctl --json status | jq -es '.[0]'" | $1" >/dev/null; }
expect() { status "$1" || { inside knockctl; fail "status is not: $1"; }; }
owner() { [ "$(inside stat -c '%U:%G %a' "$2")" = "$1" ] || fail "$2 is $(inside stat -c '%U:%G %a' "$2"), not $1"; }
has_table() { in_ns router nft list table inet knockgate >/dev/null 2>&1; }
rules() { inside nft -s list ruleset | awk '/^table inet knockgate \{/ {ours = 1} !ours {print} /^}/ {ours = 0}'; }
power_cut() { halt; in_ns router nft flush ruleset; }

# --- the machine: sshd, and who may log in
world
ssh-keygen -q -t ed25519 -N '' -f "$TMP/key"
install -d -m 700 "$LAB/root/root/.ssh"
install -m 600 "$TMP/key.pub" "$LAB/root/root/.ssh/authorized_keys"
echo router >"$LAB/root/etc/hostname"
printf 'flush ruleset\ntable inet filter {\n  chain input { type filter hook input priority filter; policy accept; ct state invalid drop; }\n}\n' >"$LAB/root/etc/nftables.conf"
chroot "$LAB/root" systemctl -q disable nftables
serve router 2222 # runs also while the router does not: what a probe reaches then
boot
SSH=(ssh -F none -i "$TMP/key" -o StrictHostKeyChecking=no -o "UserKnownHostsFile=$TMP/known" -o LogLevel=ERROR -o ConnectTimeout=$((2 * SLOW)) -o BatchMode=yes)
logs_in() { in_ns "$1" "${SSH[@]}" "root@$2" true </dev/null 2>/dev/null; } # NS ADDRESS
await logs_in client $R4

# One session, held from before the first door on. Each command's output and status come back over it.
mkfifo "$TMP/in" "$TMP/out"
background ip netns exec "$RUN-client" "${SSH[@]}" root@$R4 bash <>"$TMP/in" 1<>"$TMP/out"
exec 8<>"$TMP/in" 9<>"$TMP/out"
typed() { # COMMAND: fails as it does; what it says is in $TMP/said
  local line
  printf '{ %s\n} 2>&1; echo "status $?"\n' "$1" >&8
  : >"$TMP/said"
  while read -r -t $((25 * SLOW)) line <&9; do
    case $line in "status "*) return "${line#status }" ;; esac
    echo "$line" >>"$TMP/said"
  done
  fail "the session is broken: $1"
}
types() { typed "$1" || { cat "$TMP/said"; fail "typed: $1"; }; }

# --- installing changes nothing
before=$(inside nft -s list ruleset)
install_it "$PACKAGE"
active || fail "not active"
for unit in knockgated.service:enabled knockgate-boot.service:enabled knockgate-runner.socket:disabled nftables.service:disabled; do
  [ "$(state_of "${unit%:*}" UnitFileState)" = "${unit#*:}" ] || fail "${unit%:*} is $(state_of "${unit%:*}" UnitFileState)"
done
[ "$(inside nft -s list ruleset)" = "$before" ] || fail "the ruleset is another one"
for directory in /etc/knockgate /etc/knockgate/doors.d /etc/knockgate/users.d /etc/knockgate/nftables.d; do owner root:_knockgate\ 750 $directory; done
owner 'root:_knockgate 640' /etc/knockgate/knockgate.toml
owner '_knockgate:_knockgate 700' /var/lib/knockgate
owner '_knockgate:knockgate 660' /run/knockgate/control.sock
owner 'root:_knockgate 1775' /run/knockgate
inside getent passwd _knockgate-run >/dev/null || fail "no user for commands"
expect '.state == "idle" and .config.doors == 0 and .warnings == []'
inside man -w knockgated knockctl knockgate.toml knockgate-users knockgate-json knockgate-kn1 >/dev/null 2>&1 || inside sh -c 'ls /usr/share/man/man[1578]/knock*' >/dev/null || fail "no man pages"
for file in knockgate/nft/kn1.nft doc/knockgate/kn1-vectors.txt; do inside test -s /usr/share/$file || fail "no $file"; done
main=$(state_of knockgated.service MainPID)
[ "$(inside awk '$1 == "CapBnd:" {print $2}' "/proc/$main/status")" = 0000000000001000 ] || fail "more than CAP_NET_ADMIN"
for unit in knockgated:15 knockgate-runner:20; do
  inside systemd-analyze security --no-pager --threshold="${unit#*:}" "${unit%:*}.service" >"$TMP/said" || fail "more exposed than ${unit#*:}: $(tail -n 1 "$TMP/said")"
done
opens client $R4 22
ok "installed: active, enabled, files with their owners, nothing guarded, ruleset and nftables.service as before"

# --- the first five minutes, as README says
types 'sed -i "s/^#trust = .*/trust = [\"lan0\"]/" /etc/knockgate/knockgate.toml && systemctl reload knockgated'
types 'install -m 640 -g _knockgate /usr/share/doc/knockgate/examples/ssh.toml /etc/knockgate/doors.d/'
typed 'knockctl check' && said 'door ssh has no knock'
grep -q 'knock = \[' "$TMP/said" || fail "check proposes no knock: $(cat "$TMP/said")"
types 'printf "knock = [\"tcp/7143\", \"udp/12899\", \"tcp/4021\", \"udp/33710\"]\n" >>/etc/knockgate/doors.d/ssh.toml
sed -i "s/^opens.*/opens = [\"tcp\/22\", \"tcp\/2222\"]/" /etc/knockgate/doors.d/ssh.toml'
! typed 'knockctl reload' || fail "a plain reload guards a new port"
types 'knockctl reload --confirm 10m'
said 'tcp/22.* guarded from now, for 10 min unless confirmed'
said 'The connection from 203.0.113.9 port [0-9]* goes on'
stays_closed client $R4 22
! logs_in client $R4 || fail "ssh without a knock"
! typed 'knockctl confirm' || fail "confirmed, and nobody knocked"
knock_ssh client $R4
await logs_in client $R4
stays_closed intruder $R4 22
knock_ssh client $R6
await logs_in client $R6
types 'knockctl confirm'
said '203.0.113.9'
types 'knockctl'
owner 'root:_knockgate 640' /etc/knockgate/nftables.d/knockgate.nft
expect '.config.boot_file == "ok" and .config.doors == 1 and ([.warnings[].code] | index("boot-file") == null)'
ok "the first five minutes: over one ssh session, which lives through each step; then nobody without the knock, on IPv4 and IPv6"

completes() { # SHELL COMMAND WORD
  root "$2" >"$TMP/said" 2>&1 || true; grep -qw -- "$3" "$TMP/said" || { cat "$TMP/said"; fail "$1 does not complete $3"; }
}
completes bash '. /usr/share/bash-completion/bash_completion; . /usr/share/bash-completion/completions/knockctl
  COMP_WORDS=(knockctl open s) COMP_CWORD=2 COMP_LINE="knockctl open s" COMP_POINT=15; _knockctl; echo "${COMPREPLY[@]}"' ssh
completes bash '. /usr/share/bash-completion/bash_completion; . /usr/share/bash-completion/completions/knockctl
  COMP_WORDS=(knockctl close ssh 2001 :) COMP_CWORD=4 COMP_LINE="knockctl close ssh 2001:" COMP_POINT=24; _knockctl; echo "${COMPREPLY[@]}"' db8:9::9
completes zsh 'zsh -fc "autoload -U compinit; compinit -u -D; whence -w _knockctl"' function
completes fish 'fish -c "complete -C \"knockctl close \""' ssh
ok "bash, zsh and fish complete doors and what is open"

# --- what others do
grants() { inside knockctl --json status | jq -c '[.grants[] | .source] | sort'; }
root 'knockctl close --all' >/dev/null
try 'knockctl open ssh 203.0.113.9 --for 1h; knockctl open ssh 2001:db8:9::9 --for 1h'
held='["2001:db8:9::9","203.0.113.9"]'
whole() { [ "$(grants)" = "$held" ] && in_ns router nft list set inet knockgate open4 | grep -q 203.0.113.9 && refused intruder $R4 22; }
for what in 'systemctl start nftables' 'systemctl reload nftables' 'systemctl restart nftables' 'nft -f /etc/nftables.conf' 'systemctl stop nftables'; do
  try "$what"
  await whole
  logs_in client $R4 || fail "$what: the grant is gone"
done
ok "nftables.service started, reloaded, restarted, stopped, and nft -f by hand: guarded again, grants kept"

inside kill -9 "$(state_of knockgated.service MainPID)"
restarted() { [ "$(state_of knockgated.service NRestarts)" = 1 ] && active && [ "$(grants)" = "$held" ]; }
await restarted
logs_in client $R4 || fail "a kill closes what was open"
for text in 'opens = "nothing"' 'knok = 1'; do
  try "cp /etc/knockgate/doors.d/ssh.toml /root/ssh.toml; echo '$text' >>/etc/knockgate/doors.d/ssh.toml"
  refuse 'systemctl reload knockgated'
  expect '.config.ok == false and .config.doors == 1'
  try 'cat /root/ssh.toml >/etc/knockgate/doors.d/ssh.toml; systemctl reload knockgated'
done
ok "kill -9: restarted, grants kept; two wrong files: refused, the old configuration stays"

# --- users: what knockctl and the daemon keep of signed packets. A counter has its ceiling before its first packet.
USERS='/etc/knockgate/kn1.key /etc/knockgate/users.d/alice.toml /etc/knockgate/users.d/alice.pc.toml /var/lib/knockgate/kn1.ceiling'
users() { root "sha256sum $USERS; stat -c %i /run/knockgate/kn1.run"; }
! inside test -e /run/knockgate/kn1.run || fail "no door takes signed packets, and there is a kn1.run"
try 'echo "kn1 = true" >>/etc/knockgate/doors.d/ssh.toml; systemctl reload knockgated
  knockctl invite alice/pc --door ssh --host '$R4' --psk --clock none --no-qr'
said '^KNOCKGATE:'
# shellcheck disable=SC2086
await inside ls $USERS /run/knockgate/kn1.run
for file in kn1.key users.d/alice.toml users.d/alice.pc.toml; do owner 'root:_knockgate 640' /etc/knockgate/$file; done
for file in /var/lib/knockgate/kn1.ceiling /run/knockgate/kn1.run; do owner '_knockgate:_knockgate 600' $file; done

# --- the client, on another machine (a namespace, in the same root), as nobody
grep -o '^KNOCKGATE:[A-Z2-7]*' "$TMP/said" >"$LAB/root/tmp/line"
dpkg-deb -I "$CLIENT_DEB" | grep -E '^ .*(preinst|postinst|prerm|postrm|triggers|conffiles)' && fail "the client's package does something when it is installed"
dpkg-deb -f "$CLIENT_DEB" Depends | grep -E 'nft|netfilter|mnl|seccomp|pcap|qrencode|systemd' && fail "the client depends on what a router needs"
install_it "$CLIENT"
chown nobody "$LAB/root/tmp/line"
install -d -o nobody "$LAB/root/tmp/nobody"
knockgate() { in_ns "$1" chroot --userspec=nobody:nogroup "$LAB/root" env -i HOME=/tmp/nobody PATH=/usr/bin:/bin knockgate "${@:2}" </dev/null; } # NS WORD...
types_as_nobody() { knockgate intruder "$@" >"$TMP/said" 2>&1 || { cat "$TMP/said"; fail "as nobody: knockgate $*"; }; }
stays_closed intruder $R4 22
types_as_nobody join /tmp/line --name home
types_as_nobody open home ssh
said '^ssh open at 203\.0\.113\.1 '
logs_in intruder $R4 || fail "not open for the client"
expect 'any(.grants[]; .by == "alice/pc" and .door == "ssh")'
types_as_nobody close home
stays_closed intruder $R4 22
[ "$(grants)" = "$held" ] || fail "the client closes what is not its own: $(grants)"
ok "knockgate-client: joins by the line of invite, opens and closes, as nobody; its package depends on nothing of the router's"
known=$(users)

# --- upgrade: the same, one revision on, with another knockgate.toml
dpkg-deb -R "$DEB" "$TMP/next"
sed -i 's/^Version: .*/&.1/' "$TMP/next/DEBIAN/control"
echo '# of the next version' >>"$TMP/next/etc/knockgate/knockgate.toml"
(cd "$TMP/next" && find . -type f ! -path './DEBIAN/*' -printf '%P\0' | sort -z | xargs -0 md5sum) >"$TMP/next/DEBIAN/md5sums"
dpkg-deb --root-owner-group -b "$TMP/next" "$LAB/root/var/cache/packages/next.deb" >/dev/null
try 'dpkg-statoverride --update --add root _knockgate 0770 /etc/knockgate/doors.d; knockctl open ssh 198.51.100.7 --for 1h'
held='["198.51.100.7","2001:db8:9::9","203.0.113.9"]'
install_it /var/cache/packages/next.deb
said 'knockgate: restarted; what is open stays open'
active && [ "$(grants)" = "$held" ] || fail "grants after the upgrade: $(grants)"
inside grep -q '^trust = \["lan0"\]' /etc/knockgate/knockgate.toml || fail "the edited file is gone"
owner 'root:_knockgate 770' /etc/knockgate/doors.d
logs_in client $R4 || fail "closed by the upgrade"
[ "$(users)" = "$known" ] || fail "after the upgrade $(users), not $known"
[ "$(inside cat /var/lib/knockgate/format)" = 1 ] || fail "the state does not say its format"
try 'cp /var/lib/knockgate/format /root/format; echo 99 >/var/lib/knockgate/format'
refuse "dpkg -i $PACKAGE"
said 'state in /var/lib/knockgate is of a newer version'
active || fail "a refused downgrade ends the daemon"
try 'cat /root/format >/var/lib/knockgate/format; dpkg-statoverride --remove /etc/knockgate/doors.d'
install_it "$PACKAGE"
[ "$(grants)" = "$held" ] || fail "grants after the downgrade: $(grants)"
ok "upgrade: grants, users and keys, the edited file and an admin's own modes stay; a downgrade below newer state is refused in words"

try 'echo "no nft" >/etc/knockgate/nftables.d/knockgate.nft; dpkg-trigger --by-package=nftables /usr/sbin/nft; dpkg --configure -a'
try 'nft -c -f /etc/knockgate/nftables.d/knockgate.nft'
expect '.config.boot_file == "ok"'
ok "another nft: a boot file that it refuses is written anew"

# --- power cuts. The wire is up behind network-pre.target, as with every manager of networks, and then probed.
cat >"$LAB/root/etc/systemd/system/wire.service" <<'UNIT'
[Unit]
DefaultDependencies=no
After=network-pre.target sysinit.target
Before=knockgated.service
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'ip link set wan0 up; sleep 0.5'
[Install]
WantedBy=multi-user.target
UNIT
try 'systemctl -q enable wire.service'
# It asks nobody for the router's address: between two questions the daemon could guard.
in_ns client ip neigh replace $R4 dev eth0 lladdr "$(in_ns router cat /sys/class/net/wan0/address)" nud permanent
probe() { until in_ns client timeout 0.2 nc -z -w 1 $R4 2222 2>/dev/null; do [ ! -e "$TMP/calm" ] || exit 0; done; touch "$TMP/got-in"; }
boots() { # WHETHER THE PROBE GETS IN
  power_cut
  in_ns router ip link set wan0 down
  rm -f "$TMP/calm" "$TMP/got-in"
  probe &
  local prober=$!
  boot
  await active
  in_ns router ip link set wan0 up
  in_ns router ip addr show dev wan0 | grep -q 203.0.113 || in_ns router ip addr add $R4 peer 203.0.113.9 dev wan0
  touch "$TMP/calm"; wait $prober
  [ "$1" = "$([ -e "$TMP/got-in" ] && echo yes || echo no)" ] || fail "the probe during boot got in: $([ -e "$TMP/got-in" ] && echo yes || echo no)"
  knock_ssh client $R4
  await logs_in client $R4
  stays_closed intruder $R4 22
}
boots no
status '.config.boot_by == ["knockgate-boot.service"]' || fail "not said by what: $(inside knockctl --json status | jq -c .config)"
try 'systemctl -q enable nftables'
boots no
try 'systemctl -q disable nftables; systemctl -q disable knockgate-boot'
boots yes
status '.config.boot_by == []' && inside knockctl | grep -q 'boot file ok, which nothing loads' || fail "nothing says that boot does not guard: $(inside knockctl)"
root 'knockctl check 2>&1' | grep -q 'sudo systemctl enable knockgate-boot.service' || fail "check says not what to type"
try 'printf "include \"/etc/knockgate/nftables.d/*.nft\"\n" >>/etc/nftables.conf; systemctl -q enable nftables'
boots no
status '.config.boot_by == ["/etc/nftables.conf"]' || fail "not said by what: $(inside knockctl --json status | jq -c .config)"
try 'systemctl -q enable knockgate-boot'
ok "power cuts: closed before the first packet, with and without nftables.service; without both the probe gets in, and status and check say so"

try 'echo "typo" >>/etc/knockgate/doors.d/ssh.toml'
boots no
expect '.config.ok == false and (.config.error | test("doors.d/ssh.toml"))'
try 'sed -i /^typo/d /etc/knockgate/doors.d/ssh.toml; systemctl reload knockgated'
expect '.config.ok'
ok "a typo and a reboot: in by the knock, status names the file; mended by a reload"

# --- leaving
try 'apt-get remove -qy knockgate'
said 'off: .*|table inet knockgate'
! has_table || fail "the table stays"
! inside test -e /etc/knockgate/nftables.d/knockgate.nft || fail "the boot file stays"
opens intruder $R4 22
try 'systemctl reload nftables'
opens intruder $R4 22
power_cut; boot
await logs_in intruder $R4
install_it "$PACKAGE"
active || fail "installed again, and not active"
expect '.state == "enforcing" and (.gate.guarded | map(.port) | index("tcp/22") != null)'
stays_closed intruder $R4 22
[ "$(users | grep /)" = "$(grep / <<<"$known")" ] || fail "remove takes users, keys or counts: $(users)"
ok "remove: reachable, also behind a reload of nftables and a boot; installed again it guards as before"

try 'knockctl template embed >/etc/nftables.d-knockgate-embed.nft
cat >/etc/nftables.conf <<END
flush ruleset
table inet filter {
  include "/etc/nftables.d-knockgate-embed.nft"
  chain input { type filter hook input priority filter; policy accept; jump knockgate_grants; jump knockgate_knocks; }
}
END
knockctl off; nft -f /etc/nftables.conf
sed -i "/^trust/d; s/^#mode = .*/mode = \"embed\"/; s/^#table = .*/table = \"inet filter\"/" /etc/knockgate/knockgate.toml
systemctl restart knockgated; knockctl on'
await refused intruder $R4 22
try 'apt-get remove -qy knockgate'
opens intruder $R4 22
try 'nft -f /etc/nftables.conf'
opens intruder $R4 22
ok "remove in embed mode: reachable, and the admin's own file loads"

root 'knockgate --version' | grep -q . || fail "remove takes the client, too"
try 'apt-get purge -qy knockgate knockgate-client; rm /etc/nftables.d-knockgate-embed.nft'
everything() { inside find / -xdev -name '*knockgate*' ! -path '/proc/*' ! -path '/var/cache/packages/*' ! -path '/var/log/*' ! -path '/tmp/*'; }
left=$(everything)
[ -z "$left" ] || fail "purge leaves: $left"
! inside test -e /run/knockgate || fail "purge leaves: $(inside ls -la /run/knockgate)"
! inside systemctl list-unit-files --no-legend 'knock*' | grep -q . || fail "units are left"
install_it "$PACKAGE"
expect '.state == "idle"'
ok "purge leaves nothing; installed again it is new"

try 'apt-get purge -qy knockgate nftables libnftables1 libnftnl11'
install_it "$CLIENT"
root 'knockgate --version' | grep -q . || fail "no knockgate"
for file in man/man1/knockgate.1.gz man/man5/knockgate.profile.5.gz doc/knockgate-client/examples/home.toml; do inside test -s /usr/share/$file || fail "no $file"; done
completes bash '. /usr/share/bash-completion/bash_completion; . /usr/share/bash-completion/completions/knockgate
  COMP_WORDS=(knockgate co) COMP_CWORD=1 COMP_LINE="knockgate co" COMP_POINT=12; _knockgate; echo "${COMPREPLY[@]}"' connect
completes zsh 'zsh -fc "autoload -U compinit; compinit -u -D; whence -w _knockgate"' function
completes fish 'fish -c "complete -C \"knockgate co\""' connect
try 'install -D /usr/share/doc/knockgate-client/examples/home.toml /tmp/.config/knockgate/home.toml && HOME=/tmp knockgate list'
said 'alice/laptop'
try 'apt-get purge -qy knockgate-client'
left=$(everything)
[ -z "$left" ] || fail "purge of the client leaves: $left"
ok "the client alone, on a machine without nftables: runs, with pages and completions; purge leaves nothing"
