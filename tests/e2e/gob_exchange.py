#!/usr/bin/env python3
"""Persistence files between the Go Pushgateway and us, in both directions and over two Go versions.

    gob_exchange.py --tool build/dev/tests/store/persistence/gob_tool --peers build/peers

Go is pushed to and stopped; what our reader finds in its file must be what Go had shown, in JSON, as
text and as protobuf. From that, files of ours are made in several ways; Go starts from each, must show
the same as before, and must save it again without loss. So must it what no Go has written: thousands
of groups put together here.
"""

import argparse
import collections
import dataclasses
import datetime
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

# Before harness looks at it: a zone in the file's times, and one with minutes at that.
os.environ["TZ"] = "Asia/Kolkata"

# pylint: disable=wrong-import-position
import peers
import scrapes
import wire
from harness import SKIPPED, Failure, Server, Tally

MANY_GROUPS_PUSHED = 300
MANY_GROUPS_WRITTEN = 5000
TYPE_NAMES = ("COUNTER", "GAUGE", "SUMMARY", "UNTYPED", "HISTOGRAM", "GAUGE_HISTOGRAM")

PUSHES = (
    ("/metrics/job/batch/instance/host-1",
     "# HELP dur Run \\\\ time,\\nin \"seconds\".\n# TYPE dur gauge\ndur{step=\"a\"} 1.5\ndur{step=\"b\"} NaN\n"
     "dur{step=\"c\"} +Inf\ndur{step=\"d\"} -Inf\ndur{step=\"e\"} 1e-300\ndur{step=\"\"} -7\n"),
    ("/metrics/job/batch/instance/host-1/zone/eu",
     "# TYPE rows_total counter\nrows_total{table=\"quo\\\"te\\\\ and\\nline\"} 9007199254740993\nrows_total 0\n"),
    ("/metrics/job/batch/path@base64/L3Zhci90bXA",
     "# TYPE lat histogram\nlat_bucket{le=\"0.1\"} 3\nlat_bucket{le=\"2.5\"} 4\nlat_bucket{le=\"+Inf\"} 5\nlat_sum 2.25\n"
     "lat_count 5\n# TYPE req summary\nreq{quantile=\"0.5\"} 0.25\nreq{quantile=\"0.99\"} NaN\nreq_sum 1\nreq_count 4\n"),
    ("/metrics/job/%C3%BCber/l@base64/=", "# HELP plain Höhe 花火 \U0001f386\nplain{ort=\"Zürich\"} 3.14\n"),
    ("/metrics/job/empty_push", ""),
)
FAILED = ("/metrics/job/failed/l@base64/=", "/metrics/job/batch/instance/host-1")
# What 1.5 does not take: UTF-8 names, native histograms.
MODERN_TEXT = "# TYPE \"größe.x\" gauge\n{\"größe.x\",\"länge y\"=\"1\"} -0.5\n"
MODERN_FAMILY = {
    "name": "native", "help": "Both kinds of buckets.", "type": wire.HISTOGRAM, "metric": [{
        "label": [{"name": "a", "value": "b"}],
        "histogram": {"sample_count": 6, "sample_sum": 12.5, "schema": 2, "zero_threshold": 1e-128, "zero_count": 1,
                      "bucket": [{"cumulative_count": 4, "upper_bound": 1.0,
                                  "exemplar": {"label": [{"name": "trace", "value": "x"}], "value": 0.5,
                                               "timestamp": {"seconds": 1700000000, "nanos": 5}}}],
                      "positive_span": [{"offset": 0, "length": 2}], "positive_delta": [1, 1],
                      "negative_span": [{"offset": 1, "length": 1}], "negative_delta": [2]}}],
}


@dataclasses.dataclass
class Content:
    """What a file holds: labels -> family -> (nanoseconds, serialised family)."""

    groups: dict[frozenset, dict[str, tuple[int, bytes]]]

    @staticmethod
    def parse(lines: str) -> "Content":
        groups: dict[frozenset, dict[str, tuple[int, bytes]]] = {}
        families: dict[str, tuple[int, bytes]] = {}
        for line in filter(None, lines.split("\n")):
            kind, *words = line.split(" ")
            if kind == "group":
                labels = frozenset(tuple(map(_text, word.split("="))) for word in words)
                if labels in groups:
                    raise Failure(f"group {sorted(labels)} comes twice")
                families = groups[labels] = {}
            else:
                name, pushed, message = words
                if _text(name) in families:
                    raise Failure(f"family {_text(name)} comes twice in a group")
                families[_text(name)] = (int(pushed), bytes.fromhex(message))
        return Content(groups)

    def lines(self) -> str:
        out = []
        for labels, families in self.groups.items():
            out.append(" ".join(["group", *(f"{_hex(name)}={_hex(value)}" for name, value in labels)]))
            out += [f"family {_hex(name)} {pushed} {message.hex()}" for name, (pushed, message) in families.items()]
        return "\n".join(out) + "\n"

    def decoded(self) -> dict:
        """Messages as dictionaries: the same content may be spelt in different bytes."""
        return {labels: {name: (pushed, wire.decode("MetricFamily", message))
                         for name, (pushed, message) in families.items()} for labels, families in self.groups.items()}


