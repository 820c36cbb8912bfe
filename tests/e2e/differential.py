#!/usr/bin/env python3
"""Sends the same random histories to our server and to the Go reference and compares what a client
sees: status, error text, scrape as text and as protobuf, JSON.

    differential.py --program build/dev/server/pushgateway [--seconds 20] [--seed N] [--sequences N]

Upstream answers some questions at random (which of several conflicts is named, whose help a merged
family shows), because Go walks maps in random order. Those are recognised: a text counts as agreed
if the reference gives it too when asked again, a list of several errors if both blame a common
family (what is listed depends on the order upstream happens to gather in). Ours shows the help of
the most recent push of a family that had one, upstream that of some group that has the family now:
where these may differ, ours has to be one that was pushed. The order of samples is not compared.
Fails if any kind of comparison agrees in less than 99 %.
"""

import argparse
import collections
import json
import pathlib
import random
import re
import sys
import time

import peers
import scrapes
import sequences
import wire
from harness import SKIPPED, Connection, Failure, Response, Server, build_request

AGREEMENT_MIN = 0.99
EXAMPLES_MAX = 3


class Side:
    """One server with a connection that is kept."""

    def __init__(self, server: Server):
        self.server = server
        self.connection: Connection | None = None

    def ask(self, operation: sequences.Operation) -> Response:
        request = build_request(operation.method, operation.target, operation.headers, operation.body)
        for attempt in (1, 2):
            connection = self.connection or self.server.connect()
            try:
                connection.send(request)
                answer = connection.response(operation.method)
            except Failure:
                # The server may have closed an idle connection; a fresh one decides.
                connection.socket.close()
                fresh, self.connection = self.connection is None, None
                if fresh or attempt == 2:
                    return Response(0, "connection dropped", [], b"")
                continue
            self.connection = connection
            if (answer.header("Connection") or "").lower() == "close":
                connection.socket.close()
                self.connection = None
            return answer
        raise AssertionError("unreachable")

    def get(self, target: str, accept: str = "") -> Response:
        return self.ask(sequences.Operation("read", "GET", target, {"Accept": accept} if accept else {}))


class Comparison:
    """Counts agreements by kind and keeps the first examples of each difference."""

    def __init__(self) -> None:
        self.asked: collections.Counter = collections.Counter()
        self.agreed: collections.Counter = collections.Counter()
        self.at_random: collections.Counter = collections.Counter()
        self.examples: dict[str, list[str]] = collections.defaultdict(list)
        self.classes: collections.Counter = collections.Counter()
        self.exact_lists = 0

    def note(self, kind: str, same: bool, label: str, example) -> bool:
        self.asked[kind] += 1
        self.agreed[kind] += same
        if not same:
            self.classes[f"{kind}: {label}"] += 1
            shown = self.examples[f"{kind}: {label}"]
            if len(shown) < EXAMPLES_MAX:
                text = example() if callable(example) else example
                shown.append("\n".join(line if len(line) < 400 else line[:400] + " …" for line in text.split("\n")))
        return same

    def report(self) -> bool:
        good = True
        for kind in self.asked:
            share = self.agreed[kind] / self.asked[kind]
            good = good and share >= AGREEMENT_MIN
            extra = f", {self.exact_lists} word for word" if kind == "list of errors" else ""
            extra += f", {self.at_random[kind]} of them where upstream answers at random" if self.at_random[kind] else ""
            print(f"  {kind:16s} {share:8.3%} of {self.asked[kind]}{extra}")
        for label, count in self.classes.most_common():
            print(f"difference: {label}: {count}")
            for example in self.examples[label]:
                print("    " + example.replace("\n", "\n    "))
        return good


