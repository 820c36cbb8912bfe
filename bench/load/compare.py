#!/usr/bin/env python3
"""The speed and memory of the real program beside its peers, in one run.

    compare.py --ours build/release/server/pushgateway --empty build/release/bench/http_empty_server
               --peers build/peers [--seconds 2] [--json FILE]

Peers: Debian's Go Pushgateway, an empty handler on our HTTP engine, nginx serving a file of the same
bytes with sendfile off. The load comes from wrk and from sockets, all on 127.0.0.1. Prints a table in
Markdown; each column names its version.
"""

import argparse
import contextlib
import gzip
import json
import os
import pathlib
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/e2e"))

import harness  # noqa: E402
import payloads  # noqa: E402
import peers  # noqa: E402

SERIES_PER_GROUP = 10
PUSH_GROUPS = (100, 1_000, 10_000, 100_000)
SCRAPE_GROUPS = 10_000
PUSH_ROUNDS = 15
CONNECTIONS = 16
SCRAPES = 15
K0S_PUSHES = 400
NO_TTL: tuple[str, ...] = ()

# Each request: one series of ten, into one group after the other. It is made as one string that was
# not there before, so that it costs the same for any number of groups; a path that is a string of
# its own would come again sooner with few groups, and Lua would find it instead of making it.
WRK_SCRIPT = """
local groups, n = {groups}, 0
local form = "POST /metrics/job/batch/instance/host-%07d HTTP/1.1\\r\\nHost: bench\\r\\n" ..
             "Content-Length: 36\\r\\n\\r\\nbatch_metric_%d{{stage=\\"load\\"}} %d\\n"
function request()
  n = n + 1
  return string.format(form, (n * 7919) % groups, n % 10, 100000 + n % 900000)
end
"""


def group_body(value: int) -> bytes:
    return b"".join(b'batch_metric_%d{stage="load"} %d\n' % (m, value) for m in range(SERIES_PER_GROUP))


def varied_body(group: int, round_: int) -> bytes:
    """Values of six digits that compress as badly as real ones."""
    return b"".join(b'batch_metric_%d{stage="load"} %d\n' %
                    (m, 100_000 + (group * 7919 + m * 104_729 + round_ * 31_337) % 900_000)
                    for m in range(SERIES_PER_GROUP))


def cpu_seconds(pid: int) -> float:
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mb(pid: int) -> float:
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 1024


def fill(server: harness.Server, groups: int, body=lambda group: group_body(100_000)) -> None:
    """Pushes all groups over one connection, some requests ahead of the answers."""
    window = 32
    with server.connect(60) as connection:
        for start in range(0, groups, window):
            batch = range(start, min(start + window, groups))
            connection.send(b"".join(
                harness.build_request("POST", f"/metrics/job/batch/instance/host-{g:07d}", None, body(g))
                for g in batch))
            for _ in batch:
                status = connection.response("POST").status
                if status not in (200, 202):
                    raise harness.Failure(f"filling answered {status}")


def pushes_per_second(port: int, groups: int, seconds: int, connections: int = CONNECTIONS) -> float:
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(WRK_SCRIPT.format(groups=groups))
        script.flush()
        output = subprocess.run(
            ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", script.name,
             f"http://127.0.0.1:{port}"], check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in output:
        raise harness.Failure(f"pushes failed:\n{output}")
    return float(re.search(r"Requests/sec:\s+([\d.]+)", output).group(1))


def scrape_ms(port: int, times: int, encoding: str = "identity") -> tuple[float, int]:
    """The median time of a scrape, first byte sent to last byte received, and its size."""
    request = f"GET /metrics HTTP/1.1\r\nHost: bench\r\nAccept: text/plain\r\nAccept-Encoding: {encoding}\r\n\r\n"
    spans, size = [], 0
    with socket.create_connection(("127.0.0.1", port), 60) as connection:
        buffer = bytearray(1 << 20)
        for _ in range(times):
            begin = time.perf_counter()
            connection.sendall(request.encode())
            received, head = 0, b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(65536)
            header, _, rest = head.partition(b"\r\n\r\n")
            length = re.search(rb"Content-Length: (\d+)", header, re.IGNORECASE)
            if length:
                received = len(rest)
                while received < int(length.group(1)):
                    received += connection.recv_into(buffer)
            else:  # chunked: the end is enough to know
                tail, received = rest, len(rest)
                while not tail.endswith(b"\r\n0\r\n\r\n"):
                    count = connection.recv_into(buffer)
                    received += count
                    tail = (tail + bytes(buffer[max(0, count - 16):count]))[-16:]
            spans.append((time.perf_counter() - begin) * 1000)
            size = received
    return statistics.median(spans), size


