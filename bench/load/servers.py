"""Servers to measure, what to push to them, and meters: what the scripts of this folder share.

A server is anything with a `port` and a `pid`. A `prefix`, if it has one, stands before the paths that are
pushed to; a `path` takes their place. Everything is on 127.0.0.1.
"""

import collections
import contextlib
import dataclasses
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
import peers  # noqa: E402, F401

SERIES_PER_GROUP = 10
CONNECTIONS = 16
TAG = "bench-"
_pushed_to = collections.Counter()  # how often push() was called, by the server's pid


# What is pushed: groups as pushgateway-load --tag makes them, so that it can push to them afterwards.

def group_path(group: int) -> str:
    return f"/metrics/job/pgw_load/pgw_group/{TAG}{group:07d}"


def group_body(value) -> bytes:
    """A group; `value` gives the value of its nth series."""
    return b"".join(b'pgw_load%s{n="%d"} %d\n' % (b"_%d" % n if n else b"", n, value(n)) for n in range(SERIES_PER_GROUP))


def plain_body(_group: int, body=group_body(lambda _: 100_000)) -> bytes:
    return body


def varied_body(group: int, round_: int) -> bytes:
    """Values of six digits that compress as badly as real ones."""
    return group_body(lambda n: 100_000 + (group * 7919 + n * 104_729 + round_ * 31_337) % 900_000)


def fill(server, groups: int, body=plain_body) -> None:
    """Pushes all groups over one connection, some requests ahead of the answers."""
    window = 32
    with harness.Connection(server.port, 60) as connection:
        for start in range(0, groups, window):
            batch = range(start, min(start + window, groups))
            connection.send(b"".join(harness.build_request("POST", group_path(g), None, body(g)) for g in batch))
            for _ in batch:
                status = connection.response("POST").status
                if status not in (200, 202):
                    raise harness.Failure(f"filling answered {status}")


def settle(server) -> None:
    """Waits until a server has stopped putting its memory into huge pages."""
    def huge() -> str:
        return re.search(r"AnonHugePages:\s+(\d+)", pathlib.Path(f"/proc/{server.pid}/smaps_rollup").read_text()).group(1)

    if memory_mb(server.pid) < 40:
        return  # it does not even begin
    before, same = None, 0
    for _ in range(120):
        now = huge()
        same = same + 1 if now == before else 0
        if same == 2:
            return
        before = now
        time.sleep(1.5)


def k0s_body() -> bytes:
    """What k0s pushes for one component of the control plane."""
    return payloads.render("kube-scheduler", 1)


def changed_bodies(body: bytes, count: int) -> list[bytes]:
    """The same text with another last digit in each of its values, so that every family has changed."""
    def changed(line: bytes, by: int) -> bytes:
        if line.startswith(b"#") or not line:
            return line
        head, _, value = line.rpartition(b" ")
        mantissa, mark, exponent = value.partition(b"e")
        if not mantissa[-1:].isdigit():
            return line
        return head + b" " + mantissa[:-1] + b"%d" % ((int(mantissa[-1:]) + by) % 10) + mark + exponent

    lines = body.split(b"\n")
    return [b"\n".join(changed(line, by) for line in lines) for by in range(count)]


# Meters.

def processes(pid: int) -> list[int]:
    """The process and its children: nginx works in some of its own."""
    found = [pid]
    with contextlib.suppress(OSError):
        for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            found += processes(int(child))
    return found


def cpu_seconds(pid: int) -> float:
    """Of all threads that live, to the nanosecond where the kernel counts so; /proc/PID/stat has ticks of 10 ms."""
    total = 0.0
    for process in processes(pid):
        try:
            total += sum(int((task / "schedstat").read_text().split()[0])
                         for task in pathlib.Path(f"/proc/{process}/task").iterdir()) / 1e9
        except (OSError, IndexError):
            fields = pathlib.Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
            total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def memory_mb(pid: int, field: str = "VmRSS") -> float:
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"{field}:\s+(\d+)", status).group(1)) / 1024


def wake_ups(pid: int) -> int:
    """Voluntary context switches of all threads so far."""
    return sum(int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", (task / "status").read_text(), re.M).group(1))
               for task in pathlib.Path(f"/proc/{pid}/task").iterdir())


def median_ratio(dividends: list[float], divisors: list[float]) -> float:
    """Of one round each, so that a slow minute of the machine is in both."""
    return statistics.median(a / b for a, b in zip(dividends, divisors))


