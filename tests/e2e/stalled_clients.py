#!/usr/bin/env python3
"""2,000 clients send half a request and stall, 1,000 send a head of 60 KB that never ends; everyone else must be
served as if they were not there.

    stalled_clients.py --program build/dev/server/pushgateway [--clients 2000]
"""

import argparse
import pathlib
import resource
import sys
import time

import scrapes
from harness import Connection, Failure, Server, Tally

# Where a request can stop: in its line, its headers, before, in and between the chunks of its body.
HALVES = (
    b"PO", b"POST /metrics/job/stalled HTTP/1.1\r\nHost: x\r\n",
    b"POST /metrics/job/stalled HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n",
    b"POST /metrics/job/stalled HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nstalled 1\n",
    b"POST /metrics/job/stalled HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"POST /metrics/job/stalled HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\na\r\nstal",
    b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 2000,
    b"",
)
PUSHES = 50
SPARE_FILES = 200
# A head of 60 KB that never ends, of as many headers as fit: what a server makes of each must not cost more
# than was sent.
LONG_HEAD = b"GET /metrics HTTP/1.1\r\nHost: x\r\n" + b"a:b\r\n" * 12_000
LONG_HEADS = 1000
LONG_HEADS_MEMORY_MAX = 75 * 2**20
# What a flood may leave behind, and how long the last of it may take to go back to the kernel.
KEPT_MEMORY_MAX = 6 * 2**20
GIVE_BACK_SECONDS = 20
# A stalled client may cost a descriptor and some KB, not a thread.
MEMORY_PER_CLIENT_MAX = 64 * 1024
THREADS_MAX = 64


def status(server: Server, field: str) -> int:
    for line in pathlib.Path(f"/proc/{server.pid}/status").read_text(encoding="ascii").split("\n"):
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise Failure(f"no {field} in the status of the process")


def check_served(server: Server) -> None:
    for number in range(PUSHES):
        answer = server.request("PUT", f"/metrics/job/alive/n/{number}", body=f"alive {number}\n".encode())
        if answer.status != 200:
            raise Failure(f"push {number} answered {answer.status} {answer.text}")
    found = scrapes.samples(server.scrape())
    missing = [number for number in range(PUSHES) if found.get(f'alive{{instance="",job="alive",n="{number}"}}') != str(number)]
    if missing:
        raise Failure(f"pushes {missing} are not in the scrape")
    for target in ("/-/healthy", "/-/ready", "/api/v1/status"):
        if server.request("GET", target).status != 200:
            raise Failure(f"{target} is not 200")
    if "stalled" in found:
        raise Failure("half a push was taken for a whole one")


def check_kept(server: Server, stalled: list[Connection]) -> None:
    """Those who go on after all are answered."""
    for connection in stalled[4::len(HALVES)][:10]:
        connection.send(b"a\r\nstalled 1\n\r\n0\r\n\r\n")
        answer = connection.response()
        if answer.status != 200:
            raise Failure(f"a client that went on got {answer.status} {answer.text}")


def anonymous_bytes(server: Server) -> int:
    return status(server, "RssAnon") * 1024


def check_long_heads(server: Server) -> None:
    """Many long heads stall, and leave."""
    check_served(server)
    before = anonymous_bytes(server)
    stalled = []
    for _ in range(LONG_HEADS):
        connection = server.connect()
        connection.send(LONG_HEAD)
        stalled.append(connection)
    check_served(server)
    grown = anonymous_bytes(server) - before
    print(f"  {grown / 2**20:.1f} MiB for {LONG_HEADS * len(LONG_HEAD) / 2**20:.1f} MiB of heads")
    for connection in stalled:
        connection.socket.close()
    end = time.monotonic() + GIVE_BACK_SECONDS
    while (kept := anonymous_bytes(server) - before) > KEPT_MEMORY_MAX and time.monotonic() < end:
        time.sleep(0.1)
    print(f"  {kept / 2**20:.1f} MiB when they are gone")
    if grown > LONG_HEADS_MEMORY_MAX or kept > KEPT_MEMORY_MAX:
        raise Failure(f"{grown} bytes with them, {kept} bytes when they are gone")
    check_served(server)


def check_stop(server: Server) -> None:
    begin = time.monotonic()
    code = server.stop()
    if code != 0:
        raise Failure(f"stopped with {code}")
    if time.monotonic() - begin > 8:
        raise Failure(f"took {time.monotonic() - begin:.1f} s to stop")


def run(program: pathlib.Path, clients: int, tally: Tally) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # The server starts under the usual soft limit and has to raise it itself.
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 1024), hard))
    with Server(program) as server:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, clients + SPARE_FILES), hard))
        threads, memory = status(server, "Threads"), status(server, "VmRSS")
        stalled = []
        for number in range(clients):
            connection = server.connect()
            connection.send(HALVES[number % len(HALVES)])
            stalled.append(connection)
        begin = time.monotonic()
        tally.check(f"{PUSHES} pushes beside {clients} stalled clients", check_served, server)
        print(f"  {PUSHES} pushes and some reads took {time.monotonic() - begin:.2f} s")
        grown = (status(server, "VmRSS") - memory) * 1024 // clients
        print(f"  {grown} bytes a client, {status(server, 'Threads')} threads ({threads} before)")

        def check_cost() -> None:
            if grown > MEMORY_PER_CLIENT_MAX or status(server, "Threads") > THREADS_MAX:
                raise Failure(f"{grown} bytes a client and {status(server, 'Threads')} threads")
        tally.check("a stalled client costs little", check_cost)
        tally.check("stalled clients that go on are answered", check_kept, server, stalled)
        tally.check("a stop does not wait for them", check_stop, server)
        for connection in stalled:
            connection.socket.close()
    with Server(program) as server:
        tally.check(f"{LONG_HEADS} long heads cost what was sent, and nothing when they are gone", check_long_heads, server)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="build/dev/server/pushgateway")
    parser.add_argument("--clients", type=int, default=2000)
    arguments = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard not in (resource.RLIM_INFINITY, -1) and hard < arguments.clients + SPARE_FILES:
        print(f"at most {hard} files may be open here: fewer than {arguments.clients} clients")
        arguments.clients = hard - SPARE_FILES
    tally = Tally()
    run(pathlib.Path(arguments.program).resolve(), arguments.clients, tally)
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
