"""What keeping pushes costs, beside no file, the disk itself and the Go Pushgateway.

Pushes with every mode of --persistence.sync and without a file; start and stop; bytes written for a
push; the longest wait of a request while snapshots are written. Files go to the folder in the options:
its disk is what is measured.
"""

import contextlib
import dataclasses
import os
import pathlib
import re
import signal
import statistics
import tempfile
import threading
import time

import servers
from servers import harness

CONNECTIONS = 64
ROUND_GROUPS = 1_000
SYNC_MODES = ("always", "interval", "off")


@dataclasses.dataclass(frozen=True)
class Sizes:
    rounds: int = 5
    seconds: float = 2
    start_groups: tuple[int, ...] = (10_000, 100_000)
    starts: int = 5
    syncs: int = 300
    pushes: int = 2_000
    pause_groups: int = 100_000
    pause_seconds: float = 5
    pause_runs: int = 1

    @staticmethod
    def smoke() -> "Sizes":
        return Sizes(rounds=1, seconds=0.2, start_groups=(100,), starts=1, syncs=10, pushes=20, pause_groups=500,
                     pause_seconds=1.5)


def flags(folder, mode: str, *more: str) -> list[str]:
    return [] if mode == "none" else [f"--persistence.file={folder}/data", f"--persistence.sync={mode}", *more]


@contextlib.contextmanager
def folder_in(parent):
    with tempfile.TemporaryDirectory(prefix="pgw-bench-", dir=parent) as folder:
        yield folder


class Appender:
    """Appends about as much as a push does, and syncs, again and again beside whatever else goes on."""

    def __init__(self, folder):
        self._file = os.open(f"{folder}/appended", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._append_on)
        self.spans: list[float] = []

    def append(self) -> None:
        begin = time.perf_counter()
        os.write(self._file, b"x" * 300)
        os.fdatasync(self._file)
        self.spans.append((time.perf_counter() - begin) * 1000)

    def _append_on(self) -> None:
        while not self._stop.is_set():
            self.append()
            self._stop.wait(0.005)

    def __enter__(self) -> "Appender":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.close()

    def close(self) -> None:
        os.close(self._file)

    def percentile(self, share: float) -> float:
        return sorted(self.spans)[min(len(self.spans) - 1, int(len(self.spans) * share))]


def disk_sync_ms(folder, times: int) -> float:
    with folder_in(folder) as inner:
        appender = Appender(inner)
        for _ in range(times):
            appender.append()
        appender.close()
    return appender.percentile(0.5)


def push_rates(options, sizes: Sizes) -> dict:
    """Pushes/s by mode, in turns; ratios to no file, round by round."""
    rates: dict = {"none": []} | {mode: [] for mode in SYNC_MODES}
    with contextlib.ExitStack() as stack:
        running = {}
        for mode in rates:
            folder = stack.enter_context(folder_in(options.folder))
            running[mode] = stack.enter_context(harness.Server(options.ours, flags(folder, mode)))
            servers.fill(running[mode], ROUND_GROUPS)
        for _ in range(sizes.rounds):
            for mode, server in running.items():
                rates[mode].append(servers.push(options.load, server, ROUND_GROUPS, sizes.seconds,
                                                connections=CONNECTIONS).per_second)
    return {mode: statistics.median(found) for mode, found in rates.items()} | {
        "connections": CONNECTIONS, "groups": ROUND_GROUPS,
        "ratios": {mode: servers.median_ratio(rates[mode], rates["none"]) for mode in SYNC_MODES}}


def stop_ms(server: harness.Server) -> float:
    begin = time.perf_counter()
    server.signal(signal.SIGTERM)
    server.wait()
    return (time.perf_counter() - begin) * 1000


def snapshot_covers_all(server: harness.Server) -> bool:
    """The journal is empty but for its header and the record of the session."""
    return float(re.search(r"^pushgateway_persistence_journal_bytes (\S+)", server.scrape(), re.M).group(1)) < 1_000