def _hex(text: str) -> str:
    return text.encode().hex()


def _text(digits: str) -> str:
    return bytes.fromhex(digits).decode()


def number(text) -> str:
    return repr(float(text))


def nanoseconds(stamp: str) -> int:
    """Of an RFC 3339 time, to the last digit."""
    date, fraction, zone = re.fullmatch(r"(\S{19})(?:\.(\d+))?(Z|[+-]\d\d:\d\d)", stamp).groups()
    whole = datetime.datetime.fromisoformat(date + zone.replace("Z", "+00:00"))
    return int(whole.timestamp()) * 10 ** 9 + int((fraction or "").ljust(9, "0"))


# --- The same things as they are shown and as they are stored, in one form ---

def api_of_server(server: Server) -> dict:
    """labels -> family -> what /api/v1/metrics says of it."""
    found = json.loads(server.request("GET", "/api/v1/metrics").body)["data"]
    groups = {}
    for group in found:
        labels = frozenset(group.pop("labels").items())
        group.pop("last_push_successful")
        groups[labels] = {name: (nanoseconds(family["time_stamp"]), family["type"], family.get("help", ""),
                                 sorted(map(_api_metric, family.get("metrics", []))))
                          for name, family in group.items()}
    return groups


def _api_metric(metric: dict) -> tuple:
    points = metric.get("buckets") or metric.get("quantiles") or {}
    values = [metric[key] for key in ("value", "sum", "count") if key in metric]
    if not isinstance(points, dict):
        return ("native", tuple(sorted(metric["labels"].items())))
    return (*map(number, values), tuple(sorted((number(at), number(value)) for at, value in points.items())),
            tuple(sorted(metric["labels"].items())))


def api_of_content(content: Content) -> dict:
    return {labels: {name: (pushed, TYPE_NAMES[family.get("type", 0)], family.get("help", ""),
                            sorted(map(_stored_metric, family["metric"])))
                     for name, (pushed, family) in families.items()} for labels, families in content.decoded().items()}


def _stored_metric(metric: dict) -> tuple:
    labels = tuple(sorted(_labels(metric).items()))
    histogram = metric.get("histogram")
    if histogram and "schema" in histogram:
        return ("native", labels)
    values, points = _values(metric)
    return (*map(number, values), tuple(sorted((number(at), number(value)) for at, value in points)), labels)


def _labels(metric: dict) -> dict[str, str]:
    return {pair["name"]: pair.get("value", "") for pair in metric.get("label", [])}


def _values(metric: dict) -> tuple[list, list]:
    """The plain values of a metric (or sum and count), and its buckets or quantiles."""
    if histogram := metric.get("histogram"):
        points = [(bucket["upper_bound"], bucket["cumulative_count"]) for bucket in histogram["bucket"]]
        return [histogram["sample_sum"], histogram["sample_count"]], points
    if summary := metric.get("summary"):
        points = [(quantile["quantile"], quantile["value"]) for quantile in summary.get("quantile", [])]
        return [summary["sample_sum"], summary["sample_count"]], points
    (value,) = (metric[kind] for kind in ("gauge", "counter", "untyped") if kind in metric)
    return [value["value"]], []


def text_of_server(server: Server) -> dict[tuple, str]:
    """(name, labels) of every pushed sample line -> value."""
    lines = [line for line in scrapes.pushed_lines(server.scrape()) if not line.startswith("#")]
    found = {}
    for line in lines:
        series, value = scrapes.split_sample(line)
        name, _, rest = series.partition("{")
        labels = frozenset((label, _unescaped(text)) for label, text in re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', rest))
        found[name, labels] = number(value)
    if len(found) != len(lines):
        raise Failure("a series appears twice in the scrape")
    return found


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda match: "\n" if match[1] == "n" else match[1], text)


def text_of_content(content: Content) -> dict[tuple, str]:
    found = {}
    for families in content.decoded().values():
        for name, (_, family) in families.items():
            for metric in family["metric"]:
                for suffix, extra, value in _sample_lines(metric):
                    found[name + suffix, frozenset({**_labels(metric), **extra}.items())] = number(value)
    return found


