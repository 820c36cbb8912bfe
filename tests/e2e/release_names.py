#!/usr/bin/env python3
"""Host names where flags take them, in a root that is as empty as a scratch image.

    release_names.py build/bin/amd64/pushgateway build/bin/arm/pushgateway …

glibc is linked statically and no NSS library is there: `localhost`, a name of /etc/hosts and one
that only a name server knows have to work for listening and for --healthcheck, and an unknown name
has to be an error that says so. Everything happens in a network namespace with nothing but a
loopback device, in which this script answers on port 53. Skipped where namespaces are forbidden.
"""

import argparse
import fcntl
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading

from harness import Failure, Server, Tally, add_report_option
from release_smoke import HOST, Elf

HOSTS_NAME = "gateway.hosts.example"
DNS_NAME = "gateway.dns.example"

SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
TYPE_A = 1


def raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack("16sH14x", fcntl.ioctl(any_socket, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | IFF_UP))


def answer(query: bytes) -> bytes:
    """A name server's answer: DNS_NAME has one IPv4 address, nothing else exists."""
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode())
        at += 1 + query[at]
    question = query[12:at + 5]
    known = ".".join(labels).lower() == DNS_NAME
    wants_a = struct.unpack_from("!H", query, at + 1)[0] == TYPE_A
    record = struct.pack("!HHHIH4s", 0xC00C, TYPE_A, 1, 60, 4, socket.inet_aton("127.0.0.1")) if known and wants_a else b""
    code = 0x8180 if known else 0x8183
    return query[:2] + struct.pack("!HHHHH", code, 1, 1 if record else 0, 0, 0) + question + record


def serve_names(server: socket.socket) -> None:
    while True:
        query, client = server.recvfrom(512)
        server.sendto(answer(query), client)


class Root:
    """An empty root folder with the program in it."""

    def __init__(self, folder: pathlib.Path, program: pathlib.Path):
        elf = Elf(program)
        self.name = elf.qemu
        for part in ("bin", "etc", "tmp"):
            (folder / part).mkdir()
        shutil.copy(program, folder / "bin/pushgateway")
        (folder / "etc/hosts").write_text(f"127.0.0.1 localhost {HOSTS_NAME}\n", encoding="utf-8")
        (folder / "etc/resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:2 attempts:2\n", encoding="utf-8")
        self.command = ["chroot", str(folder), "/bin/pushgateway"]
        if elf.qemu != HOST:
            qemu = shutil.which(f"qemu-{elf.qemu}-static")
            if not qemu:
                raise Failure(f"qemu-{elf.qemu}-static is missing: apt-get install qemu-user-static")
            shutil.copy(qemu, folder / "bin/qemu")
            self.command.insert(2, "/bin/qemu")
        self.script = folder / "tmp/pushgateway"
        self.script.write_text(f'#!/bin/sh\nexec {" ".join(self.command)} "$@"\n', encoding="utf-8")
        self.script.chmod(0o755)

    def health(self, address: str) -> subprocess.CompletedProcess:
        return subprocess.run([*self.command, "--healthcheck", f"--web.listen-address={address}"], capture_output=True,
                              text=True, timeout=60, check=False)


def check_name(root: Root, name: str) -> None:
    with Server(root.script, listen=f"{name}:0") as server:
        done = root.health(f"{name}:{server.port}")
        if done.returncode != 0:
            raise Failure(f"--healthcheck: {done.stdout}{done.stderr}")


def check_unknown(root: Root) -> None:
    done = subprocess.run([*root.command, "--web.listen-address=nowhere.example:0"], capture_output=True, text=True,
                          timeout=60, check=False)
    if done.returncode == 0 or "nowhere.example" not in done.stdout + done.stderr:
        raise Failure(f"exit code {done.returncode}: {done.stdout}{done.stderr}")


def inside(programs: list[pathlib.Path], report: pathlib.Path | None) -> int:
    raise_loopback()
    tally = Tally()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 53))
        threading.Thread(target=serve_names, args=(server,), daemon=True).start()
        for program in programs:
            with tempfile.TemporaryDirectory(prefix="pgw-names-") as folder:
                root = Root(pathlib.Path(folder), program)
                for name in ("localhost", HOSTS_NAME, DNS_NAME):
                    tally.check(f"{root.name}: {name}", check_name, root, name)
                tally.check(f"{root.name}: an unknown name", check_unknown, root)
        return tally.finish(report)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs", nargs="+", type=pathlib.Path)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    add_report_option(parser)
    arguments = parser.parse_args()
    if arguments.inside:
        return inside([program.resolve() for program in arguments.programs], arguments.report)
    namespaces = ["unshare", "--net", "--mount"] + (["--user", "--map-root-user"] if os.geteuid() else [])
    if subprocess.run([*namespaces, "true"], capture_output=True, check=False).returncode:
        tally = Tally()
        tally.skip("host names", "this machine gives us no network namespace")
        return tally.finish(arguments.report)
    report = ["--report", str(arguments.report)] if arguments.report else []
    return subprocess.run([*namespaces, sys.executable, "-B", __file__, "--inside", *report, *map(str, arguments.programs)],
                          check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
