# shellcheck shell=bash
# Sourced: what a release is called. Sets version, revision and SOURCE_DATE_EPOCH, all from the
# repository, so that the same commit gives the same bytes.

# Of the project's own repository, whatever repository a hook or a script that calls us is in.
# shellcheck disable=SC2154  # root is debian.sh's.
in_git() { env -u GIT_DIR -u GIT_WORK_TREE -u GIT_INDEX_FILE git -C "$root" "$@"; }

# False in a source archive, also one that was unpacked inside another project's checkout: the commit
# there is none of ours.
has_git() {
  local top
  top=$(in_git rev-parse --show-toplevel 2>/dev/null) && [[ $top -ef $root ]] &&
    in_git rev-parse --verify -q HEAD >/dev/null 2>&1
}

version=$(sed -n 's/^  VERSION \([0-9.]*\)$/\1/p' "$root/CMakeLists.txt")
[[ -n $version ]] || die "no VERSION in CMakeLists.txt"

if has_git; then
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
