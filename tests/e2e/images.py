"""What the image tests share: tiny programs, a packed image, archives as Python reads them."""

import hashlib
import json
import pathlib
import struct
import subprocess
import tarfile

from harness import Failure

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CREATED = 1661335475
VERSION = "1.2.3"
REVISION = "0123456789abcdef0123456789abcdef01234567"
NAME = f"registry.example/team/pushgateway-ttl:{VERSION}"
# What a published image is built with, besides.
PUBLISHED = {"IMAGE": NAME.removesuffix(f":{VERSION}"), "SOURCE": "https://source.example/pushgateway-ttl",
             "DOCUMENTATION": "https://docs.example/pushgateway-ttl", "VENDOR": "the team", "TOOLCHAIN": "clang 19.1.7; lld 19.1.7"}
MACHINES = {"amd64": (62, 64), "arm64": (183, 64), "arm": (40, 32)}


def tiny_program(architecture: str) -> bytes:
    """A static ELF file of one segment, which would do nothing."""
    machine, bits = MACHINES[architecture]
    ident = b"\x7fELF" + bytes([bits // 32, 1, 1]) + bytes(9)
    if bits == 64:
        return ident + struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, 64, 64, 0, 0, 64, 56, 1, 0, 0, 0) + \
            struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, 120, 120, 4096)
    return ident + struct.pack("<HHIIIIIHHHHHH", 2, machine, 1, 52, 52, 0, 0x05000400, 52, 32, 1, 0, 0, 0) + \
        struct.pack("<IIIIIIII", 1, 0, 0, 0, 84, 84, 5, 4096)


def write_binaries(folder: pathlib.Path) -> None:
    """As the cross build leaves them."""
    for architecture in MACHINES:
        below = folder / architecture
        below.mkdir(parents=True)
        (below / "pushgateway").write_bytes(tiny_program(architecture) + b"code" * 1000)
        (below / "NOTICES").write_text(f"notices of {architecture}\n", encoding="utf-8")
        (below / "packages.tsv").write_text(f"zlib1g-dev\t1:1.3.1-1\t{architecture}\t{'a' * 64}\tZlib\n", encoding="utf-8")


def pack(program: str, binaries: pathlib.Path, output: pathlib.Path, *more: str, **options) -> subprocess.CompletedProcess:
    description = options.pop("description", ROOT / "docker/image.json")
    published = [word for name, value in options.pop("published", PUBLISHED).items() for word in ("--set", f"{name}={value}")]
    return subprocess.run(
        [program, "build", str(description), "--output", str(output), "--set", f"BINARIES={binaries}",
         "--set", f"VERSION={VERSION}", "--set", f"REVISION={REVISION}", "--set", f"SOURCE_DATE_EPOCH={CREATED}", *published, *more],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120, check=False, **options)


def tree(folder: pathlib.Path) -> dict[str, str]:
    """The digest of each file below."""
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*")) if path.is_file()}


def blob(layout: pathlib.Path, digest: str) -> bytes:
    content = (layout / "blobs/sha256" / digest.removeprefix("sha256:")).read_bytes()
    expect(hashlib.sha256(content).hexdigest(), digest.removeprefix("sha256:"), "a blob's digest")
    return content


def index_of(layout: pathlib.Path) -> tuple[str, dict]:
    """The image's digest and its nested index."""
    (top,) = json.loads((layout / "index.json").read_text(encoding="utf-8"))["manifests"]
    return top["digest"], json.loads(blob(layout, top["digest"]))


def members(archive: pathlib.Path) -> list[tarfile.TarInfo]:
    with tarfile.open(archive) as opened:
        return opened.getmembers()


def expect(found, expected, what: str) -> None:
    if found != expected:
        raise Failure(f"{what}: expected {expected!r}, got {found!r}")
