#!/usr/bin/env python3
"""The server runs out of address space under load: it refuses what there is no memory for, and all it shows stays
true. It may end, with its own exit code and one line that says so; what was acknowledged is in the journal then.

    memory_limits.py --program build/dev/server/pushgateway [--seconds 20] [--seed N]
                     [--only random|full|persisted]
"""

import argparse
import json
import pathlib
import random
import re
import resource
import sys
import tempfile
import time

from harness import Connection, Failure, Server, Tally, build_request

GROUPS = 3_000
SERIES = 60
LIMITS = (150_000_000, 80_000_000, 65_000_000)
PERSISTED_LIMIT = 65_000_000
EXIT_OUT_OF_MEMORY = 71
LAST_WORDS = "pushgateway: out of memory"
# No client pushes families of these names: such lines are the server's own.
OWN = re.compile(r"(#|pushgateway_|process_|push_time_seconds|push_failure_time_seconds)")


def limit_memory(server: Server, size: int) -> None:
    resource.prlimit(server.pid, resource.RLIMIT_AS, (size, resource.RLIM_INFINITY))


def series(group: int, names: range, value: int) -> dict[str, str]:
    return {f'm{name}{{g="{group}",instance="",job="j"}}': str(value) for name in names}


def body(names: range, value: int) -> bytes:
    return "".join(f"m{name} {value}\n" for name in names).encode()


class Model:
    """What the answers so far say of each group: the states that it may be in. More than one only where a connection
    broke off before the answer."""

    def __init__(self) -> None:
        self.groups: dict[int, list[dict[str, str]]] = {}

    def states(self, group: int) -> list[dict[str, str]]:
        return self.groups.get(group, [{}])

    def apply(self, group: int, change, status: int | None) -> None:
        before = self.states(group)
        after = [change(state) for state in before]
        if status == 503:
            return
        self.groups[group] = after if status in (200, 202) else before + after

    def compare(self, shown: dict[int, dict[str, str]]) -> None:
        for group in self.groups.keys() | shown.keys():
            found = shown.get(group, {})
            if found not in self.states(group):
                raise Failure(f"group {group} shows {len(found)} series, e.g. {sorted(found.items())[:2]}, "
                              f"which none of {len(self.states(group))} possible states has")


