"""What the release scripts say of a checkout, and what they refuse to push.

    release_scripts.py --program build/dev/docker/pgw-pack

Works on copies of the scripts in repositories of its own; nothing is compiled and nothing is sent.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import images
from harness import Failure, Tally
from images import ROOT, expect

IDENTITY = 'source cross/debian.sh; source cross/identity.sh; echo "$revision $SOURCE_DATE_EPOCH"'
BUILD_INFO = 'include("${PROJECT_SOURCE_DIR}/server/build_info.cmake")\nmessage("${PGW_REVISION} ${PGW_BUILD_DATE}")\n'
ELSEWHERE = "registry.example/team/pushgateway-ttl"


def run(folder: pathlib.Path, *words: str, **environment: str) -> subprocess.CompletedProcess:
    kept = {name: value for name, value in os.environ.items()
            if not name.startswith("GIT_") and name not in ("SOURCE_DATE_EPOCH", "REVISION", "FORCE")}
    return subprocess.run(words, cwd=folder, env={**kept, **environment}, capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL, check=False)


def git(folder: pathlib.Path, *words: str) -> str:
    done = run(folder, "git", "-c", "user.name=a", "-c", "user.email=a@example.org", *words,
               GIT_CONFIG_GLOBAL="/dev/null", GIT_COMMITTER_DATE="@1600000000 +0000")
    if done.returncode:
        raise Failure(f"git {' '.join(words)}: {done.stderr}")
    return done.stdout.strip()


def source_archive(folder: pathlib.Path) -> pathlib.Path:
    """What the scripts need of the sources, without a repository."""
    shutil.copytree(ROOT / "cross", folder / "cross")
    (folder / "server").mkdir()
    for name in ("CMakeLists.txt", "server/build_info.cmake"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def repository(folder: pathlib.Path) -> str:
    """Makes one of a folder; the name of its commit."""
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "all")
    return git(folder, "rev-parse", "HEAD")


def identity(folder: pathlib.Path, **environment: str) -> str:
    done = run(folder, "bash", "-c", IDENTITY, **environment)
    return (done.stdout or done.stderr).strip()


def build_info(folder: pathlib.Path, **environment: str) -> str:
    script = folder.parent / f"{folder.name}.cmake"
    script.write_text(BUILD_INFO, encoding="utf-8")
    done = run(folder, "cmake", f"-DPROJECT_SOURCE_DIR={folder}", "-P", str(script), **environment)
    return done.stderr.strip()


def check_checkout(folder: pathlib.Path) -> None:
    sources = source_archive(folder / "sources")
    commit = repository(sources)
    foreign = folder / "foreign"
    foreign.mkdir()
    repository(foreign)
    # A git hook of another repository sets these.
    for environment in ({}, {"GIT_DIR": str(foreign / ".git")}, {"GIT_DIR": str(foreign / ".git"), "GIT_WORK_TREE": str(foreign)}):
        expect(identity(sources, **environment), f"{commit} 1600000000", f"the identity, with {environment}")
        expect(build_info(sources, **environment), f"{commit} 20200913-12:26:40", f"the program's, with {environment}")
    expect(identity(sources, SOURCE_DATE_EPOCH="5"), f"{commit} 5", "the identity with a time")
    (folder / "link").symlink_to(sources)
    expect(identity(folder / "link"), f"{commit} 1600000000", "the identity, through a link")
    with open(sources / "CMakeLists.txt", "a", encoding="utf-8") as changed:
        changed.write("\n")
    expect(identity(sources), f"{commit}-dirty 1600000000", "the identity of changed sources")


def check_archive(folder: pathlib.Path) -> None:
    """Also inside the checkout of something else, the commit of which is not this source's."""
    (folder / "alone").mkdir()
    repository(folder)
    for place in (folder / "alone/sources", folder / "inside"):
        place.mkdir()
        source_archive(place)
        said = identity(place)
        if "SOURCE_DATE_EPOCH: expected seconds since 1970" not in said:
            raise Failure(f"without git and a time: {said}")
        expect(identity(place, SOURCE_DATE_EPOCH="5"), "unknown 5", "the identity of a source archive")
        expect(identity(place, SOURCE_DATE_EPOCH="5", REVISION="abc"), "abc 5", "the identity that was said")
        expect(build_info(place), "unknown unknown", "the program's identity")


