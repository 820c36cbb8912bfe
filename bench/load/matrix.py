#!/usr/bin/env python3
"""Runs the load measurements beside the peers and writes the figures as JSON.

    matrix.py --run short|full|smoke --build build/release --peers build/peers --json build/bench/load.json
              [--ours FILE] [--empty FILE] [--only PART …]

`short` takes six minutes, `full` twenty. `smoke` is for tests: everything in its smallest form and
without peers; it fails if anything expired early or late, or a request failed. With --only the parts
named are measured again and the others kept as the file has them.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import platform
import resource
import subprocess
import sys
import tempfile
import time

import alone
import compare
import durability
import servers
import tables
from servers import harness, peers

STEADY = {"steady": ["steady"]}
SCENARIOS = STEADY | {
    "churn": ["churn"],
    "herd": ["herd"],
    "scrape": ["scrape"],
    "slow": ["slow"],
    "replay": ["replay"],
    "steady, 10,000 groups, poisson": ["steady", "--groups=10000", "--arrivals=poisson", "--watch-interval=1s"],
}


@dataclasses.dataclass(frozen=True)
class Sizes:
    """How much of everything; the defaults are the short run's."""

    push_groups: tuple[int, ...] = (100, 1_000, 10_000, 100_000)
    put_groups: tuple[int, ...] = (100, 10_000)
    go_groups: tuple[int, ...] = (100, 1_000)
    push_rounds: int = 5
    push_seconds: float = 1
    k0s_rounds: int = 5
    k0s_pushes: int = 200
    scrape_groups: int = 10_000
    scrape_rounds: int = 5
    scrapes: int = 15
    starts: int = 7
    memory_groups: int = 10_000
    idle_seconds: int = 20
    settle_seconds: int = 3
    scenarios: dict = dataclasses.field(default_factory=lambda: STEADY)
    scenario_ttl: int = 5
    scenario_seconds: int = 10
    cliff_runs: int = 1
    cliff_groups: int = 200  # of 1,000 series
    cliff_ttl: int = 5
    cliff_after: int = 10
    floor_seconds: int = 10  # at the empty handler, for comparison
    stalled: int = 2_000
    stalled_seconds: int = 5
    beside_groups: int = 10_000
    beside_rate: int = 2_000
    beside_runs: int = 3
    beside_seconds: float = 4
    kept: durability.Sizes = durability.Sizes()


RUNS = {
    "short": Sizes(),
    "full": Sizes(put_groups=(100, 1_000, 10_000, 100_000), go_groups=(100, 1_000, 10_000), push_rounds=9, push_seconds=1.5,
                  k0s_pushes=300, scrape_rounds=9, memory_groups=100_000, idle_seconds=60, settle_seconds=35,
                  scenarios=SCENARIOS, scenario_seconds=12, cliff_runs=5, cliff_groups=1_000, cliff_ttl=8, floor_seconds=40,
                  stalled=10_000, stalled_seconds=10, beside_groups=100_000, beside_seconds=10,
                  kept=durability.Sizes(pause_runs=3)),
    "smoke": Sizes(push_groups=(100,), put_groups=(100,), push_rounds=1, push_seconds=0.2, k0s_rounds=1, k0s_pushes=5,
                   scrape_groups=100, scrape_rounds=1, scrapes=2, starts=1, memory_groups=1_000, idle_seconds=1,
                   settle_seconds=1, scenarios={name: SCENARIOS[name] for name in ("steady", "churn")}, scenario_ttl=2,
                   scenario_seconds=5, cliff_groups=100, cliff_ttl=3, cliff_after=2, floor_seconds=2, stalled=200,
                   stalled_seconds=2, beside_groups=1_000, beside_runs=1, beside_seconds=1, kept=durability.Sizes.smoke()),
}


def pushes(options, rows: dict) -> None:
    compare.pushes(options, rows, whole=False)


def puts(options, rows: dict) -> None:
    compare.pushes(options, rows, whole=True)


PARTS = {
    "push": pushes, "put": puts, "k0s": compare.k0s, "scrape": compare.scrapes, "changed": compare.changed_scrapes,
    "beside": alone.pushes_beside_scrapes, "cliff": alone.cliff, "memory": compare.memory, "stalled": alone.stalled,
    "idle": compare.idle, "start": compare.starts, "scenarios": alone.scenarios, "durability": durability.measure,
}
# What each part cannot do without.
OPEN_FILES_SPARE = 500


def why_not(part: str, sizes: Sizes) -> str:
    """Why a part cannot be measured here, or nothing."""
    wanted = {"stalled": sizes.stalled, "cliff": sizes.cliff_groups}.get(part, 0) + OPEN_FILES_SPARE
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if limit != resource.RLIM_INFINITY and wanted > limit:
        return f"needs {wanted:,} open files, and a process may have {limit:,} here"
    return ""