class Client:
    """One connection that is made anew whenever it breaks. Counts what it is answered."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.connection: Connection | None = None
        self.answers: dict[int | None, int] = {}

    def send(self, method: str, target: str, content: bytes | None = None) -> int | None:
        """The status; None if there was no answer."""
        status = None
        try:
            self.connection = self.connection or self.server.connect()
            self.connection.send(build_request(method, target, body=content))
            answer = self.connection.response(method)
            status = answer.status
            if answer.header("Connection") == "close":
                self.close()
        except (Failure, OSError):
            self.close()
        self.answers[status] = self.answers.get(status, 0) + 1
        if status not in (200, 202, 503, None):
            raise Failure(f"{method} {target} answered {status}")
        return status

    def close(self) -> None:
        if self.connection:
            self.connection.socket.close()
            self.connection = None


def shown(server: Server) -> dict[int, dict[str, str]]:
    groups: dict[int, dict[str, str]] = {}
    for line in server.scrape().splitlines():
        if OWN.match(line):
            continue
        name, _, value = line.rpartition(" ")
        group = int(re.search(r'g="(\d+)"', name).group(1))
        if groups.setdefault(group, {}).setdefault(name, value) != value or list(groups[group]).count(name) != 1:
            raise Failure(f"{name} is there twice")
    return groups


def check_state(server: Server, model: Model) -> None:
    """With memory again the server shows what it has answered, in scrapes and in the API alike."""
    limit_memory(server, resource.RLIM_INFINITY)
    found = shown(server)
    model.compare(found)
    listed = server.request("GET", "/api/v1/metrics")
    if listed.status != 200:
        raise Failure(f"the API answers {listed.status}")
    groups = {int(entry["labels"]["g"]) for entry in json.loads(listed.text)["data"]}
    if missing := found.keys() - groups:
        raise Failure(f"groups {sorted(missing)[:5]} are in the scrape and not in the API")


def change_at_random(client: Client, model: Model, choose: random.Random) -> None:
    group = choose.randrange(GROUPS)
    target = f"/metrics/job/j/g/{group}"
    kind = choose.choice(("PUT", "PUT", "POST", "POST", "DELETE"))
    if kind == "DELETE":
        model.apply(group, lambda state: {}, client.send("DELETE", target))
        return
    first = choose.randrange(20)
    names = range(first, first + SERIES)
    value = choose.choice((1, 22, 333, 55555))
    new = series(group, names, value)
    status = client.send(kind, target, body(names, value))
    model.apply(group, (lambda state: new) if kind == "PUT" else (lambda state: state | new), status)


def check_end(server: Server) -> None:
    code = server.wait()
    if code != EXIT_OUT_OF_MEMORY or not any(line.startswith(LAST_WORDS) for line in server.log):
        raise Failure(f"ended with {code}:\n" + "\n".join(server.log[-20:]))


def check_random(program: pathlib.Path, limit: int, seconds: float, seed: int, flags: tuple[str, ...] = ()) -> None:
    """Random pushes and deletes until the time is up, also across ends of the server."""
    choose = random.Random(seed)
    deadline = time.monotonic() + seconds
    totals: dict[int | None, int] = {}
    ends = 0
    with tempfile.TemporaryDirectory(prefix="pgw-e2e-") as name:
        model = Model()
        while True:
            with Server(program, flags, folder=pathlib.Path(name)) as server:
                limit_memory(server, limit)
                client = Client(server)
                while server.alive and time.monotonic() < deadline:
                    change_at_random(client, model, choose)
                    if choose.randrange(500) == 0:
                        client.send("GET", "/metrics")
                client.close()
                for status, count in client.answers.items():
                    totals[status] = totals.get(status, 0) + count
                if server.alive:
                    check_state(server, model)
                    break
                check_end(server)
                ends += 1
            if not flags:
                model = Model()  # nothing was kept
    print(f"  {limit} bytes: {totals.get(200, 0) + totals.get(202, 0)} accepted, {totals.get(503, 0)} refused, "
          f"{totals.get(None, 0)} not answered, {ends} ends")


def check_full(program: pathlib.Path, limit: int) -> None:
    """Pushes until one is refused, then a delete of every group."""
    with Server(program) as server:
        limit_memory(server, limit)
        client = Client(server)
        group = 0
        while client.send("PUT", f"/metrics/job/j/g/{group}", body(range(SERIES), group)) == 200:
            group += 1
            if group > 1_000_000:
                raise Failure("memory never ran out")
        for number in range(group):
            status = client.send("DELETE", f"/metrics/job/j/g/{number}")
            if status != 202:
                raise Failure(f"delete {number} of {group} answered {status}\n" + "\n".join(server.log[-3:]))
        if found := shown(server):
            raise Failure(f"{len(found)} groups are shown after all were deleted")
        if client.send("PUT", "/metrics/job/j/g/0", body(range(SERIES), 1)) != 200:
            raise Failure("a push is refused although nothing is stored")
        client.close()
        print(f"  {limit} bytes: {group} groups until a push was refused")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="build/dev/server/pushgateway")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--only", choices=("random", "full", "persisted"))
    arguments = parser.parse_args()
    program = pathlib.Path(arguments.program).resolve()
    print(f"seed {arguments.seed}")
    tally = Tally()
    if arguments.only in (None, "random"):
        for limit in LIMITS:
            tally.check(f"random pushes and deletes in {limit} bytes", check_random, program, limit,
                        arguments.seconds / len(LIMITS), arguments.seed)
    if arguments.only in (None, "full"):
        for limit in LIMITS:
            tally.check(f"a store full at {limit} bytes can be emptied", check_full, program, limit)
    if arguments.only in (None, "persisted"):
        for sync in ("always", "off"):
            flags = ("--persistence.file=store", f"--persistence.sync={sync}")
            tally.check(f"random pushes and deletes with {flags[1]}", check_random, program, PERSISTED_LIMIT,
                        arguments.seconds / 2, arguments.seed, flags)
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
