#!/usr/bin/env bash
# Packs what cross/build.sh left in build/bin into build/images:
#
#   cross/pack.sh amd64 arm64 arm
#
# Environment: OUTPUT, a folder instead of build/images; IMAGE, a repository (default: what docker/image.json says), ATTESTATIONS=off,
# SOURCE_DATE_EPOCH (default: the last commit's time).

# shellcheck source-path=SCRIPTDIR
source "$(dirname "${BASH_SOURCE[0]}")/debian.sh"
# shellcheck source=identity.sh
source "$root/cross/identity.sh"

readonly bin=$root/build/bin

# The description with the platforms asked for instead of its own.
describe() {
  local arch lines=() fields
  for arch; do
    debian_arch "$arch" >/dev/null
    fields="\"os\": \"linux\", \"architecture\": \"$arch\""
    [[ $arch != arm ]] || fields+=", \"variant\": \"v7\""
    lines+=("    {$fields}")
  done
  awk -v platforms="$(IFS=$'\n'; sed '$!s/$/,/' <<<"${lines[*]}")" '
    /^  "platforms": \[/ { print; print platforms; inside = 1; next }
    inside && /^  \]/ { inside = 0 }
    !inside { print }' "$root/docker/image.json"
}

# One line for the annotation: which packages are not the pinned ones.
not_pinned() {
  local arch file
  for arch; do
    file=$bin/$arch/unpinned.txt
    [[ ! -s $file ]] || sed "s/^/$arch: /" "$file"
  done | paste -sd ';' | sed 's/;/; /g'
}

(($#)) || die "usage: cross/pack.sh ARCHITECTURE…: known are$(known_archs)"
for arch; do
  [[ -s $bin/$arch/pushgateway ]] || die "no $bin/$arch/pushgateway: run cross/build.sh $arch first"
done
[[ -x $bin/pgw-pack ]] || die "no $bin/pgw-pack: run cross/build.sh first"
describe "$@" >"$scratch/image.json"
settings=(--set "VERSION=$version" --set "REVISION=$revision" --set "BINARIES=$bin"
  --set "LICENSE=$root/LICENSE" --set "NOT_PINNED=$(not_pinned "$@")")
[[ -z ${IMAGE:-} ]] || settings+=(--set "IMAGE=$IMAGE")
"$bin/pgw-pack" build "$scratch/image.json" "${settings[@]}" --output "${OUTPUT:-$root/build/images}" \
  ${ATTESTATIONS:+--attestations "$ATTESTATIONS"}