def machine() -> dict:
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo", encoding="ascii", errors="replace")
                  if line.startswith("model name")), platform.machine())
    return {"cores": os.cpu_count(), "model": model, "system": f"Linux {platform.release().split('-')[0]}",
            "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)}


def find_peers(options) -> None:
    options.go = options.nginx = options.victoria = None
    if options.run == "smoke":
        return
    for name, package in (("go", "pushgateway"), ("nginx", "nginx"), ("victoria", "victoria-metrics")):
        try:
            setattr(options, name, peers.get(package, options.peers))
        except peers.Unavailable as reason:
            print(f"{package}: left out: {reason}", file=sys.stderr)


def revision() -> str:
    done = subprocess.run(["git", "-C", str(servers.ROOT), "describe", "--always", "--dirty"], capture_output=True, text=True,
                          check=False)
    return done.stdout.strip()


def problems(result: dict) -> list[str]:
    """What went wrong that no speed excuses."""
    found = [f"{name}: {reason}" for name, reason in result["failed"].items()]
    for name, row in result["rows"].items():
        for each in row.get("runs", [row]):
            found += [f"{name}: {kind}: {count}" for kind, count in each.get("problems", {}).items() if count]
            if each.get("shown_after"):
                found.append(f"{name}: {each['shown_after']} series are shown after their deadline")
            if not each.get("complete", True):
                found.append(f"{name}: not all was accepted in time: {each}")
    return found


def measure(options, result: dict) -> None:
    """Measures the parts, and writes the file after each."""
    for part in options.only or PARTS:
        reason = why_not(part, options.sizes)
        if reason:
            result["skipped"][part] = reason
            print(f"{part}: skipped: {reason}", file=sys.stderr)
            continue
        begin = time.monotonic()
        rows: dict = {}
        try:
            PARTS[part](options, rows)
        except (harness.Failure, OSError, subprocess.SubprocessError) as failure:
            result["failed"][part] = str(failure)
            print(f"{part}: FAILED: {failure}", file=sys.stderr)
            continue
        result["failed"].pop(part, None)
        result["skipped"].pop(part, None)
        result["rows"].update(rows)
        print(f"{part}: {time.monotonic() - begin:.0f} s", file=sys.stderr, flush=True)
        if options.json:
            options.json.parent.mkdir(parents=True, exist_ok=True)
            options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def begin(options) -> dict:
    if options.only and options.json and options.json.exists():
        result = json.loads(options.json.read_text(encoding="utf-8"))
        if result["run"] != options.run:
            raise SystemExit(f"{options.json} is of a {result['run']} run")
        return result
    versions = {"ours": servers.version_of(options.ours)}
    for name in ("go", "nginx", "victoria"):
        peer = getattr(options, name)
        if peer:
            versions[name] = peer.version
    return {"run": options.run, "date": time.strftime("%Y-%m-%d", time.gmtime()), "revision": revision(), "machine": machine(),
            "versions": versions, "rows": {}, "skipped": {}, "failed": {}}


def smoke(options) -> int:
    """All of it once, as a test."""
    tally = harness.Tally()
    result = begin(options)
    measure(options, result)
    for part in PARTS:
        if part in result["skipped"]:
            tally.skip(part, result["skipped"][part])
        elif part in result["failed"]:
            tally.fail(part, result["failed"][part])
        else:
            tally.ok(part)
    wrong = problems(result)
    expired = sum(row.get("expired", 0) for row in result["rows"].values())
    tally.check("nothing is early, late or refused", _expect, not wrong, "\n".join(wrong))
    tally.check("something expired", _expect, expired > 0, "no watcher saw anything expire")
    tally.check("the tables can be written", tables.blocks, result, {})
    return tally.finish(options.report)


def _expect(condition: bool, why: str) -> None:
    if not condition:
        raise harness.Failure(why)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", choices=RUNS, default="short")
    parser.add_argument("--build", type=pathlib.Path, default="build/release", help="where our programs were built")
    parser.add_argument("--ours", type=os.path.abspath, help="another pushgateway than that of --build")
    parser.add_argument("--empty", type=os.path.abspath, help="another http_empty_server than that of --build")
    parser.add_argument("--peers", type=pathlib.Path, default="build/peers")
    parser.add_argument("--folder", type=os.path.abspath, default="build", help="its disk is what files are kept on")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="PART", help=", ".join(PARTS))
    harness.add_report_option(parser)
    options = parser.parse_args()
    build = options.build.resolve()
    options.ours = options.ours or str(build / "server/pushgateway")
    options.empty = options.empty or str(build / "bench/http_empty_server")
    options.load = str(build / "bench/load/pushgateway-load")
    options.sizes = RUNS[options.run]
    # Ours raise their own; this script's is what they are given.
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    find_peers(options)
    with tempfile.TemporaryDirectory(prefix="pgw-bench-", dir=options.folder) as options.folder:
        if options.run == "smoke":
            return smoke(options)
        result = begin(options)
        measure(options, result)
    wrong = problems(result)
    print("\n".join(wrong), file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
