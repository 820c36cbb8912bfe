#!/usr/bin/env python3
"""Is this tree slower than another revision? Both are run in turns, and ratios taken round by round.

    revisions.py --base REV [--build build/release] [--rounds 9]

Builds the program of REV in a worktree below build/. A ratio is this tree's figure divided by the base's.
One is called worse if the median is more than 5 % on the wrong side and three quarters of the rounds are on
that side at all; the exit code is then 1. The load comes from this tree's generator for both.
"""

import argparse
import contextlib
import dataclasses
import os
import pathlib
import statistics
import subprocess
import sys

import servers
import tables
from servers import harness

WORSE = 0.05
AGREEING = 0.75
PUSH_SECONDS = 1
FEW, MANY = 1_000, 100_000
SCRAPE_GROUPS = 10_000


@dataclasses.dataclass(frozen=True)
class Figure:
    name: str
    more_is_better: bool


def measure(options, program: str) -> dict[Figure, float]:
    """One round of one program, each part on a server of its own."""
    found = {}
    body = servers.k0s_body()
    for groups in (FEW, MANY):
        with harness.Server(program) as server:
            servers.fill(server, groups)
            servers.settle(server)
            one = servers.push(options.load, server, groups, PUSH_SECONDS)
            found[Figure(f"pushes/s, one series, {groups:,} groups", True)] = one.per_second
            found[Figure(f"its CPU, {groups:,} groups: µs", False)] = one.cpu_us
            if groups == FEW:
                found[Figure("pushes/s, PUT of ten series", True)] = servers.push(
                    options.load, server, groups, PUSH_SECONDS, whole=True).per_second
    with harness.Server(program) as server:
        found[Figure("k0s push, all values changed: CPU ms", False)] = servers.big_push_cpu_ms(
            server, servers.changed_bodies(body, 10), 200)
        found[Figure("k0s push, unchanged: CPU ms", False)] = servers.big_push_cpu_ms(server, [body], 200)
    with harness.Server(program) as server:
        servers.fill(server, SCRAPE_GROUPS, lambda group: servers.varied_body(group, 0))
        memory = servers.memory_mb(server.pid, "RssAnon")
        found[Figure(f"plain scrape of {SCRAPE_GROUPS:,} groups: ms", False)] = servers.scrape(server, 15).ms
        found[Figure("gzip scrape, everything changed: ms", False)] = servers.scrape(server, 1, "gzip").ms
        found[Figure("gzip scrape, nothing changed: ms", False)] = servers.scrape(server, 30, "gzip").ms
        found[Figure(f"anonymous memory of {SCRAPE_GROUPS:,} groups: MB", False)] = memory
    found[Figure("start: ms", False)] = statistics.median(servers.start(program, [])[0] for _ in range(5))
    return found


def is_worse(figure: Figure, ratios: list[float]) -> bool:
    bad = [ratio < 1 if figure.more_is_better else ratio > 1 for ratio in ratios]
    median = statistics.median(ratios)
    beyond = median < 1 - WORSE if figure.more_is_better else median > 1 + WORSE
    return beyond and sum(bad) >= AGREEING * len(ratios)


def report(samples: dict[Figure, list[tuple[float, float]]]) -> tuple[str, bool]:
    """The table of base and this tree, and whether anything is worse."""
    lines = [f"{'':46} {'base':>10} {'this tree':>10}   ratio (least to most)"]
    any_worse = False
    for figure, pairs in samples.items():
        ratios = sorted(ours / base for base, ours in pairs)
        worse = is_worse(figure, ratios)
        any_worse |= worse
        base, ours = (statistics.median(pair[i] for pair in pairs) for i in (0, 1))
        lines.append(f"{figure.name:46} {tables.number(base):>10} {tables.number(ours):>10}   {statistics.median(ratios):.3f} "
                     f"({ratios[0]:.3f} to {ratios[-1]:.3f}){'   WORSE' if worse else ''}")
    return "\n".join(lines), any_worse


def git(*words: str) -> str:
    return subprocess.run(["git", "-C", str(servers.ROOT), *words], check=True, capture_output=True, text=True).stdout.strip()


def build_base(revision: str, jobs: int) -> str:
    """The program of another revision, as a release; its worktree is kept for the next time."""
    commit = git("rev-parse", "--verify", f"{revision}^{{commit}}")
    folder = servers.ROOT / "build/base"
    if folder.exists():
        git("-C", str(folder), "checkout", "--quiet", "--detach", commit)
    else:
        git("worktree", "prune")
        git("worktree", "add", "--quiet", "--detach", str(folder), commit)
    for command in (["cmake", "--preset", "release"],
                    ["cmake", "--build", "--preset", "release", "-j", str(jobs), "--target", "pushgateway"]):
        done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"{revision} does not build:\n{(done.stdout + done.stderr)[-2000:]}")
    return str(folder / "build/release/server/pushgateway")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", required=True, metavar="REV", help="a revision, or a program that was built already")
    parser.add_argument("--build", type=pathlib.Path, default="build/release", help="where our programs were built")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    build = options.build.resolve()
    options.load = str(build / "bench/load/pushgateway-load")
    base = os.path.abspath(options.base) if os.access(options.base, os.X_OK) and os.path.isfile(options.base) else \
        build_base(options.base, options.jobs)
    programs = [base, str(build / "server/pushgateway")]
    samples: dict[Figure, list[tuple[float, float]]] = {}
    with contextlib.suppress(KeyboardInterrupt):
        for round_ in range(options.rounds):
            print(f"round {round_ + 1} of {options.rounds}", file=sys.stderr, flush=True)
            # The first of a round may find the machine warmer or colder than the second: they take turns.
            order = (0, 1) if round_ % 2 == 0 else (1, 0)
            found = {which: measure(options, programs[which]) for which in order}
            for figure, value in found[0].items():
                samples.setdefault(figure, []).append((value, found[1][figure]))
    text, worse = report(samples)
    print(text)
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