def start_and_stop(options, sizes: Sizes, rows: dict) -> None:
    for groups in sizes.start_groups:
        row = rows[f"kept start {groups}"] = {}
        with folder_in(options.folder) as folder:
            with harness.Server(options.ours, flags(folder, "interval", "--persistence.interval=1s")) as server:
                servers.fill(server, groups)
                harness.wait_for(lambda server=server: snapshot_covers_all(server), 60, "no snapshot was written")
                row["ours_stop"] = stop_ms(server)
            row["ours"] = statistics.median(servers.start(options.ours, flags(folder, "interval"))[0]
                                            for _ in range(sizes.starts))
    if not options.go:
        return
    groups = sizes.start_groups[0]
    row = rows[f"kept start {groups}"]
    with folder_in(options.folder) as folder:
        file = f"--persistence.file={folder}/data"
        with harness.Server(options.go.program, [file, "--push.disable-consistency-check"]) as server:
            servers.fill(server, groups)
            time.sleep(1)
            row["go_stop"] = stop_ms(server)
        row["go"] = statistics.median(servers.start(options.go.program, [file])[0] for _ in range(sizes.starts))


def bytes_per_push(options, sizes: Sizes) -> dict:
    """What one push hands to write(), of files alone: sockets are not counted by the kernel here."""
    body = b'pgw_load{n="0",text="%s"} %d\n'
    text = b"t" * (1024 - len(body))

    def written(server) -> int:
        return int(re.search(r"wchar: (\d+)", pathlib.Path(f"/proc/{server.pid}/io").read_text()).group(1))

    with folder_in(options.folder) as folder, harness.Server(options.ours, flags(folder, "always")) as server:
        servers.fill(server, sizes.start_groups[0])
        before = written(server)
        with server.connect(60) as connection:
            for i in range(sizes.pushes):
                connection.send(harness.build_request("POST", servers.group_path(i), None, body % (text, 100_000 + i)))
                if connection.response("POST").status != 200:
                    raise harness.Failure("a push failed")
        return {"ours": (written(server) - before) / sizes.pushes, "body": len(body % (text, 100_000))}


def pause(options, sizes: Sizes, mode: str, folder, server) -> dict:
    """How long one client that pushes one after the other waits, while snapshots are written all the time."""
    row = {}
    with Appender(folder) if mode == "always" else contextlib.nullcontext() as appender:
        found = servers.push(options.load, server, sizes.pause_groups, sizes.pause_seconds, connections=1)
    row["p99_ms"], row["max_ms"] = found.p99_ms, found.max_ms
    if appender:
        row["bare_p99_ms"], row["bare_max_ms"] = appender.percentile(0.99), max(appender.spans)
    return row


def pauses(options, sizes: Sizes, rows: dict) -> None:
    """By mode, and without a file as what the machine does by itself; in turns, medians of the runs."""
    runs: dict = {mode: [] for mode in ("none", *SYNC_MODES)}
    with contextlib.ExitStack() as stack:
        turns = []
        for mode in runs:
            folder = stack.enter_context(folder_in(options.folder))
            server = stack.enter_context(harness.Server(options.ours, flags(folder, mode, "--persistence.interval=1s")))
            servers.fill(server, sizes.pause_groups)
            turns.append((mode, folder, server))
        for _, _, server in turns:
            servers.settle(server)
        for _ in range(sizes.pause_runs):
            for mode, folder, server in turns:
                runs[mode].append(pause(options, sizes, mode, folder, server))
    for mode, found in runs.items():
        rows[f"kept pause {mode}"] = {"groups": sizes.pause_groups, "count": len(found)} | {
            name: statistics.median(run[name] for run in found) for name in found[0]}


def measure(options, rows: dict) -> None:
    sizes = options.sizes.kept
    rows["kept sync"] = {"disk": disk_sync_ms(options.folder, sizes.syncs)}
    rows["kept rates"] = push_rates(options, sizes)
    start_and_stop(options, sizes, rows)
    rows["kept bytes"] = bytes_per_push(options, sizes)
    pauses(options, sizes, rows)
