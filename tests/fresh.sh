#!/usr/bin/env bash
# What somebody meets who has nothing but a new machine: in a minimal Debian, of the release that this
# machine runs, a clean clone of the last commit answers `make run` and passes `make test`.
#
#   tests/fresh.sh        as root; 77: skipped, with the reason. Takes ten minutes and more.
#
# The machine is a chroot in build/fresh. All that runs or is mounted there is in namespaces of its own,
# which end with this script, however it ends. Mirrors and proxies are those of this machine's apt.
# Environment: JOBS, as for make.

set -euo pipefail
export LC_ALL=C

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
readonly root folder=$root/build/fresh
readonly machine=$folder/machine
readonly most_hours=3

say() { printf 'fresh: %s\n' "$*"; }
skip() { say "skipped: $*"; exit 77; }
die() { say "$*" >&2; exit 1; }

# Lines `deb URI suite component` of this machine's sources that are Debian's own, of its release.
debian_sources() {
  # shellcheck disable=SC2016  # apt fills these in.
  apt-get indextargets --format '$(ORIGIN) $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
    awk -v release="$1" '$1 == "Debian" && ($3 == release || index($3, release "-") == 1) {
      line = "deb " $2 " " $3 " " $4
      if (!seen[line]++) print line
    }'
}

# Runs on the new machine, in a shell that knows nothing else of this file.
newcomer() {
  cd /root/clone
  printf 'fresh: make run\n'
  # The kernel chooses the port: the network is that of the machine around.
  make run ARGS="--metric.timetolive --web.enable-lifecycle --web.listen-address=127.0.0.1:0" >/root/run.log 2>&1 &
  local server=$! address=""
  until [ -n "$address" ]; do
    kill -0 "$server" 2>/dev/null || { cat /root/run.log; printf 'fresh: make run ended without an answer\n'; return 1; }
    sleep 0.5
    address=$(sed -n 's/.*msg="Listening on" address=\([0-9.:]*\).*/\1/p' /root/run.log)
  done
  echo 'backup_size_bytes 7e9' | curl -fsS --data-binary @- "http://$address/metrics/job/backup"
  curl -fsS "http://$address/metrics" | grep -F 'backup_size_bytes{instance="",job="backup"} 7e+09'
  curl -fsS -X PUT "http://$address/-/quit" >/dev/null
  wait "$server"
  printf 'fresh: make test\n'
  make test
}

# In the namespaces, as their first process.
inside() {
  local release=$1 mirror=$2 file
  # A mount of its own, as a root folder is one: tools that apply images' layers want that. Nobody else sees what is
  # mounted from here on.
  mount --bind "$machine" "$machine"
  debootstrap --variant=minbase --include=make,git,curl,ca-certificates "$release" "$machine" "$mirror" \
    >"$folder/debootstrap.log" 2>&1 || { tail -20 "$folder/debootstrap.log"; die "debootstrap failed"; }
  mountpoint -q "$machine/proc" || mount -t proc proc "$machine/proc"
  mount --rbind /sys "$machine/sys"
  mkdir -p "$machine/dev/pts" "$machine/dev/shm"
  mount -t devpts -o newinstance,ptmxmode=0666 devpts "$machine/dev/pts"
  mount -t tmpfs -o mode=1777 tmpfs "$machine/dev/shm"
  cp "$folder/sources.list" "$machine/etc/apt/sources.list"
  cp "$folder/apt.conf" "$machine/etc/apt/apt.conf.d/99machine-around"
  for file in resolv.conf hosts; do cp -L "/etc/$file" "$machine/etc/$file"; done
  # Authorities that were added to this machine, for a mirror or a proxy of its own.
  if compgen -G '/usr/local/share/ca-certificates/*.crt' >/dev/null; then
    cp /usr/local/share/ca-certificates/*.crt "$machine/usr/local/share/ca-certificates/"
    chroot "$machine" update-ca-certificates >/dev/null
  fi
  git -c safe.directory='*' clone -q --no-hardlinks "$root" "$machine/root/clone"
  chroot "$machine" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
    ${JOBS:+"JOBS=$JOBS"} bash -euo pipefail -c "$(declare -f newcomer); newcomer" </dev/null
}

if [[ ${1-} == --inside ]]; then
  shift
  inside "$@"
  exit
fi

(($(id -u) == 0)) || skip "not root, who alone can make a chroot"
for tool in debootstrap apt-get unshare setpriv chroot git; do
  [[ -n $(type -P "$tool") ]] || skip "$tool is missing"
done
reason=$(unshare --mount --pid --fork --kill-child --propagation private mount -t tmpfs tmpfs /mnt 2>&1) ||
  skip "this machine lets nobody mount: ${reason##*$'\n'}"
release=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME-}")
sources=$(debian_sources "$release")
if [[ -z $sources ]]; then # before the first update apt knows no origins
  apt-get update -qq
  sources=$(debian_sources "$release")
fi
mirror=$(awk -v release="$release" '$3 == release && $4 == "main" { print $2; exit }' <<<"$sources")
[[ -n $mirror ]] || skip "this machine's apt knows no Debian ${release:-of its release}"

mkdir -p "$root/build"
exec {lock}>"$root/build/fresh.lock"
flock --nonblock "$lock" || die "another one is running"

child=""
clean_up() {
  local status=$? tries=0
  trap '' INT TERM HUP
  # With the first process of the namespaces go all the others and what is mounted.
  [[ -z $child ]] || kill -KILL "$child" 2>/dev/null || true
  until rm -rf --one-file-system "$folder" 2>/dev/null; do
    ((++tries < 60)) || { say "$folder could not be removed" >&2; break; }
    sleep 0.5
  done
  rm -f "$root/build/fresh.lock"
  exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

rm -rf --one-file-system "$folder" # of one that was killed
mkdir -p "$machine"
printf '%s\n' "$sources" >"$folder/sources.list"
apt-config dump --format '%F "%v";%n' Acquire::http Acquire::https Acquire::Check-Valid-Until >"$folder/apt.conf"
eval "$(apt-config shell apt_http_proxy Acquire::http::Proxy)"
[[ -z ${apt_http_proxy-} ]] || export http_proxy=${http_proxy:-$apt_http_proxy}

say "Debian $release from $mirror, and $(git -c safe.directory='*' -C "$root" log -1 --format='%h, %s')"
[[ -z $(git -c safe.directory='*' -C "$root" status --porcelain) ]] || say "changes that are not committed are not in it"
# Ends with its parent, or after $most_hours hours: each link of the chain is killed with the one before.
setpriv --pdeathsig=KILL timeout --signal=KILL "${most_hours}h" \
  setpriv --pdeathsig=KILL unshare --mount --pid --fork --kill-child --propagation private \
  "$0" --inside "$release" "$mirror" {lock}>&- </dev/null &
child=$!
wait "$child" || die "failed on Debian $release"
child=""
say "make run answers and make test passes on Debian $release"
