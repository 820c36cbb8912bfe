#!/usr/bin/env python3
"""Real clients push to our server: curl and the client libraries of C++, Python and Go.

    clients.py [--program …] [--gateway-client build/dev/tests/e2e/gateway_client] curl|cpp|python|go …

A client that is not there on this machine is skipped with its reason.
"""

import argparse
import gzip
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import peers
import scrapes
from harness import Failure, Server, Tally, wait_for

HERE = pathlib.Path(__file__).resolve().parent
BODY = '# HELP curl_total Runs.\n# TYPE curl_total counter\ncurl_total{step="a"} 1\ncurl_gauge 2.5\n'

PYTHON_CLIENT = """
import sys
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary
from prometheus_client import push_to_gateway, pushadd_to_gateway, delete_from_gateway
url = "127.0.0.1:" + sys.argv[1]
registry = CollectorRegistry()
Counter("python_client_runs", "Runs.", ["step"], registry=registry).labels("h\\u00f6he").inc(3)
Histogram("python_client_seconds", "Duration.", buckets=(0.1, 1), registry=registry).observe(0.5)
Summary("python_client_size_bytes", "Size.", registry=registry).observe(7)
push_to_gateway(url, job="python/client", registry=registry, grouping_key={"instance": "i 1", "path": "/var/tmp", "empty": ""})
more = CollectorRegistry()
Gauge("python_client_gauge", "A gauge.", registry=more).set(42)
pushadd_to_gateway(url, job="python/client", registry=more, grouping_key={"instance": "i 1", "path": "/var/tmp", "empty": ""})
push_to_gateway(url, job="python_gone", registry=more)
delete_from_gateway(url, job="python_gone")
try:
    other = CollectorRegistry()
    Gauge("python_client_runs_total", "Runs.", registry=other).set(1)
    push_to_gateway(url, job="python_conflict", registry=other)
    print("the conflict was not refused")
except Exception as error:
    print("conflict:", error)
"""