class Differential:
    def __init__(self, ours: Side, reference: Side, comparison: Comparison):
        self.ours = ours
        self.reference = reference
        self.comparison = comparison

    def run(self, operations: list[sequences.Operation], reader: random.Random, name: str) -> None:
        for side in (self.ours, self.reference):
            self._wipe(side)
        self.name = name
        self.reader = reader
        self.history: list[sequences.Operation] = []
        self.helps: dict[str, set] = collections.defaultdict(set)  # pushed for each family so far
        for operation in operations:
            self.history.append(operation)
            if not self._step(operation):
                return
            if reader.random() < 0.25:
                self._read(reader.choice((self._text, self._json, self._protobuf)))
        for question in (self._text, self._json, self._protobuf):
            self._read(question)

    @staticmethod
    def _wipe(side: Side) -> None:
        side.ask(sequences.Operation("wipe", "PUT", "/api/v1/admin/wipe"))
        end = time.monotonic() + 5
        while side.get("/api/v1/metrics").body != b'{"status":"success","data":[]}':
            if time.monotonic() > end:
                raise Failure("a wipe leaves groups behind")
            time.sleep(0.001)

    def _where(self) -> str:
        earlier = f"… {len(self.history) - 3} before\n" if len(self.history) > 3 else ""
        return f"{self.name}\n{earlier}" + "\n".join(map(str, self.history[-3:]))

    def _step(self, operation: sequences.Operation) -> bool:
        ours, theirs = self.ours.ask(operation), self.reference.ask(operation)
        if ours.status != theirs.status:
            label = f"{operation.kind}: {theirs.status} became {ours.status}"
            self.comparison.note("status", False, label, lambda: f"{self._where()}\n- {theirs.text!r}\n+ {ours.text!r}")
            return False
        self.comparison.note("status", True, "", "")
        if ours.status >= 300:
            self._compare_errors(operation, ours, theirs)
        elif operation.method == "DELETE":
            self._settle()
        else:
            self._group_helps()
        return True

    def _settle(self) -> None:
        """A DELETE is only queued when it is answered; a refused push behind it is not."""
        barrier = sequences.Operation("barrier", "PUT", "/metrics/job/barrier", {}, b"")
        removal = sequences.Operation("barrier", "DELETE", "/metrics/job/barrier")
        for side in (self.ours, self.reference):
            side.ask(barrier)
            side.ask(removal)
            end = time.monotonic() + 5
            while b'"job":"barrier"' in side.get("/api/v1/metrics").body and time.monotonic() < end:
                time.sleep(0.001)

    def _compare_errors(self, operation: sequences.Operation, ours: Response, theirs: Response) -> None:
        text, other = error_lines(ours.text), error_lines(theirs.text)
        if "proto:" in text[0] and "proto:" in other[0]:
            other = text  # deliberately unstable upstream
        kind = "error text" if len(text) == len(other) == 1 else "list of errors"
        if text != other and operation.kind.endswith("push"):
            # Which conflict is named is random upstream; a refused push can be repeated.
            for _ in range(20):
                other = error_lines(self.reference.ask(operation).text)
                if text == other:
                    self.comparison.at_random[kind] += 1
                    break
        if kind == "list of errors":
            self.comparison.exact_lists += text == other
        same = text == other or kind == "list of errors" and bool(blamed(text) & blamed(other))
        self.comparison.note(kind, same, classify_error(other, text),
                             lambda: f"{self._where()}\n- {theirs.text!r}\n+ {ours.text!r}")

    def _read(self, question) -> None:
        kind, ours, theirs = question()
        self.comparison.note(kind, ours == theirs, classify_state(ours, theirs),
                             lambda: f"{self._where()}\n" + difference(theirs, ours))

    def _both(self, target: str, accept: str = "") -> tuple[Response, Response]:
        return self.ours.get(target, accept), self.reference.get(target, accept)

    def _text(self):
        accept = "text/plain;version=0.0.4;escaping=" + self.reader.choice(("allow-utf-8", "underscores", "dots", "values"))
        ours, theirs = self._both("/metrics", accept)
        if theirs.status != 200:
            return "scrape", [str(ours.status)], [str(theirs.status)]
        helps = self._open_helps()
        self._compare_helps(ours.text, helps)
        return "scrape", *(scrapes.canonical(text_lines(answer.text, helps)) for answer in (ours, theirs))

    def _group_helps(self) -> dict[str, list]:
        """The helps that the groups have now for each family; notes them as pushed."""
        found: dict[str, list] = collections.defaultdict(list)
        for group in json.loads(self.reference.get("/api/v1/metrics").body)["data"]:
            for name, family in group.items():
                if isinstance(family, dict) and "time_stamp" in family:
                    found[name].append(family.get("help", ""))
                    self.helps[name].add(family.get("help", ""))
        return found

    def _open_helps(self) -> dict[str, set]:
        """Families whose help is a matter of choice, under each name they are shown by, with the
        helps they were pushed with. The API does not tell an empty help from none."""
        return {shown: self.helps[name] for name in self._group_helps()
                if len(self.helps[name]) > 1 or "" in self.helps[name] for shown in escapings(name)}

    def _compare_helps(self, text: str, choices: dict[str, set]) -> None:
        for line in text.split("\n"):
            name = scrapes.line_name(line)
            if line.startswith("# HELP ") and name in choices and not name.startswith(scrapes.OWN):
                shown = line[len(f"# HELP {name} "):].replace("\\n", "\n").replace("\\\\", "\\")
                self.comparison.note("chosen help", shown in choices[name], "not one of those pushed",
                                     lambda line=line, name=name: f"{self._where()}\n{line!r} of {choices[name]}")

    def _json(self):
        ours, theirs = self._both("/api/v1/metrics")
        return "JSON", normal_json(ours), normal_json(theirs)

    def _protobuf(self):
        ours, theirs = self._both("/metrics", wire.CONTENT_TYPE + ";escaping=allow-utf-8")
        helps = self._open_helps()
        return "protobuf scrape", normal_protobuf(ours, helps), normal_protobuf(theirs, helps)


