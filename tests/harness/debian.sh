# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced by what makes a root of Debian's packages.

# Writes the apt sources of this machine, as SUITE would have them, into DIR, and prints the file's name.
apt_sources() { # SUITE DIR
  local here sources=/etc/apt/sources.list.d/debian.sources
  [ -e $sources ] || sources=/etc/apt/sources.list
  here=$(. /etc/os-release && echo "${VERSION_CODENAME-}")
  sed "s/$here/$1/g" $sources >"$2/${sources##*/}"
  echo "$2/${sources##*/}"
}
