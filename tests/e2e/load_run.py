#!/usr/bin/env python3
"""The load bench against the real server: every scenario in a tiny form.

    load_run.py --program build/dev/server/pushgateway --load build/dev/bench/load/pushgateway-load

Checks that it runs, what its JSON says, that it sees nothing expire early or late, and that its report is
one file. How fast anything was is not looked at.
"""

import argparse
import concurrent.futures
import html.parser
import json
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

import payloads
from harness import Failure, PATIENCE_SECONDS, Server, Tally, add_report_option

TTL = "--metric.timetolive=1s"
COMMON = ("--ttl=1s", "--duration=1s", "--warm-up=100ms", "--quiet")
SCENARIOS = {
    "steady": ("steady", "--groups=50", "--interval=250ms"),
    "steady, poisson, two threads": ("steady", "--groups=50", "--rate=300", "--arrivals=poisson", "--threads=2", "--seed=7",
                                     "--method=POST"),
    "steady, closed loop": ("steady", "--groups=50", "--rate=max", "--connections=4"),
    "churn": ("churn", "--rate=100"),
    "cliff": ("cliff", "--groups=10", "--rate=50", "--cliff-groups=20", "--cliff-series=500", "--duration=2500ms"),
    "herd": ("herd", "--connections=60", "--interval=400ms"),
    "scrape": ("scrape", "--groups=50", "--scrape-interval=100ms"),
    "slow": ("slow", "--groups=50", "--stalled=40"),
    "replay": ("replay", "--groups=4"),
}


def _exit_code(total: dict) -> int:
    """What the figures of one server come to."""
    expiry, cliff = total["expiry"], total.get("cliff") or {}
    if sum(expiry[kind] for kind in ("late", "early", "stale", "partial", "torn")) or \
            cliff.get("complete") and cliff["shown_after"]:
        return 2
    requests = [total[kind] for kind in ("push", "scrape_plain", "scrape_gzip", "watch")]
    bad = sum(sum(each["failures"].values()) + each["not_sent"] +
              sum(count for status, count in each["statuses"].items() if not status.startswith("2")) for each in requests)
    return 3 if bad + cliff.get("refused", 0) + cliff.get("failed", 0) else 0


class Run:
    """One run of the program, with what it left."""

    def __init__(self, program: pathlib.Path, arguments: list[str]):
        with tempfile.TemporaryDirectory(prefix="pgw-load-") as folder:
            files = [pathlib.Path(folder) / name for name in ("result.json", "report.html")]
            done = subprocess.run([program, *arguments, f"--json={files[0]}", f"--report={files[1]}"], check=False,
                                  capture_output=True, text=True, timeout=3 * PATIENCE_SECONDS)
            if done.returncode not in (0, 2, 3):
                raise Failure(f"{arguments} ended with {done.returncode}: {done.stderr}")
            self.text = done.stdout
            self.result = json.loads(files[0].read_text(encoding="utf-8"))
            self.exit_code = done.returncode
            expected = max(map(_exit_code, (target["total"] for target in self.result["targets"])),
                           key=(0, 3, 2).index)
            expect(done.returncode == expected, f"{arguments} ended with {done.returncode}, its figures say {expected}: {done.stdout}")
            self.page = files[1].read_text(encoding="utf-8")

    def total(self, target: int = 0) -> dict:
        return self.result["targets"][target]["total"]


class PageReader(html.parser.HTMLParser):
    """Finds what a page would load from elsewhere, and its data."""

    def __init__(self) -> None:
        super().__init__()
        self.foreign: list[str] = []
        self.data = ""
        self._in_data = False

    def handle_starttag(self, tag, attrs) -> None:
        self.foreign += [f"{tag} {name}" for name, _ in attrs if name in ("src", "href", "srcset", "action")]
        self._in_data = tag == "script" and ("type", "application/json") in attrs

    def handle_data(self, data) -> None:
        self.data += data if self._in_data else ""


def expect(condition: bool, what: str) -> None:
    if not condition:
        raise Failure(what)


def check_page(run: Run) -> None:
    reader = PageReader()
    reader.feed(run.page)
    expect(not reader.foreign, f"the report loads {reader.foreign}")
    expect(json.loads(reader.data) == run.result, "the report holds another result than the JSON")


