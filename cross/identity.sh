# shellcheck shell=bash
# Sourced: what a release is called. Sets version, revision and SOURCE_DATE_EPOCH, all from the
# repository, so that the same commit gives the same bytes.

# shellcheck disable=SC2154  # root is debian.sh's.
in_git() { git -C "$root" "$@"; }

version=$(sed -n 's/^  VERSION \([0-9.]*\)$/\1/p' "$root/CMakeLists.txt")
[[ -n $version ]] || die "no VERSION in CMakeLists.txt"

if in_git rev-parse --verify -q HEAD >/dev/null 2>&1; then
  revision=$(in_git rev-parse HEAD)
  # Never the name of a commit on what is not that commit.
  [[ -z $(in_git status --porcelain --untracked-files=no) ]] || revision+=-dirty
  SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(in_git log -1 --format=%ct)}
else
  revision=${REVISION:-unknown}
fi
[[ ${SOURCE_DATE_EPOCH:-} =~ ^[0-9]+$ ]] ||
  die "SOURCE_DATE_EPOCH: expected seconds since 1970, got '${SOURCE_DATE_EPOCH:-}' (without git it has to be set)"
export SOURCE_DATE_EPOCH

# The tools that are this machine's, a line each: the one input that is not pinned.
toolchain() {
  clang++-19 --version | head -1
  ld.lld-19 --version | head -1
  protoc --version
}
readonly version revision
