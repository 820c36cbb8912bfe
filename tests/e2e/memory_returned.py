#!/usr/bin/env python3
"""What was pushed and is gone, and what slow readers held of it, goes back to the system; and readers
hold no more than --web.max-scrape-bytes.

    memory_returned.py --program build/dev/server/pushgateway [--only long-readers]

Looks at the anonymous memory of the process (RssAnon of proc_pid_status(5)), which is what the
allocator has and what a container's limit counts.
"""

import argparse
import pathlib
import socket
import sys
import time
from random import Random

import scrapes
from harness import Failure, Server, Tally, build_request

MIB = 1 << 20
# 22 MB together. Each below what the allocator takes from the system alone (1 MiB), and gives back alone.
FAMILIES = 40
SERIES = 3500
LABEL_DIGITS = 64  # hexadecimal and random, so that compressed answers are large as well
GROWTH_MAX = 6 * MIB
PATIENCE = 20.0  # for memory to go back; it takes the time to notice, and a pause after the last time

# What a reader may ask for.
READS = {
    "plain": ("/metrics", {}),
    "gzip": ("/metrics", {"Accept-Encoding": "gzip"}),
    "protobuf": ("/metrics", {"Accept": "application/vnd.google.protobuf;"
                              "proto=io.prometheus.client.MetricFamily;encoding=delimited"}),
    "json": ("/api/v1/metrics", {}),
}


def anonymous(server: Server) -> int:
    for line in pathlib.Path(f"/proc/{server.pid}/status").read_text(encoding="ascii").split("\n"):
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise Failure("no RssAnon in the status of the process")


def expect_back(server: Server, before: int, after_what: str) -> None:
    """Anonymous memory comes down to what it was, and a little."""
    end = time.monotonic() + PATIENCE
    lowest = anonymous(server)
    while lowest > before + GROWTH_MAX and time.monotonic() < end:
        time.sleep(0.05)
        lowest = min(lowest, anonymous(server))
    print(f"  {after_what}: {before / MIB:.1f} MiB before, {lowest / MIB:.1f} after")
    if lowest > before + GROWTH_MAX:
        raise Failure(f"{lowest / MIB:.1f} MiB stay, {before / MIB:.1f} were there before")


def make_large_series() -> list[str]:
    random = Random(22)
    labels = [f"{random.getrandbits(4 * LABEL_DIGITS):0{LABEL_DIGITS}x}" for _ in range(SERIES)]
    return [f'large_{family}{{a="{label}",b="{label[::-1]}"}} ' for family in range(FAMILIES) for label in labels]


LARGE_SERIES = make_large_series()


def large_body(round_number: int) -> bytes:
    """The same series whatever the round, all values of which differ from the last round's."""
    value = f"{round_number % 90 + 10}.{'7' * 14}\n"
    return (value.join(LARGE_SERIES) + value).encode()


def push(server: Server, body: bytes, target: str = "/metrics/job/large", method: str = "PUT") -> None:
    answer = server.request(method, target, body=body)
    if answer.status not in (200, 202):
        raise Failure(f"{method} {target} answered {answer.status} {answer.text}")


def warm_up(server: Server) -> int:
    """Every kind of request once, so that what the process has for good is there. Returns its memory."""
    for target, headers in READS.values():
        push(server, b"small 1\n", "/metrics/job/small")
        server.request("GET", target, headers)
    return anonymous(server)


def stalled_reader(server: Server, target: str, headers: dict[str, str]) -> socket.socket:
    """Asks, takes the beginning of the answer and nothing more."""
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    reader.settimeout(20)
    reader.connect(("127.0.0.1", server.port))
    reader.sendall(build_request("GET", target, headers))
    if not reader.recv(200).startswith(b"HTTP/1.1 200"):
        raise Failure("a reader was not answered")
    return reader