def load(program, server, *arguments: str) -> dict:
    """One run of pushgateway-load; its figures, with the notes it had."""
    with tempfile.TemporaryDirectory(prefix="pgw-bench-") as folder:
        file = pathlib.Path(folder) / "result.json"
        command = [str(program), *arguments, "--quiet", f"--json={file}", f"--pid={server.pid}",
                   f"--url=http://127.0.0.1:{server.port}{getattr(server, 'prefix', '')}"]
        done = subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if done.returncode not in (0, 2, 3):  # with violations or failed requests: they are in the figures
            raise harness.Failure(f"{command} ended with {done.returncode}: {done.stderr}")
        result = json.loads(file.read_text(encoding="utf-8"))
    target = result["targets"][0]
    return target["total"] | {"notes": result["notes"], "seconds": target["rounds"][0]["seconds"]}


@dataclasses.dataclass
class Pushes:
    """How pushes went that fill() has made groups for."""

    per_second: float
    cpu_us: float  # of the server, for each
    p99_ms: float
    max_ms: float


def push(program, server, groups: int, seconds: float, *, rate: float | None = None, connections: int = CONNECTIONS,
         whole: bool = False) -> Pushes:
    """POST of one series, or PUT of the `whole` group of ten, to each group in turns: as fast as they are
    answered, or open loop with a rate. Each has values of six digits that are not those of the push before."""
    _pushed_to[server.pid] += 1
    first_value = 100_000 + _pushed_to[server.pid] % 4 * 137_000
    form = ("--method=PUT", f"--series={SERIES_PER_GROUP}") if whole else ("--method=POST", "--series=1")
    before = cpu_seconds(server.pid)
    total = load(program, server, "--ttl=0s", "--watchers=0", f"--tag={TAG}", "--scatter", "--warm-up=200ms",
                 "--linger=0s", "--timeout=30s", f"--first-value={first_value}", f"--duration={int(seconds * 1000)}ms", f"--groups={groups}",
                 f"--connections={connections}", f"--rate={'max' if rate is None else rate}", *form)
    cpu = cpu_seconds(server.pid) - before
    figures = total["push"]
    # Who takes seconds for a push has some under way at the end that are not waited for.
    if rate is None and figures["failures"].get("timeout", 0) <= connections:
        figures["failures"].pop("timeout", None)
    if figures["failures"] or figures["not_sent"] or set(figures["statuses"]) - {"200", "202"}:
        raise harness.Failure(f"pushes failed: {figures}")
    every = max(1, total["pushes"] * (seconds + 0.2) / seconds)  # those of the warm-up, too
    return Pushes(total["pushes_per_s"], cpu * 1e6 / every, figures["p99_ms"], figures["max_ms"])


def big_push_cpu_ms(server, bodies: list[bytes], pushes: int) -> float:
    """CPU of the server for one push of these bodies, one after the other, to one group."""
    path = getattr(server, "path", "") or getattr(server, "prefix", "") + "/metrics/job/kube-scheduler/instance/a"
    requests = [harness.build_request("POST", path, None, body) for body in bodies]
    with harness.Connection(server.port, 60) as connection:
        def send(count: int) -> None:
            for i in range(count):
                connection.send(requests[i % len(requests)])
                status = connection.response("POST").status
                if status not in (200, 202, 204):
                    raise harness.Failure(f"a push of {len(bodies[0])} bytes answered {status}")

        send(len(bodies))
        before = cpu_seconds(server.pid)
        send(pushes)
        return (cpu_seconds(server.pid) - before) * 1000 / pushes


@dataclasses.dataclass
class Scrapes:
    ms: float  # the median, first byte sent to last byte received
    cpu_ms: float
    bytes: int


class Scraper:
    """Scrapes over a connection that it keeps, as Prometheus does."""

    def __init__(self, server, encoding: str = "identity"):
        self._request = (f"GET /metrics HTTP/1.1\r\nHost: bench\r\nAccept: text/plain\r\n"
                         f"Accept-Encoding: {encoding}\r\n\r\n").encode()
        self._connection = socket.create_connection(("127.0.0.1", server.port), 60)
        self._buffer = bytearray(1 << 20)

    def scrape(self) -> tuple[float, int]:
        """Milliseconds from the first byte sent to the last one received, and the size of the body."""
        begin = time.perf_counter()
        self._connection.sendall(self._request)
        size = _read_answer(self._connection, self._buffer)
        return (time.perf_counter() - begin) * 1000, size

    def __enter__(self) -> "Scraper":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()


def scrape(server, times: int, encoding: str = "identity") -> Scrapes:
    before = cpu_seconds(server.pid)
    with Scraper(server, encoding) as scraper:
        found = [scraper.scrape() for _ in range(times)]
    return Scrapes(statistics.median(ms for ms, _ in found), (cpu_seconds(server.pid) - before) * 1000 / times, found[-1][1])


