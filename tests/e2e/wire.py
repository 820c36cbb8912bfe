"""Delimited protobuf of the io.prometheus.client schema, from and to plain dictionaries.

Written from the published schema alone, so that it shares no mistake with the code under test.
Field names are the schema's; enum MetricType is a number; absent fields stay absent.
"""

import math
import struct

# Message -> field number -> (name, kind, repeated)
SCHEMA = {
    "LabelPair": {1: ("name", "string", False), 2: ("value", "string", False)},
    "Gauge": {1: ("value", "double", False)},
    "Counter": {1: ("value", "double", False), 2: ("exemplar", "Exemplar", False),
                3: ("created_timestamp", "Timestamp", False)},
    "Quantile": {1: ("quantile", "double", False), 2: ("value", "double", False)},
    "Summary": {1: ("sample_count", "uint", False), 2: ("sample_sum", "double", False),
                3: ("quantile", "Quantile", True), 4: ("created_timestamp", "Timestamp", False)},
    "Untyped": {1: ("value", "double", False)},
    "Histogram": {1: ("sample_count", "uint", False), 2: ("sample_sum", "double", False),
                  3: ("bucket", "Bucket", True), 4: ("sample_count_float", "double", False),
                  5: ("schema", "sint", False), 6: ("zero_threshold", "double", False),
                  7: ("zero_count", "uint", False), 8: ("zero_count_float", "double", False),
                  9: ("negative_span", "BucketSpan", True), 10: ("negative_delta", "sint", True),
                  11: ("negative_count", "double", True), 12: ("positive_span", "BucketSpan", True),
                  13: ("positive_delta", "sint", True), 14: ("positive_count", "double", True),
                  15: ("created_timestamp", "Timestamp", False), 16: ("exemplars", "Exemplar", True)},
    "Bucket": {1: ("cumulative_count", "uint", False), 2: ("upper_bound", "double", False),
               3: ("exemplar", "Exemplar", False), 4: ("cumulative_count_float", "double", False)},
    "BucketSpan": {1: ("offset", "sint", False), 2: ("length", "uint", False)},
    "Exemplar": {1: ("label", "LabelPair", True), 2: ("value", "double", False),
                 3: ("timestamp", "Timestamp", False)},
    "Metric": {1: ("label", "LabelPair", True), 2: ("gauge", "Gauge", False), 3: ("counter", "Counter", False),
               4: ("summary", "Summary", False), 5: ("untyped", "Untyped", False),
               6: ("timestamp_ms", "int", False), 7: ("histogram", "Histogram", False)},
    "MetricFamily": {1: ("name", "string", False), 2: ("help", "string", False), 3: ("type", "uint", False),
                     4: ("metric", "Metric", True), 5: ("unit", "string", False)},
    "Timestamp": {1: ("seconds", "int", False), 2: ("nanos", "int", False)},
}

CONTENT_TYPE = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"

COUNTER, GAUGE, SUMMARY, UNTYPED, HISTOGRAM, GAUGE_HISTOGRAM = range(6)


def encode_families(families: list[dict]) -> bytes:
    return b"".join(delimited(encode("MetricFamily", family)) for family in families)


def delimited(message: bytes) -> bytes:
    return _varint(len(message)) + message


def encode(message: str, value: dict) -> bytes:
    fields = {name: (number, kind, repeated) for number, (name, kind, repeated) in SCHEMA[message].items()}
    unknown = set(value) - set(fields)
    if unknown:
        raise ValueError(f"{message} has no {sorted(unknown)}")
    out = bytearray()
    for name, (number, kind, repeated) in fields.items():
        if name in value:
            for item in value[name] if repeated else [value[name]]:
                out += _field(number, kind, item)
    return bytes(out)


def _field(number: int, kind: str, item) -> bytes:
    if kind == "double":
        return _varint(number << 3 | 1) + struct.pack("<d", _number(item))
    if kind in ("uint", "int"):
        return _varint(number << 3) + _varint(int(item) & (1 << 64) - 1)
    if kind == "sint":
        return _varint(number << 3) + _varint((int(item) << 1 ^ int(item) >> 63) & (1 << 64) - 1)
    data = _bytes(item) if kind == "string" else encode(kind, item)
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _number(item) -> float:
    return float(item)  # also "NaN", "+Inf", "-Inf"


def _bytes(item: str | bytes) -> bytes:
    return item if isinstance(item, bytes) else item.encode("utf-8", "surrogateescape")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def decode_families(data: bytes) -> list[dict]:
    families, at = [], 0
    while at < len(data):
        size, at = _read_varint(data, at)
        if at + size > len(data):
            raise ValueError("family is cut off")
        families.append(decode("MetricFamily", data[at:at + size]))
        at += size
    return families


def decode(message: str, data: bytes) -> dict:
    fields, value, at = SCHEMA[message], {}, 0
    while at < len(data):
        key, at = _read_varint(data, at)
        wire = key & 7
        if wire == 0:
            raw, at = _read_varint(data, at)
        elif wire == 1:
            raw, at = struct.unpack_from("<d", data, at)[0], at + 8
        elif wire == 2:
            size, at = _read_varint(data, at)
            raw, at = data[at:at + size], at + size
            if len(raw) != size:
                raise ValueError(f"{message} is cut off")
        else:
            raise ValueError(f"wire type {wire} in {message}")
        if key >> 3 not in fields:
            raise ValueError(f"{message} has no field {key >> 3}")
        name, kind, repeated = fields[key >> 3]
        item = _item(kind, wire, raw)
        if repeated:
            value.setdefault(name, []).append(item)
        else:
            value[name] = item
    return value


def _item(kind: str, wire: int, raw):
    expected = {"double": 1, "uint": 0, "int": 0, "sint": 0}.get(kind, 2)
    if wire != expected:
        raise ValueError(f"wire type {wire} for {kind}")
    if kind == "string":
        return raw.decode("utf-8", "surrogateescape")
    if kind == "sint":
        return raw >> 1 ^ -(raw & 1)
    if kind == "int":
        return raw - (1 << 64) if raw >> 63 else raw
    if kind == "double":
        # NaN differs from itself; as text, decoded messages can be compared.
        return "NaN" if math.isnan(raw) else raw
    return raw if kind == "uint" else decode(kind, raw)


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError("bad varint")
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def snappy_frames(data: bytes) -> bytes:
    """The snappy framing format: uncompressed chunks and compressed ones made of literals, in turn."""
    out = bytearray(b"\xff\x06\x00\x00sNaPpY")
    for number, at in enumerate(range(0, len(data), 50000)):
        piece = data[at:at + 50000]
        checksum = _crc32c(piece)
        masked = ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF
        if number % 2:
            kind, payload = 0, _varint(len(piece)) + b"\xf4" + struct.pack("<H", len(piece) - 1) + piece
        else:
            kind, payload = 1, piece
        out += bytes([kind]) + struct.pack("<I", len(payload) + 4)[:3] + struct.pack("<I", masked) + payload
    return bytes(out)


def _crc32c(data: bytes) -> int:
    value = 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ _CRC32C[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF


def _crc32c_entry(index: int) -> int:
    for _ in range(8):
        index = index >> 1 ^ (0x82F63B78 if index & 1 else 0)
    return index


_CRC32C = [_crc32c_entry(index) for index in range(256)]
