#!/usr/bin/env bash
# Packs what cross/build.sh left in build/bin into build/images:
#
#   cross/pack.sh amd64 arm64 arm
#
# Environment: OUTPUT, a folder instead of build/images; IMAGE, a repository (default: what docker/image.json
# says); SOURCE, DOCUMENTATION, VENDOR for the labels of these names; ATTESTATIONS=off; SOURCE_DATE_EPOCH
# (default: the last commit's time).

# shellcheck source-path=SCRIPTDIR
source "$(dirname "${BASH_SOURCE[0]}")/debian.sh"
# shellcheck source=identity.sh
source "$root/cross/identity.sh"

readonly bin=$root/build/bin

# One line for the annotation: which packages are not the pinned ones.
not_pinned() {
  local arch
  {
    for arch; do
      [[ ! -s $bin/$arch/unpinned.txt ]] || sed "s/^/$arch: /" "$bin/$arch/unpinned.txt"
    done
    # Other bytes may come from another zlib as well.
    [[ ! -s $bin/unpinned.txt ]] || sed 's/^/pgw-pack: /' "$bin/unpinned.txt"
  } | paste -sd ';' | sed 's/;/; /g'
}

(($#)) || die "usage: cross/pack.sh ARCHITECTURE…: known are$(known_archs)"
for arch; do
  [[ -s $bin/$arch/pushgateway ]] || die "no $bin/$arch/pushgateway: run cross/build.sh $arch first"
done
[[ -x $bin/pgw-pack ]] || die "no $bin/pgw-pack: run cross/build.sh first"
settings=(--set "VERSION=$version" --set "REVISION=$revision" --set "BINARIES=$bin"
  --set "NOT_PINNED=$(not_pinned "$@")" --set "TOOLCHAIN=$(toolchain | paste -sd ';' | sed 's/;/; /g')")
for arch; do
  variant=""
  [[ $arch != arm ]] || variant=/v7
  settings+=(--platform "linux/$arch$variant")
done
for name in IMAGE SOURCE DOCUMENTATION VENDOR; do
  [[ -z ${!name:-} ]] || settings+=(--set "$name=${!name}")
done
"$bin/pgw-pack" build "$root/docker/image.json" "${settings[@]}" --output "${OUTPUT:-$root/build/images}" \
  ${ATTESTATIONS:+--attestations "$ATTESTATIONS"}