@contextlib.contextmanager
def go_with_groups(program, groups: int):
    """The Go Pushgateway with its check on and the groups stored. Filling it through the check would
    take hours, so another process does that without, and hands over by the persistence file."""
    with tempfile.TemporaryDirectory(prefix="pgw-bench-") as folder:
        file = f"--persistence.file={folder}/data"
        with harness.Server(program, [file, "--push.disable-consistency-check"]) as server:
            fill(server, groups)
            time.sleep(1)
        with harness.Server(program, [file]) as server:
            yield server


def k0s_push_ms(server: harness.Server) -> float:
    """CPU of one push of a control-plane component, every value changed."""
    bodies = [payloads.render("kube-scheduler", tick) for tick in range(8)]
    before = cpu_seconds(server.pid)
    with server.connect(60) as connection:
        for i in range(K0S_PUSHES):
            connection.send(harness.build_request(
                "POST", "/metrics/job/kube-scheduler/instance/a", None, bodies[i % len(bodies)]))
            if connection.response("POST").status != 200:
                raise harness.Failure("the control-plane push failed")
    return (cpu_seconds(server.pid) - before) * 1000 / K0S_PUSHES


def start_ms(program, flags) -> tuple[float, float]:
    """Time from exec to the first answer, and the memory then."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    begin = time.perf_counter()
    process = subprocess.Popen([str(program), f"--web.listen-address=127.0.0.1:{port}", *flags],
                               stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        while True:
            try:
                with socket.create_connection(("127.0.0.1", port), 1) as connection:
                    connection.sendall(b"GET /-/ready HTTP/1.0\r\n\r\n")
                    if b" 200 " in connection.recv(4096):
                        break
            except ConnectionRefusedError:
                time.sleep(0.0002)
        span = (time.perf_counter() - begin) * 1000
        return span, rss_mb(process.pid)
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def nginx(program, content: bytes):
    with tempfile.TemporaryDirectory(prefix="pgw-bench-") as folder:
        root = pathlib.Path(folder)
        (root / "metrics").write_bytes(content)
        root.chmod(0o755)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        (root / "nginx.conf").write_text(f"""
