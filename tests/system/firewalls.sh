#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A router with ufw, with firewalld, with what Docker writes: from nothing to the first ssh. Typed is what README.md says, read
# from that file, and what `knockctl check` advises, no more. The last line counts it.   Usage: firewalls.sh [ufw|firewalld|docker]...
[ $# != 0 ] || set -- ufw firewalld docker
if [ $# != 1 ]; then
  for host; do "$0" "$host" || exit; done
  exit
fi
HOST=$1
MORE=ufw,firewalld,iptables,openssh-server
. "$(dirname "$0")/machine.sh"

README=$SOURCE/README.md
mkdir "$TMP/typed"
# The commands of README.md in its order, a file each; answers stand between them, and are not typed.
awk -v to="$TMP/typed" '
  /^## / { wanted = /^## (Install|The first five minutes)/ }
  !wanted || !/^    / { next }
  { line = $0; sub(/^    (   )?/, "", line) }
  !heredoc && line !~ /^(sudo|packaging\/[a-z-]*|ip|knock)( |$)/ { next }
  !heredoc { file = sprintf("%s/%02d", to, ++count) }
  { print line >file }
  heredoc && line == "END" { heredoc = 0; next }
  line ~ /<<.END.$/ { heredoc = 1 }
' "$README"

# --- what is typed
TYPED=0 LINES_TYPED=0
typed() {
  TYPED=$((TYPED + 1))
  LINES_TYPED=$((LINES_TYPED + $(wc -l <<<"$1")))
  sed '1s/^/     $ /; 2,$s/^/     > /' <<<"$1"
}
root() { # what sudo would do here
  inside bash -c "sudo() { \"\$@\"; }; $1"
}
admin() { # COMMAND
  typed "$1"
  root "$1" >"$TMP/said" 2>&1 || { cat "$TMP/said"; fail "as root on the router: $1"; }
}
installed() { # as by the package: what is built, owners as `cmake --install` gives them, the units enabled
  install_service
  grep -o '"[a-z-]*;[^"]*"' "$TMP/build/generated/install.cmake" | tr -d '"' >"$TMP/owners"
  while IFS=';' read -ra words; do inside "${words[@]//'${CMAKE_INSTALL_PREFIX}'//usr}" </dev/null 2>>"$TMP/log" || fail "${words[*]}"; done <"$TMP/owners"
  root 'systemctl daemon-reload && systemctl -q enable --now knockgated knockgate-boot'
}
# Goes on with README's commands until one begins so, which is typed too.
NEXT=1
type_until() { # BEGINNING
  local text
  while :; do
    text=$(cat "$TMP/typed/$(printf %02d $NEXT)" 2>/dev/null) || fail "README has no '$1' here"
    NEXT=$((NEXT + 1))
    case $text in
      *packaging/*) typed "$text" ;; # built already
      "sudo apt install ./"*) typed "$text"; installed ;;
      knock*) typed "$text"; in_ns client sh -c "$text true" >"$TMP/said" 2>&1 || { cat "$TMP/said"; fail "$text"; } ;;
      *) admin "$text" ;;
    esac
    case $text in "$1"*) return ;; esac
  done
}

# --- the machine, and its firewall as it was before us
chroot "$LAB/root" systemctl -q disable ufw firewalld nftables 2>/dev/null
rules() { inside nft -s list ruleset | awk '/^table inet knockgate \{/ {ours = 1} !ours {print} /^}/ {ours = 0}'; }
docker_rules() {
  root 'ip link show docker0 >/dev/null 2>&1 || { ip link add docker0 type bridge && ip addr add 192.0.2.129/25 dev docker0 && ip link set docker0 up; }
    iptables -t nat -N DOCKER
    iptables -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
    iptables -t nat -A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
    iptables -t nat -A POSTROUTING -s 192.0.2.128/25 ! -o docker0 -j MASQUERADE
    iptables -t nat -A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 192.0.2.20:80
    iptables -P FORWARD DROP
    iptables -N DOCKER; iptables -N DOCKER-USER
    iptables -A FORWARD -j DOCKER-USER
    iptables -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
    iptables -A FORWARD -j DOCKER
    iptables -A DOCKER -d 192.0.2.20 -p tcp -m tcp --dport 80 -j ACCEPT
    iptables -A DOCKER-USER -i wan+ -j DROP
    iptables -A DOCKER-USER -j RETURN'
}
firewall() {
  case $HOST in
    ufw) root 'ufw default deny incoming && ufw allow ssh && ufw --force enable && systemctl -q enable --now ufw' ;;
    firewalld) root 'systemctl -q enable --now firewalld && firewall-cmd -q --set-default-zone=public && firewall-cmd -q --query-service=ssh' ;;
    docker)
      cat >"$LAB/root/etc/nftables.conf" <<'NFT'
#!/usr/sbin/nft -f
flush ruleset
table inet filter {
  chain input {
    type filter hook input priority filter; policy drop;
    ct state established,related accept
    iif lo accept
    meta l4proto { icmp, icmpv6 } accept
    tcp dport 22 accept
  }
}
NFT
      root 'systemctl -q enable --now nftables' && docker_rules ;;
  esac >"$TMP/said" 2>&1 || { cat "$TMP/said"; fail "no $HOST"; }
}
reload_theirs() {
  case $HOST in
    ufw) root 'ufw reload' ;;
    firewalld) root 'firewall-cmd -q --reload && firewall-cmd -q --complete-reload' ;;
    docker) root 'systemctl restart nftables' && docker_rules ;;
  esac >"$TMP/said" 2>&1 || { cat "$TMP/said"; fail "$HOST does not reload"; }
}

# --- somebody with a key, at the client
world
ssh-keygen -q -t ed25519 -N '' -f "$TMP/key"
install -d -m 700 "$LAB/root/root/.ssh"
install -m 600 "$TMP/key.pub" "$LAB/root/root/.ssh/authorized_keys"
{ cat /etc/hosts; echo "$R4 router.example"; echo "$R6 router.example"; } >"$TMP/hosts"
mount --bind "$TMP/hosts" /etc/hosts # as the client's; seen in the mounts of this script alone
cat >"$TMP/ssh_config" <<END
IdentityFile $TMP/key
UserKnownHostsFile $TMP/known
StrictHostKeyChecking accept-new
BatchMode yes
ConnectTimeout 5
END
mount --bind "$TMP/ssh_config" /etc/ssh/ssh_config
boot
firewall
await inside systemctl is-active ssh
set_in() { inside nft list set inet knockgate "$1" | grep -q "$2"; }
greets() { [ -n "$(in_ns "$1" timeout 5 nc -w 2 $R4 22 </dev/null 2>/dev/null)" ]; }
greets intruder || fail "ssh is not there without us"
rules >"$TMP/before"
ok "$HOST: $(wc -l <"$TMP/before") lines of rules, ssh open to all"


# --- from nothing to the first ssh
# Names of all that `check` finds, but those of accepted ones.
finds() { [ "$(root 'knockctl check' 2>&1 | grep -o '\[[a-z-]*\];' | sort -u | tr -d '[];\n')" = "$1" ] || { inside knockctl check; fail "check finds something else than '$1'"; }; }
type_until "sudo apt install"
greets intruder || fail "without a door something is guarded"
copied=$(grep -l 'trust = \["lan0"\]' "$TMP"/typed/*) # blindly, where there is no lan0
! inside unshare -n bash -c "sudo() { \"\$@\"; }; $(cat "$copied")" >"$TMP/said" 2>&1 || fail "no word about lan0, which is not there"
grep -q '"lan0" does not exist' "$TMP/said" && inside grep -q "^#trust" /etc/knockgate/knockgate.toml || fail "$(cat "$TMP/said")"
type_until "sudo knockctl check"
grep -Eq 'door ssh has no knock.*knock = \["(tcp|udp)/' "$TMP/said" || fail "check proposes no knock: $(cat "$TMP/said")"
type_until "sudo knockctl check"
grep -q "^door ssh: knock of 4 steps, .* bits to guess" "$TMP/said" && [ "$(tail -n +2 "$TMP/said")" = "ok: 1 door enabled" ] || fail "check finds: $(cat "$TMP/said")"
type_until "sudo knockctl reload --confirm"
grep -q "tcp/22 guarded from now, for 10 min unless confirmed" "$TMP/said" || fail "$(cat "$TMP/said")"
stays_closed client $R4 22
type_until "knock router.example"
await inside sh -c 'journalctl -o cat -u ssh | grep "Accepted publickey for root from 2001:db8:9::9"'
stays_closed intruder $R4 22
FIRST=$TYPED LINES_OF_FIRST=$LINES_TYPED
admin "sudo knockctl confirm"
grep -q "opened: tcp/22 (2001:db8:9::9 at door ssh)" "$TMP/said" || fail "$(cat "$TMP/said")"
rules | diff "$TMP/before" - || fail "the rules of $HOST are not what they were"
ok "the README's commands lead to ssh by a knock, for its source only; confirmed; the rules of $HOST are untouched"

# --- from boot on
if [ "$HOST" = docker ]; then
  admin "echo '$(grep -m 1 -o 'include .*' "$TMP/said")' | sudo tee -a /etc/nftables.conf"
else
  ! grep -q 'include ' "$TMP/said" || fail "nftables.service is not enabled: $(cat "$TMP/said")"
fi
root "knockctl check --strict" >"$TMP/said" 2>&1 || fail "check --strict: $(cat "$TMP/said")"
ok "boot: knockgate-boot.service is enough, where nftables.service is enabled a line more; check --strict is silent"

# --- ssh that knocks by itself
awk '/^       Host / {here = 1} !NF {here = 0} here' "$README" >>"$TMP/ssh_config"
grep -q ProxyCommand "$TMP/ssh_config" || fail "README has no ProxyCommand"
admin "sudo knockctl close --all"
stays_closed client $R4 22
[ "$(in_ns client ssh router.example echo in)" = in ] || fail "ssh with README's ProxyCommand"
ok "ssh with README's ProxyCommand, from closed"

# --- a second door, which their firewall drops: the one of the man page; and one for what Docker publishes, to the LAN alone so far
awk '/^\.nf/ {text = ""; here = 1; next} /^\.fi/ {here = 0; if (text ~ /\[door.mosh\]/) {printf "%s", text; exit}} here {gsub(/\\-/, "-"); text = text $0 "\n"}' \
  "$SOURCE/packaging/man/knockgate.toml.5" >"$TMP/mosh.toml"
grep -q '"udp/60000-61000"' "$TMP/mosh.toml" || fail "knockgate.toml(5) has no door of mosh"
admin "sudo install -m 640 -g _knockgate /dev/stdin /etc/knockgate/doors.d/mosh.toml <<'END'
$(cat "$TMP/mosh.toml")
END"
[ "$HOST" != docker ] || admin "sudo install -m 640 -g _knockgate /dev/stdin /etc/knockgate/doors.d/web.toml <<'END'
[door.web]
opens = [\"tcp/8080\"]
knock = [\"udp/11203\", \"tcp/31999\", \"udp/9481\", \"tcp/20717\"]
END"
finds door-dropped
inside knockctl --json check | jq -r '.findings[] | select(.name == "door-dropped") | .advice | ltrimstr("run: ") | gsub("; "; "\n")' |
  awk '!seen[$0]++' >"$TMP/advice"
[ -s "$TMP/advice" ] || fail "check advises nothing"
while read -r line; do admin "sudo $line"; done <"$TMP/advice"
root "knockctl check --strict" >"$TMP/said" 2>&1 || fail "check --strict: $(cat "$TMP/said")"
admin "sudo knockctl reload --now"
background ip netns exec "$RUN-router" socat UDP4-RECVFROM:60500,fork SYSTEM:'echo mosh' 2>/dev/null
udp() { [ "$(echo hello | in_ns "$1" timeout 2 socat -T 1 - UDP4:$R4:60500)" = mosh ]; }
! udp client || fail "udp/60500 is open before the knock"
in_ns client knock $R4 20411:udp 9377 31006:udp 17290
await udp client
! udp intruder || fail "udp/60500 is open to all"
if [ "$HOST" = docker ]; then
  serve lan 80
  stays_closed client $R4 8080
  in_ns client knock $R4 11203:udp 31999 9481:udp 20717
  await reaches client $R4 8080
  stays_closed intruder $R4 8080
fi
[ "$HOST" = firewalld ] || inside iptables -S >/dev/null || fail "iptables does not know its own table any more"
ok "what $HOST drops is named by check, with lines that mend it: $(tr '\n' ';' <"$TMP/advice")"

# --- they load their rules anew while somebody is in
background ip netns exec "$RUN-client" ssh router.example 'while echo in; do sleep 0.1; done' >"$TMP/heard.ssh" 2>/dev/null
goes_on ssh
reload_theirs
await set_in open6 '2001:db8:9::9 . tcp . 22'
await set_in range4 '203.0.113.9 . udp . 60000-61000'
goes_on ssh
stays_closed intruder $R4 22
if [ "$HOST" = docker ]; then finds door-dropped; else await udp client; fi # typed, not kept
await greets client
inside knockctl --json | jq -e '.gate.loaded and (.grants | length >= 2)' >/dev/null || { inside knockctl; fail "status"; }
ok "after a reload of $HOST: who is in stays in, the grants stay, others stay out"
echo "$HOST: $FIRST commands ($LINES_OF_FIRST lines) from nothing to the first ssh, $TYPED in all"
