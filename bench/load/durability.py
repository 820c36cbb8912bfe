#!/usr/bin/env python3
"""What keeping pushes costs, beside the Go Pushgateway and the disk itself, in one run.

    durability.py --ours build/release/server/pushgateway --peers build/peers [--folder DIR] [--json FILE]

Pushes with every mode of --persistence.sync and without a file; start and stop; bytes written for a
push; the longest wait of a request while snapshots are written. DIR is where the files go: its disk is
what is measured. Prints a table in Markdown.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import compare
import harness
import peers

CONNECTIONS = 64
ROUND_GROUPS = 1_000
ROUNDS = 5
START_GROUPS = (10_000, 100_000)
STARTS = 5
PUSHES = 2_000
PAUSE_GROUPS = 100_000
PAUSE_SECONDS = 8
SYNC_MODES = ("always", "interval", "off")
UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


def flags(folder, mode: str, *more: str) -> list[str]:
    return [f"--persistence.file={folder}/data", f"--persistence.sync={mode}", *more]


@contextlib.contextmanager
def folder_in(parent):
    with tempfile.TemporaryDirectory(prefix="pgw-bench-", dir=parent) as folder:
        yield folder


class Appender:
    """Appends about as much as a push does, and syncs, again and again beside whatever else goes on."""

    def __init__(self, folder):
        self._file = os.open(f"{folder}/appended", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        self.spans: list[float] = []

    def append(self) -> None:
        begin = time.perf_counter()
        os.write(self._file, b"x" * 300)
        os.fdatasync(self._file)
        self.spans.append((time.perf_counter() - begin) * 1000)

    def close(self) -> None:
        os.close(self._file)

    def percentile(self, share: float) -> float:
        return sorted(self.spans)[min(len(self.spans) - 1, int(len(self.spans) * share))]


def disk_sync_ms(folder) -> float:
    appender = Appender(folder)
    for _ in range(300):
        appender.append()
    appender.close()
    return appender.percentile(0.5)


def push_rates(options) -> dict:
    """Pushes/s by mode, in turns: all rounds of each."""
    rates: dict = {"none": []} | {mode: [] for mode in SYNC_MODES}
    with contextlib.ExitStack() as stack:
        servers = {}
        for mode in rates:
            folder = stack.enter_context(folder_in(options.folder))
            server = stack.enter_context(
                harness.Server(options.ours, [] if mode == "none" else flags(folder, mode)))
            compare.fill(server, ROUND_GROUPS)
            servers[mode] = server
        for _ in range(ROUNDS):
            for mode, server in servers.items():
                rates[mode].append(compare.pushes_per_second(server.port, ROUND_GROUPS, options.seconds,
                                                             CONNECTIONS))
    return rates


def stop_ms(server: harness.Server) -> float:
    begin = time.perf_counter()
    server.signal(signal.SIGTERM)
    server.wait()
    return (time.perf_counter() - begin) * 1000


def snapshot_covers_all(server: harness.Server) -> bool:
    """The journal is empty but for its header and the record of the session."""
    return float(re.search(r"^pushgateway_persistence_journal_bytes (\S+)", server.scrape(), re.M).group(1)) < 1_000


def start_and_stop(options, go) -> dict:
    found: dict = {"start": {}, "stop": {}, "go start": {}, "go stop": {}}
    for groups in START_GROUPS:
        with folder_in(options.folder) as folder:
            with harness.Server(options.ours, flags(folder, "interval", "--persistence.interval=1s")) as server:
                compare.fill(server, groups)
                harness.wait_for(lambda: snapshot_covers_all(server), 60, "no snapshot was written")
                found["stop"][groups] = stop_ms(server)
            spans = [compare.start_ms(options.ours, flags(folder, "interval"))[0] for _ in range(STARTS)]
            found["start"][groups] = statistics.median(spans)
    groups = START_GROUPS[0]
    with tempfile.TemporaryDirectory(prefix="pgw-bench-", dir=options.folder) as folder:
        file = f"--persistence.file={folder}/data"
        with harness.Server(go, [file, "--push.disable-consistency-check"]) as server:
            compare.fill(server, groups)
            time.sleep(1)
            found["go stop"][groups] = stop_ms(server)
        found["go start"][groups] = statistics.median(compare.start_ms(go, [file])[0] for _ in range(STARTS))
    return found


def bytes_per_push(options) -> tuple[float, int]:
    """What one push hands to write(), of files alone: sockets are not counted by the kernel here."""
    body = b'batch_metric_0{stage="load",text="%s"} %d\n'
    text = b"t" * (1024 - len(body))

    def written(server) -> int:
        return int(re.search(r"wchar: (\d+)", pathlib.Path(f"/proc/{server.pid}/io").read_text()).group(1))

    with folder_in(options.folder) as folder, harness.Server(options.ours, flags(folder, "always")) as server:
        compare.fill(server, START_GROUPS[0])
        before = written(server)
        with server.connect(60) as connection:
            for i in range(PUSHES):
                connection.send(harness.build_request(
                    "POST", f"/metrics/job/batch/instance/host-{i:07d}", None, body % (text, 100_000 + i)))
                if connection.response("POST").status != 200:
                    raise harness.Failure("a push failed")
        return (written(server) - before) / PUSHES, len(body % (text, 100_000))


def wait_ms(port: int, groups: int) -> tuple[float, float]:
    """Of a client that pushes one after the other: the 99th percentile and the longest."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(compare.WRK_SCRIPT.format(groups=groups))
        script.flush()
        output = subprocess.run(["wrk", "-t1", "-c1", f"-d{PAUSE_SECONDS}s", "--latency", "-s", script.name,
                                 f"http://127.0.0.1:{port}"], check=True, capture_output=True, text=True).stdout

    def span(pattern: str) -> float:
        value, unit = re.search(pattern, output).groups()
        return float(value) * UNITS[unit]

    return span(r"99%\s+([\d.]+)(us|ms|s)\b"), span(r"Latency\s+\S+\s+\S+\s+([\d.]+)(us|ms|s)\b")


