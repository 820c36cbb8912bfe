#!/usr/bin/env bash
# Builds the last commit twice, from clean clones, as two different people on different days, and
# compares every byte of what they ship:
#
#   cross/reproduce.sh amd64 arm64 arm
#
# They differ in folder, user name and home, umask, locale, time zone, clock and number of jobs; as
# root also in user. They share the downloads, whose hashes are pinned.

# shellcheck source-path=SCRIPTDIR
source "$(dirname "${BASH_SOURCE[0]}")/debian.sh"

readonly work=$root/build/reproduce

# build_as <folder> <command that sets the scene…> -- builds there.
build_as() {
  local folder=$1
  shift
  say "building in ${folder#"$root"/}"
  # shellcheck disable=SC2016  # the inner shell's.
  "$@" "PGW_DOWNLOADS=$downloads" bash -c 'umask "$1"; cd "$2" && shift 2 && make "$@"' \
    make "$mask" "$folder" images "ARCHS=${archs[*]}" "JOBS=$jobs" >"$folder.log" 2>&1 ||
    { tail -40 "$folder.log" >&2; die "the build in $folder failed; the whole output is in $folder.log"; }
}

clone() {
  rm -rf "$1"
  mkdir -p "${1%/*}"
  git clone -q --no-hardlinks "$root" "$1"
  # The packages are here already: this is about the build.
  mkdir -p "$1/build"
  touch -d '2100-01-01' "$1"/build/deps-images
}

# Everything that is shipped, by name, as hashes.
shipped() { (cd "$1/build" && find images bin -type f -print0 | sort -z | xargs -0 sha256sum); }

(($#)) || die "usage: cross/reproduce.sh ARCHITECTURE…"
need git make faketime
archs=("$@")
"$root/cross/sysroot.sh" "$@" "$(host_arch)"
first=$work/a second=$work/another/and-longer-folder
clone "$first"
clone "$second"

mask=0022 jobs=2
build_as "$first" env USER=alice LOGNAME=alice HOME="$scratch" LANG=C.UTF-8 TZ=UTC

as=()
if (($(id -u) == 0)); then
  chown -R nobody "$second"
  chmod 755 "$scratch"
  as=(setpriv --reuid=nobody --regid=nogroup --clear-groups)
fi
mask=0077 jobs=3
build_as "$second" "${as[@]}" faketime -f '+400d' env USER=bob LOGNAME=bob HOME=/nonexistent LANG=tr_TR.UTF-8 \
  TZ=Pacific/Chatham NO_FAKE_STAT=1 TMPDIR=/var/tmp

shipped "$first" >"$scratch/first"
shipped "$second" >"$scratch/second"
diff "$scratch/first" "$scratch/second" >&2 || die "the two builds differ (above)"
(($(wc -l <"$scratch/first") > 4 * $#)) || die "hardly anything was built"
diff <(grep -A2 '^OCI image manifest' "$first.log") <(grep -A2 '^OCI image manifest' "$second.log") >&2 ||
  die "the printed digests differ (above)"
say "$(wc -l <"$scratch/first") files are the same in both builds:"
awk '{print "  " $2 "  " $1}' "$scratch/first"
grep -A1 '^OCI image manifest' "$first.log"
rm -rf "$work"
