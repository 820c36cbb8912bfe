"""What every end-to-end test needs: a running server of its own and raw HTTP to it.

Black box: a program, its flags, 127.0.0.1 and a port the kernel chose. Nothing is left behind: a
server's working folder is a temporary one and both go when the `with` block ends.
"""

import argparse
import ctypes
import dataclasses
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from xml.sax.saxutils import quoteattr

# Patience with a loaded machine, not an expectation about speed.
PATIENCE_SECONDS = 20.0

SKIPPED = 77  # exit code that ctest shows as "skipped"


# A test that is asked to end still removes what it made: the exit unwinds its `with` blocks.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


class Failure(Exception):
    """An expectation was not met."""


class Server:
    """A server under test, or one the tests work with, until the `with` block ends. Any program will
    do that takes --web.listen-address and logs `Listening on` with the address: ours, the Go
    reference, Prometheus."""

    def __init__(self, program: os.PathLike | str, flags: list[str] | tuple[str, ...] = (),
                 listen: str = "127.0.0.1:0", folder: pathlib.Path | None = None, files: dict[str, str] | None = None):
        """`files` are written to the working folder first."""
        self.program = str(program)
        self._own_folder = folder is None
        self.folder = folder or pathlib.Path(tempfile.mkdtemp(prefix="pgw-e2e-"))
        for name, content in (files or {}).items():
            (self.folder / name).write_text(content, encoding="utf-8")
        self.command = [self.program, f"--web.listen-address={listen}", *flags]
        self.log: list[str] = []
        self._listening = threading.Event()
        self.port = 0
        self._process = subprocess.Popen(self.command, cwd=self.folder, stdin=subprocess.DEVNULL,
                                         stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=_ENVIRONMENT,
                                         preexec_fn=_die_with_parent)
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        if not self._listening.wait(PATIENCE_SECONDS) or not self.port:
            log = "\n".join(self.log)
            self.stop()
            raise Failure(f"{self.command} did not say where it listens:\n{log}")

    def _read_log(self) -> None:
        for raw in self._process.stderr:
            line = raw.decode("utf-8", "replace").rstrip("\n")
            self.log.append(line)
            # logfmt or JSON: address=127.0.0.1:38123, "address":"127.0.0.1:38123"
            match = re.search(r'Listening on.*?address"?[=:]"?\S*?:(\d+)', line)
            if match and not self.port:
                self.port = int(match.group(1))
                self._listening.set()
        self._listening.set()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def wait(self, timeout: float = PATIENCE_SECONDS) -> int:
        if self._process.returncode is None:
            # Popen.wait() with a limit only looks from time to time, less and less often.
            descriptor = os.pidfd_open(self.pid)
            end = select.poll()  # select() takes no descriptor beyond the first thousand
            end.register(descriptor, select.POLLIN)
            end.poll(timeout * 1000)
            os.close(descriptor)
        code = self._process.wait(0)
        self._reader.join(PATIENCE_SECONDS)
        return code

    def stop(self) -> int:
        """Ends the server gracefully and returns its exit code (-9: it had to be killed)."""
        try:
            if self.alive:
                self.signal(signal.SIGTERM)
            return self.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self.wait()
        finally:
            self._process.stderr.close()
            if self._own_folder:
                shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def connect(self, timeout: float = PATIENCE_SECONDS) -> "Connection":
        return Connection(self.port, timeout)

    def request(self, method: str, target: str, headers: dict[str, str] | None = None,
                body: bytes | None = None) -> "Response":
        """One request on a connection of its own."""
        with self.connect() as connection:
            connection.send(build_request(method, target, headers, body))
            return connection.response(method)

    def scrape(self, headers: dict[str, str] | None = None) -> str:
        answer = self.request("GET", "/metrics", headers)
        if answer.status != 200:
            raise Failure(f"scrape answered {answer.status}: {answer.text}")
        return answer.text


# Debian builds Go programs so that they keep the habits of Go 1.20; the released Pushgateway has
# those of its own Go. Our server does not look at this.
_ENVIRONMENT = dict(os.environ, GODEBUG="httpmuxgo121=0,httplaxcontentlength=0,httpservecontentkeepheaders=0")