def check_clean(total: dict) -> None:
    """Nothing failed, and what was shown was right."""
    expect(total["pushes"] > 0 and total["push"]["count"] > 0, f"no pushes: {total['push']}")
    for kind in ("push", "scrape_plain", "scrape_gzip", "watch"):
        expect(set(total[kind]["statuses"]) <= {"200"}, f"{kind}: {total[kind]['statuses']}")
        expect(not total[kind]["failures"], f"{kind}: {total[kind]['failures']}")
    expiry = total["expiry"]
    expect(expiry["scrapes"] > 0 and expiry["series_seen"] > 0, f"nothing was looked at: {expiry}")
    for violation in ("late", "early", "stale", "partial", "torn"):
        expect(expiry[violation] == 0, f"{violation}: {expiry}")


def check_particulars(name: str, total: dict) -> None:
    if name == "cliff":
        cliff = total["cliff"]
        expect(cliff["complete"] and cliff["series"] == 10_000, f"{cliff}")
        expect(cliff["shown_before"] == 10_000 and cliff["shown_after"] == 0 and cliff["scrapes_after"] > 0, f"{cliff}")
    else:
        expect(total["expiry"]["expired"] > 0, f"nothing expired: {total['expiry']}")
    if name == "scrape":
        expect(total["scrape_plain"]["count"] > 0 and total["scrape_gzip"]["count"] > 0, "no scrapes")
        expect(total["scrape_bytes_gzip"] < total["scrape_bytes_plain"], "gzip saves nothing")
    if name == "slow":
        expect(total["stalled"] == {"open": 40, "closed_by_server": 0, "failed": 0}, f"{total['stalled']}")
    if name in ("churn", "herd"):
        expect(total["connects"] >= total["push"]["count"], "pushes shared connections")


def check_scenario(options, name: str, words: tuple[str, ...], files: list[str]) -> None:
    with Server(options.program, [TTL]) as server:
        own = [*words[:1], *(files if words[0] == "replay" else []), *COMMON, *words[1:]]
        if name.startswith("cliff"):
            own.remove("--duration=1s")
        run = Run(options.load, [*own, f"--url=http://127.0.0.1:{server.port}", f"--pid={server.pid}"])
    total = run.total()
    check_clean(total)
    check_particulars(name, total)
    expect(total["process"]["rss_bytes_max"] > 0 and total["process"]["threads_max"] > 0, f"{total['process']}")
    expect(len(total_seconds(run)) >= 1, "no seconds")
    expect(run.result["options"]["loop"] == ("closed" if "closed" in name else "open"), "the loop is mislabelled")
    check_page(run)


def total_seconds(run: Run) -> list:
    return run.result["targets"][0]["rounds"][0]["seconds"]


def check_comparison(options) -> None:
    with Server(options.program, [TTL]) as first, Server(options.program, [TTL]) as second:
        run = Run(options.load, ["--groups=20", "--rate=100", "--ttl=1s", "--duration=300ms", "--warm-up=100ms", "--quiet",
                                 "--linger=0s", "--watch-interval=50ms", "--rounds=2",
                                 f"--url=http://127.0.0.1:{first.port}", "--name=a<b",
                                 f"--vs=http://127.0.0.1:{second.port}", "--name=other"])
    expect([target["name"] for target in run.result["targets"]] == ["a<b", "other"], "names")
    for index in (0, 1):
        expect(len(run.result["targets"][index]["rounds"]) == 2, "rounds")
        check_clean(run.total(index))
    ratio = run.result["targets"][1]["ratios_to_first"]["pushes_per_s"]
    expect(ratio["min"] <= ratio["median"] <= ratio["max"], f"{ratio}")
    check_page(run)


def check_violation_is_seen(options) -> None:
    """A server that keeps metrics longer than it was said to must be found out, else none of the above means much."""
    with Server(options.program, ["--metric.timetolive=1500ms"]) as server:
        run = Run(options.load, ["steady", "--groups=20", "--interval=250ms", *COMMON,
                                 f"--url=http://127.0.0.1:{server.port}"])
    late = run.total()["expiry"]
    expect(late["late"] >= 20 and 100 < late["late_max_ms"] <= 501, f"lateness was not seen: {late}")
    with Server(options.program, ["--metric.timetolive=500ms"]) as server:
        run = Run(options.load, ["churn", "--rate=100", *COMMON, f"--url=http://127.0.0.1:{server.port}"])
    expect(run.exit_code == 2, f"violations end it with {run.exit_code}")
    early = run.total()["expiry"]
    expect(early["early"] > 20 and 100 < early["early_max_ms"] <= 501, f"earliness was not seen: {early}")


