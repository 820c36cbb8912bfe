#!/usr/bin/env python3
"""Runs release programs of any architecture: start, push a real payload, scrape, expire, SIGTERM.

    release_smoke.py build/bin/amd64/pushgateway build/bin/arm/pushgateway …

What is not this machine's runs under qemu-user-static, which the file's ELF header chooses. Also
says of each file whether it is what a scratch image needs: static, hardened, no build path inside.
"""

import argparse
import os
import pathlib
import platform
import shutil
import struct
import subprocess
import sys
import tempfile
import time

import payloads
from harness import Failure, Server, Tally, add_report_option, wait_for

# Emulated programs are slower by an order of magnitude.
TTL_SECONDS = 3.0

ET_EXEC, ET_DYN = 2, 3
PT_DYNAMIC, PT_INTERP, PT_GNU_STACK, PT_GNU_RELRO = 2, 3, 0x6474E551, 0x6474E552
PF_X = 1
# ELF machine -> (qemu's name, whether the program is position-independent)
MACHINES = {
    62: ("x86_64", True), 183: ("aarch64", True), 40: ("arm", False), 243: ("riscv64", True),
    21: ("ppc64le", False), 22: ("s390x", True),
}
HOST = {"x86_64": "x86_64", "aarch64": "aarch64"}.get(platform.machine(), platform.machine())


class Elf:
    """The few fields of an ELF file that the checks are about."""

    def __init__(self, path: pathlib.Path):
        self.data = path.read_bytes()
        if self.data[:4] != b"\x7fELF":
            raise Failure(f"{path} is not an ELF file")
        wide, order = self.data[4] == 2, "<" if self.data[5] == 1 else ">"
        self.type, self.machine = struct.unpack_from(order + "HH", self.data, 16)
        offset = struct.unpack_from(order + ("Q" if wide else "I"), self.data, 32 if wide else 28)[0]
        size, count = struct.unpack_from(order + "HH", self.data, 54 if wide else 42)
        self.segments: dict[int, int] = {}  # type -> flags
        for index in range(count):
            at = offset + index * size
            kind = struct.unpack_from(order + "I", self.data, at)[0]
            self.segments[kind] = struct.unpack_from(order + "I", self.data, at + (4 if wide else 24))[0]
        if self.machine not in MACHINES:
            raise Failure(f"{path}: unknown machine {self.machine}")
        self.qemu, self.independent = MACHINES[self.machine]


def check_file(path: pathlib.Path, elf: Elf, root: pathlib.Path) -> None:
    if PT_INTERP in elf.segments:
        raise Failure("asks for an interpreter: not static")
    if elf.type != (ET_DYN if elf.independent else ET_EXEC):
        raise Failure(f"ELF type {elf.type}, position-independent: {elf.independent}")
    if PT_GNU_RELRO not in elf.segments:
        raise Failure("no RELRO")
    if elf.segments.get(PT_GNU_STACK, PF_X) & PF_X:
        raise Failure("the stack is executable")
    if b"__stack_chk_fail" not in elf.data and b"stack smashing detected" not in elf.data:
        raise Failure("no stack protector")
    for needle in (str(root).encode(), b"build/sysroots", b"build/cross-"):
        if needle in elf.data:
            at = elf.data.index(needle)
            raise Failure(f"a build path is inside: {elf.data[max(0, at - 40):at + 80]!r}")


