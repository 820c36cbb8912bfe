#!/usr/bin/env python3
"""The life our server is made for: a small cluster's components pushed through it to Prometheus.

Jobs push chunked, without a Content-Type, every second, with a time to live of three seconds, while
a real Prometheus scrapes every second with honor_labels. Prometheus is then asked what it saw:
every series of a job in every scrape while its pushes went on, none from its deadline on, stale
with the first scrape after it, and both bookkeeping metrics right throughout.

    k0s_run.py --program build/dev/server/pushgateway [--payloads DIR]

The payloads are generated (payloads.py); --payloads adds one job for each .prom file of a folder.
"""

import argparse
import dataclasses
import json
import pathlib
import subprocess
import sys
import threading
import time
import urllib.parse

import payloads
import peers
import scrapes
from harness import SKIPPED, Connection, Failure, Server, Tally, build_request, wait_for

TTL_SECONDS = 3.0
PUSH_SECONDS = 1.0
SCRAPE_SECONDS = 1.0
TICKS = 8
EARLY_TICKS = 4  # the job that stops first
# A scrape is stamped before it is sent; one stamped this close before a deadline says nothing.
BLUR_SECONDS = 0.5

INSTANCE = "controller-0"

CONFIG = """
global:
  scrape_interval: 1s
  scrape_timeout: 1s
scrape_configs:
  - job_name: pushgateway
    honor_labels: true
    static_configs:
      - targets: ["127.0.0.1:{port}"]
"""


@dataclasses.dataclass
class Job:
    name: str
    ticks: int
    body: object  # tick -> bytes
    probe: str = ""  # a counter that moves with the ticks
    series: int = 0  # it pushes
    failing_tick: int = -1  # before which a push is refused
    # Wall-clock times (sent, answered) of the pushes that were taken, and of the one refused.
    pushed: list[tuple[float, float]] = dataclasses.field(default_factory=list)
    refused: list[tuple[float, float]] = dataclasses.field(default_factory=list)

    @property
    def selector(self) -> str:
        return f'{{job="{self.name}",instance="{INSTANCE}"}}'


def make_jobs(folder: str) -> list[Job]:
    jobs = []
    for name in payloads.COMPONENTS:
        early = name == "etcd"
        jobs.append(Job(name, EARLY_TICKS if early else TICKS, lambda tick, name=name: payloads.render(name, tick),
                        payloads.probe_name(name), failing_tick=2 if early else -1))
    for path in sorted(pathlib.Path(folder).glob("*.prom")) if folder else ():
        content = path.read_bytes()
        jobs.append(Job(f"captured-{path.stem}", TICKS, lambda tick, content=content: content))
    for job in jobs:
        job.series = len(scrapes.samples(job.body(0).decode()))
    return jobs


class Pusher(threading.Thread):
    """One component: pushes its job once a second on a connection it keeps."""

    def __init__(self, server: Server, job: Job, start: float):
        super().__init__(daemon=True)
        self.server, self.job, self.begin = server, job, start
        self.error = ""

    def run(self) -> None:
        try:
            with self.server.connect() as connection:
                for tick in range(self.job.ticks):
                    body = self.job.body(tick)
                    time.sleep(max(0.0, self.begin + tick * PUSH_SECONDS - time.time()))
                    if tick == self.job.failing_tick:
                        self.job.refused.append(self._push(connection, b"refused 1 1000\n", 400))
                    self.job.pushed.append(self._push(connection, body, 200))
        except Exception as error:  # pylint: disable=broad-exception-caught
            self.error = f"{self.job.name}: {type(error).__name__}: {error}"

    def _push(self, connection: Connection, body: bytes, status: int) -> tuple[float, float]:
        headers = {"Transfer-Encoding": "chunked", "User-Agent": "k0s", "X-Forwarded-For": "10.0.0.1"}
        request = build_request("POST", f"/metrics/job/{self.job.name}/instance/{INSTANCE}", headers, body)
        sent = time.time()
        connection.send(request)
        answer = connection.response()
        if answer.status != status:
            raise Failure(f"push answered {answer.status} {answer.text}")
        return sent, time.time()


