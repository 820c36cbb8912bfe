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

# make_as <folder> <target> <command that sets the scene…>
make_as() {
  local folder=$1 target=$2
  shift 2
  say "make $target in ${folder#"$root"/}"
  # shellcheck disable=SC2016  # the inner shell's.
  "$@" "PGW_DOWNLOADS=$downloads" bash -c 'umask "$1"; cd "$2" && shift 2 && make "$@"' \
    make "$mask" "$folder" "$target" "ARCHS=${archs[*]}" "JOBS=$jobs" >"$folder.log" 2>&1 ||
    { tail -40 "$folder.log" >&2; die "make $target in $folder failed; the whole output is in $folder.log"; }
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
make_as "$first" images env USER=alice LOGNAME=alice HOME="$scratch" LANG=C.UTF-8 TZ=UTC

as=()
if (($(id -u) == 0)); then
  chown -R nobody "$second"
  chmod 755 "$scratch"
  as=(setpriv --reuid=nobody --regid=nogroup --clear-groups)
fi
mask=0077 jobs=3
bob=(env USER=bob LOGNAME=bob HOME=/nonexistent LANG=tr_TR.UTF-8 TZ=Pacific/Chatham TMPDIR=/var/tmp)
# Unpacked on an ordinary day: dpkg-source sets times of files, in which libfaketime interferes.
make_as "$second" sysroots "${as[@]}" "${bob[@]}"
make_as "$second" images "${as[@]}" faketime -f '+400d' "${bob[@]}" NO_FAKE_STAT=1

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