def error_lines(text: str) -> list[str]:
    """The errors an answer lists, without the words around them, sorted."""
    lines = scrapes.normal_error(text).rstrip("\n").split("\n")
    prefix = "pushed metrics are invalid or inconsistent with existing metrics:"
    lines[0] = lines[0].removeprefix(prefix).strip()
    if re.fullmatch(r"\d+ error\(s\) occurred:", lines[0]):
        lines = [line.removeprefix("* ") for line in lines[1:]]
    return sorted(lines)


def blamed(errors: list[str]) -> set[str]:
    """The families that errors name."""
    return set(re.findall(r'(?:metric|named|family) "?([^" {]+)"?', "\n".join(errors)))


def classify_error(theirs: list[str], ours: list[str]) -> str:
    def shape(lines: list[str]) -> str:
        text = re.sub(r"\{.*\}", "{…}", lines[0])
        return re.sub(r'"(?:[^"\\]|\\.)*"|\d+', "…", text)[-110:]
    return f"{shape(theirs)!r} became {shape(ours)!r}"


def classify_state(ours: list[str], theirs: list[str]) -> str:
    missing, extra = set(theirs) - set(ours), set(ours) - set(theirs)
    def kinds(lines: set[str]) -> str:
        return ",".join(sorted({line.split(" ")[1] if line.startswith("#") else "sample" for line in lines})) or "nothing"
    return f"missing {kinds(missing)}, extra {kinds(extra)}" if missing or extra else "order"


def difference(theirs: list[str], ours: list[str]) -> str:
    gone = [f"- {line}" for line in theirs if line not in ours]
    new = [f"+ {line}" for line in ours if line not in theirs]
    return "\n".join((gone + new)[:12]) or "same lines in another order"


def escapings(name: str) -> list[str]:
    underscored = "".join(c if c.isascii() and (c.isalnum() or c in "_:") else "_" for c in name)
    dotted = "".join("_dot_" if c == "." else c if c.isascii() and (c.isalnum() or c == ":") else "__" for c in name)
    return [sequences.quoted(name), name, underscored, dotted, sequences.escape_name(name)]


def text_lines(text: str, open_helps: dict[str, set]) -> list[str]:
    lines = []
    for line in scrapes.pushed_lines(text):
        if line.startswith("# HELP ") and scrapes.line_name(line) in open_helps:
            continue
        if line.startswith(scrapes.BOOKKEEPING):
            series, value = scrapes.split_sample(line)
            line = f"{series} {normal_time(value)}"
        lines.append(line)
    return lines


