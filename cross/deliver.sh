#!/usr/bin/env bash
# Takes what cross/pack.sh left in build/images elsewhere:
#
#   cross/deliver.sh load                    this machine's image into docker or podman
#   cross/deliver.sh push REGISTRY/REPOSITORY  the whole index to a registry, tagged with the version
#   cross/deliver.sh may-push REGISTRY/REPOSITORY  whether a push would be refused for this checkout
#
# What nobody could build again is pushed only with FORCE=1 in the environment.

# shellcheck source-path=SCRIPTDIR
source "$(dirname "${BASH_SOURCE[0]}")/debian.sh"
# shellcheck source=identity.sh
source "$root/cross/identity.sh"

readonly images=$root/build/images

need_images() { [[ -d $images/oci ]] || die "no images in $images: run make images first"; }

load() {
  local arch archive tool
  need_images
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

# refuse <why>: unless the caller knows better.
refuse() {
  [[ ${FORCE:-} == 1 ]] || die "not pushed: $1; FORCE=1 pushes it nevertheless"
  say "WARNING: $1; pushing nevertheless, since FORCE=1"
}

# check_revision <revision>
check_revision() {
  case $1 in
    *-dirty) refuse "the revision is $1, with changes that are in no commit" ;;
    unknown | "") refuse "the revision is unknown: no git, and no REVISION" ;;
  esac
}

# annotation <name>: of the index, as it would be pushed.
annotation() { awk -F '"' -v name="$1" '$2 == name {print $4; exit}' "$scratch/inspection"; }

may_push() {
  [[ -n ${1:-} ]] || die "where to? make push IMAGE=registry.example/team/pushgateway-ttl"
  check_revision "$revision"
}

push() {
  local not_pinned
  [[ -n ${1:-} ]] || die "where to? make push IMAGE=registry.example/team/pushgateway-ttl"
  need_images
  # By what the images say of themselves: they may be older than the checkout.
  "$root/build/bin/pgw-pack" inspect --json "$images/oci" >"$scratch/inspection"
  check_revision "$(annotation org.opencontainers.image.revision)"
  not_pinned=$(annotation pushgateway-ttl.not-pinned)
  [[ -z $not_pinned ]] || refuse "this is not the pinned build ($not_pinned)"
  "$root/build/bin/pgw-pack" push "$images/oci" "$1:$version"
}

case ${1:-} in
  load) load ;;
  may-push) may_push "${2:-}" ;;
  push) push "${2:-}" ;;
  *) die "usage: cross/deliver.sh load|push|may-push [REGISTRY/REPOSITORY]" ;;
esac
