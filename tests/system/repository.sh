#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The apt repository that packaging/build-deb makes: two suites, signed by a throw-away key. The apt of this machine, and that
# of each chroot of build-packages, fetches both packages from it with README's kind of entry; what was changed it refuses.
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
fail() { echo "FAILED: $*"; [ ! -e "$scratch/said" ] || cat "$scratch/said"; exit 1; }
skip() { echo "skip: $*"; exit 77; }
[ "$(id -u)" = 0 ] || skip "needs root"
for tool in apt-ftparchive gpg apt-get; do command -v $tool >/dev/null || skip "no $tool (packaging/prepare package)"; done
here=$(. /etc/os-release && echo "${VERSION_CODENAME-}")
debs=("$KNOCKGATE_BUILD/deb/$here"/knockgate{,-client}_*.deb)
[ -e "${debs[1]}" ] || skip "no package (tests/system/build-packages $here)"

scratch=$(mktemp -d)
export GNUPGHOME=$scratch/keyring
clean() {
  gpgconf --kill all 2>/dev/null || true
  rm -rf "$scratch" "$KNOCKGATE_BUILD"/chroot-*/"${scratch##*/}"
}
trap clean EXIT
mkdir -m 700 "$GNUPGHOME"
make_key() { gpg --batch -q --passphrase '' --quick-generate-key "$1" ed25519 sign never 2>/dev/null; }
fingerprint() { gpg --batch --list-keys --with-colons "$1" 2>/dev/null | awk -F: '$1 == "fpr" {print $10; exit}'; }
make_key 'A site <site@example.com>'
make_key 'Another <another@example.com>'
key=$(fingerprint site@example.com)

repo=$scratch/repo
"$top/packaging/build-deb" --repo "$repo" "${debs[@]}" >"$scratch/said" 2>&1 && fail "made without a key"
grep -q -- '--key' "$scratch/said" || fail "not said that it wants a key"
"$top/packaging/build-deb" --repo "$repo" --key 0000000000000000000000000000000000000000 "${debs[@]}" >"$scratch/said" 2>&1 && fail "made with a key that nobody has"
[ ! -e "$repo" ] || fail "refused, and yet something is made"
for suite in bookworm trixie; do
  packages=("$KNOCKGATE_BUILD/deb/$suite"/knockgate{,-client}_*.deb)
  [ -e "${packages[1]}" ] || packages=("${debs[@]}")
  "$top/packaging/build-deb" --repo "$repo" --key "$key" --suite $suite "${packages[@]}" >"$scratch/said" 2>&1 || fail "no repository of $suite"
done
gpg --batch --list-packets "$repo/knockgate.gpg" >"$scratch/said"
! grep -q 'secret key' "$scratch/said" || fail "the repository has the secret key"
[ "$(gpg --batch --show-keys --with-colons "$repo/knockgate.gpg" | grep -c '^pub')" = 1 ] || fail "the repository has other keys, too"
[ "$(find "$repo" -type f ! -name '*.deb' ! -path '*/dists/*' | wc -l)" = 1 ] || fail "left in the repository: $(find "$repo" -type f)"

# apt with directories of its own: neither this machine nor a chroot knows the repository afterwards.
ROOT='' # a chroot
inside() { if [ -n "$ROOT" ]; then chroot "$ROOT" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; else "$@"; fi; }
apt() { # SUITE WORD...: in a directory that is new each time
  local suite=$1 seen=$scratch/apt; shift
  [ -z "$ROOT" ] || seen=/${scratch##*/}
  local at=$ROOT$seen
  rm -rf "$at"
  mkdir -p "$at"/{state/lists/partial,cache/archives/partial,etc/sources.list.d,etc/preferences.d,got}
  touch "$at/status"
  cp -r "$repo" "$at/repo"
  cat >"$at/etc/sources.list.d/knockgate.sources" <<END
Types: deb
URIs: file:$seen/repo
Suites: $suite
Components: main
Signed-By: $seen/repo/knockgate.gpg
END
  local options=(-o APT::Sandbox::User=root -o "Dir::State=$seen/state" -o "Dir::State::status=$seen/status" -o "Dir::Cache=$seen/cache"
    -o "Dir::Etc::sourcelist=/dev/null" -o "Dir::Etc::sourceparts=$seen/etc/sources.list.d" -o "Dir::Etc::preferencesparts=$seen/etc/preferences.d")
  # shellcheck disable=SC2016
  inside env -C "$seen/got" LC_ALL=C sh -c 'apt-get -q --error-on=any "$@" update && apt-get -q "$@" download knockgate knockgate-client' apt "${options[@]}" "$@" >"$scratch/said" 2>&1 || return
  diff -rq "$at/got" "$at/repo/pool/$suite" || fail "other packages are fetched"
}
refuses() { # SUITE WORDS-OF-APT
  if apt "$1"; then fail "apt takes it: $3"; fi
  grep -Eq "$2" "$scratch/said" || fail "refused, but not for what it is: $3"
}
cp -r "$repo" "$scratch/good"
good() { rm -rf "$repo"; cp -r "$scratch/good" "$repo"; }

try() {
  local suite release
  for suite in bookworm trixie; do
    good
    apt $suite || fail "apt does not take suite $suite"
  done
  printf x | dd of="$(echo "$repo"/pool/trixie/knockgate_*.deb)" bs=1 seek=5000 conv=notrunc status=none
  refuses trixie 'Hash Sum mismatch' "a changed package"
  good
  rm "$repo"/dists/trixie/main/binary-*/Packages.gz
  sed -i 's/^Description: .*/Description: another/' "$repo"/dists/trixie/main/binary-*/Packages
  refuses trixie 'Hash Sum mismatch' "a changed list of packages"
  good
  release=$repo/dists/trixie/InRelease
  sed -i 's/^Origin: .*/Origin: Another/' "$release"
  refuses trixie 'BADSIG|manipulated' "a changed Release"
  good
  gpg --batch --yes -q --local-user another@example.com --clearsign -o "$release" "$repo/dists/trixie/Release"
  refuses trixie 'NO_PUBKEY|Missing key' "a Release signed by another key"
  good
  rm "$release"
  refuses trixie 'is not signed' "a Release without a signature"
  good
}
try
echo "ok  $here: apt takes both suites; a changed package, list or Release it refuses, and another's signature, and none"
for ROOT in "$KNOCKGATE_BUILD"/chroot-*; do
  suite=${ROOT##*/chroot-}
  case $suite in bookworm | trixie) ;; *) continue ;; esac
  try
  echo "ok  $suite: its apt does so, too"
done
