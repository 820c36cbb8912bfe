# shellcheck shell=bash
# Sourced by the scripts beside it: Debian 13 as this machine's own apt configuration reaches it.
# Mirrors, proxies and certificates are apt's; its state is in folders of our own, so that neither
# root nor another foreign architecture on this system is needed.
#
# Environment:
#   PGW_MIRROR          mirror of Debian (default: the one in this system's apt sources)
#   PGW_SECURITY_MIRROR the same for debian-security
#   PGW_ARCHIVE_MIRROR  URLs of an archive that keeps old versions, each with a pool/ below;
#                       asked where the mirrors have dropped a pinned file
#   PGW_DOWNLOADS       where downloads are kept (default: build/downloads)

set -euo pipefail
export LC_ALL=C
umask 022

readonly release=trixie
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
readonly root
readonly packages_dir=$root/cross/packages
readonly downloads=${PGW_DOWNLOADS:-$root/build/downloads}
# shellcheck disable=SC2034  # the scripts' own.
readonly sysroots=$root/build/sysroots
readonly keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# A folder that is gone when the script ends, however it ends.
scratch=$(mktemp -d "${TMPDIR:-/tmp}/pgw-cross-XXXXXX")
readonly scratch
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say() { printf '%s\n' "cross: $*" >&2; }
die() { say "$*"; exit 1; }

[[ $root != *[[:space:]]* ]] || die "cannot build in a folder with blanks in its path: $root"

# <our name of an architecture> -> Debian's.
debian_arch() {
  [[ -n $1 && -f $root/cross/$1.cmake && -f $packages_dir/$1.list ]] ||
    die "unknown architecture '$1': known are$(known_archs)"
  case $1 in
    arm) echo armhf ;;
    ppc64le) echo ppc64el ;;
    *) echo "$1" ;;
  esac
}

known_archs() {
  local list
  for list in "$packages_dir"/*.list; do
    list=${list##*/}
    [[ -f $root/cross/${list%.list}.cmake ]] && printf ' %s' "${list%.list}"
  done
}

# This machine's, in our names.
host_arch() {
  case $(uname -m) in
    x86_64) echo amd64 ;;
    aarch64) echo arm64 ;;
    *) die "releases are built on 64-bit x86 or Arm, not on $(uname -m)" ;;
  esac
}

need() {
  local tool
  for tool; do
    command -v "$tool" >/dev/null || die "$tool is missing; make images installs what is needed"
  done
}

# URIs of this system's sources that carry the given suite, Debian's own before third parties':
# only those have <suite>-updates or a -security of the same address.
uris_of_suites() {
  local wanted=$1
  # shellcheck disable=SC2016  # apt fills these in.
  apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
    awk -v wanted="$wanted" '
      BEGIN { split(wanted, names, " "); for (i in names) is_wanted[names[i]] }
      $3 == "main" && $2 in is_wanted { if (!seen[$1]++) order[++n] = $1 }
      $2 ~ /-updates$/ { official[$1] }
      END {
        for (i = 1; i <= n; ++i) if (order[i] in official) print order[i]
        for (i = 1; i <= n; ++i) if (!(order[i] in official)) print order[i]
      }'
}

# mirrors <archive>: base addresses of "debian" or "debian-security", each ending in a slash.
mirrors() {
  local codename override
  # shellcheck disable=SC1091
  codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-$release}")
  case $1 in
    debian)
      override=${PGW_MIRROR:-}
      set -- "$codename $release bookworm stable oldstable" ;;
    debian-security)
      override=${PGW_SECURITY_MIRROR:-}
      set -- "$codename-security $release-security bookworm-security stable-security oldstable-security" ;;
    *) die "no archive named '$1'" ;;
  esac
  if [[ -n $override ]]; then
    printf '%s\n' "${override%/}/"
  else
    uris_of_suites "$1"
  fi
}

archive_mirrors() {
  local uri
  for uri in ${PGW_ARCHIVE_MIRROR:-}; do echo "${uri%/}/"; done
}

