# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# A machine with a systemd of its own, in the `router` of a world (harness/lib.sh). Sourced; MORE are packages beside what the
# programs are linked to, or beside INCLUDE; of the Debian SUITE, if not of this one. Its root is built once for them (KNOCKGATE_ROOT-*, default BUILD/system-root-*) and stays below an
# overlay that lives in memory.
skip() { echo "skip: $*"; exit 77; }
[ "$(id -u)" = 0 ] || skip "needs root"
if [ -z "${IN_MOUNTS-}" ]; then # whatever is mounted from here on ends with this script, also when it is killed
  unshare -m true 2>/dev/null || skip "no mount namespaces"
  { ip netns add kg$$ && ip netns del kg$$; } 2>/dev/null || skip "no network namespaces"
  IN_MOUNTS=1 exec unshare -m --propagation unchanged "$0" "$@"
fi
# But the names of network namespaces, which `ip netns` shares by now: others list them too.
findmnt -rno TARGET | grep -v '^/run/netns' | xargs -d '\n' -n 1 mount --make-private
[ "$(findmnt -no PROPAGATION / | sort -u)" = private ] || skip "mounts stay shared"
for tool in systemd-nspawn mmdebstrap nsenter; do command -v $tool >/dev/null || skip "no $tool (packaging/prepare test)"; done
if mountpoint -q /sys/fs/cgroup; then umount -R /sys/fs/cgroup || skip "cannot replace /sys/fs/cgroup"; fi
mount -t cgroup2 cgroup2 /sys/fs/cgroup 2>/dev/null || skip "no cgroup v2"
mkdir -p /run/systemd
mount -t tmpfs tmpfs /run/systemd || skip "cannot mount"
. "$(dirname "$0")/../harness/lib.sh"
. "$(dirname "$0")/../harness/debian.sh"

SOURCE=$(cd "$(dirname "$0")/../.." && pwd)
BASE=${KNOCKGATE_ROOT:-$KNOCKGATE_BUILD/system-root}
LAB="$TMP/lab" CGROUP=/sys/fs/cgroup/$RUN
NSPAWN='' LEADER=''

# --- the machine
halt() {
  [ -n "$NSPAWN" ] || return 0
  local end=$((SECONDS + 25))
  [ -z "$LEADER" ] || kill -s RTMIN+4 "$LEADER" 2>/dev/null || true
  while kill -0 "$NSPAWN" 2>/dev/null && [ $SECONDS -lt $end ]; do sleep 0.05; done
  ! kill -0 "$NSPAWN" 2>/dev/null || kill -9 $LEADER "$NSPAWN" 2>/dev/null || true
  wait "$NSPAWN" 2>/dev/null || true
  NSPAWN='' LEADER=''
  find "$CGROUP" -depth -type d -exec rmdir {} + 2>/dev/null || true
}
down() {
  local code=$? mounted
  set +e
  [ $code = 0 ] || { echo "--- journal"; inside journalctl -q --no-pager -o short-monotonic -n 60 -u 'knockgate*'; }
  halt
  for mounted in "$LAB/root" "$LAB"; do
    if mountpoint -q "$mounted"; then umount "$mounted" || { echo "left mounted, and so not removed: $mounted"; TMP=$(mktemp -d); }; fi
  done
  (exit $code) # which cleanup hands on
  cleanup
}
trap down EXIT

inside() {
  [ -n "$LEADER" ] || return 1
  nsenter -t "$LEADER" -a -- env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 "$@"
}
boot() {
  ( mkdir -p "$CGROUP"
    echo "$BASHPID" >"$CGROUP/cgroup.procs"
    # --network-namespace-path alone takes CAP_NET_ADMIN away from its services; and nspawn knows no Landlock.
    exec setsid systemd-nspawn -q -D "$LAB/root" --machine="$RUN" --register=no --keep-unit --capability=CAP_NET_ADMIN \
      --system-call-filter='landlock_create_ruleset landlock_add_rule landlock_restrict_self' \
      --network-namespace-path="/run/netns/$RUN-router" --resolv-conf=off --timezone=off --link-journal=no \
      --console=pipe -b </dev/null >>"$TMP/log" 2>&1 ) &
  NSPAWN=$!
  started() { kill -0 $NSPAWN && LEADER=$(pgrep -P $NSPAWN -x systemd); }
  local end=$((SECONDS + 10))
  until started || [ $SECONDS -gt $end ]; do sleep 0.05; done
  [ -n "$LEADER" ] || { wait $NSPAWN 2>/dev/null || true; NSPAWN=''; cat "$TMP/log"; [ -n "${BOOTED-}" ] || skip "systemd-nspawn does not start"; fail "it does not boot"; }
  BOOTED=1
  # shellcheck disable=SC2016
  await inside sh -c 'case $(systemctl is-system-running) in running|degraded) ;; *) false ;; esac'
}

# --- its root: what the programs need, and MORE
packages() { # by the libraries they are linked to
  local library
  ldd "$KNOCKGATE_BUILD/knockgated" "$KNOCKGATE_BUILD/knockctl" | awk '$3 ~ "^/" {print $3}' | sort -u |
    while read -r library; do dpkg -S "$library" "/usr$library" "${library#/usr}" 2>/dev/null; done | cut -d: -f1 | sort -u | tr '\n' ','
}
HERE=$(. /etc/os-release && echo "${VERSION_CODENAME-}")
SUITE=${SUITE:-$HERE}
INCLUDE=${INCLUDE:-$(packages)}${MORE:+$MORE,}
BASE=$BASE-$(printf %s "$SUITE $INCLUDE" | cksum | cut -d' ' -f1)
exec 9>"$BASE.lock"; flock 9
if [ ! -d "$BASE" ]; then
  rm -rf --one-file-system "$BASE.new"
  timeout -k 5 540 mmdebstrap --variant=minbase --include="${INCLUDE}systemd-sysv,dbus,nftables,iproute2" \
    "$SUITE" "$BASE.new" "$(apt_sources "$SUITE" "$TMP")" >"$TMP/log" 2>&1 || { tail -n 5 "$TMP/log"; skip "mmdebstrap cannot build a root"; }
  rm -f "$BASE.new/etc/machine-id"
  mv "$BASE.new" "$BASE"
fi
exec 9>&-

mkdir "$LAB"
mount -t tmpfs tmpfs "$LAB"
mkdir "$LAB/upper" "$LAB/work" "$LAB/root"
mount -t overlay overlay -o "lowerdir=$BASE,upperdir=$LAB/upper,workdir=$LAB/work" "$LAB/root" || skip "no overlay file system"

tr -d - </proc/sys/kernel/random/uuid >"$LAB/root/etc/machine-id" # a first boot would enable every unit

install_service() { # what is built, with its units
  cmake -S "$SOURCE" -B "$TMP/build" -DBUILD_TESTING=OFF -DKNOCKGATE_UNITDIR=/usr/lib/systemd/system >"$TMP/log" 2>&1 || fail "$(cat "$TMP/log")"
  cp "$KNOCKGATE_BUILD/knockgated" "$KNOCKGATE_BUILD/knockctl" "$KNOCKGATE_BUILD/knockgate" "$TMP/build/"
  DESTDIR="$LAB/root" cmake --install "$TMP/build" --prefix /usr >/dev/null
}