def check_push(folder: pathlib.Path, program: str) -> None:
    """By what the images say of themselves. A pgw-pack stands in that says what it would push."""
    sources = source_archive(folder / "sources")
    repository(sources)
    (sources / "build/bin").mkdir(parents=True)
    packer = sources / "build/bin/pgw-pack"
    packer.write_text(f'#!/bin/sh\n[ "$1" = push ] || exec {program} "$@"\necho "pushing to $3"\n', encoding="utf-8")
    packer.chmod(0o755)
    images.write_binaries(folder / "binaries")
    cases = (
        ([], None),
        (["--set", f"REVISION={images.REVISION}-dirty"], f"the revision is {images.REVISION}-dirty, with changes that are in no commit"),
        (["--set", "REVISION=unknown"], "the revision is unknown: no git, and no REVISION"),
        (["--set", "NOT_PINNED=arm: zlib1g-dev: pinned 1, used 2"],
         "this is not the pinned build (arm: zlib1g-dev: pinned 1, used 2)"),
    )
    for more, reason in cases:
        done = images.pack(program, folder / "binaries", sources / "build/images", *more)
        expect((done.returncode, done.stderr), (0, ""), "pgw-pack build")
        done = run(sources, "cross/deliver.sh", "push", ELSEWHERE)
        forced = run(sources, "cross/deliver.sh", "push", ELSEWHERE, FORCE="1")
        pushed = f"pushing to {ELSEWHERE}:0.1.0\n"
        expect((forced.returncode, forced.stdout), (0, pushed), f"a forced push with {more}")
        if reason is None:
            expect((done.returncode, done.stdout, done.stderr, forced.stderr), (0, pushed, "", ""), "a push")
        else:
            expect((done.returncode, done.stdout, done.stderr),
                   (1, "", f"cross: not pushed: {reason}; FORCE=1 pushes it nevertheless\n"), f"a push with {more}")
            expect(forced.stderr, f"cross: WARNING: {reason}; pushing nevertheless, since FORCE=1\n", "a forced push")


def check_may_push(folder: pathlib.Path) -> None:
    """Before anything is built for it."""
    sources = source_archive(folder / "sources")
    commit = repository(sources)
    done = run(sources, "cross/deliver.sh", "may-push", ELSEWHERE)
    expect((done.returncode, done.stderr), (0, ""), "a push of what is committed")
    done = run(sources, "cross/deliver.sh", "may-push", "")
    expect((done.returncode, done.stderr), (1, "cross: where to? make push IMAGE=registry.example/team/pushgateway-ttl\n"), "a push to nowhere")
    (sources / "cross/README.md").unlink()
    done = run(sources, "cross/deliver.sh", "may-push", ELSEWHERE)
    expect((done.returncode, f"{commit}-dirty" in done.stderr), (1, True), "a push of what is not committed")
    expect(run(sources, "cross/deliver.sh", "may-push", ELSEWHERE, FORCE="1").returncode, 0, "a forced push of that")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    program = str(pathlib.Path(parser.parse_args().program).resolve())
    tally = Tally()
    for name, check, more in (("checkout", check_checkout, ()), ("source archive", check_archive, ()),
                              ("push", check_push, (program,)), ("may-push", check_may_push, ())):
        if shutil.which("git") is None:
            tally.skip(name, "there is no git")
            continue
        with tempfile.TemporaryDirectory(prefix="pgw-e2e-") as folder:
            tally.check(name, check, pathlib.Path(folder), *more)
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
