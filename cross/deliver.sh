#!/usr/bin/env bash
# Takes what cross/pack.sh left in build/images elsewhere:
#
#   cross/deliver.sh load                    this machine's image into docker or podman
#   cross/deliver.sh push REGISTRY/REPOSITORY  the whole index to a registry, tagged with the version

# shellcheck source-path=SCRIPTDIR
source "$(dirname "${BASH_SOURCE[0]}")/debian.sh"
# shellcheck source=identity.sh
source "$root/cross/identity.sh"

readonly images=$root/build/images
[[ -d $images/oci ]] || die "no images in $images: run make images first"

load() {
  local arch archive tool
  arch=$(host_arch)
  archive=$(find "$images" -maxdepth 1 -name "*linux-$arch.docker.tar" -print -quit)
  [[ -n $archive ]] || die "no image for $arch, which this machine is: make images ARCHS=$arch"
  for tool in docker podman; do
    # A docker without a daemon is as good as none.
    if ! { command -v "$tool" && "$tool" info; } >/dev/null 2>&1; then continue; fi
    say "loading ${archive##*/} into $tool"
    "$tool" load -i "$archive"
    return
  done
  die "neither docker nor podman works here"
}

push() {
  [[ -n ${1:-} ]] || die "where to? make push IMAGE=registry.example/team/pushgateway-ttl"
  "$root/build/bin/pgw-pack" push "$images/oci" "$1:$version"
}

case ${1:-} in
  load) load ;;
  push) push "${2:-}" ;;
  *) die "usage: cross/deliver.sh load|push [REGISTRY/REPOSITORY]" ;;
esac