def pauses(options) -> dict:
    """By mode: p99 and longest wait without snapshots and with one after the other."""
    found: dict = {}
    for mode in SYNC_MODES:
        with folder_in(options.folder) as folder, harness.Server(
                options.ours, flags(folder, mode, "--persistence.interval=1s")) as server:
            compare.fill(server, PAUSE_GROUPS)
            row = found[mode] = {}
            appender = Appender(folder)
            stop = threading.Event()

            def append_on(appender=appender, stop=stop):
                while not stop.is_set():
                    appender.append()
                    stop.wait(0.005)

            thread = threading.Thread(target=append_on) if mode == "always" else None
            if thread:
                thread.start()
            row["p99"], row["max"] = wait_ms(server.port, PAUSE_GROUPS)
            if thread:
                stop.set()
                thread.join()
                row["bare p99"], row["bare max"] = appender.percentile(0.99), max(appender.spans)
            appender.close()
            scrape = server.scrape()
            row["snapshots"] = float(re.search(r"^pushgateway_persistence_snapshots_total (\S+)", scrape, re.M).group(1))
    return found


def measure(options) -> dict:
    go = peers.get("pushgateway", options.peers)
    version = subprocess.run([options.ours, "--version"], capture_output=True, text=True, check=True).stdout
    result = {"versions": {"ours": re.search(r"version (\S+)", version).group(1), "go": go.version}}
    result["disk sync ms"] = disk_sync_ms(options.folder)
    result["rates"] = push_rates(options)
    result["starts"] = start_and_stop(options, go.program)
    result["bytes"], result["body"] = bytes_per_push(options)
    result["pauses"] = pauses(options)
    return result


def table(result: dict) -> str:
    versions, rates, starts = result["versions"], result["rates"], result["starts"]
    show = compare.number
    lines = [f"| | pushgateway-ttl {versions['ours']} | Go Pushgateway {versions['go']} |", "|---|---|---|",
             f"| pushes/s without a file, {CONNECTIONS} connections | {show(statistics.median(rates['none']))} | |"]
    for mode in SYNC_MODES:
        ratio = compare.median_ratio(rates[mode], rates["none"])
        lines.append(f"| with `--persistence.sync={mode}` | {show(statistics.median(rates[mode]))} ({ratio:.0%}) | |")
    lines.append(f"| the disk's own write and sync: ms | {result['disk sync ms']:.2f} | |")
    for groups in START_GROUPS:
        for what in ("start", "stop"):
            go = starts[f"go {what}"].get(groups)
            lines.append(f"| {what} with {groups:,} groups of 10: ms | {show(starts[what][groups])} | {show(go)} |")
    lines.append(f"| bytes written for a push of {result['body']:,} | {result['bytes']:,.0f} | the whole file |")
    for mode, row in result["pauses"].items():
        bare = f"; a bare appender beside it: {row['bare p99']:.2f}, {row['bare max']:.1f}" if "bare p99" in row else ""
        lines.append(f"| a push while {PAUSE_GROUPS:,} groups are written to a snapshot, `{mode}`: ms, p99 and longest | "
                     f"{row['p99']:.2f}, {row['max']:.1f}{bare} | |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ours", required=True, type=os.path.abspath)
    parser.add_argument("--peers", required=True, type=pathlib.Path)
    parser.add_argument("--folder", default="build", type=os.path.abspath)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    result = measure(options)
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    print(table(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