class Prometheus(Server):
    """A real one on a free port, asked over its API."""

    def __init__(self, program: pathlib.Path, target_port: int):
        super().__init__(program, ["--config.file=prometheus.yml", "--storage.tsdb.path=data"],
                         files={"prometheus.yml": CONFIG.format(port=target_port)})

    def query(self, expression: str, at: float | None = None) -> list[dict]:
        parameters = {"query": expression}
        if at is not None:
            parameters["time"] = f"{at:.3f}"
        answer = self.request("GET", "/api/v1/query?" + urllib.parse.urlencode(parameters))
        if answer.status != 200:
            raise Failure(f"Prometheus answered {answer.status} to {expression}: {answer.text}")
        return json.loads(answer.body)["data"]["result"]

    def raw(self, selector: str) -> list[tuple[float, str]]:
        """The stored samples of one series: time and value."""
        found = self.query(f"{selector}[5m]")
        if len(found) > 1:
            raise Failure(f"{selector} is {len(found)} series")
        return [(float(at), value) for at, value in found[0]["values"]] if found else []

    def scrape_times(self) -> list[float]:
        return [at for at, value in self.raw('up{job="pushgateway"}') if value == "1"]

    def count(self, selector: str, at: float) -> int:
        """How many series a scrape at that very time brought."""
        found = self.query(f"count({selector})", at)
        return int(found[0]["value"][1]) if found else 0


class Findings:
    """What Prometheus saw of one job, against what was pushed."""

    def __init__(self, prometheus: Prometheus, job: Job):
        self.prometheus, self.job = prometheus, job
        self.scrapes = prometheus.scrape_times()
        self.push_times = prometheus.raw("push_time_seconds" + job.selector)
        if not self.push_times:
            raise Failure(f"{job.name} was never seen")
        self.deadline = float(self.push_times[-1][1]) + TTL_SECONDS

    def presence(self) -> None:
        """All of the job's series in every scrape while it lives, none from its deadline on."""
        seen = gone = 0
        expected = self.job.series + len(scrapes.BOOKKEEPING)
        for at in self.scrapes:
            if self.job.pushed[0][1] <= at < self.deadline - BLUR_SECONDS:
                wanted, seen = expected, seen + 1
            elif at >= self.deadline:
                wanted, gone = 0, gone + 1
            else:
                continue
            count = self.prometheus.count(self.job.selector, at)
            if count != wanted:
                raise Failure(f"{self.job.name}: {count} series instead of {wanted} in the scrape at {at:.3f}; "
                              f"first push {self.job.pushed[0][1]:.3f}, deadline {self.deadline:.3f}")
        if seen < self.job.ticks / 2 or not gone:
            raise Failure(f"{self.job.name}: only {seen} scrapes before its deadline and {gone} after it")

    def staleness(self) -> None:
        """Stale within one scrape of the deadline."""
        first = next(at for at in self.scrapes if at >= self.deadline)
        limit = self.deadline + SCRAPE_SECONDS + BLUR_SECONDS
        if first > limit:
            raise Failure(f"Prometheus did not scrape in time to tell: deadline {self.deadline:.3f}, scrape {first:.3f}")
        if self.prometheus.query(self.job.selector, limit):
            raise Failure(f"{self.job.name} is not stale at {limit:.3f}, deadline {self.deadline:.3f}")

    def push_time(self) -> None:
        """push_time_seconds is the time of the push before the scrape, each time."""
        for at, value in self.push_times:
            known = [(sent, answered) for sent, answered in self.job.pushed if sent - 0.002 <= float(value) <= answered + 0.002]
            newer = [sent for sent, answered in self.job.pushed if answered < at and sent > float(value) + 0.002]
            if not known or newer:
                raise Failure(f"{self.job.name}: push time {value} at {at:.3f}; pushes {self.job.pushed}")
        if not any(sent <= float(self.push_times[-1][1]) <= answered for sent, answered in self.job.pushed[-1:]):
            raise Failure(f"{self.job.name}: the last push is not the last push time")

    def failure_time(self) -> None:
        """push_failure_time_seconds is 0, and from a refused push on its time for good."""
        samples = self.prometheus.raw("push_failure_time_seconds" + self.job.selector)
        for at, value in samples:
            failed = [(sent, answered) for sent, answered in self.job.refused if sent <= at]
            valid = any(sent - 0.002 <= float(value) <= answered + 0.002 for sent, answered in failed)
            if not valid and not (float(value) == 0 and not any(answered < at for _, answered in failed)):
                raise Failure(f"{self.job.name}: failure time {value} at {at:.3f}; refused {self.job.refused}")
        if len(samples) != len(self.push_times):
            raise Failure(f"{self.job.name}: {len(samples)} failure times, {len(self.push_times)} push times")
        if self.job.refused and float(samples[-1][1]) == 0:
            raise Failure(f"{self.job.name}: the failure time was lost")

    def values(self) -> None:
        """A counter arrived with the value of each push, the last one included."""
        pushed = [float(scrapes.samples(self.job.body(tick).decode())[self.job.probe]) for tick in range(self.job.ticks)]
        seen = [float(value) for _, value in self.prometheus.raw(self.job.probe + self.job.selector)]
        if not set(seen) <= set(pushed) or seen != sorted(seen) or seen[-1] != pushed[-1] or len(set(seen)) < self.job.ticks / 2:
            raise Failure(f"{self.job.probe}: pushed {pushed}, Prometheus has {seen}")


