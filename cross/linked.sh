#!/usr/bin/env bash
# Which packages a program built by a cross preset is made of, and under what terms:
#
#   cross/linked.sh ARCHITECTURE PROGRAM FOLDER
#
# writes FOLDER/packages.tsv, a line for each package with a file that the compiler or the linker
# read for the program (name, version, architecture, SHA-256, SPDX licence, and whether it was linked or
# only declares things), and FOLDER/NOTICES, their
# copyright files. Same inputs, same bytes. A package without a line in licences.tsv is an error.

# shellcheck source-path=SCRIPTDIR
source "$(dirname "${BASH_SOURCE[0]}")/debian.sh"

(($# == 3)) || die "usage: cross/linked.sh ARCHITECTURE PROGRAM FOLDER"
readonly arch=$1 program=$2 folder=$3
debian_arch "$arch" >/dev/null
readonly build=$root/build/cross-$arch sysroot=$sysroots/$arch

# Every header the compiler read and every object and archive the linker did.
files_read() {
  local objects
  mapfile -t objects < <(ninja -C "$build" -t inputs "$program" | grep '\.o$')
  ((${#objects[@]})) || die "$build has no $program"
  ninja -C "$build" -t deps "${objects[@]}" | sed -n 's/^    //p'
  sed -e 's/^[^ ]*: //' -e 's/ *\\$//' -e 's/^ *//' "$build/$program.link.d" | tr ' ' '\n' | sed -e 's/:$//' -e '/^$/d'
}

# Names of packages, in order and once; "unowned" or "foreign" before a file that must not be there.
# Besides the sysroot, the compiler's own headers may be read, and this repository. Within a sysroot .pgw/files knows whose a file is.
packages_read() {
  files_read | sort -u | (cd "$build" && xargs -d '\n' realpath -m) | sort -u >"$scratch/read"
  sed -n "s|^$sysroot/||p" "$scratch/read" |
    awk -F '\t' '
      NR == FNR { owner[$2] = $1; next }
      $0 in owner { print owner[$0]; next }
      { print "unowned " $0 }' "$sysroot/.pgw/files" - | sort -u
  sed -n "s|^$sysroots/source/\([^/]*\)/.*|\1|p" "$scratch/read" | sort -u
  grep -v -e "^$root/" -e '^/usr/lib/llvm-19/lib/clang/' "$scratch/read" | sed 's/^/foreign /' || true
}

# The line of what the sysroot, or the folder of sources, was really made of.
package_line() {
  awk -v n="$1" '$1 == n {print; exit}' "$sysroot/.pgw/packages.list" "$sysroots/source/.pgw/packages.list"
}

copyright_file() {
  local file=$sysroot/usr/share/doc/$1/copyright
  [[ -r $file ]] || file=$sysroots/source/$1/debian/copyright
  [[ -r $file ]] || die "$1: no copyright file"
  echo "$file"
}

# A copyright file in Debian's machine-readable format (DEP 5) without its lists of file names, which
# are most of it and say nothing to who holds a program; others as they are.
without_file_lists() {
  if ! head -1 "$1" | grep -q '^Format:'; then
    cat "$1"
    return
  fi
  awk 'BEGIN { RS = ""; FS = "\n" }
    {
      text = ""
      listing = 0
      for (i = 1; i <= NF; ++i) {
        if ($i ~ /^[^ \t#]/) listing = $i ~ /^Files(-Excluded)?:/
        if (!listing) text = text $i "\n"
      }
      if (text != "" && !seen[text]++) print text
    }' "$1"
}

# What licences.tsv has to say about a package besides its copyright file.
note() { awk -F '\t' -v n="$1" '$1 == n && $5 != "" {print "Note: " $5 "\n"}' "$root/cross/licences.tsv" | fold -s -w 80 | sed 's/ *$//'; }

rule() { printf '%s\n' "--------------------------------------------------------------------------------"; }

write_notices() {
  local name others version texts package
  cat <<END
$program is licensed under the Apache License, Version 2.0; see LICENSE beside this file.

It is linked statically and so contains parts of the packages of Debian named below. What follows
are the copyright files of these packages (without lists of file names), then the licences that
they refer to. Sources of each version are kept by Debian.

END
  while IFS=$'\t' read -r name version _; do printf '  %s %s\n' "$name" "$version"; done <"$1"
  # Packages of one source have one text.
  while IFS=$'\t' read -r name version _; do
    sha256sum "$(copyright_file "$name")" | cut -d ' ' -f 1 | tr '\n' '\t'
    printf '%s\n' "$name"
  done <"$1" | awk -F '\t' '{ names[$1] = names[$1] (names[$1] ? " " : "") $2; if (!n[$1]++) order[++count] = $1 }
    END { for (i = 1; i <= count; ++i) print names[order[i]] }' >"$scratch/groups"
  while read -r name others; do
    printf '\n'
    rule
    printf '%s\n' "${name}${others:+, ${others// /, }}"
    rule
    printf '\n'
    for package in $name $others; do note "$package"; done
    without_file_lists "$(copyright_file "$name")"
  done <"$scratch/groups"
  texts=$(while IFS=$'\t' read -r name _; do
    grep -oE '/usr/share/common-licenses/[A-Za-z]+(-[0-9.]*[0-9])?' "$(copyright_file "$name")" || true
  done <"$1" | sed 's|.*/||' | sort -u)
  for name in $texts; do
    [[ -r $sysroot/usr/share/common-licenses/$name ]] || die "no licence text $name in base-files"
    [[ ! -L $sysroot/usr/share/common-licenses/$name ]] || name=$(readlink "$sysroot/usr/share/common-licenses/$name")
    echo "$name"
  done | sort -u | while read -r name; do
    printf '\n'
    rule
    printf '/usr/share/common-licenses/%s\n' "$name"
    rule
    printf '\n'
    cat "$sysroot/usr/share/common-licenses/$name"
  done
}

need ninja realpath
packages=$scratch/packages.tsv
packages_read >"$scratch/names"
! grep '^unowned ' "$scratch/names" >&2 || die "files that belong to no package of the sysroot"
! grep '^foreign ' "$scratch/names" >&2 || die "$program was built from files outside its sysroot"
while read -r name; do
  read -r _ version debian sha256 _ < <(package_line "$name")
  IFS=$'\t' read -r licence proof part < <(awk -F '\t' -v n="$name" '$1 == n {print $2 "\t" $3 "\t" $4}' "$root/cross/licences.tsv") ||
    die "$name is linked, but has no line in cross/licences.tsv"
  grep -qiF "$proof" "$(copyright_file "$name")" ||
    die "$name: its copyright file does not say '$proof'; look at it and change cross/licences.tsv"
  printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$name" "$version" "$debian" "$sha256" "$licence" "${part:-linked}"
done <"$scratch/names" >"$packages"
grep -q . "$packages" || die "$program: nothing was linked"
mkdir -p "$folder"
{ printf '# name\tversion\tarchitecture\tsha256\tlicence\tpart\n'; cat "$packages"; } >"$folder/packages.tsv"
write_notices "$packages" >"$scratch/NOTICES"
mv "$scratch/NOTICES" "$folder/NOTICES"