def run(command: list, **options) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=240, check=False, **options)
    if done.returncode != 0:
        raise Failure(f"{command[0]} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


def expect_samples(server: Server, expected: dict[str, str]) -> None:
    found = scrapes.samples(server.scrape({"Accept": "text/plain;version=0.0.4;escaping=allow-utf-8"}))
    wrong = {series: found.get(series) for series, value in expected.items() if found.get(series) != value}
    if wrong:
        shown = "\n".join(f"{series} {value}" for series, value in found.items() if "_client_" in series or "curl_" in series)
        raise Failure(f"expected {expected}\ngot instead {wrong}\nof\n{shown}")


def expect_groups(server: Server, expected: list[dict[str, str]]) -> None:
    """Exactly these groups, at the latest in a moment: a DELETE is only queued when it is answered."""
    def groups() -> list[dict[str, str]]:
        return [group["labels"] for group in json.loads(server.request("GET", "/api/v1/metrics").body)["data"]]
    def ordered(found: list[dict[str, str]]) -> list:
        return sorted(sorted(labels.items()) for labels in found)
    wait_for(lambda: ordered(groups()) == ordered(expected), 2, f"groups should be {expected}, are {groups()}")


def check_curl(server: Server, _options: argparse.Namespace) -> None:
    if shutil.which("curl") is None:
        raise peers.Unavailable("curl is not installed")
    url = f"http://127.0.0.1:{server.port}/metrics/job/curl"

    def curl(*arguments: str, data: bytes = BODY.encode(), status: str = "200") -> None:
        done = subprocess.run(["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "20", *arguments],
                              input=data, capture_output=True, timeout=60, check=False)
        if done.stdout.decode() != status:
            raise Failure(f"curl {arguments} got {done.stdout.decode()}, not {status}: {done.stderr.decode()}")

    curl("-X", "PUT", "--data-binary", "@-", f"{url}/way/put")
    curl("--data-binary", "@-", f"{url}/way/post")
    curl("-T", "-", f"{url}/way/upload")  # PUT, chunked, with Expect: 100-continue
    curl("-X", "POST", "-H", "Transfer-Encoding: chunked", "--data-binary", "@-", f"{url}/way/chunked")
    curl("-H", "Content-Encoding: gzip", "--data-binary", "@-", f"{url}/way/gzip", data=gzip.compress(BODY.encode()))
    curl("-H", "Expect: 100-continue", "--data-binary", "@-", f"{url}/way/expect")
    curl("--http1.0", "--data-binary", "@-", f"{url}/way/http10")
    curl("-d", "@-", f"{url}/way/folded", status="400")  # without --data-binary curl drops the line feeds
    curl("--data-binary", "@-", f"{url}/way/gone")
    curl("-X", "DELETE", f"{url}/way/gone", status="202")
    big = "".join(f'curl_big{{n="{i}"}} {i}\n' for i in range(20000)).encode()
    curl("--data-binary", "@-", f"{url}/way/big", data=big)
    ways = ("put", "post", "upload", "chunked", "gzip", "expect", "http10")
    expect_samples(server, {f'curl_total{{instance="",job="curl",step="a",way="{way}"}}': "1" for way in ways})
    expect_samples(server, {'curl_big{instance="",job="curl",n="19999",way="big"}': "19999"})
    expect_groups(server, [{"job": "curl", "way": way} for way in (*ways, "big")])
    compressed = run(["curl", "-sS", "--compressed", f"http://127.0.0.1:{server.port}/metrics"])
    if 'curl_gauge{instance="",job="curl",way="put"} 2.5' not in compressed:
        raise Failure("a compressed scrape lacks what was pushed")


def check_cpp(server: Server, options: argparse.Namespace) -> None:
    program = pathlib.Path(options.gateway_client)
    if not program.exists():
        raise peers.Unavailable(f"{program} is not built")
    output = "".join(re.findall(r"(?m)^[a-z ]+ \d+\n", run([program, server.port])))
    expected = "push 200\nadd 200\nreplace 200\nconflict 400\npush to delete 200\ndelete 202\n"
    if output != expected:
        raise Failure(f"statuses should be\n{expected}are\n{output}")
    labels = 'instance="i1",job="cpp_client"'
    expect_samples(server, {
        f'cpp_client_runs_total{{{labels},step="first"}}': "3", f'cpp_client_runs_total{{{labels},step="quo\\"te"}}': "1.5",
        f'cpp_client_seconds_bucket{{{labels},le="0.1"}}': "1", f'cpp_client_seconds_bucket{{{labels},le="+Inf"}}': "2",
        f"cpp_client_seconds_count{{{labels}}}": "2", f'cpp_client_size_bytes{{{labels},quantile="0.5"}}': "7",
        f"cpp_client_gauge{{{labels}}}": "42"})
    expect_groups(server, [{"instance": "i1", "job": "cpp_client"}, {"job": "cpp_replaced"}, {"job": "cpp_conflict"}])


def check_python(server: Server, options: argparse.Namespace) -> None:
    peer = peers.get("python-client", options.peers)
    print(f"  with {peer}")
    output = run([sys.executable, "-c", PYTHON_CLIENT, server.port],
                 env=dict(os.environ, PYTHONPATH=str(peer.python_path), PYTHONDONTWRITEBYTECODE="1"))
    if output.strip() != "conflict: HTTP Error 400: Bad Request":
        raise Failure(f"client says {output!r}")
    # The library writes a blank as a plus, and in a path a plus is a plus.
    labels = 'empty="",instance="i+1",job="python/client",path="/var/tmp"'
    expect_samples(server, {
        f'python_client_runs_total{{{labels},step="höhe"}}': "3",
        f'python_client_seconds_bucket{{{labels},le="1"}}': "1", f"python_client_seconds_count{{{labels}}}": "1",
        f"python_client_size_bytes_sum{{{labels}}}": "7", f"python_client_gauge{{{labels}}}": "42"})
    expect_groups(server, [{"job": "python/client", "instance": "i+1", "path": "/var/tmp", "empty": ""},
                           {"job": "python_conflict"}])


def check_go(server: Server, options: argparse.Namespace) -> None:
    program = build_go_client(pathlib.Path(options.peers).resolve().parent / "go_client")
    output = run([program, f"http://127.0.0.1:{server.port}"])
    if "is not a " not in output:
        raise Failure(f"the refused push is not explained: {output}")
    # As for Python: a plus, not a blank.
    labels = 'empty="",instance="i+1",job="go/client"'
    expect_samples(server, {
        f'go_client_runs_total{{{labels},step="first"}}': "3", f'go_client_runs_total{{{labels},step="höhe/2"}}': "1.5",
        f'go_client_seconds_bucket{{{labels},le="1"}}': "2", f'go_client_native_seconds_bucket{{{labels},le="+Inf"}}': "3",
        f"go_client_size_bytes_count{{{labels}}}": "3", f"go_client_gauge{{{labels}}}": "42",
        'go_client_runs_total{instance="",job="go_text",step="first"}': "3"})
    expect_groups(server, [{"job": "go/client", "instance": "i+1", "empty": ""}, {"job": "go_text"}, {"job": "go_conflict"}])


def build_go_client(folder: pathlib.Path) -> pathlib.Path:
    """Builds in a copy: the tool writes beside its sources."""
    go = shutil.which("go")
    if go is None:
        raise peers.Unavailable("go is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("main.go", "go.mod", "go.sum"):
        shutil.copy(HERE / "go_client" / name, folder / name)
    environment = dict(os.environ, GOFLAGS="-mod=readonly", GOTOOLCHAIN="local")
    for command in (["mod", "download"], ["build", "-o", "client", "."]):
        done = subprocess.run([go, *command], cwd=folder, env=environment, capture_output=True, text=True, timeout=240, check=False)
        if done.returncode != 0:
            raise peers.Unavailable(f"go {command[0]}: {done.stderr.strip()[-300:]}")
    return folder / "client"


CLIENTS = {"curl": check_curl, "cpp": check_cpp, "python": check_python, "go": check_go}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="build/dev/server/pushgateway")
    parser.add_argument("--peers", default="build/peers")
    parser.add_argument("--gateway-client", default="build/dev/tests/e2e/gateway_client")
    parser.add_argument("clients", nargs="*", choices=[[], *CLIENTS], metavar="client")
    options = parser.parse_args()
    tally = Tally()
    for name in options.clients or CLIENTS:
        with Server(pathlib.Path(options.program).resolve()) as server:
            try:
                CLIENTS[name](server, options)
                tally.ok(name)
            except peers.Unavailable as reason:
                tally.skip(name, str(reason))
            except Exception as error:  # pylint: disable=broad-exception-caught
                tally.fail(name, f"{type(error).__name__}: {error}")
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
