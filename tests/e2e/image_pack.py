"""Runs pgw-pack as a user does: the committed description, programs of a hundred bytes.

    image_pack.py --program build/dev/docker/pgw-pack
"""

import argparse
import gzip
import io
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time

import images
from harness import Failure
from images import expect


def check_output(program: str, folder: pathlib.Path) -> None:
    images.write_binaries(folder / "binaries")
    done = images.pack(program, folder / "binaries", folder / "out")
    expect((done.returncode, done.stderr), (0, ""), "pgw-pack build")
    digest, index = images.index_of(folder / "out/oci")
    first, second, rest = done.stdout.split("\n", 2)
    expect(first, f"OCI image manifest {images.NAME}: {digest.removeprefix('sha256:')}", "the first line")
    expect(second, "Build timestamp: Wed Aug 24 10:04:35 UTC 2022", "the second line")
    expect(json.loads(rest), index, "the printed index")
    expect(rest.encode(), images.blob(folder / "out/oci", digest) + b"\n", "the printed index, to the byte")
    platforms = [each["platform"] for each in index["manifests"][:3]]
    expect(platforms, [{"architecture": "amd64", "os": "linux"}, {"architecture": "arm64", "os": "linux"},
                       {"architecture": "arm", "os": "linux", "variant": "v7"}], "the platforms")
    keys = {"created", "version", "revision", "source", "url", "documentation", "title", "description", "licenses", "vendor"}
    expect({key.removeprefix("org.opencontainers.image.") for key in index["annotations"]}, keys, "the annotations")
    for manifest in index["manifests"][:3]:
        check_config(folder / "out/oci", manifest["digest"], index["annotations"])


def check_defaults(program: str, folder: pathlib.Path) -> None:
    """Who sets nothing gets an image that claims nobody's name."""
    done = images.pack(program, folder / "binaries", folder / "plain", published={})
    expect((done.returncode, done.stderr), (0, ""), "pgw-pack build without names")
    _, index = images.index_of(folder / "plain/oci")
    keys = {"created", "version", "revision", "title", "description", "licenses"}
    expect({key.removeprefix("org.opencontainers.image.") for key in index["annotations"]}, keys, "the annotations without names")
    expect(done.stdout.startswith(f"OCI image manifest localhost/pushgateway-ttl:{images.VERSION}: "), True, "the name")
    for layout, uri, tools in (
            ("plain", f"pkg:generic/pushgateway-ttl@{images.REVISION}", None),
            ("out", f"git+https://source.example/pushgateway-ttl@{images.REVISION}",
             [{"name": "clang", "version": "19.1.7"}, {"name": "lld", "version": "19.1.7"}])):
        definition = provenance(folder / layout / "oci")["buildDefinition"]
        expect(definition["resolvedDependencies"][0]["uri"], uri, "the source")
        expect(definition["internalParameters"].get("tools"), tools, "the tools")
        expect(definition["buildType"], "urn:pushgateway-ttl:build-type:pgw-pack:1", "the build type")
    done = subprocess.run([program, "verify", folder / "plain/oci"], capture_output=True, text=True, check=False)
    expect((done.returncode, done.stderr), (0, ""), "pgw-pack verify, without names")
    shutil.rmtree(folder / "plain")


def provenance(layout: pathlib.Path) -> dict:
    _, index = images.index_of(layout)
    attestations = json.loads(images.blob(layout, index["manifests"][3]["digest"]))
    return json.loads(images.blob(layout, attestations["layers"][1]["digest"]))["predicate"]


