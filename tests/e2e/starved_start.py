#!/usr/bin/env python3
"""Starts the server with hardly any descriptors, threads or memory: either it serves, or it says in one line why not.

    starved_start.py --program build/dev/server/pushgateway
"""

import argparse
import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys
import tempfile

from harness import PATIENCE_SECONDS, Connection, Failure, Tally, build_request

NOBODY = 65534
DESCRIPTORS = range(3, 24)
THREADS = range(1, 10)
ADDRESS_SPACE = range(2 * 2**20, 90 * 2**20, 2 * 2**20)
# The program is not ours before its libraries are loaded.
LOADER_CODE = 127


def limited(limit: int, value: int):
    def apply() -> None:
        resource.setrlimit(limit, (value, value))
        if limit == resource.RLIMIT_NPROC and os.getuid() == 0:
            os.setuid(NOBODY)  # root has as many as it likes
    return apply


def answers(said: bytes) -> bool:
    """Whether what says that it listens also serves."""
    port = int(re.search(rb"Listening on.*?address=\S*?:(\d+)", said).group(1))
    try:
        with Connection(port) as connection:
            connection.send(build_request("GET", "/-/healthy"))
            return connection.response().status == 200
    except (OSError, Failure):
        return False


def start(command: list[str], folder: pathlib.Path, limit: int, value: int) -> tuple[int, str]:
    """The exit code, 0 if it served, and what it said."""
    process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, preexec_fn=limited(limit, value))
    try:
        said = b""
        while b"TLS is disabled" not in said and (more := os.read(process.stderr.fileno(), 65536)):
            said += more
        if b"TLS is disabled" in said and answers(said):
            process.terminate()
        said += process.communicate(timeout=PATIENCE_SECONDS)[1]
    except subprocess.TimeoutExpired:
        raise Failure(f"with a limit of {value} it neither serves nor ends: {said}") from None
    finally:
        process.kill()
        process.wait()
    return process.returncode, said.decode("utf-8", "replace")


def check(program: pathlib.Path, flags: list[str], limit: int, values: range) -> None:
    served = refused = 0
    for value in values:
        with tempfile.TemporaryDirectory(prefix="pgw-e2e-") as name:
            folder = pathlib.Path(name)
            folder.chmod(0o777)
            copy = shutil.copy2(program, folder / "pushgateway")
            code, said = start([copy, "--web.listen-address=127.0.0.1:0", *flags], folder, limit, value)
        if code == 0:
            served += 1
            continue
        if code == LOADER_CODE or not said and code in (-9, -11):
            continue  # the kernel or the loader
        errors = [line for line in said.split("\n") if "level=error" in line or "error: " in line]
        if code != 1 or len(errors) != 1 or "terminate" in said:
            raise Failure(f"with a limit of {value} it ended with {code} and said:\n{said}")
        refused += 1
    print(f"  {served} served, {refused} refused, {len(values) - served - refused} not begun")
    if served == 0 or refused == 0:
        raise Failure(f"the limits do not cover both outcomes: {served} served, {refused} refused")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="build/dev/server/pushgateway")
    program = pathlib.Path(parser.parse_args().program).resolve()
    tally = Tally()
    for kind, flags in (("in memory", []), ("with a file", ["--persistence.file=metrics"])):
        for name, limit, values in (("descriptors", resource.RLIMIT_NOFILE, DESCRIPTORS),
                                    ("threads", resource.RLIMIT_NPROC, THREADS),
                                    ("memory", resource.RLIMIT_AS, ADDRESS_SPACE)):
            tally.check(f"starts {kind} with little room for {name} or says why not", check, program, flags, limit, values)
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
