"""What only our program does, or what only its own goals are about: expiry under load, clients that stall,
pushes beside scrapes. Each function fills rows of a result.
"""

import statistics
import threading
import time

import servers
from servers import harness

VIOLATIONS = ("late", "early", "stale", "partial", "torn")


def _ttl(seconds: int) -> list[str]:
    return [f"--metric.timetolive={seconds}s"]


def _problems(total: dict) -> dict:
    """What must not happen: violations of expiry, and requests that failed."""
    found = {kind: total["expiry"][kind] for kind in VIOLATIONS}
    found["failed"] = 0
    for kind in ("push", "scrape_plain", "scrape_gzip", "watch"):
        figures = total[kind]
        refused = sum(count for status, count in figures["statuses"].items() if status not in ("200", "202"))
        found["failed"] += refused + sum(figures["failures"].values()) + figures["not_sent"]
    return found


def _scenario_row(total: dict) -> dict:
    expiry, process = total["expiry"], total["process"]
    row = {"pushes/s": total["pushes_per_s"], "expired": expiry["expired"], "series seen": expiry["series_seen"],
           "late_at_most_p99_ms": expiry["late_at_most"]["p99_ms"], "cpu_percent": process["cpu_percent"],
           "generator_cpu_percent": total["generator_cpu_percent"], "rss_mb": process["rss_bytes_max"] / 2**20,
           "notes": total["notes"], "problems": _problems(total)}
    for figure in ("p50", "p99", "p99_9", "max"):
        row[f"{figure}_ms"] = total["push"][f"{figure}_ms"]
    return row


def scenarios(options, rows: dict) -> None:
    """The scenarios of pushgateway-load as they are meant, for a while; one open loop each."""
    sizes = options.sizes
    for name, words in sizes.scenarios.items():
        with harness.Server(options.ours, _ttl(sizes.scenario_ttl)) as server:
            if "replay" in words:
                (server.folder / "payload.prom").write_bytes(servers.k0s_body())
                words = [*words, str(server.folder / "payload.prom")]
            total = servers.load(options.load, server, *words, f"--ttl={sizes.scenario_ttl}s",
                                 f"--duration={sizes.scenario_seconds}s")
        rows[f"scenario {name}"] = _scenario_row(total) | {"words": " ".join(sizes.scenarios[name])}


def cliff(options, rows: dict) -> None:
    """Many series expire at once while others push. The memory is looked at ten seconds later. What a push waits for
    on this machine by itself is the longest wait in each second at the empty handler, asked as often by as few."""
    sizes = options.sizes
    runs = []
    for _ in range(sizes.cliff_runs):
        with harness.Server(options.ours, _ttl(sizes.cliff_ttl)) as server:
            before = servers.memory_mb(server.pid, "RssAnon")
            # The deadline is the later for the time that all these pushes take.
            seconds = sizes.cliff_ttl + sizes.cliff_after + 2
            total = servers.load(options.load, server, "cliff", f"--ttl={sizes.cliff_ttl}s", f"--duration={seconds}s",
                                 "--linger=0s", f"--cliff-groups={sizes.cliff_groups}")
            after = servers.memory_mb(server.pid, "RssAnon")
        figures = total["cliff"]
        # Of the same run, the seconds in which nothing else happened: from the one after all were taken to
        # the one before they expire.
        quiet = [second["push_max_ms"] for second in total["seconds"]
                 if figures["deadline_to_s"] - sizes.cliff_ttl + 1 < second["at_s"] < figures["deadline_from_s"]]
        runs.append({"max_ms": figures["push"]["max_ms"], "p99_ms": figures["push"]["p99_ms"],
                     "quiet_max_ms": max(quiet, default=0.0), "grown_mb": after - before,
                     "rss_mb": total["process"]["rss_bytes_max"] / 2**20, "complete": figures["complete"],
                     "series": figures["series"], "shown_before": figures["shown_before"],
                     "shown_after": figures["shown_after"], "first_scrape_after_ms": figures["first_scrape_after_ms"],
                     "problems": _problems(total), "notes": total["notes"]})
    rows["cliff"] = {"runs": runs, "series": sizes.cliff_groups * 1000} | {
        name: statistics.median(run[name] for run in runs) for name in ("max_ms", "p99_ms", "quiet_max_ms", "grown_mb", "rss_mb")}
    with servers.empty_server(options.empty) as server:
        total = servers.load(options.load, server, "steady", "--ttl=0s", "--rate=500", "--groups=100", "--warm-up=0s",
                             f"--duration={sizes.floor_seconds}s", "--linger=0s", "--watchers=0")
        longest = [second["push_max_ms"] for second in total["seconds"]]
        rows["cliff"]["floor"] = {"max_ms": max(longest), "seconds": len(longest),
                                  "above_2_ms": sum(each > 2 for each in longest)}


def stalled(options, rows: dict) -> None:
    """Clients that send half a request and stall, beside others that are served."""
    sizes = options.sizes
    with harness.Server(options.ours, _ttl(5)) as server:
        total = servers.load(options.load, server, "slow", "--ttl=5s", f"--duration={sizes.stalled_seconds}s",
                             f"--stalled={sizes.stalled}")
    rows["stalled"] = _scenario_row(total) | {"clients": sizes.stalled, "open": total["stalled"]["open"],
                                              "closed": total["stalled"]["closed_by_server"]}


class _Scraper:
    """Scrapes one after the other until it is told to stop."""

    def __init__(self, server):
        self._server, self._stop = server, threading.Event()
        self.spans: list[float] = []
        self.error: Exception | None = None
        self.bytes = 0
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            with servers.Scraper(self._server) as scraper:
                while not self._stop.is_set():
                    span, self.bytes = scraper.scrape()
                    self.spans.append(span)
        except (OSError, harness.Failure) as error:
            self.error = error

    def __enter__(self) -> "_Scraper":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if self.error:
            raise self.error


def pushes_beside_scrapes(options, rows: dict) -> None:
    """The wait of pushes at a fixed rate, open loop, without scrapes and beside one after the other."""
    sizes = options.sizes
    groups, rate = sizes.beside_groups, sizes.beside_rate
    runs = []
    with harness.Server(options.ours) as server:
        servers.fill(server, groups, lambda group: servers.varied_body(group, 0))
        servers.settle(server)
        for _ in range(sizes.beside_runs):
            alone = servers.push(options.load, server, groups, sizes.beside_seconds, rate=rate)
            with _Scraper(server) as scraper:
                beside = servers.push(options.load, server, groups, sizes.beside_seconds, rate=rate)
            runs.append({"p99_ms": beside.p99_ms, "max_ms": beside.max_ms, "alone_p99_ms": alone.p99_ms,
                         "alone_max_ms": alone.max_ms, "scrapes": len(scraper.spans),
                         "scrape_ms": statistics.median(scraper.spans), "bytes": scraper.bytes})
            time.sleep(0.2)
    rows["beside"] = {"groups": groups, "rate": rate, "runs": runs} | {
        name: statistics.median(run[name] for run in runs) for name in runs[0]}
