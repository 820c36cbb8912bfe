#!/usr/bin/env python3
"""--persistence.file of the real program: nothing acknowledged is lost.

    persistence.py --program build/dev/server/pushgateway --kills 3 [--only kills,full,…]

kills     kill -9 under load, again and again: each start shows every acknowledged push
deadlines what a restart does to deadlines
full      a file system that is full, and then is not (needs the right to mount one)
small     a disk that the journal alone would fill: it does not (needs the right to mount one)
moved     files that are moved away under the server: refused until it can write them anew
broken    a disk whose sync fails (a preloaded library), and then does not
refusals  damage, a second process, a folder that is not there: exit 1, files untouched, no new ones
touched   an empty file is an empty store
unlocked  a second process beside one whose lock was removed: exit 1, and the first goes on
repaired  a damaged journal, repaired: all but the damaged push is there, and the report says what is not
quiet     without the flag nothing is written; with it nothing while nothing happens
"""

import argparse
import contextlib
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

from harness import PATIENCE_SECONDS, SKIPPED, Failure, Server, wait_for

PUSHERS = 8

# fdatasync and fsync fail while the named file exists.
BROKEN_SYNC = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
static int broken(void) { const char* f = getenv("BROKEN_DISK"); return f && access(f, F_OK) == 0; }
int fdatasync(int fd) {
  if (broken()) { errno = EIO; return -1; }
  return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(fd);
}
int fsync(int fd) {
  if (broken()) { errno = EIO; return -1; }
  return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(fd);
}
"""


def flags(folder: pathlib.Path, *more: str) -> list[str]:
    return [f"--persistence.file={folder / 'kept'}", *more]


def values(server: Server) -> dict[str, int]:
    """The pushed samples of family `kept`, by job."""
    return {job: int(float(value))
            for job, value in re.findall(r'^kept\{instance="",job="(\w+)"\} (\S+)$', server.scrape(), re.MULTILINE)}


def own(server: Server, name: str) -> float:
    found = re.search(rf"^pushgateway_persistence_{name} (\S+)$", server.scrape(), re.MULTILINE)
    if not found:
        raise Failure(f"no pushgateway_persistence_{name}")
    return float(found.group(1))


def push(server: Server, job: str, value: int, method: str = "PUT"):
    return server.request(method, f"/metrics/job/{job}", body=b"kept %d\n" % value)


class Pusher(threading.Thread):
    """Pushes rising values to a group of its own until the server is gone. `acknowledged` is the last that
    was answered 200, `tried` the last that was sent."""

    def __init__(self, server: Server, job: str, value: int):
        super().__init__(daemon=True)
        self.server, self.job = server, job
        self.acknowledged = self.tried = value

    def run(self) -> None:
        with contextlib.suppress(OSError, Failure):
            with self.server.connect() as connection:
                while True:
                    self.tried += 1
                    body = b"kept %d\n" % self.tried
                    connection.send(b"PUT /metrics/job/%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s"
                                    % (self.job.encode(), len(body), body))
                    answer = connection.response("PUT")
                    if answer.status != 200:
                        raise Failure(f"push answered {answer.status}: {answer.text}")
                    self.acknowledged = self.tried


def kills(program: str, folder: pathlib.Path, count: int) -> str:
    pushed = {f"job{i}": 0 for i in range(PUSHERS)}
    tried = dict(pushed)
    total = 0
    for run in range(count + 1):
        # Snapshots as often as they can be, so that some kills meet one.
        mode = ("always", "interval", "off")[run % 3]
        with Server(program, flags(folder, "--persistence.interval=1s", f"--persistence.sync={mode}")) as server:
            shown = values(server)
            for job, value in pushed.items():
                if not value <= shown.get(job, 0) <= tried[job]:
                    raise Failure(f"start {run}: {job} shows {shown.get(job)}, acknowledged was {value} of {tried[job]}")
            pushers = [Pusher(server, job, shown.get(job, 0)) for job in pushed]
            for pusher in pushers:
                pusher.start()
            time.sleep(0.3 + 0.37 * (run % 4))
            server.signal(signal.SIGKILL)
            server.wait()
            for pusher in pushers:
                pusher.join(PATIENCE_SECONDS)
                total += pusher.acknowledged - pushed[pusher.job]
                pushed[pusher.job], tried[pusher.job] = pusher.acknowledged, pusher.tried
    return f"{count} kills, {total} acknowledged pushes"


def deadlines(program: str, folder: pathlib.Path) -> str:
    ttl = "--metric.timetolive=4s"
    with Server(program, flags(folder, ttl)) as server:
        push(server, "old", 1)
        begin = time.monotonic()
        time.sleep(1)
        server.signal(signal.SIGKILL)
        server.wait()
    with Server(program, flags(folder, ttl)) as server:
        push(server, "young", 2)
        if values(server) != {"old": 1, "young": 2}:
            raise Failure(f"after a second of four: {values(server)}")
        if server.stop() != 0:
            raise Failure("it did not stop in order")
    time.sleep(max(0.0, begin + 4.05 - time.monotonic()))
    with Server(program, flags(folder, ttl)) as server:
        if values(server) != {"young": 2}:
            raise Failure(f"after the deadline: {values(server)}")
        server.request("DELETE", "/metrics/job/young")
        server.signal(signal.SIGKILL)
        server.wait()
    with Server(program, flags(folder, ttl)) as server:
        if values(server):
            raise Failure(f"deleted, and back: {values(server)}")
    return "kept to the moment"


def expect_outage(server: Server, break_it, mend_it, reason: str) -> None:
    """Pushes are refused with the reason and change nothing, readers are served, and all is well again
    without help once the disk is."""
    if push(server, "before", 1).status != 200:
        raise Failure("not even the first push worked")
    break_it()
    answer = push(server, "during", 1)
    if answer.status != 503 or reason not in answer.text:
        raise Failure(f"push answered {answer.status}: {answer.text}")
    if server.request("DELETE", "/metrics/job/before").status != 503:
        raise Failure("a delete was answered")
    if server.request("GET", "/-/ready").status != 503 or server.request("GET", "/-/healthy").status != 200:
        raise Failure("/-/ready or /-/healthy does not tell")
    if values(server) != {"before": 1}:
        raise Failure(f"it shows {values(server)}")
    if own(server, "failing") != 1 or own(server, "errors_total") < 1:
        raise Failure("no metric tells")
    mend_it()
    wait_for(lambda: server.request("GET", "/-/ready").status == 200, PATIENCE_SECONDS,
             "it does not get ready again")
    if push(server, "after", 1).status != 200 or own(server, "failing") != 0:
        raise Failure("it does not work again")
    failures = [line for line in server.log if "persistence fails" in line]
    if len(failures) != 1 or not any("works again" in line for line in server.log):
        raise Failure(f"the log says: {server.log}")


class CannotMount(Exception):
    """Says why."""


@contextlib.contextmanager
def small_disk(disk: pathlib.Path, size: str):
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", disk],
                             capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        raise CannotMount(mounted.stderr.strip())
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", disk], check=False)


def full(program: str, folder: pathlib.Path) -> str:
    with small_disk(folder / "disk", "256k") as disk:
        ballast = disk / "ballast"

        def fill() -> None:
            with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
                while True:
                    file.write(b"x" * 4096)

        with Server(program, flags(disk)) as server:
            push(server, "before", 1)

            def fill_up() -> None:
                fill()
                # Until the last page of the journal is full as well.
                for _ in range(4096):
                    if push(server, "before", 1).status == 503:
                        return
                raise Failure("the disk never gets full")

            expect_outage(server, fill_up, ballast.unlink, "No space left on device")
            server.signal(signal.SIGKILL)
            server.wait()
        with Server(program, flags(disk)) as server:
            if values(server) != {"before": 1, "after": 1}:
                raise Failure(f"after the restart: {values(server)}")
    return "refused, and resumed by itself"


def small(program: str, folder: pathlib.Path) -> str:
    pushes = 1_000
    with small_disk(folder / "small", "4m") as disk:
        with Server(program, flags(disk)) as server:
            for i in range(1, pushes + 1):
                body = b'kept %d\nballast{l="%s"} %d\n' % (i, b"x" * 20_000, i)
                answer = server.request("PUT", "/metrics/job/only", body=body)
                if answer.status != 200:
                    raise Failure(f"push {i} answered {answer.status}: {answer.text}")
            server.signal(signal.SIGKILL)
            server.wait()
        with Server(program, flags(disk)) as server:
            if values(server) != {"only": pushes}:
                raise Failure(f"after the restart: {values(server)}")
    return f"{pushes} pushes, 20 MB, through 4 MB"


def moved(program: str, folder: pathlib.Path) -> str:
    place, away = folder / "moved", folder / "away"
    place.mkdir()

    def take_away() -> None:
        place.rename(away)
        # It is looked for once a second.
        wait_for(lambda: push(server, "before", 1).status == 503, PATIENCE_SECONDS, "pushes are still taken")

    with Server(program, flags(place)) as server:
        expect_outage(server, take_away, lambda: away.rename(place), "not there any more")
        (place / "kept.journal").unlink()
        # That heals so fast that nobody need see a refusal.
        wait_for(lambda: push(server, "again", 1).status == 200 and (place / "kept.journal").exists(),
                 PATIENCE_SECONDS, "the journal does not come back")
        server.signal(signal.SIGKILL)
        server.wait()
    with Server(program, flags(place)) as server:
        if values(server) != {"before": 1, "after": 1, "again": 1}:
            raise Failure(f"after the restart: {values(server)}")
        place.rename(away)
        server.signal(signal.SIGTERM)
        if server.wait() == 0:
            raise Failure("it ends as if all were well, with its files gone")
    return "noticed, and written anew"


def broken(program: str, folder: pathlib.Path) -> str:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    linked = subprocess.run(["readelf", "-l", program], capture_output=True, text=True, check=False).stdout
    if not compiler or "INTERP" not in linked:
        return "skipped: no compiler, or a static program"
    source, library, flag = folder / "broken.c", folder / "broken.so", folder / "broken"
    source.write_text(BROKEN_SYNC, encoding="ascii")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    wrapper = folder / "program"
    wrapper.write_text(f'#!/bin/sh\nBROKEN_DISK={flag} LD_PRELOAD={library} exec {program} "$@"\n', encoding="ascii")
    wrapper.chmod(0o755)
    with Server(wrapper, flags(folder)) as server:
        expect_outage(server, flag.touch, flag.unlink, "Input/output error")
        server.signal(signal.SIGKILL)
        server.wait()
    with Server(program, flags(folder)) as server:
        if values(server) != {"before": 1, "after": 1}:
            raise Failure(f"after the restart: {values(server)}")
    return "refused, and resumed by itself"


def expect_no_start(program: str, file: pathlib.Path, text: str, *more: str) -> None:
    done = subprocess.run([program, "--web.listen-address=127.0.0.1:0", f"--persistence.file={file}", *more],
                          capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    if done.returncode != 1 or text not in done.stderr:
        raise Failure(f"exit {done.returncode}, and no {text!r} in:\n{done.stderr}")


def run_tool(program: str, *arguments, exit_code: int, text: str) -> None:
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, timeout=PATIENCE_SECONDS,
                          check=False)
    if done.returncode != exit_code or text not in done.stdout + done.stderr:
        raise Failure(f"{arguments[0]}: exit {done.returncode}, and no {text!r} in:\n{done.stdout}{done.stderr}")


def refusals(program: str, folder: pathlib.Path) -> str:
    kept = folder / "kept"
    expect_no_start(program, folder / "nowhere" / "kept", "nowhere")
    refusals_leave_nothing(program, folder / "fresh")
    with Server(program, flags(folder)) as server:
        for i in range(20):
            push(server, f"job{i}", i)
        expect_no_start(program, kept, f"held by process {server.pid}")
        server.signal(signal.SIGKILL)
        server.wait()
    journal = folder / "kept.journal"
    sound = journal.read_bytes()
    # A torn tail is cut off.
    journal.write_bytes(sound + b"PGJF torn")
    with Server(program, flags(folder)) as server:
        if len(values(server)) != 20 or not any("bytes=9" in line for line in server.log):
            raise Failure(f"after a torn tail: {server.log}")
    # Damage in the middle is not.
    closed = journal.read_bytes()
    damaged = bytearray(closed)
    damaged[len(sound) // 2] ^= 1
    journal.write_bytes(damaged)
    expect_no_start(program, kept, str(journal))
    if journal.read_bytes() != damaged:
        raise Failure("a damaged file was changed")
    kept.write_bytes(b"something else entirely")
    journal.unlink()
    expect_no_start(program, kept, str(kept))
    return "named, and nothing touched"


def refusals_leave_nothing(program: str, folder: pathlib.Path) -> None:
    """A start that is refused, for whatever reason, leaves the folder as it was: no lock, no journal."""
    def expect_left(*names: str) -> None:
        found = sorted(path.name for path in folder.iterdir())
        if found != sorted(names):
            raise Failure(f"a refused start leaves {found}, not {sorted(names)}")

    folder.mkdir()
    kept = folder / "kept"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        expect_no_start(program, kept, "address already in use", f"--web.listen-address=127.0.0.1:{taken.getsockname()[1]}")
    expect_left()
    expect_no_start(program, kept, "no socket activation file descriptors found", "--web.systemd-socket")
    expect_left()
    for content in (b"something else entirely", b"PGWSNAP", b"\0" * 200):
        kept.write_bytes(content)
        expect_no_start(program, kept, str(kept))
        expect_left("kept")
    kept.unlink()
    kept.mkdir()
    expect_no_start(program, kept, "not a regular file")
    expect_left("kept")
    kept.rmdir()
    (folder / "kept.journal").write_bytes(b"no journal")
    expect_no_start(program, kept, "kept.journal")
    expect_left("kept.journal")


def touched(program: str, folder: pathlib.Path) -> str:
    """An empty file where nothing has been stored is an empty store, for the server and for the tools."""
    kept = folder / "kept"
    kept.touch()
    kept.chmod(0o640)
    run_tool(program, "check", kept, exit_code=0, text="empty")
    run_tool(program, "export", kept, folder / "gob", exit_code=0, text="0 groups")
    run_tool(program, "repair", kept, folder / "new", exit_code=0, text="nothing has been stored yet")
    with Server(program, flags(folder)) as server:
        push(server, "first", 1)
        server.signal(signal.SIGKILL)
        server.wait()
    with Server(program, flags(folder, "--persistence.interval=1s")) as server:
        wait_for(lambda: kept.stat().st_size > 0, PATIENCE_SECONDS, "no snapshot comes")
        if values(server) != {"first": 1}:
            raise Failure(f"after the restart: {values(server)}")
    if kept.stat().st_mode & 0o777 != 0o640:
        raise Failure(f"its mode became {kept.stat().st_mode:o}")
    # One that a snapshot was in, with a journal that goes on behind it, is no empty store.
    kept.write_bytes(b"")
    expect_no_start(program, kept, "record 1 is missing and there is no snapshot")
    return "an empty store, with its mode"


def unlocked(program: str, folder: pathlib.Path) -> str:
    kept, lock = folder / "kept", folder / "kept.lock"
    held = f"{folder / 'kept.journal'}: held by another process, though {lock} is not"
    with Server(program, flags(folder, "--persistence.interval=1s")) as server:
        push(server, "before", 1)
        lock.unlink()
        expect_no_start(program, kept, held)
        if lock.exists():
            raise Failure(f"a refused start leaves {lock}")
        run_tool(program, "export", kept, folder / "out", exit_code=1, text=held)
        # The snapshot brings a new journal.
        wait_for(lambda: push(server, "during", 1).status == 200 and own(server, "snapshots_total") >= 2,
                 PATIENCE_SECONDS, "no snapshot comes")
        lock.unlink(missing_ok=True)
        expect_no_start(program, kept, "held by ")

        def has_it_again() -> bool:
            if push(server, "after", 1).status != 200:
                raise Failure("a push was refused")
            return lock.exists() and lock.read_text().strip() == str(server.pid)

        wait_for(has_it_again, PATIENCE_SECONDS, "it does not lock its files again")
        expect_no_start(program, kept, f"held by process {server.pid}")
        server.signal(signal.SIGKILL)
        server.wait()
    with Server(program, flags(folder)) as server:
        if values(server) != {"before": 1, "during": 1, "after": 1}:
            raise Failure(f"after the restart: {values(server)}")
    return "refused, and the first goes on"


def repaired(program: str, folder: pathlib.Path) -> str:
    kept, journal = folder / "kept", folder / "kept.journal"
    with Server(program, flags(folder)) as server:
        if server.stop() != 0:
            raise Failure("it did not stop in order")
    run_tool(program, "check", kept, exit_code=0, text="sound")
    run_tool(program, "repair", kept, folder / "empty", exit_code=0, text="nothing has been stored yet")
    # Two sessions, with a hole across the end of the first and the beginning of the second.
    for first in (0, 10):
        with Server(program, flags(folder, "--metric.timetolive=1h")) as server:
            for i in range(first, first + 10):
                push(server, f"job{i}", i)
            server.signal(signal.SIGKILL)
            server.wait()
    damaged = bytearray(journal.read_bytes())
    for lost in (b"job9", b"job10"):
        damaged[damaged.index(lost)] ^= 1
    journal.write_bytes(damaged)
    run_tool(program, "check", kept, exit_code=1, text="damaged at offset")
    # A session, nine pushes, the damaged one, a session with a damaged push.
    run_tool(program, "repair", kept, folder / "out", exit_code=2, text="records 11 to 13 are missing")
    run_tool(program, "check", folder / "out", exit_code=0, text="18 groups in all")
    with Server(program, [f"--persistence.file={folder / 'out'}", "--metric.timetolive=1h"]) as server:
        expected = {f"job{i}": i for i in range(20) if i not in (9, 10)}
        if values(server) != expected:
            raise Failure(f"repaired: {values(server)}")
    return "all but what was damaged"


def quiet(program: str, folder: pathlib.Path) -> str:
    with Server(program, [], folder=folder) as server:
        push(server, "job", 1)
        if list(folder.iterdir()):
            raise Failure(f"without the flag it wrote {list(folder.iterdir())}")
    with Server(program, ["--persistence.sync=off"], folder=folder) as server:
        if sum("--persistence.sync has no effect" in line for line in server.log) != 1:
            raise Failure(f"a sync mode without a file: {server.log}")
    with Server(program, flags(folder, "--persistence.interval=1s")) as server:
        push(server, "job", 1)
        wait_for(lambda: own(server, "snapshots_total") >= 1, PATIENCE_SECONDS, "no snapshot comes")

        def written() -> int:
            return int(re.search(r"write_bytes: (\d+)", pathlib.Path(f"/proc/{server.pid}/io").read_text()).group(1))

        before = written(), sorted((p.name, p.stat().st_mtime_ns) for p in folder.iterdir())
        time.sleep(2.5)
        after = written(), sorted((p.name, p.stat().st_mtime_ns) for p in folder.iterdir())
        if before != after:
            raise Failure(f"an idle server wrote: {before} {after}")
    return "writes only what changes"


PARTS = {"kills": kills, "deadlines": deadlines, "full": full, "small": small, "moved": moved, "broken": broken,
         "refusals": refusals, "touched": touched, "unlocked": unlocked, "repaired": repaired,
         "quiet": quiet}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--only", default=",".join(PARTS))
    options = parser.parse_args()
    program = str(pathlib.Path(options.program).resolve())
    status = 0
    for name in options.only.split(","):
        with tempfile.TemporaryDirectory(prefix="pgw-e2e-") as folder:
            extra = (options.kills,) if name == "kills" else ()
            try:
                told = PARTS[name](program, pathlib.Path(folder), *extra)
            except CannotMount as reason:
                told = f"skipped: {reason}"
            except Failure as failure:
                print(f"{name}: FAILED: {failure}")
                status = 1
                continue
            print(f"{name}: {told}")
            if told.startswith("skipped") and options.only == name:
                status = SKIPPED
    return status


if __name__ == "__main__":
    sys.exit(main())
