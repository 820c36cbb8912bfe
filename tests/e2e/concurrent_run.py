#!/usr/bin/env python3
"""Many clients at once: writers replace, merge and delete groups while readers scrape.

What has to hold at every moment: a push is seen whole or not at all, what was answered is in the
next scrape, values of a group never go back, and no answer is an error.

    concurrent_run.py --program build/dev/server/pushgateway [--seconds 5]
"""

import argparse
import collections
import json
import pathlib
import re
import sys
import threading
import time

import scrapes
from harness import Connection, Failure, Server, Tally, build_request

WRITERS = 8
READERS = 4
FAMILIES = 20  # a push sets this many to one value


def body(value: int) -> bytes:
    return "".join(f"# TYPE family_{n} gauge\nfamily_{n} {value}\n" for n in range(FAMILIES)).encode()


class Worker(threading.Thread):
    def __init__(self, server: Server, end: float, number: int):
        super().__init__(daemon=True)
        self.connection: Connection = server.connect()
        self.end, self.number = end, number
        self.rounds = 0
        self.error = ""

    def run(self) -> None:
        try:
            while time.monotonic() < self.end:
                self.round()
                self.rounds += 1
        except Exception as error:  # pylint: disable=broad-exception-caught
            self.error = f"{type(self).__name__} {self.number}: {type(error).__name__}: {error}"
        finally:
            self.connection.socket.close()

    def round(self) -> None:
        raise NotImplementedError

    def ask(self, method: str, target: str, status: int, data: bytes | None = None) -> bytes:
        self.connection.send(build_request(method, target, None, data))
        answer = self.connection.response(method)
        if answer.status != status:
            raise Failure(f"{method} {target} answered {answer.status} {answer.text}")
        return answer.body


class Writer(Worker):
    """Owns a group; its values only rise."""

    value = 0

    def round(self) -> None:
        target = f"/metrics/job/writer/n/{self.number}"
        self.value += 1
        self.ask("PUT" if self.value % 3 else "POST", target, 200, body(self.value))
        if self.value % 10 == 0:
            found = values(self.ask("GET", "/metrics", 200).decode())
            if found[self.number] != {str(self.value)} or len(found[self.number]) != 1:
                raise Failure(f"wrote {self.value}, read {found[self.number]}")
        if self.value % 25 == 0:
            self.ask("DELETE", target, 202)
        if self.value % 7 == 0:
            # A refused push beside the others changes nothing but its failure time.
            self.ask("POST", target, 400, b"# TYPE family_0 counter\nfamily_0 1\nfamily_0 1\n")


class Reader(Worker):
    """Sees each group whole, and never an older state after a newer one."""

    def __init__(self, server: Server, end: float, number: int):
        super().__init__(server, end, number)
        self.seen: dict[int, int] = collections.defaultdict(int)

    def round(self) -> None:
        text = self.ask("GET", "/metrics", 200).decode()
        counts = collections.Counter(int(n) for n in re.findall(r'(?m)^family_\d+\{instance="",job="writer",n="(\d+)"\}', text))
        for number, found in values(text).items():
            if len(found) != 1 or counts[number] != FAMILIES:
                raise Failure(f"group {number} has values {found} in {counts[number]} families")
            value = int(next(iter(found)))
            if value < self.seen[number]:
                raise Failure(f"group {number} went back from {self.seen[number]} to {value}")
            self.seen[number] = value
        if self.rounds % 5 == 0:
            for group in json.loads(self.ask("GET", "/api/v1/metrics", 200))["data"]:
                found = {family["metrics"][0]["value"] for name, family in group.items() if name.startswith("family_")}
                if len(found) > 1:
                    raise Failure(f"the API shows {found} in one group")


def values(text: str) -> dict[int, set[str]]:
    """Values of the families, by group."""
    found: dict[int, set[str]] = collections.defaultdict(set)
    for series, value in scrapes.samples(text).items():
        match = re.match(r'family_\d+\{instance="",job="writer",n="(\d+)"\}', series)
        if match:
            found[int(match.group(1))].add(value)
    return found


def run(program: pathlib.Path, seconds: float) -> None:
    with Server(program, ["--metric.timetolive=1m"]) as server:
        end = time.monotonic() + seconds
        workers = [Writer(server, end, n) for n in range(WRITERS)] + [Reader(server, end, n) for n in range(READERS)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        print(f"  {sum(worker.rounds for worker in workers[:WRITERS])} pushes, "
              f"{sum(worker.rounds for worker in workers[WRITERS:])} scrapes")
        errors = [worker.error for worker in workers if worker.error]
        if errors:
            raise Failure("\n".join(errors))
        if min(worker.rounds for worker in workers) < 3:
            raise Failure("some client was hardly served")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="build/dev/server/pushgateway")
    parser.add_argument("--seconds", type=float, default=5.0)
    arguments = parser.parse_args()
    tally = Tally()
    tally.check("writers and readers together", run, pathlib.Path(arguments.program).resolve(), arguments.seconds)
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