def check_interrupt(options) -> None:
    """What was measured by then is still written."""
    with Server(options.program, [TTL]) as server, tempfile.TemporaryDirectory(prefix="pgw-load-") as folder:
        file = pathlib.Path(folder) / "result.json"
        process = subprocess.Popen([options.load, "--duration=1h", "--ttl=1s", "--warm-up=0s", f"--json={file}",
                                    f"--url=http://127.0.0.1:{server.port}"], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, text=True)
        line = ""
        while "pushes/s" not in line:  # the line of the first second
            line = process.stderr.readline()
            expect(bool(line), "it ended by itself")
        begin = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE_SECONDS)
        expect(process.returncode in (0, 3), f"exit code {process.returncode}")  # 3: a busy machine
        expect(time.monotonic() - begin < PATIENCE_SECONDS / 2, "it took its time")
        total = json.loads(file.read_text(encoding="utf-8"))["targets"][0]["total"]
        expect(total["interrupted"] and total["pushes"] > 0, "nothing was kept")


class BadServer:
    """Answers every request with the same bytes, or not at all, and closes."""

    def __init__(self, answer: bytes | None, reset: bool = False):
        self._answer, self._reset = answer, reset
        self._held: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection = self._listener.accept()[0]
                connection.recv(65536)
            except OSError:
                return
            if self._answer is None:
                self._held.append(connection)
                continue
            connection.sendall(self._answer)
            if self._reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()

    def __enter__(self) -> "BadServer":
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        for connection in self._held:
            connection.close()


def check_failures(options) -> None:
    """Each way of failing has its name, and none ends the run."""
    for kind, server in (
            ("malformed", BadServer(b"SSH-2.0-x\r\n")),
            ("closed", BadServer(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")),
            ("reset", BadServer(b"HTTP/1.1 200 OK\r\nContent-Le", reset=True)),
            ("timeout", BadServer(None)),
    ):
        with server:
            run = Run(options.load, [f"--url=http://127.0.0.1:{server.port}", "--duration=300ms", "--warm-up=0s", "--rate=50",
                                     "--groups=50", "--timeout=100ms", "--linger=0s", "--quiet"])
        failures = run.total()["push"]["failures"]
        expect(failures.get(kind, 0) > 0, f"{kind}: {failures}")
        expect(run.total()["pushes"] == 0, f"{kind}: pushes were accepted")
        expect(run.exit_code == 3, f"{kind}: failures end it with {run.exit_code}")


def check_refusals(options) -> None:
    for arguments, part in (
            (["--url=https://127.0.0.1"], "https is not measured"),
            (["--groups=0"], "--groups: expected a number"),
            (["--json=/no/such/folder/x"], "cannot write"),
            (["replay", "/no/such/file"], "cannot read"),
            (["--pid=2147483647"], "no such process"),
            (["--nonsense"], "unknown long flag"),
            (["--series=100000", "--connections=100000"], " of memory, and there are "),
    ):
        done = subprocess.run([options.load, *arguments], check=False, capture_output=True, text=True,
                              timeout=PATIENCE_SECONDS)
        expect(done.returncode == 1 and part in done.stderr and done.stderr.count("\n") == 1 and not done.stdout,
               f"{arguments}: {done}")
    # A server that is not there is a result, not a fault of the flags.
    run = Run(options.load, ["--url=http://127.0.0.1:1", "--duration=200ms", "--warm-up=0s", "--linger=0s", "--quiet"])
    expect(run.total()["push"]["failures"].get("refused", 0) > 0 and run.total()["pushes"] == 0, f"{run.total()}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="build/dev/server/pushgateway", type=pathlib.Path)
    parser.add_argument("--load", default="build/dev/bench/load/pushgateway-load", type=pathlib.Path)
    add_report_option(parser)
    options = parser.parse_args()
    options.program, options.load = options.program.resolve(), options.load.resolve()
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="pgw-load-") as folder:
        files = []
        for component in ("kube-scheduler", "etcd"):
            text = payloads.render(component, 1)
            path = pathlib.Path(folder) / f"{component}.prom"
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
            files.append(str(path))
        # Mostly waiting: side by side.
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for name, words in SCENARIOS.items():
                pool.submit(tally.check, name, check_scenario, options, name, words, files)
            pool.submit(tally.check, "two servers in rounds", check_comparison, options)
            pool.submit(tally.check, "early and late are seen", check_violation_is_seen, options)
            pool.submit(tally.check, "an interrupted run keeps what it has", check_interrupt, options)
            pool.submit(tally.check, "refusals", check_refusals, options)
            pool.submit(tally.check, "failures have names", check_failures, options)
    return tally.finish(options.report)


if __name__ == "__main__":
    sys.exit(main())
