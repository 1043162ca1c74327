# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced by build-packages and build-cross: the package built in a chroot of its own, which is made once. Both name `out`, for
# the packages and logs, and `chroot`.
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
. "$top/tests/harness/debian.sh"
fail() { echo "FAILED: $*"; exit 1; }
skip() { echo "skip: $*"; exit 77; }
[ "$(id -u)" = 0 ] || skip "needs root"
here=$(. /etc/os-release && echo "${VERSION_CODENAME-}")

make_chroot() { # SUITE SOURCES OPTION...: of mmdebstrap
  command -v mmdebstrap >/dev/null || skip "no mmdebstrap (packaging/prepare test)"
  [ ! -d "$chroot" ] || return 0
  rm -rf --one-file-system "$chroot.new"
  mmdebstrap --variant=buildd "${@:3}" "$1" "$chroot.new" "$2" >"$out/chroot.log" 2>&1 || {
    tail -n 5 "$out/chroot.log"
    grep -q 'Failed to fetch\|Could not resolve' "$out/chroot.log" && skip "no archive to make ${chroot##*/} of"
    fail "no ${chroot##*/}"
  }
  mv "$chroot.new" "$chroot"
}
# Runs SCRIPT, whose $0 is WORD, in the source package of this machine's build, so that all have the same.
build_in_chroot() { # SCRIPT WORD [NAME=VALUE...]
  local source
  source=$(echo "$KNOCKGATE_BUILD/deb/$here"/knockgate_*.dsc)
  [ -e "$source" ] || fail "no source package: build-packages $here comes first"
  rm -rf "$chroot/build"
  mkdir "$chroot/build"
  cp "$KNOCKGATE_BUILD/deb/$here"/knockgate_*.{dsc,orig.tar.gz,debian.tar.xz} "$chroot/build/"
  chroot "$chroot" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 "${@:3}" \
    sh -ec "cd /build && dpkg-source -x ./*.dsc s && cd s && $1" "$2" >"$out/build.log" 2>&1 ||
    { grep -E ' error:|^FAILED|Failed|dh_' "$out/build.log" | tail -n 30; fail "no package for $2"; }
  find "$chroot/build" -maxdepth 1 '(' -name '*.deb' -o -name '*.changes' ')' -exec mv -t "$out" {} +
  rm -rf "$chroot/build"
}
