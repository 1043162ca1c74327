# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# A real sshd behind a door, and what goes through it. Sourced behind lib.sh, kn1.sh and client.sh.

# For root by one key; its home is $TMP/far and its shell reads nothing of this machine's own.
sshd_in() { # NS PORT...
  local ns=$1; shift
  ssh-keygen -qt ed25519 -N '' -f "$TMP/host"; ssh-keygen -qt ed25519 -N '' -f "$TMP/key"
  mkdir -p /run/sshd "$TMP/far"
  sed "s|^root:.*|root:x:0:0:root:$TMP/far:/bin/sh|" /etc/passwd >"$TMP/passwd"
  # shellcheck disable=SC2016
  background ip netns exec "$RUN-$ns" sh -c 'mount --bind "$1/passwd" /etc/passwd; shift; exec "$@"' - "$TMP" \
    /usr/sbin/sshd -D -e -f /dev/null -h "$TMP/host" -o AuthorizedKeysFile="$TMP/key.pub" -o StrictModes=no -o PermitRootLogin=yes \
    -o PidFile=none -o UsePAM=no -o MaxStartups=200 -o Subsystem='sftp internal-sftp' "${@/#/-p}" 2>>"$TMP/sshd"
  await in_ns "$ns" nc -z 127.0.0.1 "$1"
  cat >"$TMP/ssh_config" <<CONFIG
ProxyCommand $(command -v knockgate) connect %h %p
User root
IdentityFile $TMP/key
StrictHostKeyChecking no
UserKnownHostsFile /dev/null
LogLevel ERROR
KexAlgorithms curve25519-sha256
CONFIG
}
# On MACHINE, as `kg` would: any other program.
on() {
  local machine=$1; shift
  in_ns "${NS:-$machine}" env -i PATH="$PATH" HOME="$(as "$machine")" TERM=dumb ASAN_OPTIONS="$ASAN_OPTIONS" timeout $((60 * SLOW)) "$@"
}
sh_at() { on "$1" ssh -F "$TMP/ssh_config" "${@:2}"; } # MACHINE HOST COMMAND...