def check_full_disk(program: str, folder: pathlib.Path) -> None:
    """A digest that nobody can read is no success."""
    with open("/dev/full", "wb") as full:
        for words in (["build", images.ROOT / "docker/image.json", "--output", folder / "unread", "--set", f"BINARIES={folder}/binaries",
                       "--set", "VERSION=1", "--set", "REVISION=x", "--set", "SOURCE_DATE_EPOCH=1"],
                      ["inspect", folder / "out/oci"], ["verify", folder / "out/oci"], ["--help"], ["build", "--help"]):
            done = subprocess.run([program, *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
            expect((done.returncode, done.stderr), (1, "pgw-pack: error: standard output: No space left on device\n"), f"{words[0]} >/dev/full")
    shutil.rmtree(folder / "unread")


def check_signals(program: str, folder: pathlib.Path) -> None:
    """A build that is told to end leaves what was there and nothing else, and dies of the signal."""
    big = folder / "big"
    with open(big, "wb") as opened:
        opened.truncate(64 << 20)  # takes a while to compress, three times
    before, names = images.tree(folder / "out"), sorted(path.name for path in folder.iterdir())
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        process = subprocess.Popen([program, "build", images.ROOT / "docker/image.json", "--output", folder / "out", "--set",
                                    f"BINARIES={folder}/binaries", "--set", "VERSION=1", "--set", "REVISION=x", "--set",
                                    "SOURCE_DATE_EPOCH=1", "--set", f"LICENSE={big}"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and not list(folder.glob(".out.*")):
            time.sleep(0.001)
        process.send_signal(ending)
        expect(process.wait(60), -ending, f"how a build ends by {ending.name}")
        expect(sorted(path.name for path in folder.iterdir()), names, f"what {ending.name} leaves")
        expect(images.tree(folder / "out"), before, "the build before")
    big.unlink()


def check_config(layout: pathlib.Path, digest: str, annotations: dict) -> None:
    manifest = json.loads(images.blob(layout, digest))
    expect(manifest["annotations"], annotations, "a manifest's annotations")
    config = json.loads(images.blob(layout, manifest["config"]["digest"]))
    settings = config["config"]
    expect(settings.pop("Labels"), annotations, "the labels")
    check = settings.pop("Healthcheck")
    expect(check["Test"], ["CMD", "/bin/pushgateway", "--healthcheck"], "the health check")
    path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    expect(settings, {"User": "65534", "ExposedPorts": {"9091/tcp": {}}, "Env": [path],
                      "Entrypoint": ["/bin/pushgateway"], "WorkingDir": "/pushgateway"}, "the config")
    expect(len(config["rootfs"]["diff_ids"]), len(manifest["layers"]), "diff_ids")
    entries = {}
    for layer in manifest["layers"]:
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(images.blob(layout, layer["digest"])))) as opened:
            entries |= {member.name: member for member in opened.getmembers()}
    folder = entries["pushgateway"]
    expect((folder.uid, folder.gid, folder.isdir()), (65534, 65534, True), "/pushgateway")
    program = entries["bin/pushgateway"]
    expect((program.uid, program.mode, program.mtime), (0, 0o755, images.CREATED), "/bin/pushgateway")
    expect({"usr/share/doc/pushgateway/LICENSE", "usr/share/doc/pushgateway/NOTICES"} <= entries.keys(), True, "licences")


def check_gnu_tar(folder: pathlib.Path) -> None:
    """GNU tar lists every archive, and writes the same bytes from the same files."""
    archives = [*folder.glob("out/*.tar"), *folder.glob("out/airgap/*.tar")]
    expect(len(archives), 5, "the number of archives")
    for archive in archives:
        listed = subprocess.run(["tar", "tvf", archive], capture_output=True, text=True, check=True,
                                env={**os.environ, "TZ": "UTC", "LC_ALL": "C"})
        expect(listed.stderr, "", f"what tar says of {archive.name}")
        for line in listed.stdout.splitlines():
            expect((line.split()[1], "2022-08-24 10:04" in line), ("0/0", True), f"a line of {archive.name}: {line}")
    (archive,) = folder.glob("out/airgap/*.tar")
    unpacked = folder / "unpacked"
    unpacked.mkdir()
    subprocess.run(["tar", "xf", archive, "-C", unpacked, "--no-same-owner"], check=True)
    names = [member.name + ("/" if member.isdir() else "") for member in images.members(archive)]
    subprocess.run(["tar", "cf", folder / "again.tar", "-C", unpacked, "--format=ustar", "--no-recursion", "--owner=0",
                    "--group=0", "--numeric-owner", "--mode=u=rwX,go=rX", f"--mtime=@{images.CREATED}",
                    "--blocking-factor=1", *names], check=True)
    expect((folder / "again.tar").read_bytes() == archive.read_bytes(), True, "GNU tar's archive is ours")


def check_verify(program: str, folder: pathlib.Path) -> None:
    for path in [folder / "out/oci", *folder.glob("out/*.tar"), *folder.glob("out/airgap/*.tar")]:
        done = subprocess.run([program, "verify", path], capture_output=True, text=True, check=False)
        expect((done.returncode, done.stderr), (0, ""), f"pgw-pack verify {path.name}")
        shown = subprocess.run([program, "inspect", path], capture_output=True, text=True, check=True)
        if images.NAME not in shown.stdout or "/bin/pushgateway" not in shown.stdout:
            raise Failure(f"pgw-pack inspect {path.name}: {shown.stdout}")
        json.loads(subprocess.run([program, "inspect", "--json", path], capture_output=True, text=True, check=True).stdout)


def check_reproducible(program: str, folder: pathlib.Path) -> None:
    """Another folder, umask, locale, time zone, home and order of files: the same bytes."""
    elsewhere = folder / "else where"
    images.write_binaries(elsewhere / "b")
    old = os.umask(0o077)
    try:
        done = images.pack(program, pathlib.Path("b"), pathlib.Path("o"), cwd=elsewhere,
                           env={"PATH": os.environ["PATH"], "TZ": "Asia/Kathmandu", "LC_ALL": "tr_TR.UTF-8", "HOME": "/nowhere", "USER": "bob"})
    finally:
        os.umask(old)
    expect((done.returncode, done.stderr), (0, ""), "pgw-pack build elsewhere")
    expect(images.tree(elsewhere / "o"), images.tree(folder / "out"), "every file of both builds")


def check_errors(program: str, folder: pathlib.Path) -> None:
    """What cannot be packed is named, and leaves nothing, or what was there."""
    binaries = folder / "bad"
    images.write_binaries(binaries)
    before = images.tree(folder / "out")
    names = sorted(path.name for path in folder.iterdir())

    def expect_error(text: str, *more: str, output: pathlib.Path = folder / "out", **options) -> None:
        done = images.pack(program, binaries, output, *more, **options)
        expect((done.returncode, done.stdout), (1, ""), f"a build that shall fail with {text}")
        if text not in done.stderr or done.stderr.count("\n") != 1:
            raise Failure(f"expected an error with {text!r}, got {done.stderr!r}")
        expect(sorted(path.name for path in folder.iterdir()), names, "what a failed build leaves")
        expect(images.tree(folder / "out"), before, "the build before")

    (binaries / "arm64/pushgateway").rename(binaries / "kept")
    expect_error("layers[1].files[0].from: " + str(binaries / "arm64/pushgateway") + ": No such file or directory")
    shutil.copy(binaries / "amd64/pushgateway", binaries / "arm64/pushgateway")
    expect_error("a program for amd64 in the image for linux/arm64")
    (binaries / "arm64/pushgateway").unlink()
    (binaries / "kept").rename(binaries / "arm64/pushgateway")
    shutil.copy("/bin/sh", binaries / "amd64/pushgateway")
    expect_error("not statically linked, needs the interpreter /")
    shutil.copy(binaries / "arm/pushgateway", binaries / "amd64/pushgateway")
    expect_error("a program for arm in the image for linux/amd64")
    (binaries / "amd64/pushgateway").write_bytes(images.tiny_program("amd64"))
    expect_error("--set VERISON: no text uses it, and it has no default", "--set", "VERISON=1")
    expect_error("--set expects NAME=VALUE", "--set", "nonsense")
    expect_error("--platform: \"x\" is no platform", "--platform", "x")
    expect_error("--attestations expects on or off", "--attestations=maybe")
    expect_error("version: \"a b\" cannot be a tag", "--set", "VERSION=a b")
    expect_error("cannot be a tag", "--set=VERSION=1+2")
    expect_error("was not written by pgw-pack", output=binaries)
    expect_error("/proc", output=pathlib.Path("/proc/out"))
    expect_error("No such file or directory", description=folder / "none.json")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    program = str(pathlib.Path(parser.parse_args().program).resolve())
    with tempfile.TemporaryDirectory(prefix="pgw-e2e-") as temporary:
        folder = pathlib.Path(temporary)
        try:
            check_output(program, folder)
            check_defaults(program, folder)
            check_full_disk(program, folder)
            check_signals(program, folder)
            check_gnu_tar(folder)
            check_verify(program, folder)
            check_reproducible(program, folder)
            check_errors(program, folder)
        except Failure as failure:
            print(failure)
            return 1
    print("packed, listed, verified, reproduced; and 13 errors")
    return 0


if __name__ == "__main__":
    sys.exit(main())