def _read_answer(connection: socket.socket, buffer: bytearray) -> int:
    """Reads one answer and throws it away; the size of its body as sent."""
    head = b""
    while b"\r\n\r\n" not in head:
        piece = connection.recv(65536)
        if not piece:
            raise harness.Failure("the server closed in the middle of a scrape")
        head += piece
    header, _, rest = head.partition(b"\r\n\r\n")
    if b" 200 " not in header.split(b"\r\n")[0]:
        raise harness.Failure(f"a scrape answered {header[:100]!r}")
    received = len(rest)
    length = re.search(rb"Content-Length: (\d+)", header, re.IGNORECASE)
    tail = rest
    while received < int(length.group(1)) if length else not tail.endswith(b"\r\n0\r\n\r\n"):
        count = connection.recv_into(buffer)
        if not count:
            raise harness.Failure("the server closed in the middle of a scrape")
        received += count
        if not length:  # chunked: the end is enough to know
            tail = (tail + bytes(buffer[max(0, count - 16):count]))[-16:]
    return received


def scrape_body(server, encoding: str = "identity") -> bytes:
    with harness.Connection(server.port, 60) as connection:
        connection.send(harness.build_request("GET", "/metrics", {"Accept-Encoding": encoding}))
        return connection.response("GET").body


# Servers.

@dataclasses.dataclass
class Running:
    port: int
    pid: int
    prefix: str = ""
    path: str = ""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


@contextlib.contextmanager
def _program(command: list[str], port: int, prefix: str = "", path: str = ""):
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        harness.wait_for(lambda: _accepts(port), harness.PATIENCE_SECONDS, f"{command[0]} does not listen")
        yield Running(port, process.pid, prefix, path)
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def empty_server(program, body_bytes: int = 0):
    """Our HTTP engine with nothing behind it."""
    port = _free_port()
    with _program([str(program), "--threads=2", f"--listen=127.0.0.1:{port}", f"--body-bytes={body_bytes}"], port) as server:
        yield server


@contextlib.contextmanager
def nginx(program, content: bytes = b"", compressed: bytes | None = None):
    """Answers pushes with 200, and scrapes with a file; `compressed` for who takes gzip. Without sendfile,
    which would send the file without reading it."""
    with tempfile.TemporaryDirectory(prefix="pgw-bench-") as folder:
        root = pathlib.Path(folder)
        (root / "metrics").write_bytes(content)
        if compressed is not None:
            (root / "metrics.gz").write_bytes(compressed)
        root.chmod(0o755)
        port = _free_port()
        (root / "nginx.conf").write_text(f"""
daemon off; pid {folder}/pid; error_log {folder}/log crit; worker_processes 2;
events {{ worker_connections 512; }}
http {{
  access_log off; sendfile off; keepalive_requests 1000000000; default_type text/plain;
  client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
  uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
  server {{
    listen 127.0.0.1:{port}; root {folder}; gzip_static {'off' if compressed is None else 'on'};
    location /push/ {{ return 200; }}
  }}
}}
""")
        with _program([str(program), "-c", f"{folder}/nginx.conf"], port, "/push") as server:
            yield server


@contextlib.contextmanager
def victoria_metrics(program):
    """Imports the text format. This version does not know a Pushgateway's paths: labels stand in the query."""
    port = _free_port()
    with tempfile.TemporaryDirectory(prefix="pgw-bench-") as folder:
        command = [str(program), f"-httpListenAddr=127.0.0.1:{port}", f"-storageDataPath={folder}/data"]
        path = "/api/v1/import/prometheus?extra_label=job=kube-scheduler&extra_label=instance=a"
        with _program(command, port, path=path) as server:
            yield server


@contextlib.contextmanager
def go_with_groups(program, groups: int, body=plain_body):
    """The Go Pushgateway with its check on and the groups stored. Filling it through the check would
    take hours, so another process does that without, and hands over by the persistence file."""
    with tempfile.TemporaryDirectory(prefix="pgw-bench-") as folder:
        file = f"--persistence.file={folder}/data"
        with harness.Server(program, [file, "--push.disable-consistency-check"]) as server:
            fill(server, groups, body)
            time.sleep(1)
        with harness.Server(program, [file]) as server:
            yield server


def start(program, flags) -> tuple[float, float]:
    """Milliseconds from exec to the first answer, and the megabytes it has then."""
    port = _free_port()
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
            except (ConnectionRefusedError, ConnectionResetError):
                if process.poll() is not None:
                    raise harness.Failure(f"{program} ended by itself") from None
                time.sleep(0.0002)
        span = (time.perf_counter() - begin) * 1000
        return span, memory_mb(process.pid)
    finally:
        process.terminate()
        process.wait()


def version_of(program) -> str:
    text = subprocess.run([str(program), "--version"], capture_output=True, text=True, check=True).stdout
    return re.search(r"version (\S+)", text).group(1)