def normal_time(value: str) -> str:
    return value if value == "0" else "TIME"


def normal_json(answer: Response) -> list[str]:
    if answer.status != 200:
        return [f"status {answer.status}"]
    groups = []
    for group in json.loads(answer.body)["data"]:
        for name, family in group.items():
            if isinstance(family, dict) and "time_stamp" in family:
                family["time_stamp"] = "TIME"
                for metric in family["metrics"] if name in scrapes.BOOKKEEPING else ():
                    metric["value"] = normal_time(metric["value"])
        groups.append(json.dumps(group, sort_keys=True, ensure_ascii=False))
    return sorted(groups)


def normal_protobuf(answer: Response, open_helps: dict[str, set]) -> list[str]:
    if answer.status != 200:
        return [f"status {answer.status}"]
    families = []
    for family in wire.decode_families(answer.body):
        if family["name"].startswith(scrapes.OWN):
            family["metric"] = [metric for metric in family["metric"] if any(
                label["name"] == "job" for label in metric.get("label", ()))]
            if not family["metric"]:
                continue
        if family["name"] in scrapes.BOOKKEEPING:
            for metric in family["metric"]:
                metric["gauge"]["value"] = bool(metric["gauge"].get("value"))
        if family["name"] in open_helps:
            family.pop("help", None)
        family.setdefault("type", wire.COUNTER)  # an absent one comes and goes with the order of groups
        family["metric"] = sorted((without_zeros(metric) for metric in family["metric"]), key=lambda metric: str(metric["label"]))
        families.append(json.dumps(family, sort_keys=True, ensure_ascii=False))
    return sorted(families)


def without_zeros(message: dict) -> dict:
    """A zero and an absent number are the same to every reader."""
    return {name: without_zeros(value) if isinstance(value, dict) else
            [without_zeros(item) if isinstance(item, dict) else item for item in value] if isinstance(value, list) else value
            for name, value in message.items() if not (isinstance(value, (int, float)) and str(value) in ("0", "0.0"))}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="build/dev/server/pushgateway")
    parser.add_argument("--peers", default="build/peers")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long to go on (default: %(default)s)")
    parser.add_argument("--sequences", type=int, default=0, help="stop after this many instead")
    parser.add_argument("--seed", type=int, default=20260101)
    parser.add_argument("--self-test", action="store_true", help="compare the reference with itself")
    arguments = parser.parse_args()
    try:
        reference = peers.get("pushgateway", arguments.peers)
    except peers.Unavailable as error:
        print(f"skipped: {error}")
        return SKIPPED
    program = reference.program if arguments.self_test else pathlib.Path(arguments.program).resolve()
    print(f"reference: {reference}; seed {arguments.seed}")
    comparison = Comparison()
    count = 0
    end = time.monotonic() + arguments.seconds
    for utf8 in (False, True):
        flags = ["--web.enable-admin-api", "--persistence.file=", "--log.level=info",
                 *(["--push.enable-utf8-names"] if utf8 else [])]
        with Server(program, flags) as ours, Server(reference.program, flags) as theirs:
            run = Differential(Side(ours), Side(theirs), comparison)
            half = end - (0 if utf8 else arguments.seconds / 2)
            number = 0
            while number < arguments.sequences if arguments.sequences else time.monotonic() < half:
                seed = arguments.seed + 2 * number + utf8
                generator = sequences.Generator(seed, utf8)
                run.run(generator.sequence(), random.Random(seed), f"seed {seed}, UTF-8 names {'on' if utf8 else 'off'}")
                number += 1
            count += number
    print(f"{count} sequences, {comparison.asked['status']} writes")
    good = comparison.report()
    print("agreement is " + ("sufficient" if good and count else f"below {AGREEMENT_MIN:.0%} in some kind"))
    return 0 if good and count else 1


if __name__ == "__main__":
    sys.exit(main())
