#!/usr/bin/env python3
"""Runs the conformance cases of tests/data/conformance against a server, black box.

    conformance.py --program build/dev/server/pushgateway            ours
    conformance.py --server go                                       the Go reference
    conformance.py --program …/embed_civetweb --lacks own-server …   an embedding
    options: [--only REGEX] [--peers build/peers] [--jobs N] [file.case …]

Each case starts a server of its own. Lines marked [go] or [ours] hold for that side alone, and a
case that has any must say in `differs` why.
"""

import argparse
import concurrent.futures
import json
import pathlib
import re
import shlex
import subprocess
import socket
import sys
import tempfile
import time

import cases as case_files
import peers
import scrapes
import wire
from harness import PATIENCE_SECONDS, SKIPPED, Failure, Response, Server, Tally, add_report_option, build_request, wait_for

DATA = pathlib.Path(__file__).resolve().parent.parent / "data" / "conformance"


class Inconclusive(Exception):
    """The machine was too slow for a statement about time; the case is run again."""


class Run:
    """One execution of one case."""

    def __init__(self, case: case_files.Case, program: str, side: str):
        self.case = case
        self.program = program
        self.side = side
        self.server: Server | None = None
        self.connection = None
        self.methods: list[str] = []
        self.marks: dict[str, tuple[float, float]] = {}  # name -> sent, answered
        self.times: dict[str, str] = {}  # <t1> -> the value it stands for
        self.deferred = False  # the last write was only queued: its effect may take a moment
        self.pending: case_files.Step | None = None
        self.done: subprocess.CompletedProcess | None = None
        self.deadline: tuple[str, float] | None = None

    def execute(self) -> None:
        with tempfile.TemporaryDirectory(prefix="pgw-e2e-") as folder:
            self.folder = pathlib.Path(folder)
            try:
                if any(step.verb != "run" for step in self.case.steps[:1]):
                    self.server = Server(self.program, self._flags(self.case.flags), folder=self.folder)
                for step in self.case.steps:
                    try:
                        self._step(step)
                    except Failure as failure:
                        raise Failure(f"{step.where}: {failure}") from failure
            finally:
                if self.connection:
                    self.connection.socket.close()
                if self.server:
                    self.server.stop()

    def _flags(self, flags: list[str]) -> list[str]:
        # Debian's reference persists to a system folder unless told otherwise.
        own_file = any(flag.startswith("--persistence.file") for flag in flags)
        return flags if self.side == "ours" or own_file else ["--persistence.file=", *flags]

    def _step(self, step: case_files.Step) -> None:
        if self.deadline and step.verb not in ("has", "lacks", "holds", "<"):
            self._check_deadline()
        getattr(self, "_do_" + {">": "request", ">>": "raw", "<": "answer", "from": "since"}.get(step.verb, step.verb))(step)

    def _check_deadline(self) -> None:
        mark, limit = self.deadline
        if time.monotonic() >= limit:
            raise Inconclusive(f"took too long after {mark}")
        self.deadline = None

    # --- requests and answers ---

    def _do_request(self, step: case_files.Step) -> None:
        words = step.argument.split(" ")
        name = None
        if len(words) > 3 and words[-2] == "as":
            name, words = words[-1], words[:-2]
        method, target = words[0], " ".join(words[1:])
        body = step.body if step.body is not None or method not in ("PUT", "POST") else b""
        self._open()
        sent = time.monotonic()
        self.connection.send(build_request(method, case_files.unescape(target), dict(step.headers), body))
        self.methods = [method]
        if name:
            self.answer = self.connection.response(method)
            self.marks[name] = (sent, time.monotonic())
        else:
            self.answer = None

    def _do_raw(self, step: case_files.Step) -> None:
        self._open()
        data = step.body or b""
        self.connection.send(data)
        self.methods = re.findall(r"(?:^|\r\n\r\n)([A-Z]+) ", data.decode("latin-1"))
        self.answer = None

    def _do_ends(self, step: case_files.Step) -> None:
        self.connection.socket.shutdown(socket.SHUT_WR)

    def _open(self) -> None:
        if self.connection:
            self.connection.socket.close()
        self.connection = self.server.connect()

    def _do_answer(self, step: case_files.Step) -> None:
        method = self.methods.pop(0) if self.methods else "GET"
        answer = self.answer or self.connection.response(method)
        self.answer = None
        self.deferred = answer.status == 202
        status, _, rest = step.argument.partition(" ")
        if str(answer.status) != status:
            raise Failure(f"expected {status}, got {answer.status} {answer.text!r}")
        for name, value in step.headers:
            self._expect_header(answer, name, value)
        kind, _, text = rest.partition(" ")
        if kind == "error":
            self._expect_error(answer, text)
        elif kind == "empty":
            self._expect_empty(answer)
        elif kind == "reason":
            _same("reason", text, answer.reason)
        elif kind == "body":
            if not re.search(text, answer.text, re.S):
                raise Failure(f"body does not match {text!r}: {answer.text!r}")
        elif kind:
            raise Failure(f"unknown expectation {kind}")
        if step.body is not None and answer.body != step.body:
            raise Failure(f"expected body {step.body!r}\n     got body {answer.body!r}")

    def _expect_header(self, answer: Response, name: str, value: str) -> None:
        actual = answer.header(name.lstrip("!"))
        if name.startswith("!"):
            if actual is not None:
                raise Failure(f"header {name[1:]} should be absent, is {actual!r}")
        elif value.startswith("/") and value.endswith("/") and len(value) > 2 and name != "Location":
            if actual is None or not re.fullmatch(value[1:-1], actual):
                raise Failure(f"header {name} should match {value}, is {actual!r}")
        elif actual != value:
            raise Failure(f"header {name} should be {value!r}, is {actual!r}")

    def _expect_error(self, answer: Response, text: str) -> None:
        """The form of Go's http.Error with this text."""
        body = answer.text
        expected = case_files.unescape(text).decode("utf-8", "surrogateescape") + "\n"
        _same("error text", scrapes.normal_error(expected), scrapes.normal_error(body))
        _same("Content-Type", "text/plain; charset=utf-8", answer.header("Content-Type"))
        _same("X-Content-Type-Options", "nosniff", answer.header("X-Content-Type-Options"))

    def _expect_empty(self, answer: Response) -> None:
        _same("body", b"", answer.body)
        _same("Content-Length", "0", answer.header("Content-Length"))
        _same("Content-Type", None, answer.header("Content-Type"))

    def _do_closed(self, _step: case_files.Step) -> None:
        if not self.connection.closed():
            raise Failure("the server keeps the connection open")

    # --- what the server holds ---

    def _settled(self, expectation) -> None:
        """Checks; after a merely queued write, until it holds or a second has passed."""
        end = time.monotonic() + (1.0 if self.deferred else 0.0)
        while True:
            saved = dict(self.times)
            try:
                expectation()
                return
            except Failure:
                if time.monotonic() >= end:
                    raise
                self.times = saved
                time.sleep(0.02)

    def _scrape(self, argument: str) -> str:
        headers = {"Accept": argument} if argument else {}
        return self.server.scrape(headers)

    def _do_scrape(self, step: case_files.Step) -> None:
        """The pushed lines, all of them."""
        expected = (step.body or b"").decode("utf-8").split("\n")[:-1]

        def check() -> None:
            self.last = self._scrape(step.argument)
            actual = scrapes.pushed_lines(self.last)
            self._match_lines(scrapes.canonical(expected), scrapes.canonical(actual))
        self._settled(check)

    def _do_families(self, step: case_files.Step) -> None:
        """The names of all pushed families in the order of the scrape."""
        names = scrapes.family_names(scrapes.pushed_lines(self.server.scrape()))
        _same("order of families", step.argument.split(), names)

    def _do_ordered(self, step: case_files.Step) -> None:
        """The samples of pushed families, exactly in this order."""
        lines = [line for line in scrapes.pushed_lines(self.server.scrape()) if not line.startswith(("#", "push_"))]
        _same("order of samples", (step.body or b"").decode().split("\n")[:-1], lines)

    def _match_lines(self, expected: list[str], actual: list[str]) -> None:
        shown = "expected:\n  " + "\n  ".join(expected) + "\ngot:\n  " + "\n  ".join(actual)
        if len(expected) != len(actual):
            raise Failure(f"{len(actual)} lines instead of {len(expected)}; {shown}")
        for want, have in zip(expected, actual):
            if not self._match_text(want, have):
                raise Failure(f"expected {want!r}\n     got {have!r}\n{shown}")

    def _match_text(self, want: str, have: str) -> bool:
        parts = re.split(r"(<(?:t\d+|now|any|time)>)", want)
        pattern = "".join(self._placeholder(part) if i % 2 else re.escape(part) for i, part in enumerate(parts))
        match = re.fullmatch(pattern, have, re.S)
        if not match:
            return False
        names = [part[1:-1] for part in parts[1::2]]
        return all(self._bind(name, value) for name, value in zip(names, match.groups()))

    @staticmethod
    def _placeholder(part: str) -> str:
        if part == "<any>":
            return r"(.*)"
        if part == "<time>":
            return r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d))"
        return r"(1\.\d{1,16}e\+09)"

    def _bind(self, name: str, value: str) -> bool:
        if name in ("any", "time"):
            return True
        if abs(float(value) - time.time()) > 60:
            return False
        if name == "now":
            return True
        known = self.times.setdefault(name, value)
        ordered = sorted(self.times, key=lambda key: int(key[1:]))
        values = [float(self.times[key]) for key in ordered]
        return known == value and all(a < b for a, b in zip(values, values[1:]))

    def _do_has(self, step: case_files.Step) -> None:
        self._contains(step, True)

    def _do_lacks(self, step: case_files.Step) -> None:
        self._contains(step, False)

    def _contains(self, step: case_files.Step, wanted: bool) -> None:
        """Whether a scrape has lines that match regular expressions."""
        def check() -> None:
            lines = self.server.scrape({"Accept": "text/plain;version=0.0.4;escaping=allow-utf-8"}).split("\n")
            for pattern in (step.body or step.argument.encode()).decode().rstrip("\n").split("\n"):
                if any(re.fullmatch(pattern, line) for line in lines) != wanted:
                    raise Failure(f"scrape {'lacks' if wanted else 'has'} {pattern!r}:\n" + "\n".join(
                        scrapes.pushed_lines("\n".join(lines)))[:2000])
        self._settled(check)

    def _do_holds(self, step: case_files.Step) -> None:
        """Several scrapes in a row, spread over the given seconds, all have the lines."""
        end = time.monotonic() + float(step.argument.rstrip("s"))
        inner = case_files.Step("has", "", step.where, body=step.body)
        while time.monotonic() < end:
            self._contains(inner, True)
            time.sleep(0.05)

    def _do_json(self, step: case_files.Step) -> None:
        target, _, path = step.argument.partition(" ")
        expected = json.loads(step.body or b"null")

        def check() -> None:
            answer = self.server.request("GET", target)
            if answer.status != 200:
                raise Failure(f"{target} answered {answer.status} {answer.text!r}")
            actual = json.loads(answer.body)
            for key in filter(None, path.split(".")):
                actual = actual[int(key) if key.isdigit() else key]
            self._match_json(_sorted_groups(expected), _sorted_groups(actual), "$")
        self._settled(check)

    def _match_json(self, want, have, at: str) -> None:
        if isinstance(want, str) and isinstance(have, str):
            if not self._match_text(want, have):
                raise Failure(f"{at} should be {want!r}, is {have!r}")
        elif isinstance(want, dict) and isinstance(have, dict):
            more = "<more>" in want
            keys = {key for key in want if key != "<more>"}
            if not keys <= set(have) or (not more and keys != set(have)):
                raise Failure(f"{at} has members {sorted(have)}, should have {sorted(keys)}")
            for key in sorted(keys):
                self._match_json(want[key], have[key], f"{at}.{key}")
        elif isinstance(want, list) and isinstance(have, list):
            if len(want) != len(have):
                raise Failure(f"{at} has {len(have)} elements, should have {len(want)}: {json.dumps(have)[:1000]}")
            for index, (a, b) in enumerate(zip(want, have)):
                self._match_json(a, b, f"{at}[{index}]")
        elif type(want) is not type(have) or want != have:
            raise Failure(f"{at} should be {want!r}, is {have!r}")

    def _do_proto(self, step: case_files.Step) -> None:
        """Delimited protobuf of a scrape: the families that are pushed, as JSON."""
        headers = dict(step.headers) or {"Accept": wire.CONTENT_TYPE.replace(" ", "")}
        answer = self.server.request("GET", "/metrics", headers)
        families = [family for family in wire.decode_families(answer.body)
                    if not family["name"].startswith(scrapes.OWN + ("push_",))]
        expected = [json.loads(line) for line in (step.body or b"").decode().split("\n") if line]
        self._match_json(expected, families, "$")

    # --- time ---

    def _moment(self, text: str, which: int) -> tuple[str, float]:
        mark, _, seconds = text.partition("+")
        return mark, self.marks[mark][which] + float(seconds.rstrip("s"))

    def _do_at(self, step: case_files.Step) -> None:
        """`at A+1.9s before A+2s`: the checks that follow must be over before the second moment."""
        start, _, limit = step.argument.partition(" before ")
        _sleep_until(self._moment(start, 0)[1])
        if limit:
            self.deadline = self._moment(limit, 0)

    def _do_since(self, step: case_files.Step) -> None:
        """`from A+2s`: what follows starts at that moment or later, counted from A's answer."""
        _sleep_until(self._moment(step.argument, 1)[1])

    def _do_pause(self, step: case_files.Step) -> None:
        time.sleep(float(step.argument.rstrip("s")))

    # --- processes ---

    def _do_run(self, step: case_files.Step) -> None:
        # `{port}` names a port that is taken: the server's own.
        port = str(self.server.port) if self.server else ""
        arguments = shlex.split(step.argument.replace("{port}", port))
        if step.body is not None:
            (self.folder / "input").write_bytes(step.body)
        try:
            self.done = subprocess.run([self.program, *arguments], cwd=self.folder, capture_output=True,
                                       stdin=subprocess.DEVNULL, timeout=PATIENCE_SECONDS, check=False)
        except subprocess.TimeoutExpired as error:
            raise Failure("the program went on running") from error

    def _do_exit(self, step: case_files.Step) -> None:
        if self.done is not None:
            output = (self.done.stderr + self.done.stdout).decode("utf-8", "replace")[-500:]
            if self.done.returncode != int(step.argument):
                raise Failure(f"exit code {self.done.returncode}, should be {step.argument}:\n{output}")
        else:
            _same("exit code", int(step.argument), self.server.wait())

    def _do_stderr(self, step: case_files.Step) -> None:
        self._expect_output("stderr", step, self.done.stderr)

    def _do_stdout(self, step: case_files.Step) -> None:
        self._expect_output("stdout", step, self.done.stdout)

    def _expect_output(self, name: str, step: case_files.Step, raw: bytes) -> None:
        text = raw.decode("utf-8", "replace")
        if step.body is not None:
            program = pathlib.Path(self.program).name
            _same(name, step.body.decode().replace("{program}", program), text)
        elif step.argument == "empty":
            _same(name, "", text)
        elif not re.search(step.argument, text, re.M):
            raise Failure(f"{name} does not match {step.argument!r}:\n{text[:2000]}")

    def _do_log(self, step: case_files.Step) -> None:
        wait_for(lambda: any(re.search(step.argument, line) for line in self.server.log), 2.0,
                 f"no log line matches {step.argument!r}:\n" + "\n".join(self.server.log))

    def _do_nolog(self, step: case_files.Step) -> None:
        for line in self.server.log:
            if re.search(step.argument, line):
                raise Failure(f"log line matches {step.argument!r}: {line}")

    def _do_signal(self, step: case_files.Step) -> None:
        self.server.signal(int(step.argument))