fetch_all() {  # base, then triples "path file sha256": asks one mirror for all of them
  local base=$1 arguments=()
  shift
  while (($#)); do
    arguments+=("${base%/}/${1//+/%2b}" "$2" "SHA256:$3")
    shift 3
  done
  # A missing file is no news here: the next mirror may have it.
  /usr/lib/apt/apt-helper -qq -o APT::Sandbox::User="$(id -un)" -o Acquire::Retries=2 \
    download-file "${arguments[@]}" >>"$scratch/fetch.log" 2>&1 || true
}

# fetch <list>: brings every file of a list (docs/releasing.md) to $downloads. Prints the lines
# that no mirror has. A file whose bytes are not the pinned ones is never taken.
fetch() {
  local list=$1 archive base name version arch sha256 path file
  mkdir -p "$downloads"
  for archive in debian debian-security; do
    while read -r base; do
      local wanted=()
      while read -r name version arch sha256 from path; do
        file=$(downloaded "$sha256" "$path")
        [[ $from == "$archive" && ! -s $file ]] || continue
        wanted+=("$path" "$scratch/$sha256" "$sha256")
      done < <(pins "$list")
      ((${#wanted[@]})) || continue
      fetch_all "$base" "${wanted[@]}"
      take_fetched "$list"
    done < <(mirrors "$archive"; archive_mirrors)
  done
  while read -r name version arch sha256 from path; do
    [[ ! -s $(downloaded "$sha256" "$path") ]] || continue
    # Never a reason to take another version: somebody changed the file, or the list.
    [[ ! -f $scratch/$sha256.FAILED ]] ||
      die "$name $version: what the mirror has is not what is pinned: SHA-256 $(sha256sum <"$scratch/$sha256.FAILED" |
        cut -d ' ' -f 1) instead of $sha256"
    echo "$name $version $arch $sha256 $from $path"
  done < <(pins "$list")
}

# Moves what arrived from scratch to the downloads, whole or not at all.
take_fetched() {
  local name version arch sha256 from path target
  while read -r name version arch sha256 from path; do
    [[ -f $scratch/$sha256 ]] || continue
    target=$(downloaded "$sha256" "$path")
    echo "$sha256  $scratch/$sha256" | sha256sum --check --status ||
      die "$name $version: the mirror's file has another SHA-256 than the pinned $sha256"
    cp "$scratch/$sha256" "$target.$$"
    mv "$target.$$" "$target"
    rm "$scratch/$sha256"
  done < <(pins "$1")
}

# Lines of a list without comments: name version architecture sha256 archive path.
pins() { sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$1"; }

# Where a file is kept: by hash, so that lists of several architectures and times share the folder.
downloaded() { echo "$downloads/${1:0:16}-${2##*/}"; }

# Why the last fetch failed, in apt's words.
fetch_errors() { grep -hE '^(E:|Err:| )' "$scratch/fetch.log" 2>/dev/null | sort -u | head -20 >&2 || true; }

# open_index <debian architecture, or "source"> [release]: signed lists of packages, to be asked
# through `index apt-get …`. The release is taken under its own name or, where a mirror is in
# the middle of an update of that, as "stable" while stable is the same release.
open_index() {
  local arch=$1 codename=${2:-$release} archive base name suite dir found types=deb number=0
  index_of=$arch
  [[ $arch != source ]] || types=deb-src
  [[ -r $keyring ]] || die "$keyring is missing: apt-get install debian-archive-keyring"
  need gpgv
  dir=$scratch/apt-$arch
  rm -rf "$dir"
  mkdir -p "$dir"/{state/lists/partial,cache/archives/partial,sources}
  : >"$dir/status"
  index_options=(
    -o "Dir::State=$dir/state" -o "Dir::State::status=$dir/status" -o "Dir::Cache=$dir/cache"
    -o "Dir::Etc::sourcelist=/dev/null" -o "Dir::Etc::sourceparts=$dir/sources"
    -o "Dir::Etc::preferences=/dev/null" -o "Dir::Etc::preferencesparts=/dev/null"
    -o "APT::Architecture=${arch/source/amd64}" -o "APT::Architectures=${arch/source/amd64}" -o "APT::Sandbox::User=$(id -un)"
    -o "Acquire::Languages=none" -o "APT::Get::List-Cleanup=false")
  for archive in debian debian-updates debian-security; do
    # Where two archives have the same version, the first is taken.
    ((++number))
    found=""
    while read -r base && [[ -z $found ]]; do
      for name in "$codename" stable; do
        suite=$name${archive#debian}
        printf '%s\n' "Types: $types" "URIs: $base" "Suites: $suite" "Components: main" "Signed-By: $keyring" \
          "Targets: Packages Sources" >"$dir/sources/$number.sources"
        if index apt-get update -qq --error-on=any >"$dir/update.log" 2>&1 && is_release "$number" "$codename"; then
          found=$suite
          break
        fi
        cat "$dir/update.log" >>"$dir/all.log"
        rm "$dir/sources/$number.sources"
      done
    done < <(mirrors "${archive%-updates}")
    [[ -n $found ]] && continue
    if [[ $archive == debian ]]; then
      cat "$dir/all.log" >&2 || true
      die "no mirror gives a signed list of Debian $codename for $arch (see above). Where apt speaks of NO_PUBKEY," \
        "this system's debian-archive-keyring is older than that release: apt-get install debian-archive-keyring"
    fi
    say "warning: no signed list of $codename${archive#debian} for $arch; going on without"
  done
  # What the last, failed suite left behind is dropped from the index.
  index apt-get update -qq >/dev/null 2>&1 || die "apt-get update failed for $arch"
}

index() {
  local program=$1
  shift
  "$program" "${index_options[@]}" "$@"
}

# Whether what the current sources name is the release we want: "stable" moves on.
is_release() {
  local named
  # shellcheck disable=SC2016
  named=$(index apt-get indextargets --format '$(REPO_URI)|$(RELEASE)|$(CODENAME)' |
    awk -F '|' -v suite="$(awk '/^Suites:/ {print $2}' "$scratch/apt-$index_of/sources/$1.sources")" '$2 == suite {print $3; exit}')
  [[ $named == "$2" || $named == "$2-"* ]]
}

# newest <package>: a list line for the newest version in the open index; nothing if there is none.
newest() {
  local uri hash version arch
  read -r uri _ _ hash < <(index apt-get download --print-uris "$1" 2>/dev/null) || return 0
  uri=${uri//\'/}
  read -r version arch < <(index apt-cache show --no-all-versions "$1" |
    awk '/^Version:/ {v = $2} /^Architecture:/ {a = $2} END {print v, a}')
  [[ $hash == SHA256:* && -n $version ]] || die "$1: the index has no SHA-256"
  pin_line "$1" "$version" "$arch" "${hash#SHA256:}" "$uri"
}

# newest_source <package>: the list lines of a source package's files.
newest_source() {
  local uri file hash version lines=()
  while read -r uri file _ hash; do
    [[ $uri == \'* ]] || continue
    [[ $hash == SHA256:* ]] || die "$1: the index has no SHA-256"
    [[ $file != *.dsc ]] || version=$(index apt-cache showsrc --only-source "$1" |
      awk -v dsc="$file" 'BEGIN {RS = ""; FS = "\n"} index($0, " " dsc) {for (i = 1; i <= NF; ++i) if (sub(/^Version: /, "", $i)) print $i}' |
      head -1)
    lines+=("${hash#SHA256:}" "${uri//\'/}")
  done < <(index apt-get source --print-uris --download-only "$1" 2>/dev/null)
  local i
  for ((i = 0; i < ${#lines[@]}; i += 2)); do
    pin_line "$1" "${version:?}" source "${lines[i]}" "${lines[i + 1]}"
  done
}

# pin_line <name> <version> <arch> <sha256> <uri>: the address without its host.
pin_line() {
  local archive=debian path=pool/${5#*/pool/}
  [[ $5 == *debian-security* || $path == pool/updates/* ]] && archive=debian-security
  path=${path//%2b/+}
  path=${path//%7e/\~}
  printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$4" "$archive" "$path"
}