def _sample_lines(metric: dict):
    values, points = _values(metric)
    if len(values) == 1:
        yield "", {}, values[0]
        return
    suffix, label = ("_bucket", "le") if "histogram" in metric else ("", "quantile")
    for at, value in points:
        yield suffix, {label: "+Inf" if at == float("inf") else f"{at:g}"}, value
    yield "_sum", {}, values[0]
    yield "_count", {}, values[1]


def protobuf_of_server(server: Server) -> collections.Counter:
    """Every pushed metric of a protobuf scrape with its family, as text."""
    answer = server.request("GET", "/metrics", {"Accept": wire.CONTENT_TYPE + "; escaping=allow-utf-8"})
    return _metrics(family for family in wire.decode_families(answer.body))


def protobuf_of_content(content: Content) -> collections.Counter:
    return _metrics(family for families in content.decoded().values() for _, family in families.values())


def _metrics(families) -> collections.Counter:
    found: collections.Counter = collections.Counter()
    for family in families:
        for metric in family.get("metric", []):
            labels = _labels(metric)
            if "job" in labels:  # own metrics have none
                rest = {key: value for key, value in metric.items() if key != "label"}
                found[json.dumps([family["name"], family.get("type", 0), sorted(labels.items()), rest], sort_keys=True)] += 1
    return found


@dataclasses.dataclass
class Shown:
    """All that a server shows of what was pushed."""

    api: dict
    protobuf: collections.Counter
    text: dict | None  # where its names fit into lines

    @staticmethod
    def of_server(server: Server, modern: bool) -> "Shown":
        return Shown(api_of_server(server), protobuf_of_server(server), None if modern else text_of_server(server))

    @staticmethod
    def of_content(content: Content, modern: bool) -> "Shown":
        return Shown(api_of_content(content), protobuf_of_content(content), None if modern else text_of_content(content))


def expect_same(name: str, found, expected) -> None:
    if found == expected:
        return
    if isinstance(found, dict) and isinstance(expected, dict):
        for key in expected | found:
            if found.get(key) != expected.get(key):
                raise Failure(f"{name} differs at {key}:\n found {found.get(key)}\n expected {expected.get(key)}")
    raise Failure(f"{name} differs")


def expect_shown(found: Shown, expected: Shown) -> None:
    expect_same("JSON", found.api, expected.api)
    expect_same("protobuf", dict(found.protobuf), dict(expected.protobuf))
    expect_same("text", found.text, expected.text)


# --- The runs ---