# Loaded here, not in the child: between fork and exec little is safe.
_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    """Ends the child when the test is killed, so that no server outlives its run."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


@dataclasses.dataclass
class Response:
    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        for key, value in self.headers:
            if key.lower() == name.lower():
                return value
        return None

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "surrogateescape")


def build_request(method: str, target: str | bytes, headers: dict[str, str] | None = None,
                  body: bytes | None = None) -> bytes:
    """A request as bytes; Host and Content-Length are added unless given."""
    headers = dict(headers or {})
    present = {name.lower() for name in headers}
    raw = target if isinstance(target, bytes) else target.encode("utf-8", "surrogateescape")
    lines = [method.encode() + b" " + raw + b" HTTP/1.1"]
    if "host" not in present:
        lines.append(b"Host: localhost")
    for name, value in headers.items():
        lines.append(name.encode() + b": " + value.encode("utf-8", "surrogateescape"))
    chunked = any(name.lower() == "transfer-encoding" for name in headers)
    if body is not None and "content-length" not in present and not chunked:
        lines.append(b"Content-Length: %d" % len(body))
    payload = body or b""
    if chunked:
        payload = b"".join(chunk(part) for part in _thirds(payload)) + b"0\r\n\r\n"
    return b"\r\n".join(lines) + b"\r\n\r\n" + payload


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _thirds(data: bytes) -> list[bytes]:
    step = max(1, len(data) // 3)
    return [data[i:i + step] for i in range(0, len(data), step)]


class Connection:
    """A TCP connection with a response reader that trusts nothing."""

    def __init__(self, port: int, timeout: float = PATIENCE_SECONDS):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""
        self._ended = False

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # The server may answer and close before it has read everything.

    def end_output(self) -> None:
        """Says that nothing more will be sent."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # The server has closed already.

    def at_end(self) -> bool:
        """Whether the server has closed and everything it sent was taken; waits for either."""
        return not self._buffer and not self._fill()

    def response(self, method: str = "GET") -> Response:
        head = self._until(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        match = re.fullmatch(r"HTTP/1\.[01] (\d{3}) ?(.*)", lines[0])
        if not match:
            raise Failure(f"no status line: {lines[0]!r}")
        headers = []
        for line in filter(None, lines[1:]):
            name, _, value = line.partition(":")
            headers.append((name, value.strip()))
        answer = Response(int(match.group(1)), match.group(2), headers, b"")
        if method == "HEAD" or answer.status in (204, 304) or answer.status < 200:
            return answer
        if (answer.header("Transfer-Encoding") or "").lower() == "chunked":
            answer.body = self._chunks()
        elif answer.header("Content-Length") is not None:
            answer.body = self._exactly(int(answer.header("Content-Length")))
        else:
            answer.body = self._rest()
        return answer

    def closed(self, timeout: float = 5.0) -> bool:
        """Whether the server closes the connection without a further byte."""
        if self._buffer:
            return False
        self.socket.settimeout(timeout)
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False

    def _fill(self) -> bool:
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        except TimeoutError as error:
            raise Failure(f"no answer in time; got so far: {self._buffer[:200]!r}") from error
        self._buffer += data
        self._ended = not data
        return bool(data)

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._buffer:
            if not self._fill():
                raise Failure(f"connection closed before an answer; got {self._buffer[:200]!r}")
        head, _, self._buffer = self._buffer.partition(mark)
        return head

    def _exactly(self, size: int) -> bytes:
        parts = [self._buffer]
        have = len(self._buffer)
        self._buffer = b""
        while have < size:
            if not self._fill():
                raise Failure(f"body ends after {have} of {size} bytes")
            parts.append(self._buffer)
            have += len(self._buffer)
            self._buffer = b""
        data = b"".join(parts)
        self._buffer = data[size:]
        return data[:size]

    def _chunks(self) -> bytes:
        parts = []
        while True:
            size = int(self._until(b"\r\n").split(b";")[0], 16)
            if size == 0:
                while self._until(b"\r\n"):
                    pass
                return b"".join(parts)
            parts.append(self._exactly(size))
            self._until(b"\r\n")

    def _rest(self) -> bytes:
        while self._fill():
            pass
        data, self._buffer = self._buffer, b""
        return data


def wait_for(condition, timeout: float, message: str, step: float = 0.02):
    """Polls until the condition gives something true, and returns it."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            raise Failure(message)
        time.sleep(step)


def add_report_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--report", type=pathlib.Path, metavar="FILE", help="writes a JUnit report for tests/totals.py")


class Tally:
    """Counts checks by name, prints failures at once and the totals at the end."""

    def __init__(self) -> None:
        self.passed = 0
        self.failed = 0
        self.skipped = 0
        self._cases: list[tuple[str, str]] = []  # name, and the element that says how it went
        self._lock = threading.Lock()

    def ok(self, name: str) -> None:
        with self._lock:
            self.passed += 1
            self._cases.append((name, ""))
            print(f"  ok      {name}", flush=True)

    def fail(self, name: str, why: str) -> None:
        with self._lock:
            self.failed += 1
            self._cases.append((name, "<failure/>"))
            print(f"  FAILED  {name}\n          " + why.replace("\n", "\n          "), flush=True)

    def skip(self, name: str, why: str) -> None:
        with self._lock:
            self.skipped += 1
            self._cases.append((name, f"<skipped why={quoteattr(why)}/>"))
            print(f"  skipped {name}: {why}", flush=True)

    def check(self, name: str, function, *arguments) -> None:
        """Runs one check; any exception is its failure."""
        try:
            function(*arguments)
        except Failure as failure:
            self.fail(name, str(failure))
        except Exception as error:  # pylint: disable=broad-exception-caught
            self.fail(name, f"{type(error).__name__}: {error}")
        else:
            self.ok(name)

    def finish(self, report: pathlib.Path | None = None) -> int:
        """The exit code, after printing totals and, for tests/totals.py, writing a JUnit report."""
        if report:
            suite = pathlib.Path(sys.argv[0]).stem
            cases = "".join(f"<testcase name={quoteattr(f'{suite}: {name}')}>{how}</testcase>\n" for name, how in self._cases)
            report.write_text(f"<testsuite>\n{cases}</testsuite>\n", encoding="utf-8")
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        print(f"{self.passed} passed, {self.failed} failed{skipped}", flush=True)
        if self.failed:
            return 1
        return 0 if self.passed or not self.skipped else SKIPPED