def few_large_families(program: pathlib.Path, tally: Tally) -> None:
    with Server(program) as server:
        before = warm_up(server)

        def deleted() -> None:
            push(server, large_body(1))
            server.request("DELETE", "/metrics/job/large")
            expect_back(server, before, "deleted")

        def replaced() -> None:
            push(server, large_body(2))
            push(server, b"small 2\n")
            expect_back(server, before, "replaced by something small")

        def replaced_by_the_like() -> None:
            for number in range(3, 6):
                push(server, large_body(number))
            full = anonymous(server)
            for number in range(6, 14):
                push(server, large_body(number))
            expect_back(server, full, "replaced by as much")
            server.request("DELETE", "/metrics/job/large")
            expect_back(server, before, "deleted after that")

        tally.check("few large families that are deleted", deleted)
        tally.check("few large families that are replaced", replaced)
        tally.check("few large families that are replaced by others", replaced_by_the_like)
    with Server(program, ["--metric.timetolive=1s"]) as server:
        before = warm_up(server)

        def expired() -> None:
            push(server, large_body(1))
            expect_back(server, before, "expired")

        tally.check("few large families that expire", expired)


def long_readers(program: pathlib.Path, readers: int, tally: Tally) -> None:
    for kind, (target, headers) in READS.items():
        with Server(program) as server:
            empty = warm_up(server)

            def gone() -> None:
                push(server, large_body(0))
                full = anonymous(server)
                open_readers = []
                for number in range(readers):
                    open_readers.append(stalled_reader(server, target, headers))
                    push(server, large_body(number + 1))
                print(f"  {readers} {kind} readers: {anonymous(server) / MIB:.0f} MiB")
                for reader in open_readers:
                    reader.close()
                expect_back(server, full, f"{kind} readers have left")
                server.request("DELETE", "/metrics/job/large")
                expect_back(server, empty, "and what they read was deleted")

            tally.check(f"{readers} long {kind} readers that have left", gone)


def is_cut_off(reader: socket.socket) -> bool:
    """Takes what is there of an answer; whether its connection was reset then."""
    reader.settimeout(20)
    try:
        while reader.recv(1 << 20):
            pass
    except ConnectionResetError:
        return True
    except TimeoutError:
        pass
    return False


def bounded_readers(program: pathlib.Path, readers: int, tally: Tally) -> None:
    budget = 64 * MIB
    for kind, (target, headers) in READS.items():
        with Server(program, [f"--web.max-scrape-bytes={budget}"]) as server:
            warm_up(server)

            def bounded() -> None:
                push(server, large_body(0))
                push(server, large_body(1))
                open_readers, peak, held = [], 0, 0.0
                for number in range(readers):
                    open_readers.append(stalled_reader(server, target, headers))
                    push(server, large_body(number + 2))
                    peak = max(peak, anonymous(server))
                    found = scrapes.samples(server.scrape())
                    if not float(found['small{instance="",job="small"}']) == 1:
                        raise Failure("a healthy scrape is not answered")
                    held = max(held, float(found["pushgateway_scrape_held_bytes"]))
                print(f"  {readers} {kind} readers: at most {peak / MIB:.0f} MiB, {held / MIB:.0f} of them held")
                # The budget, one version more of all, the store, and what a push needs while it is judged.
                if peak > budget + 6 * FAMILIES * SERIES * 160:
                    raise Failure(f"{peak / MIB:.0f} MiB with a budget of {budget / MIB:.0f}")
                if held > budget + FAMILIES * SERIES * 160:
                    raise Failure(f"readers held {held / MIB:.0f} MiB, more than a version beyond the budget")
                cut_off = float(scrapes.samples(server.scrape())["pushgateway_scrapes_cut_off_total"])
                if not readers - 5 <= cut_off < readers:
                    raise Failure(f"{cut_off} of {readers} were cut off")
                if not is_cut_off(open_readers[0]):
                    raise Failure("the oldest reader does not notice that its answer is incomplete")
                lines = [line for line in server.log if "max-scrape-bytes" in line]
                if not lines or "remote_address=127.0.0.1:" not in lines[0] or len(lines) > readers / 2:
                    raise Failure(f"the log says {lines}")
                for reader in open_readers:
                    reader.close()

            tally.check(f"{readers} slow {kind} readers and a budget", bounded)


PARTS = ("few-large-families", "long-readers", "bounded-readers")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="build/dev/server/pushgateway")
    parser.add_argument("--readers", type=int, default=12)
    parser.add_argument("--only", choices=PARTS, action="append")
    arguments = parser.parse_args()
    program = pathlib.Path(arguments.program).resolve()
    parts = arguments.only or PARTS
    tally = Tally()
    if "few-large-families" in parts:
        few_large_families(program, tally)
    if "long-readers" in parts:
        long_readers(program, arguments.readers, tally)
    if "bounded-readers" in parts:
        bounded_readers(program, 2 * arguments.readers, tally)
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