class Exchange:
    """One origin's content on its way through files and servers."""

    def __init__(self, tool: pathlib.Path, folder: pathlib.Path, modern: bool):
        self.tool = tool
        self.folder = folder
        self.modern = modern

    def start(self, program: pathlib.Path, file: pathlib.Path) -> Server:
        flags = [f"--persistence.file={file}", "--persistence.interval=1h"]
        return Server(program, flags + (["--push.enable-utf8-names"] if self.modern else []))

    def run_tool(self, *words, lines: str = "") -> str:
        done = subprocess.run([self.tool, *map(str, words)], input=lines, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0:
            raise Failure(f"gob_tool {words}: {done.stderr.strip()}")
        return done.stdout

    def read(self, file: pathlib.Path) -> Content:
        return Content.parse(self.run_tool("print", file))

    def written_by_go(self, program: pathlib.Path, file: pathlib.Path) -> Shown:
        """A file with a variety of things in it, and what Go showed before it saved it."""
        with self.start(program, file) as server:
            for target, body in PUSHES:
                self._push(server, target, body.encode())
            for index in range(MANY_GROUPS_PUSHED):
                self._push(server, f"/metrics/job/many/n/{index}", f"some_metric{{a=\"{index % 7}\"}} {index / 8}\n".encode())
            if self.modern:
                self._push(server, "/metrics/job/modern", MODERN_TEXT.encode())
                body = wire.encode_families([MODERN_FAMILY])
                self._push(server, "/metrics/job/native", body, {"Content-Type": wire.CONTENT_TYPE})
            for target in FAILED:
                answer = server.request("POST", target, body=b"stamped 1 1700000000000\n")
                if answer.status != 400:
                    raise Failure(f"a push with a timestamp answered {answer.status}")
            return Shown.of_server(server, self.modern)

    @staticmethod
    def _push(server: Server, target: str, body: bytes, headers: dict | None = None) -> None:
        answer = server.request("PUT", target, headers, body)
        if answer.status != 200:
            raise Failure(f"{target} answered {answer.status} {answer.text}")

    def check_reader(self, file: pathlib.Path, shown: Shown) -> None:
        expect_shown(Shown.of_content(self.read(file), self.modern), shown)

    def check_writer(self, program: pathlib.Path, way: str, file: pathlib.Path, shown: Shown) -> None:
        """Go starts from a file of ours, shows the same, and saves the same."""
        ours = self.folder / "ours.gob"
        if way == "write":
            self.run_tool("write", ours, lines=self.read(file).lines())
        else:
            self.run_tool(way, file, ours)
        self.check_start(program, ours, shown)

    def check_start(self, program: pathlib.Path, ours: pathlib.Path, shown: Shown) -> None:
        before = self.read(ours)
        written = ours.read_bytes()
        with self.start(program, ours) as server:
            complaints = [line for line in server.log if "level=error" in line.lower()]
            if complaints:
                raise Failure("\n".join(complaints))
            expect_shown(Shown.of_server(server, self.modern), shown)
        if ours.read_bytes() == written:
            raise Failure("the server has not saved its file")
        expect_same("saved again", self.read(ours).decoded(), before.decoded())


def made_up() -> Content:
    """Content that no server has seen, in the form upstream stores it."""
    groups = {}
    for index in range(MANY_GROUPS_WRITTEN):
        labels = {"job": f"made/up {index % 50}", "n": str(index), **({"instance": "ü" * (index % 200)} if index % 2 else {})}
        stored = [{"name": name, "value": value} for name, value in sorted({"instance": "", **labels}.items())]
        pushed = 1_700_000_000_123_456_789 + index * 1_000_000_007
        families = {}
        for name, value in (("push_time_seconds", pushed / 1e9), ("push_failure_time_seconds", 0.0), ("made_up", index * 1.5)):
            # Help is upstream's for its own: another one would split the family.
            word = {"push_time_seconds": "succeeded", "push_failure_time_seconds": "failed"}.get(name)
            text = f"Last Unix time when changing this group in the Pushgateway {word}." if word else "Made up."
            message = wire.encode("MetricFamily", {"name": name, "help": text, "type": wire.GAUGE,
                                                   "metric": [{"label": stored, "gauge": {"value": value}}]})
            families[name] = (pushed, message)
        groups[frozenset(labels.items())] = families
    return Content(groups)


def check_made_up(exchange: Exchange, program: pathlib.Path) -> None:
    content = made_up()
    ours = exchange.folder / "made_up.gob"
    exchange.run_tool("write", ours, lines=content.lines())
    exchange.check_start(program, ours, Shown.of_content(content, False))


def check_damaged(exchange: Exchange, file: pathlib.Path) -> None:
    """What the server would lose at its next start is refused with a place."""
    cut = exchange.folder / "cut.gob"
    cut.write_bytes(file.read_bytes()[:-1])
    done = subprocess.run([exchange.tool, "print", cut], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 1 or not re.match(r"byte \d+: a message of \d+ bytes", done.stderr):
        raise Failure(f"a cut file gave {done.returncode} {done.stderr}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tool", type=pathlib.Path, required=True)
    parser.add_argument("--peers", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    try:
        servers = [peers.get(name, arguments.peers) for name in ("pushgateway-1.5", "pushgateway")]
    except peers.Unavailable as error:
        print(error)
        return SKIPPED
    print("\n".join(map(str, servers)))
    tally = Tally()
    # Origin, whether it is pushed what only the newer one takes, and who starts from the files.
    old, new = servers
    plans = [(old, False, servers), (new, False, servers), (new, True, [new])]
    with tempfile.TemporaryDirectory(prefix="pgw-gob-") as temporary:
        folder = pathlib.Path(temporary)
        for origin, modern, targets in plans:
            name = f"{origin.version}{' with UTF-8 names' if modern else ''}"
            exchange = Exchange(arguments.tool.resolve(), folder, modern)
            file = folder / f"{origin.name}-{modern}.gob"
            shown = exchange.written_by_go(origin.program, file)
            tally.check(f"{name} -> ours", exchange.check_reader, file, shown)
            tally.check(f"{name}, cut -> ours", check_damaged, exchange, file)
            for target in targets:
                for way in ("copy", "render", "write"):
                    tally.check(f"{name} -> ours ({way}) -> {target.version}", exchange.check_writer, target.program, way, file, shown)
        for target in servers:
            exchange = Exchange(arguments.tool.resolve(), folder, False)
            tally.check(f"{MANY_GROUPS_WRITTEN} groups -> {target.version}", check_made_up, exchange, target.program)
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
