#!/usr/bin/env bash
# Renews packages/<architecture>.list (all, or those named) and packages/source.list to the newest
# versions that Debian signs for its release:
#
#   cross/refresh.sh [ARCHITECTURE…]
#
# The lists are for git: the diff shows what changed.

# shellcheck source-path=SCRIPTDIR
source "$(dirname "${BASH_SOURCE[0]}")/debian.sh"

header() {
  cat <<END
# Debian $1: what $2 made of. Written by \`make sysroots-refresh\`; see docs/releasing.md.
# name	version	architecture	sha256	archive	path
END
}

release_version() {
  # shellcheck disable=SC2016
  index apt-get indextargets --format '$(VERSION) $(CODENAME)' | awk -v r="$1" '$2 == r {print $1; exit}'
}

refresh_arch() {
  local arch=$1 debian list=$packages_dir/$1.list new=$scratch/$1.list name line
  [[ -f $root/cross/$arch.cmake ]] || die "unknown architecture '$arch': there is no cross/$arch.cmake"
  touch "$list"
  debian=$(debian_arch "$arch")
  say "packages of $arch"
  open_index "$debian"
  header "$(release_version "$release")" "the sysroot of $arch is" >"$new"
  while read -r name; do
    line=$(newest "$name")
    [[ -n $line ]] || die "$name: no such package for $debian"
    printf '%s\n' "$line" >>"$new"
  done < <(pins "$packages_dir/wanted.list")
  mv "$new" "$list"
}

refresh_sources() {
  local new=$scratch/source.list name from
  say "source packages"
  : >"$new"
  while read -r name from; do
    open_index source "$from"
    [[ -s $new ]] || header "$(release_version "$from")" "build/sysroots/source is" >"$new"
    newest_source "$name" >>"$new"
    grep -q "^$name"$'\t' "$new" || die "$name: no such source package in $from"
  done < <(pins "$packages_dir/wanted.source")
  mv "$new" "$packages_dir/source.list"
}

need apt-get
if (($#)); then
  archs=("$@")
else
  read -r -a archs <<<"$(known_archs)"
fi
for arch in "${archs[@]}"; do refresh_arch "$arch"; done
refresh_sources
