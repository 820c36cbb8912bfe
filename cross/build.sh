#!/usr/bin/env bash
# Builds the release program for each architecture named, and the packer for this machine:
#
#   cross/build.sh amd64 arm64 arm
#
# leaves build/bin/<architecture>/{pushgateway,NOTICES,packages.tsv}, and unpinned.txt there where
# other package versions than the pinned ones had to do; build/bin/pgw-pack, and its unpinned.txt.
#
# Environment: JOBS, SOURCE_DATE_EPOCH (default: the last commit's time), and that of debian.sh.

# shellcheck source-path=SCRIPTDIR
source "$(dirname "${BASH_SOURCE[0]}")/debian.sh"
# shellcheck source=identity.sh
source "$root/cross/identity.sh"

# Whatever else the environment tells a compiler is none of the target's.
unset CPATH C_INCLUDE_PATH CPLUS_INCLUDE_PATH LIBRARY_PATH COMPILER_PATH GCC_EXEC_PREFIX CMAKE_PREFIX_PATH PKG_CONFIG_PATH

# What a build folder was made with. ninja compares times, and those of a sysroot's files are the
# packages': with another sysroot or compiler a folder has to begin again.
made_with() {
  cat "$sysroots/$1/.pgw/packages.list" "$sysroots/source/.pgw/packages.list"
  toolchain
}

# compile <architecture> <target>…
compile() {
  local arch=$1 log=$root/build/cross-$1.log folder=$root/build/cross-$1
  shift
  if [[ $(cat "$folder/.made-with" 2>/dev/null) != "$(made_with "$arch")" ]]; then
    rm -rf "$folder"
    mkdir -p "$folder"
    made_with "$arch" >"$folder/.made-with"
  fi
  (cd "$root" && cmake --preset "cross-$arch" -DPGW_REVISION="$revision" >"$log" 2>&1) || { cat "$log" >&2; exit 1; }
  cmake --build "$root/build/cross-$arch" -j "${JOBS:-$(nproc)}" --target "$@" >"$log" 2>&1 ||
    { grep -v '^\[' "$log" >&2; die "$arch: does not build; the whole output is in $log"; }
}

# lld is told on riscv64 to link on where it finds fault, as it does with one thing that is none: the
# exception tables that gcc wrote for inline functions of which another copy was taken. Here it is
# made sure that this was all.
check_forgiven() {
  local log=$root/build/cross-$1.log program=$2
  [[ $1 == riscv64 ]] || return 0
  # Into a file each: behind a pipe that ends early, grep would seem to have found nothing.
  grep 'ld.lld-19: warning: ' "$log" >"$scratch/warnings" || true
  grep '^>>> referenced by' "$log" >"$scratch/references" || true
  if grep -vE 'refers to a symbol in a discarded section|statically linked applications' "$scratch/warnings" >&2 ||
    grep -v '(\.gcc_except_table+' "$scratch/references" >&2; then
    rm -f "$program"
    die "$1: the linker found real faults, see $log"
  fi
}

# strip_to <program> <target>: .comment names the compiler's build, which is nobody's concern.
strip_to() {
  llvm-strip-19 --strip-all --remove-section=.comment -o "$2.new" "$1"
  chmod 755 "$2.new"
  mv "$2.new" "$2"
}

build_program() {
  local arch=$1 folder=$root/build/bin/$1
  say "pushgateway for $arch"
  # What an interrupted run linked and did not check is linked again.
  [[ $arch != riscv64 ]] || rm -f "$root/build/cross-$arch/server/pushgateway"
  compile "$arch" pushgateway
  check_forgiven "$arch" "$root/build/cross-$arch/server/pushgateway"
  mkdir -p "$folder"
  "$root/cross/linked.sh" "$arch" pushgateway "$folder"
  strip_to "$root/build/cross-$arch/server/pushgateway" "$folder/pushgateway"
  say_unpinned "$arch" "$folder"
}

# say_unpinned <architecture> <folder>: writes unpinned.txt there, or nothing.
say_unpinned() {
  local file
  rm -f "$2/unpinned.txt"
  for file in "$sysroots/$1/.pgw/unpinned.txt" "$sysroots/source/.pgw/unpinned.txt"; do
    [[ ! -s $file ]] || cat "$file" >>"$2/unpinned.txt"
  done
  [[ ! -s $2/unpinned.txt ]] || say "WARNING: $1: NOT the pinned build, see ${2#"$root"/}/unpinned.txt"
}

build_packer() {
  local arch
  arch=$(host_arch)
  say "pgw-pack for this machine"
  compile "$arch" pgw-pack
  strip_to "$root/build/cross-$arch/docker/pgw-pack" "$root/build/bin/pgw-pack"
  say_unpinned "$arch" "$root/build/bin"
}

(($#)) || die "usage: cross/build.sh ARCHITECTURE…: known are$(known_archs)"
need clang++-19 cmake ninja protoc llvm-strip-19 git
"$root/cross/sysroot.sh" "$@" "$(host_arch)"
mkdir -p "$root/build/bin"
for arch; do build_program "$arch"; done
build_packer