def _same(what: str, expected, actual) -> None:
    if expected != actual:
        raise Failure(f"{what} should be {expected!r}\n{' ' * len(what)}        is {actual!r}")


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))


def _sorted_groups(value):
    """Groups of /api/v1/metrics in an order of our own: the API promises none."""
    if isinstance(value, dict) and isinstance(value.get("data"), list):
        value = dict(value, data=sorted(value["data"], key=lambda group: json.dumps(
            group.get("labels") if isinstance(group, dict) else group, sort_keys=True)))
    return value


def run_case(case: case_files.Case, program: str, side: str, tally: Tally) -> None:
    for attempt in range(5):
        try:
            Run(case, program, side).execute()
        except Inconclusive as reason:
            if attempt == 4:
                tally.fail(case.name, f"{case.where}: no statement possible: {reason}")
                return
        except Failure as failure:
            # The reference may be gone before its answer to a quit is; ours must not.
            if side == "go" and attempt < 4 and "closed before an answer" in str(failure):
                continue
            tally.fail(case.name, str(failure))
            return
        except Exception as error:  # pylint: disable=broad-exception-caught
            tally.fail(case.name, f"{case.where}: {type(error).__name__}: {error}")
            return
        else:
            tally.ok(case.name)
            return


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", choices=("ours", "go"), default="ours")
    parser.add_argument("--program", default="build/dev/server/pushgateway")
    parser.add_argument("--peers", default="build/peers")
    parser.add_argument("--lacks", action="append", default=[], help="a marker; cases that need it are skipped")
    parser.add_argument("--only", default="", help="regular expression over numbers and titles")
    parser.add_argument("--jobs", type=int, default=4)
    add_report_option(parser)
    parser.add_argument("files", nargs="*")
    arguments = parser.parse_args()
    program = arguments.program
    if arguments.server == "go":
        try:
            reference = peers.get("pushgateway", arguments.peers)
        except peers.Unavailable as error:
            print(f"skipped: {error}")
            return SKIPPED
        print(f"reference: {reference}")
        program = str(reference.program)
        # Debian's package keeps the files of its page where it would be installed, and its flag
        # library is older than the released program's.
        arguments.lacks += ["page", "current-flags", "ours"]
    program = str(pathlib.Path(program).resolve())
    tally = Tally()
    selected = []
    for name in arguments.files or sorted(DATA.glob("*.case")):
        for case in case_files.read_file(DATA / name, arguments.server):
            if not re.search(arguments.only, case.name):
                continue
            lacking = case.needs & set(arguments.lacks)
            if lacking:
                tally.skip(case.name, "needs " + ", ".join(sorted(lacking)))
            else:
                selected.append(case)
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        for future in [pool.submit(run_case, case, program, arguments.server, tally) for case in selected]:
            future.result()
    return tally.finish(arguments.report)


if __name__ == "__main__":
    sys.exit(main())
