#!/usr/bin/env python3
"""Fetches the programs the end-to-end tests compare and work with, without installing them.

`apt-get download` with a state folder of its own and `dpkg-deb -x` put packages of Debian into a
folder: the Go Pushgateway (the reference), Prometheus with promtool, nginx, VictoriaMetrics, the Python
client library, and what reads images: skopeo, umoci, podman, buildah, a registry. Nothing on the system
changes and no root is needed. The mirror is the one this machine is configured for, and apt checks the
archive's signatures as always. What a peer depends on and this machine has not installed comes with it.

    peers.py --dir build/peers [pushgateway|prometheus|promtool|nginx|victoria-metrics|python-client
                                |skopeo|umoci|podman|buildah|docker-registry …]
"""

import argparse
import contextlib
import dataclasses
import fcntl
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

# What this machine has installed, as dpkg wrote it down.
STATUS = pathlib.Path("/var/lib/dpkg/status")

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

# Which suites are tried, in order, until one has the package and its program runs here.
SUITES = ("testing", "trixie", "bookworm")


class Unavailable(Exception):
    """A peer cannot be had on this machine; the text says why."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    packages: tuple[str, ...]  # the first one names the version
    suites: tuple[str, ...]
    program: str  # path below the unpacked tree, or "" for a library
    probe: tuple[str, ...] = ()  # arguments with which the program must exit 0; of a library: what Python must run
    at_least: str = ""  # the oldest version that will do


RECIPES = {
    # What cases call the reference; older ones have faults of their own.
    "pushgateway": Recipe(("prometheus-pushgateway",), SUITES, "usr/bin/prometheus-pushgateway", ("--version",), "1.11.2"),
    # Of 2022: before protobuf's new Go library, with other types in its persistence file.
    "pushgateway-1.5": Recipe(("prometheus-pushgateway",), ("bookworm",), "usr/bin/prometheus-pushgateway", ("--version",)),
    "prometheus": Recipe(("prometheus",), SUITES, "usr/bin/prometheus", ("--version",)),
    # Beside Prometheus in bookworm, a package of its own since.
    "promtool": Recipe(("promtool",), ("testing", "trixie"), "usr/bin/promtool", ("--version",)),
    # A dynamically linked C program: only the suite this machine runs is sure to fit.
    "nginx": Recipe(("nginx",), ("bookworm", "trixie", "testing"), "usr/sbin/nginx", ("-v",)),
    # Takes the text format as well; dropped from Debian after bookworm.
    "victoria-metrics": Recipe(("victoria-metrics",), ("bookworm",), "usr/bin/victoria-metrics", ("-version",)),
    # What reads images. The libraries that suites call differently are named; bookworm alone, whose glibc is the oldest.
    "skopeo": Recipe(("skopeo", "libgpgme11", "libassuan0", "libgpg-error0", "libdevmapper1.02.1"), ("bookworm",),
                     "usr/bin/skopeo", ("--version",)),
    "umoci": Recipe(("umoci",), ("bookworm",), "usr/bin/umoci", ("--version",)),
    "podman": Recipe(("podman", "conmon", "runc", "libgpgme11", "libassuan0", "libgpg-error0", "libdevmapper1.02.1",
                      "libseccomp2", "libsubid4", "libglib2.0-0"), ("bookworm",), "usr/bin/podman", ("--version",)),
    "buildah": Recipe(("buildah", "libgpgme11", "libassuan0", "libgpg-error0", "libdevmapper1.02.1", "libseccomp2"),
                      ("bookworm",), "usr/bin/buildah", ("--version",)),
    "docker-registry": Recipe(("docker-registry",), ("bookworm",), "usr/bin/docker-registry", ("--version",)),
    "python-client": Recipe(("python3-prometheus-client",), ("bookworm", "trixie", "testing"), "",
                            ("import prometheus_client",)),
}


@dataclasses.dataclass(frozen=True)
class Peer:
    """One unpacked peer."""

    name: str
    suite: str
    version: str  # of the Debian package
    root: pathlib.Path

    @property
    def program(self) -> pathlib.Path:
        return self.root / RECIPES[self.name].program

    @property
    def python_path(self) -> pathlib.Path:
        return self.root / "usr/lib/python3/dist-packages"

    @property
    def environment(self) -> dict[str, str]:
        """With which its program finds the libraries that came with it."""
        folders = [*self.root.glob("usr/lib/*-linux-gnu*"), *self.root.glob("lib/*-linux-gnu*")]
        return {**os.environ, "LD_LIBRARY_PATH": ":".join(map(str, folders))} if folders else dict(os.environ)

    def __str__(self) -> str:
        return f"{self.name}: Debian {self.suite}, {RECIPES[self.name].packages[0]} {self.version}"


def get(name: str, directory: os.PathLike | str) -> Peer:
    """The peer, downloaded on first use. Safe to call from several processes at once."""
    base = pathlib.Path(directory).resolve()
    base.mkdir(parents=True, exist_ok=True)
    with _locked(base / f"{name}.lock"):
        return _stamped(base, name) or _fetch(base, name)


def promtool(directory: os.PathLike | str) -> pathlib.Path:
    beside = get("prometheus", directory).root / RECIPES["promtool"].program
    return beside if beside.exists() else get("promtool", directory).program


@contextlib.contextmanager
def _locked(path: pathlib.Path):
    with open(path, "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _stamped(base: pathlib.Path, name: str) -> Peer | None:
    try:
        stamp = json.loads((base / f"{name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    peer = Peer(name, stamp["suite"], stamp["version"], base / stamp["root"])
    return peer if peer.root.is_dir() else None


def _fetch(base: pathlib.Path, name: str) -> Peer:
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise Unavailable(f"{tool} is not there: peers come as Debian packages")
    recipe = RECIPES[name]
    reasons = []
    for suite in recipe.suites:
        try:
            peer = _fetch_from(base, name, recipe, suite)
        except (Unavailable, subprocess.SubprocessError, OSError) as error:
            reasons.append(f"{suite}: {error}")
            continue
        for reason in reasons:  # of what is not as new as it could be
            print(f"{name}: passed over {reason}", file=sys.stderr)
        stamp = {"suite": peer.suite, "version": peer.version, "root": str(peer.root.relative_to(base))}
        (base / f"{name}.json").write_text(json.dumps(stamp) + "\n", encoding="utf-8")
        return peer
    raise Unavailable(f"no {name} from any suite; " + "; ".join(reasons))


def _fetch_from(base: pathlib.Path, name: str, recipe: Recipe, suite: str) -> Peer:
    with _locked(base / f"apt-{suite}.lock"):
        apt = _apt(base, suite)
        downloads = base / "deb" / f"{name}-{suite}"
        shutil.rmtree(downloads, ignore_errors=True)
        downloads.mkdir(parents=True)
        try:
            _run([*apt, "download", *_with_dependencies(apt, recipe.packages)], cwd=downloads)
        except Unavailable:
            # Suites move on: lists fetched some time ago may name packages that are gone.
            (base / f"apt-{suite}" / "updated").unlink()
            apt = _apt(base, suite)
            _run([*apt, "download", *_with_dependencies(apt, recipe.packages)], cwd=downloads)
    root = base / f"{name}-{suite}"
    shutil.rmtree(root, ignore_errors=True)
    (first,) = downloads.glob(f"{recipe.packages[0]}_*.deb")
    version = _run(["dpkg-deb", "-f", str(first), "Version"]).strip()
    if recipe.at_least and not _is_at_least(version, recipe.at_least):
        raise Unavailable(f"{recipe.packages[0]} {version} is older than {recipe.at_least}")
    for archive in downloads.glob("*.deb"):
        _run(["dpkg-deb", "-x", str(archive), str(root)])
    shutil.rmtree(downloads)
    peer = Peer(name, suite, version, root)
    if recipe.program:
        _run([str(peer.program), *recipe.probe], env=peer.environment)
    elif recipe.probe:
        _run([sys.executable, "-c", *recipe.probe], env={**os.environ, "PYTHONPATH": str(peer.python_path), "PYTHONDONTWRITEBYTECODE": "1"})
    return peer


def _with_dependencies(apt: list[str], packages: tuple[str, ...]) -> list[str]:
    """The packages, and those that installing them would bring onto this machine; upgrades are no part of it.

    Where apt sees no way to install them, as with another suite than this machine's, they come alone: the probe tells
    whether they work so.
    """
    if not STATUS.exists():
        return list(packages)
    try:
        plan = _run([*apt, "-o", f"Dir::State::Status={STATUS}", "--simulate", "--no-install-recommends", "install", *packages])
    except Unavailable:
        return list(packages)
    further = re.findall(r"(?m)^Inst (\S+) \(", plan)
    return [*packages, *(name for name in further if name not in packages)]


def _is_at_least(version: str, least: str) -> bool:
    return subprocess.run(["dpkg", "--compare-versions", version, "ge", least], check=False).returncode == 0


def _apt(base: pathlib.Path, suite: str) -> list[str]:
    """The apt-get command for one suite, its package lists fetched once."""
    home = base / f"apt-{suite}"
    for folder in ("state/lists/partial", "cache/archives/partial", "etc/parts"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    (home / "status").touch()
    # `[signed-by]` is what makes apt refuse lists that the archive's keys have not signed.
    (home / "sources.list").write_text(f"deb [signed-by={KEYRING}] {mirror()} {suite} main\n", encoding="utf-8")
    settings = {
        "Dir::Etc::SourceList": home / "sources.list",
        "Dir::Etc::SourceParts": home / "etc/parts",
        "Dir::Etc::Preferences": "/dev/null",
        "Dir::Etc::PreferencesParts": home / "etc/parts",
        "Dir::State": home / "state",
        "Dir::State::Status": home / "status",
        "Dir::Cache": home / "cache",
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "root",  # the folder may be closed to apt's own user
    }
    command = ["apt-get", "-qq"]
    for key, value in settings.items():
        command += ["-o", f"{key}={value}"]
    if not (home / "updated").exists():
        _run([*command, "update"])
        (home / "updated").touch()
    return command


def mirror() -> str:
    """The Debian mirror this machine's apt is configured for."""
    files = [pathlib.Path("/etc/apt/sources.list"), *sorted(pathlib.Path("/etc/apt/sources.list.d").glob("*"))]
    for file in files:
        if not file.is_file() or file.suffix not in (".list", ".sources"):
            continue
        text = file.read_text(encoding="utf-8", errors="replace")
        found = _mirror_in_deb822(text) if file.suffix == ".sources" else _mirror_in_lines(text)
        if found:
            return found
    raise Unavailable("no Debian mirror is configured under /etc/apt")


