#!/usr/bin/env python3
"""What further signals do to a server that is stopping while half a push has arrived.

    stop_signals.py --program build/dev/server/pushgateway
"""

import argparse
import pathlib
import signal
import sys
import time

from harness import Connection, Failure, Server, Tally, wait_for

HALF = b"PUT /metrics/job/half HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\nha"
REST = b"lf 1\n"


def half_a_push(server: Server) -> Connection:
    connection = server.connect()
    connection.send(HALF)
    server.request("GET", "/-/healthy")
    return connection


def is_stopping(server: Server) -> bool:
    return any("exiting gracefully" in line for line in server.log)


def begin_stop(server: Server, number: int) -> None:
    server.signal(number)
    wait_for(lambda: is_stopping(server), 10, "the first signal began no stop")


def check_terms(program: pathlib.Path, first: int) -> None:
    with Server(program) as server, half_a_push(server) as connection:
        begin_stop(server, first)
        for _ in range(3):
            server.signal(signal.SIGTERM)
            time.sleep(0.05)
        connection.send(REST)
        answer = connection.response()
        code = server.wait()
        if answer.status != 200 or code != 0:
            raise Failure(f"the push was answered {answer.status}, the server ended with {code}")


def check_interrupt(program: pathlib.Path, first: int) -> None:
    with Server(program) as server, half_a_push(server) as connection:
        begin_stop(server, first)
        begin = time.monotonic()
        server.signal(signal.SIGINT)
        code = server.wait()
        if code != 1 or time.monotonic() - begin > 2 or not connection.closed():
            raise Failure(f"it ended with {code} after {time.monotonic() - begin:.1f} s")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="build/dev/server/pushgateway")
    program = pathlib.Path(parser.parse_args().program).resolve()
    tally = Tally()
    for first in (signal.SIGTERM, signal.SIGINT):
        tally.check(f"further SIGTERMs after {first.name} leave half a push its time", check_terms, program, first)
        tally.check(f"a SIGINT after {first.name} ends it at once", check_interrupt, program, first)
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