class Runner:
    """Starts a program, through qemu where it is another machine's."""

    def __init__(self, path: pathlib.Path, elf: Elf, folder: pathlib.Path):
        self.prefix: list[str] = []
        self.path = path
        if elf.qemu != HOST:
            qemu = shutil.which(f"qemu-{elf.qemu}-static")
            if not qemu:
                raise Failure(f"qemu-{elf.qemu}-static is missing: apt-get install qemu-user-static")
            self.prefix = [qemu]
        self.script = folder / "pushgateway"
        self.script.write_text(f'#!/bin/sh\nexec {" ".join(self.prefix)} "{path}" "$@"\n', encoding="utf-8")
        self.script.chmod(0o755)

    def run(self, *arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run([*self.prefix, self.path, *arguments], capture_output=True, text=True, timeout=60, check=False)


def check_life(runner: Runner) -> None:
    """One server from start to SIGTERM."""
    body = payloads.render("kube-scheduler", 1)
    probe = payloads.probe_name("kube-scheduler")
    with Server(runner.script, [f"--metric.timetolive={TTL_SECONDS:g}s"]) as server:
        begun = time.monotonic()
        answer = server.request("POST", "/metrics/job/kube-scheduler/instance/node-a", {"Transfer-Encoding": "chunked"}, body)
        if answer.status not in (200, 202):
            raise Failure(f"the push answered {answer.status}: {answer.text}")
        wanted = f'{probe}{{instance="node-a",job="kube-scheduler"}} '
        text = server.scrape()
        if wanted not in text and time.monotonic() - begun < TTL_SECONDS:
            raise Failure(f"no {wanted}in a scrape of {len(text)} bytes")
        if text.count('job="kube-scheduler"') < payloads.COMPONENTS["kube-scheduler"].samples // 2:
            raise Failure("most of the pushed samples are missing")
        wait_for(lambda: 'job="kube-scheduler"' not in server.scrape(), TTL_SECONDS + 20, "the group did not expire")
        if time.monotonic() - begun < TTL_SECONDS:
            raise Failure("the group expired too early")
        health = runner.run("--healthcheck", f"--web.listen-address=localhost:{server.port}")
        if health.returncode != 0:
            raise Failure(f"--healthcheck over the name localhost: {health.stderr}")
        code = server.stop()
        if code != 0:
            raise Failure(f"exit code {code} after SIGTERM:\n" + "\n".join(server.log))


# A listening socket as descriptor 3, blocking as systemd makes it unless told otherwise.
ACTIVATOR = """#!{python}
import os, socket, sys
with socket.create_server(("127.0.0.1", 0)) as listener:
    kept = os.dup(listener.fileno())
os.dup2(kept, 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv({script!r}, [{script!r}, *sys.argv[1:]])
"""


def check_activation(runner: Runner) -> None:
    """A socket of systemd's: one client after another, on every thread, and an end."""
    activator = runner.script.with_name("activator")
    activator.write_text(ACTIVATOR.format(python=sys.executable, script=str(runner.script)), encoding="utf-8")
    activator.chmod(0o755)
    with Server(activator, ["--web.systemd-socket"]) as server:
        for _ in range(2 * (os.cpu_count() or 1) + 2):
            status = server.request("GET", "/-/ready").status
            if status != 200:
                raise Failure(f"/-/ready answered {status}")
        code = server.stop()
        if code != 0:
            raise Failure(f"exit code {code} after SIGTERM:\n" + "\n".join(server.log))


def check_version(runner: Runner) -> None:
    done = runner.run("--version")
    if done.returncode != 0 or "revision" not in done.stdout + done.stderr:
        raise Failure(f"--version: {done.stdout}{done.stderr}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs", nargs="+", type=pathlib.Path)
    add_report_option(parser)
    arguments = parser.parse_args()
    root = pathlib.Path(__file__).resolve().parents[2]
    tally = Tally()
    for program in arguments.programs:
        path = program.resolve()
        try:
            elf = Elf(path)
        except (Failure, OSError, struct.error) as error:
            tally.fail(str(program), str(error))
            continue
        tally.check(f"{elf.qemu}: the file", check_file, path, elf, root)
        with tempfile.TemporaryDirectory(prefix="pgw-smoke-") as folder:
            try:
                runner = Runner(path, elf, pathlib.Path(folder))
            except Failure as failure:
                tally.fail(elf.qemu, str(failure))
                continue
            tally.check(f"{elf.qemu}: version", check_version, runner)
            tally.check(f"{elf.qemu}: socket activation", check_activation, runner)
            tally.check(f"{elf.qemu}: push, scrape, expire, health, SIGTERM", check_life, runner)
    return tally.finish(arguments.report)


if __name__ == "__main__":
    sys.exit(main())
