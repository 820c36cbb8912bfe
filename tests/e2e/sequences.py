"""Random histories of a Pushgateway, from a seed: what the differential run sends to two servers.

The generator keeps away from what is known to break the reference for good (label values that are
not UTF-8, an empty instance, own labelled metrics) and from the few inputs that our server refuses
on purpose; tests/data/conformance has those, each with its reason.
"""

import base64
import dataclasses
import gzip
import math
import random
import struct
import urllib.parse

import wire

COUNTER, GAUGE, SUMMARY, UNTYPED, HISTOGRAM = wire.COUNTER, wire.GAUGE, wire.SUMMARY, wire.UNTYPED, wire.HISTOGRAM
TYPE_WORDS = {COUNTER: "counter", GAUGE: "gauge", SUMMARY: "summary", UNTYPED: "untyped", HISTOGRAM: "histogram"}


@dataclasses.dataclass
class Operation:
    kind: str  # what the report counts it as
    method: str
    target: str
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    body: bytes | None = None

    def __str__(self) -> str:
        shown = b"" if self.body is None else self.body[:600]
        return f"{self.method} {self.target} {self.headers} {shown!r}"


# Names with the type they mostly have; the rest of the time they have another one.
NAMES = {
    "jobs_total": COUNTER, "temperature": GAUGE, "latency": HISTOGRAM, "latency_count": UNTYPED,
    "latency_bucket": GAUGE, "size": SUMMARY, "size_sum": GAUGE, "size_count": COUNTER, "plain": UNTYPED,
    "rpc:rate5m": GAUGE, "_hidden": GAUGE, "process_open_fds": GAUGE, "process_cpu_seconds_total": COUNTER,
    "labels": GAUGE, "z": UNTYPED,
}
UTF8_NAMES = {"http.requests": COUNTER, "größe": GAUGE, "with space": UNTYPED, "rpc.latency": HISTOGRAM, "花火": SUMMARY}
LABELS = ("instance", "job", "code", "handler", "le", "quantile", "a", "B", "_x")
UTF8_LABELS = ("http.code", "größe", "a b")
VALUES = ("", "1", "200", "x", "höhe", 'quo"te', "back\\slash", "new\nline", "<&>", " ", "a,b}", "0.5")
HELPS = (None, None, "A help.", "Another help.", 'With "quotes" and \\ and\nline.', "")
GROUP_LABELS = ("instance", "env", "code", "a", "zone")
NUMBERS = ("0", "1", "-1", "3.14", "1e6", "1000000", "123456.5", "0.00001", "1e21", "NaN", "+Inf", "-Inf", "-0", "08",
           ".5", "5.", "1e-400", "4.9e-324", "1.7976931348623157e308", "9007199254740993")