daemon off; pid {folder}/pid; error_log {folder}/log crit; worker_processes 2;
events {{ worker_connections 512; }}
http {{
  access_log off; sendfile off; keepalive_requests 1000000000; default_type text/plain;
  client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
  uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
  server {{ listen 127.0.0.1:{port}; root {folder}; location = /push {{ return 200; }} }}
}}
""")
        process = subprocess.Popen([str(program), "-c", f"{folder}/nginx.conf"], stderr=subprocess.DEVNULL)
        try:
            harness.wait_for(lambda: _accepts(port), 10, "nginx does not listen")
            yield port
        finally:
            process.terminate()
            process.wait()


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


@contextlib.contextmanager
def empty_server(program):
    process = subprocess.Popen([str(program), "--threads=2"], stdout=subprocess.PIPE, text=True)
    try:
        yield int(process.stdout.readline().strip().rsplit(":", 1)[1])
    finally:
        process.terminate()
        process.wait()


def median_ratio(dividends: list[float], divisors: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(dividends, divisors))


def push_rounds(options) -> dict:
    """Pushes/s into few and many groups and at the empty handler, in turns; by groups and server."""
    samples: dict = {groups: {"ours": [], "empty": []} for groups in PUSH_GROUPS}
    with contextlib.ExitStack() as stack:
        servers = {}
        for groups in PUSH_GROUPS:
            servers[groups] = stack.enter_context(harness.Server(options.ours, NO_TTL))
            fill(servers[groups], groups)
        empty = stack.enter_context(empty_server(options.empty))
        for _ in range(PUSH_ROUNDS):
            for groups in PUSH_GROUPS:
                for name, port in (("ours", servers[groups].port), ("empty", empty)):
                    samples[groups][name].append(pushes_per_second(port, groups, options.seconds))
    return samples


def measure(options) -> dict:
    go = peers.get("pushgateway", options.peers)
    web = peers.get("nginx", options.peers)
    version = subprocess.run([options.ours, "--version"], capture_output=True, text=True, check=True).stdout
    result = {"versions": {"ours": re.search(r"version (\S+)", version).group(1), "go": go.version,
                           "nginx": web.version}, "rows": {}}
    rows = result["rows"]
    samples = push_rounds(options)
    for groups in PUSH_GROUPS:
        row = rows.setdefault(f"pushes/s, one series into one of {groups:,} groups of 10, 16 connections", {})
        for name in ("ours", "empty"):
            row[name] = statistics.median(samples[groups][name])
        # Of one round each, so that a slow minute of the machine is in both.
        row["of the empty handler"] = median_ratio(samples[groups]["ours"], samples[groups]["empty"])
        row["of the fewest groups"] = median_ratio(samples[groups]["ours"], samples[PUSH_GROUPS[0]]["ours"])
        if groups <= 10_000:
            with go_with_groups(go.program, groups) as server:
                row["go"] = pushes_per_second(server.port, groups, options.seconds)
        print(f"pushes {groups}: {row}", file=sys.stderr)

    row = rows.setdefault("one push of a control-plane component, 313 KB of text, values changed: CPU ms", {})
    with harness.Server(options.ours, NO_TTL) as server:
        row["ours"] = k0s_push_ms(server)
    with tempfile.TemporaryDirectory() as folder:
        with harness.Server(go.program, [f"--persistence.file={folder}/data"]) as server:
            row["go"] = k0s_push_ms(server)

    scrape = rows.setdefault(f"scrape of {SCRAPE_GROUPS:,} groups of 10, plain: ms", {})
    memory = rows.setdefault("memory holding that, after pushes and scrapes: MB", {})
    size = rows.setdefault("size of that scrape: MB", {})
    with harness.Server(options.ours, NO_TTL) as server:
        fill(server, SCRAPE_GROUPS)
        pushes_per_second(server.port, SCRAPE_GROUPS, 1)
        content = server.scrape().encode()
        with nginx(web.program, content) as port:
            ours, reference = [], []
            for _ in range(3):
                span, length = scrape_ms(server.port, SCRAPES)
                ours.append(span)
                reference.append(scrape_ms(port, SCRAPES)[0])
        scrape["ours"], scrape["nginx"] = statistics.median(ours), statistics.median(reference)
        size["ours"] = length / 1e6
        memory["ours"] = rss_mb(server.pid)
    with go_with_groups(go.program, SCRAPE_GROUPS) as server:
        scrape["go"], length = scrape_ms(server.port, 3)
        size["go"] = length / 1e6
        memory["go"] = rss_mb(server.pid)

    gzip_scrapes(options, go, web, rows)

    first = rows.setdefault("start to first answer: ms", {})
    idle = rows.setdefault("memory then: MB", {})
    for name, program, flags in (("ours", options.ours, []), ("go", go.program, ["--persistence.file="])):
        samples = [start_ms(program, flags) for _ in range(7)]
        first[name] = statistics.median(span for span, _ in samples)
        idle[name] = statistics.median(memory for _, memory in samples)
    return result


def gzip_scrapes(options, go, web, rows: dict) -> None:
    """Scrapes with gzip: nothing has changed since the last one, beside nginx with a file of the same
    bytes; and everything has."""
    same = rows.setdefault(f"gzip scrape of {SCRAPE_GROUPS:,} groups of 10, nothing changed: ms", {})
    changed = rows.setdefault("that, everything changed: ms", {})
    size = rows.setdefault("size of it: MB", {})

    def change_and_scrape(server, round_: int) -> float:
        fill(server, SCRAPE_GROUPS, lambda group: varied_body(group, round_))
        return scrape_ms(server.port, 1, "gzip")[0]

    with harness.Server(options.ours, NO_TTL) as server:
        changed["ours"] = statistics.median(change_and_scrape(server, r) for r in range(5))
        with server.connect(60) as connection:
            connection.send(harness.build_request("GET", "/metrics", {"Accept-Encoding": "gzip"}))
            content = connection.response("GET").body
        if gzip.decompress(content).count(b"\nbatch_metric_") != SCRAPE_GROUPS * SERIES_PER_GROUP:
            raise harness.Failure("the gzip scrape is not whole")
        ours, reference = [], []
        with nginx(web.program, content) as port:
            for _ in range(5):
                ours.append(scrape_ms(server.port, 4 * SCRAPES, "gzip")[0])
                reference.append(scrape_ms(port, 4 * SCRAPES)[0])
        same["ours"], same["nginx"] = statistics.median(ours), statistics.median(reference)
        size["ours"] = len(content) / 1e6
    with go_with_groups(go.program, SCRAPE_GROUPS) as server:
        same["go"], length = scrape_ms(server.port, 3, "gzip")
        size["go"] = length / 1e6
    # Its check would make filling take hours; scrapes compress the same.
    with harness.Server(go.program, ["--persistence.file=", "--push.disable-consistency-check"]) as server:
        changed["go"] = statistics.median(change_and_scrape(server, r) for r in range(2))


def number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def table(result: dict) -> str:
    versions = result["versions"]
    columns = [("ours", f"pushgateway-ttl {versions['ours']}"), ("go", f"Go Pushgateway {versions['go']}"),
               ("empty", "empty handler on our engine"), ("nginx", f"nginx {versions['nginx']}, sendfile off")]
    lines = ["| | " + " | ".join(title for _, title in columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, row in result["rows"].items():
        lines.append(f"| {name} | " + " | ".join(number(row.get(key)) for key, _ in columns) + " |")
    lines.append("")
    for name, row in result["rows"].items():
        if "of the fewest groups" in row:
            lines.append(f"{name}: {row['of the empty handler']:.0%} of the empty handler, "
                         f"{row['of the fewest groups']:.0%} of the fewest groups (medians over rounds)")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ours", required=True, type=os.path.abspath)
    parser.add_argument("--empty", required=True, type=os.path.abspath)
    parser.add_argument("--peers", required=True, type=pathlib.Path)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    result = measure(options)
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    print(table(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
