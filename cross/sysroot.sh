#!/usr/bin/env bash
# Makes build/sysroots/<architecture> from the packages of packages/<architecture>.list, and
# build/sysroots/source from those of packages/source.list:
#
#   cross/sysroot.sh amd64 arm64 arm
#
# Nothing happens where the pinned sysroot is already there. An interrupted run leaves no sysroot,
# and runs at the same time wait for each other. Needs no root.
#
# In each sysroot, .pgw/packages.list names what it was really made of, .pgw/files which package each
# file is from, and .pgw/unpinned.txt, if there, which versions are not the pinned ones.

# shellcheck source-path=SCRIPTDIR
source "$(dirname "${BASH_SOURCE[0]}")/debian.sh"

# settle <list> <debian architecture> <result> <unpinned>: fetches everything of a list, or the newest
# there is for what has gone, and writes down what it came to.
settle() {
  local list=$1 arch=$2 result=$3 unpinned=$4 missing name line substitutes=$scratch/substitutes
  missing=$(fetch "$list")
  if [[ -z $missing ]]; then
    pins "$list" >"$result"
    return
  fi
  say "not to be had from any mirror:"
  awk '{print "cross:   " $1, $2, $3}' <<<"$missing" >&2
  [[ -n ${PGW_ARCHIVE_MIRROR:-} ]] || say "(PGW_ARCHIVE_MIRROR=URL names an archive that keeps old versions)"
  : >"$substitutes"
  [[ $arch == source ]] || open_index "$arch"
  while read -r name _; do
    if [[ $arch == source ]]; then
      open_index source "$(pins "$packages_dir/wanted.source" | awk -v n="$name" '$1 == n {print $2}')"
      line=$(newest_source "$name")
    else
      line=$(newest "$name")
    fi
    [[ -n $line ]] || { fetch_errors; die "$name: neither the pinned file nor any other version can be had"; }
    printf '%s\n' "$line" >>"$substitutes"
  done < <(awk '!seen[$1]++' <<<"$missing")
  missing=$(fetch "$substitutes")
  [[ -z $missing ]] || { fetch_errors; die "cannot be fetched: $(awk '{print $1, $2}' <<<"$missing" | paste -sd ';')"; }
  # A source package is several files: all of them change, or none.
  awk 'NR == FNR {new[$1]; next} !($1 in new)' "$substitutes" <(pins "$list") >"$result"
  cat "$substitutes" >>"$result"
  while read -r name line _; do
    printf '%s: pinned %s, used %s\n' "$name" "$(awk -v n="$name" '$1 == n {print $2; exit}' <(pins "$list"))" "$line"
  done < <(awk '!seen[$1]++' "$substitutes") >"$unpinned"
  say "WARNING: this is NOT the pinned build; images made of it say so in their annotations:"
  sed 's/^/cross:   /' "$unpinned" >&2
}

# What a sysroot depends on; a stamp of this in it says that it is up to date.
stamp() { cat "$1" "$root/cross/sysroot.sh" "$root/cross/debian.sh" | sha256sum | cut -d ' ' -f 1; }

# One that is not the pinned one is made again where an archive has been named since.
up_to_date() {
  [[ $(cat "$2/.pgw/stamp" 2>/dev/null) == "$(stamp "$1")" ]] || return 1
  [[ ! -s $2/.pgw/unpinned.txt || $(cat "$2/.pgw/archives" 2>/dev/null) == "${PGW_ARCHIVE_MIRROR:-}" ]]
}

# Puts a finished folder in place of the old one.
install_folder() {
  rm -rf "$2.old"
  [[ ! -e $2 ]] || mv "$2" "$2.old"
  mv "$1" "$2"
  rm -rf "$2.old"
}

make_sysroot() (  # a subshell: the lock goes with it
  local arch=$1 list=$packages_dir/$1.list target=$sysroots/$1 tree=$sysroots/.$1.new deb
  debian=$(debian_arch "$arch")
  exec 9>"$sysroots/.$arch.lock"
  flock 9
  ! up_to_date "$list" "$target" || return 0
  say "sysroot of $arch"
  rm -rf "$tree"
  mkdir -p "$tree"/.pgw "$tree"/usr/{bin,sbin,lib,lib64}
  # Merged-/usr, as on the real thing; older packages still say /lib.
  local dir
  for dir in bin sbin lib lib64; do ln -s "usr/$dir" "$tree/$dir"; done
  settle "$list" "$debian" "$tree/.pgw/packages.list" "$tree/.pgw/unpinned.txt"
  while read -r name _ _ sha256 _ path; do
    deb=$(downloaded "$sha256" "$path")
    # tar keeps the symbolic link where a package has a directory /lib.
    dpkg-deb --fsys-tarfile "$deb" |
      tar -x -v --keep-directory-symlink --no-same-owner --no-same-permissions -C "$tree" |
      sed -e 's|^\./||' -e '/\/$/d' -e '/^$/d' -e "s|^|$name\t|" >>"$tree/.pgw/files" ||
      die "$name: cannot be unpacked"
  done <"$tree/.pgw/packages.list"
  relative_links "$tree"
  stamp "$list" >"$tree/.pgw/stamp"
  echo "${PGW_ARCHIVE_MIRROR:-}" >"$tree/.pgw/archives"
  install_folder "$tree" "$target"
)

# A link to /usr/… would leave the sysroot.
relative_links() {
  local tree=$1 link target
  while IFS= read -r -d '' link; do
    target=$(readlink "$link")
    ln -sfn "$(realpath -sm --relative-to="$(dirname "$link")" "$tree$target")" "$link"
  done < <(find "$tree" -type l -lname '/*' -print0)
}

make_sources() (
  local list=$packages_dir/source.list target=$sysroots/source tree=$sysroots/.source.new
  exec 9>"$sysroots/.source.lock"
  flock 9
  ! up_to_date "$list" "$target" || return 0
  say "source packages"
  rm -rf "$tree"
  mkdir -p "$tree/.pgw"
  settle "$list" source "$tree/.pgw/packages.list" "$tree/.pgw/unpinned.txt"
  local name path sha256 files=$scratch/source
  while read -r name; do
    rm -rf "$files"
    mkdir "$files"
    while read -r sha256 path; do
      cp "$(downloaded "$sha256" "$path")" "$files/${path##*/}"
    done < <(awk -v n="$name" '$1 == n {print $4, $6}' "$tree/.pgw/packages.list")
    # With Debian's patches. The signature of the .dsc is not asked for: its hash is pinned.
    dpkg-source --no-check --no-copy -x "$files"/*.dsc "$tree/$name" >"$scratch/unpack.log" 2>&1 ||
      { cat "$scratch/unpack.log" >&2; die "$name: cannot be unpacked"; }
  done < <(awk '!seen[$1]++ {print $1}' "$tree/.pgw/packages.list")
  stamp "$list" >"$tree/.pgw/stamp"
  echo "${PGW_ARCHIVE_MIRROR:-}" >"$tree/.pgw/archives"
  install_folder "$tree" "$target"
)

(($#)) || die "usage: cross/sysroot.sh ARCHITECTURE…: known are$(known_archs)"
need apt-get dpkg-deb dpkg-source flock tar
for arch; do debian_arch "$arch" >/dev/null; done
mkdir -p "$sysroots"
for arch; do make_sysroot "$arch"; done
make_sources