class Generator:
    def __init__(self, seed: int, utf8: bool):
        self.random = random.Random(seed)
        self.utf8 = utf8
        self.names = dict(NAMES, **(UTF8_NAMES if utf8 else {}))

    def sequence(self) -> list[Operation]:
        groups = [self._group() for _ in range(self.random.randint(1, 4))]
        return [self._operation(groups) for _ in range(self.random.randint(3, 10))]

    def _operation(self, groups: list[dict[str, str]]) -> Operation:
        target = self._path(self.random.choice(groups))
        roll = self.random.random()
        if roll < 0.12:
            return Operation("delete", "DELETE", target)
        if roll < 0.16:
            return Operation("bad path", self.random.choice(("PUT", "POST", "DELETE")), self._bad_path(), {}, b"")
        method = self.random.choice(("PUT", "POST", "POST"))
        if roll < 0.20:
            return Operation("empty push", method, target, {}, b"")
        if roll < 0.45:
            return self._encoded("protobuf push", method, target, self._protobuf(), {"Content-Type": wire.CONTENT_TYPE})
        body = self._text().encode()
        if roll < 0.62:
            return self._encoded("mutated push", method, target, self._mutate(body), {})
        return self._encoded("text push", method, target, body, {})

    # --- groups and paths ---

    def _group(self) -> dict[str, str]:
        group = {"job": self.random.choice(("a", "b", "job", "x/y", ":x", "mit Höhe", "quo\"te", "50%"))}
        for name in self.random.sample(GROUP_LABELS, self.random.choice((0, 0, 1, 1, 2))):
            # An empty instance beside the same group without it is what breaks the reference.
            group[name] = self.random.choice(VALUES[1:] if name == "instance" else VALUES)
        if self.utf8 and self.random.random() < 0.3:
            group[self.random.choice(("my.label", "größe"))] = "v"
        return group

    def _path(self, group: dict[str, str]) -> str:
        parts = ["/metrics"] + [self._pair("job", group["job"])]
        rest = [(name, value) for name, value in group.items() if name != "job"]
        self.random.shuffle(rest)
        return "/".join(parts + [self._pair(name, value) for name, value in rest])

    def _pair(self, name: str, value: str) -> str:
        escaped = urllib.parse.quote(escape_name(name), safe="")
        if value in ("", ".", "..") or "/" in value or self.random.random() < 0.25:
            text = base64.urlsafe_b64encode(value.encode()).decode()
            return f"{escaped}@base64/{text if self.random.random() < 0.5 and value else text.rstrip('=') or '='}"
        return f"{escaped}/{urllib.parse.quote(value, safe='')}"

    def _bad_path(self) -> str:
        return self.random.choice((
            "/metrics/job/a/b", "/metrics/job/a/b/c/d", "/metrics/job@base64/=", "/metrics/job@base64/!!",
            "/metrics/job@base64/YWJjZ", "/metrics/job/a/__x/y", "/metrics/job/a/1x/y", "/metrics/job/a/a-b/y",
            "/metrics/job/a/x@base64/a", "/metrics/job/a/x@base64/YW.Jj", "/metrics/job", "/metrics/job/a/@base64/x",
            "/metrics/job/a/b%0A", "/nope", "/metrics/job/a/%22/x%22"))

    # --- bodies ---

    def _encoded(self, kind: str, method: str, target: str, body: bytes, headers: dict[str, str]) -> Operation:
        headers = dict(headers)
        if self.random.random() < 0.1:
            headers["Content-Encoding"] = "gzip"
            body = gzip.compress(body, 1, mtime=0)
        if self.random.random() < 0.2:
            headers["Transfer-Encoding"] = "chunked"
        return Operation(kind, method, target, headers, body)

    def _families(self) -> list[tuple[str, int]]:
        names = self.random.sample(sorted(self.names), self.random.choice((1, 1, 2, 3, 5)))
        return [(name, self.names[name] if self.random.random() < 0.85 else self.random.choice(list(TYPE_WORDS)))
                for name in names]

    def _labels(self, family_type: int) -> dict[str, str]:
        reserved = {SUMMARY: "quantile", HISTOGRAM: "le"}.get(family_type)
        names = [name for name in LABELS + (UTF8_LABELS if self.utf8 else ()) if name != reserved]
        count = self.random.choice((0, 0, 1, 1, 2, 3))
        return {name: self.random.choice(VALUES) for name in self.random.sample(names, count)}

    def _number(self) -> str:
        if self.random.random() < 0.5:
            return self.random.choice(NUMBERS)
        if self.random.random() < 0.5:
            return repr(round(self.random.uniform(-1000, 1000), self.random.randint(0, 6)))
        value = struct.unpack("<d", self.random.randbytes(8))[0]
        return repr(value) if math.isfinite(value) else "1"

    def _text(self) -> str:
        lines = []
        for name, kind in self._families():
            help_text = self.random.choice(HELPS)
            if help_text is not None:
                escaped = help_text.replace("\\", "\\\\").replace("\n", "\\n")
                lines.append(f"# HELP {quoted(name)} {escaped}")
            if kind != UNTYPED or self.random.random() < 0.5:
                lines.append(f"# TYPE {quoted(name)} {TYPE_WORDS[kind]}")
            for _ in range(self.random.choice((1, 1, 2, 3))):
                lines += self._text_sample(name, kind)
        if self.random.random() < 0.05:
            lines.insert(self.random.randrange(len(lines) + 1), self.random.choice(("", "# a comment", "#", "  ")))
        if self.random.random() < 0.03:
            lines[-1] += " 1234567890"
        return "\n".join(lines) + "\n"

    def _text_sample(self, name: str, kind: int) -> list[str]:
        labels = self._labels(kind)
        if kind == HISTOGRAM:
            bounds = self.random.sample(("0.1", "1.0", "2.5", "1e6", "+Inf", "-1"), self.random.randint(0, 4))
            count = self.random.choice((0, 3, 1000000, 2.5))
            return [self._line(name + "_bucket", dict(labels, le=bound), str(self.random.randint(0, 50))) for bound in bounds] + [
                self._line(name + "_sum", labels, self._number()), self._line(name + "_count", labels, str(count))]
        if kind == SUMMARY:
            quantiles = self.random.sample(("0.5", "0.90", "0.99", "1"), self.random.randint(0, 3))
            return [self._line(name, dict(labels, quantile=quantile), self._number()) for quantile in quantiles] + [
                self._line(name + "_sum", labels, self._number()),
                self._line(name + "_count", labels, str(self.random.randint(0, 10 ** 7)))]
        return [self._line(name, labels, self._number())]

    def _line(self, name: str, labels: dict[str, str], value: str) -> str:
        pairs = [f"{quoted(label)}={quote(text)}" for label, text in labels.items()]
        if not legacy(name):
            return "{" + ",".join([quote(name)] + pairs) + "} " + value
        if not pairs:
            return f"{name} {value}"
        return f"{name}{{{','.join(pairs)}}} {value}"

    def _mutate(self, body: bytes) -> bytes:
        out = bytearray(body)
        for _ in range(self.random.choice((1, 1, 2))):
            at = self.random.randrange(len(out))
            byte = self.random.choice(b" \t\n#{}=,\\abeEn0159.+-_:@\xff\xc3\r")
            roll = self.random.random()
            if roll < 0.4:
                del out[at]
            elif roll < 0.7 and out[at] != ord('"'):
                out[at] = byte
            else:
                out.insert(at, byte)
            if not out:
                return body
        # A braced line without a name crashes the reference, or is put down to the line before it.
        braced = [line for line in bytes(out).split(b"\n") if line.lstrip(b" \t").startswith(b"{")]
        return body if braced else bytes(out)

    def _protobuf(self) -> bytes:
        families = []
        for name, kind in self._families():
            family: dict = {"name": name}
            help_text = self.random.choice(HELPS)
            if help_text is not None:
                family["help"] = help_text
            if kind != COUNTER or self.random.random() < 0.7:
                family["type"] = kind
            family["metric"] = [self._proto_sample(kind) for _ in range(self.random.choice((1, 1, 2, 3)))]
            families.append(family)
        data = wire.encode_families(families)
        return data[:-self.random.randint(1, 5)] if self.random.random() < 0.03 else data

    def _proto_sample(self, kind: int) -> dict:
        if self.random.random() < 0.03:
            kind = self.random.choice(list(TYPE_WORDS))
        sample: dict = {"label": [{"name": name, "value": value} for name, value in self._labels(kind).items()]}
        if kind == COUNTER:
            sample["counter"] = {"value": self._number()}
            if self.random.random() < 0.2:
                sample["counter"]["exemplar"] = {"label": [{"name": "trace", "value": "t1"}], "value": 1,
                                                 "timestamp": {"seconds": 1700000000, "nanos": 5}}
                sample["counter"]["created_timestamp"] = {"seconds": 1700000000}
        elif kind == GAUGE:
            sample["gauge"] = {"value": self._number()}
        elif kind == UNTYPED:
            sample["untyped"] = {"value": self._number()}
        elif kind == SUMMARY:
            sample["summary"] = {"sample_count": self.random.randrange(10 ** 9), "sample_sum": self._number(), "quantile": [
                {"quantile": quantile, "value": self._number()} for quantile in self.random.sample((0.5, 0.9, 0.99), 2)]}
        else:
            sample["histogram"] = self._native() if self.random.random() < 0.4 else self._classic()
        if self.random.random() < 0.01:
            sample["timestamp_ms"] = 1000
        return sample

    def _classic(self) -> dict:
        bounds = self.random.sample((0.1, 1, 2.5, 1e6, math.inf), self.random.randint(0, 4))
        histogram: dict = {"sample_count": self.random.randrange(100), "sample_sum": self._number(), "bucket": [
            {"cumulative_count": self.random.randrange(100), "upper_bound": bound} for bound in bounds]}
        if self.random.random() < 0.2:
            histogram["sample_count_float"] = 2.5
        return histogram

    def _native(self) -> dict:
        histogram: dict = {"sample_count": self.random.randrange(1, 100), "sample_sum": self._number(),
                           "schema": self.random.randint(-4, 8), "zero_threshold": self.random.choice((0, 0.001)),
                           "zero_count": self.random.choice((0, 3))}
        for side in ("positive", "negative"):
            if self.random.random() < 0.7:
                lengths = [self.random.randint(0, 3) for _ in range(self.random.randint(1, 3))]
                histogram[f"{side}_span"] = [{"offset": self.random.randint(-3 if i == 0 else 0, 4), "length": length}
                                             for i, length in enumerate(lengths)]
                histogram[f"{side}_delta"] = [self.random.randint(0, 5) for _ in range(sum(lengths))]
        return histogram


def legacy(name: str) -> bool:
    return name.isascii() and name.replace(":", "_").isidentifier()


def quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"') + '"'


def quoted(name: str) -> str:
    return name if legacy(name) else quote(name)


def escape_name(name: str) -> str:
    """The `values` escaping of names that are not legacy-valid."""
    if legacy(name) and ":" not in name:
        return name
    return "U__" + "".join("__" if c == "_" else c if c.isascii() and c.isalnum() else f"_{ord(c):x}_" for c in name)