_DEBIAN_SUITE = re.compile(r"^(bullseye|bookworm|trixie|forky|sid|oldstable|stable|testing|unstable)$")


def _mirror_in_deb822(text: str) -> str | None:
    for paragraph in re.split(r"\n\s*\n", text):
        fields = dict(re.findall(r"(?m)^([A-Za-z-]+):[ \t]*(.*)$", paragraph))
        suites = fields.get("Suites", "").split()
        if "deb" in fields.get("Types", "").split() and any(map(_DEBIAN_SUITE.match, suites)):
            return fields.get("URIs", "").split()[0]
    return None


def _mirror_in_lines(text: str) -> str | None:
    for line in text.splitlines():
        match = re.match(r"deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)\s+main\b", line)
        if match and _DEBIAN_SUITE.match(match.group(2)):
            return match.group(1)
    return None


def _run(command: list[str], cwd: pathlib.Path | None = None, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=300, check=False)
    if done.returncode != 0:
        raise Unavailable(f"{os.path.basename(command[0])}: {(done.stderr or done.stdout).strip()[-400:]}")
    return done.stdout


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", default="build/peers", help="where to unpack (default: %(default)s)")
    parser.add_argument("peers", nargs="*", choices=[[], *RECIPES], metavar="peer", default=[])
    arguments = parser.parse_args()
    missing = 0
    for name in arguments.peers or RECIPES:
        try:
            peer = get(name, arguments.dir)
            print(f"{peer}: {peer.program}")
        except Unavailable as error:
            missing += 1
            print(f"{name}: not available: {error}")
    return 77 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