def lint(promtool: pathlib.Path, text: str) -> set[str]:
    """What `promtool check metrics` has to say."""
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, timeout=60, check=False)
    found = {line for line in (done.stdout + done.stderr).split("\n") if line.strip()}
    if done.returncode not in (0, 3):
        raise Failure(f"promtool cannot read it: {sorted(found)[:5]}")
    return found


def check_lint(promtool: pathlib.Path, scraped: str, jobs: list[Job]) -> None:
    expected = set().union(*(lint(promtool, job.body(0).decode()) for job in jobs))
    found = lint(promtool, scraped)
    if found != expected or not expected:
        raise Failure(f"new: {sorted(found - expected)[:10]}\nmissing: {sorted(expected - found)[:10]}")


def check_empty(server: Server, promtool: pathlib.Path) -> None:
    text = server.scrape()
    if scrapes.pushed_lines(text):
        raise Failure("an empty server shows " + "\n".join(scrapes.pushed_lines(text)[:5]))
    if server.request("GET", "/api/v1/metrics").body != b'{"status":"success","data":[]}':
        raise Failure("an empty server has groups")
    if lint(promtool, text):
        raise Failure(f"promtool objects to our own metrics: {lint(promtool, text)}")


def run(program: pathlib.Path, prometheus_program: pathlib.Path, promtool: pathlib.Path, folder: str, tally: Tally) -> None:
    jobs = make_jobs(folder)
    for job in jobs:
        print(f"job {job.name}: {job.series} series, {len(job.body(0))} bytes, {job.ticks} pushes")
    with Server(program, [f"--metric.timetolive={TTL_SECONDS:g}s"]) as server, \
            Prometheus(prometheus_program, server.port) as prometheus:
        tally.check("nothing on an empty server", check_empty, server, promtool)
        wait_for(lambda: len(prometheus.scrape_times()) >= 2, 20, "Prometheus does not scrape", 0.1)
        pushers = [Pusher(server, job, time.time() + 0.3 * number) for number, job in enumerate(jobs)]
        for pusher in pushers:
            pusher.start()
        time.sleep(1.5 * PUSH_SECONDS)
        scraped = server.scrape()
        tally.check("promtool finds in the scrape what it finds in the payloads", check_lint, promtool, scraped, jobs)
        for pusher in pushers:
            pusher.join()
        errors = [pusher.error for pusher in pushers if pusher.error]
        if errors:
            tally.fail("pushes are taken", "\n".join(errors))
            return
        tally.ok("pushes are taken")
        last = max(job.pushed[-1][1] for job in jobs) + TTL_SECONDS
        wait_for(lambda: prometheus.scrape_times()[-1] > last + SCRAPE_SECONDS, 30, "Prometheus stopped scraping", 0.1)
        for job in jobs:
            findings = Findings(prometheus, job)
            tally.check(f"{job.name}: in every scrape until the deadline, in none after it", findings.presence)
            tally.check(f"{job.name}: stale within one scrape", findings.staleness)
            tally.check(f"{job.name}: push_time_seconds", findings.push_time)
            tally.check(f"{job.name}: push_failure_time_seconds", findings.failure_time)
            if job.probe:
                tally.check(f"{job.name}: values", findings.values)
        tally.check("nothing is left", check_empty, server, promtool)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="build/dev/server/pushgateway")
    parser.add_argument("--peers", default="build/peers")
    parser.add_argument("--payloads", default="", help="folder of captured .prom files")
    arguments = parser.parse_args()
    try:
        prometheus = peers.get("prometheus", arguments.peers)
        promtool = peers.promtool(arguments.peers)
    except peers.Unavailable as error:
        print(f"skipped: {error}")
        return SKIPPED
    print(prometheus)
    tally = Tally()
    run(pathlib.Path(arguments.program).resolve(), prometheus.program, promtool, arguments.payloads, tally)
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
