"""Requests for protocol.py: a plain push, and what can be changed about one. Every change belongs to a place, such as
the version or the Host header; mixed requests have one change at some places."""

import dataclasses
import random

BODY = b"m 1\n"


@dataclasses.dataclass
class Request:
    """The parts of a request, each as it is sent."""

    method: bytes = b"PUT"
    space: bytes = b" "
    target: bytes = b"/metrics/job/p"
    version: bytes = b" HTTP/1.1"
    line_end: bytes = b"\r\n"  # of the request line
    header_end: bytes = b"\r\n"
    last_end: bytes = b"\r\n"  # of the empty line
    host: bytes = b"Host: x\r\n"
    headers: bytes = b""
    framing: bytes = b"Content-Length: 4\r\n"
    body: bytes = BODY
    before: bytes = b""
    behind: bytes = b""
    changed: list[str] = dataclasses.field(default_factory=list)

    def head(self) -> bytes:
        headers = (self.host + self.headers + self.framing).replace(b"\r\n", self.header_end)
        return (self.before + self.method + self.space + self.target + self.version + self.line_end + headers +
                self.last_end)

    def encode(self) -> bytes:
        return self.head() + self.body + self.behind


def chunked(body: bytes) -> dict:
    return {"framing": b"Transfer-Encoding: chunked\r\n", "body": body}


_CHUNK = b"4\r\n" + BODY + b"\r\n"
_LAST = b"0\r\n\r\n"

# What a request may carry, each of which meets every other change.
FRAMINGS = {
    "length": {},
    "chunks": chunked(_CHUNK + _LAST),
    "no body": {"method": b"GET", "target": b"/-/healthy", "framing": b"", "body": b""},
}


def _set(part: str, *values: bytes) -> list[dict]:
    return [{part: value} for value in values]


def _headers(*lines: bytes) -> list[dict]:
    return [{"headers": line + b"\r\n"} for line in lines]


def _hosts(*values: bytes) -> list[dict]:
    return [{"host": b"Host:" + value + b"\r\n"} for value in values]


def _lengths(*values: bytes) -> list[dict]:
    return [{"framing": b"".join(b"Content-Length:" + value + b"\r\n" for value in lines)}
            for lines in (value.split(b"|") for value in values)]


def _codings(*values: bytes) -> list[dict]:
    return [{"framing": b"".join(b"Transfer-Encoding:" + value + b"\r\n" for value in lines), "body": _CHUNK + _LAST}
            for lines in (value.split(b"|") for value in values)]


def _chunks(*bodies: bytes) -> list[dict]:
    return [chunked(body) for body in bodies]


PLACES: dict[str, list[dict]] = {
    "before": _set("before", b"\r\n", b"\n", b"\r", b" ", b"\x00", b"\xef\xbb\xbf"),
    "method": _set("method", b"GET", b"HEAD", b"POST", b"DELETE", b"PATCH", b"OPTIONS", b"TRACE", b"CONNECT", b"PRI", b"put",
                   b"X" * 100, b"M-SEARCH", b"!#$%&'*+-.^_`|~09", b"P@T", b"P(T", b"P\tT", b"P\x00T", b"P\xfcT", b"", b"P:T",
                   b"\"PUT\""),
    "space": _set("space", b"  ", b"\t", b" \t", b"", b"\x0b", b"\xa0"),
    "target": _set(
        "target", b"/", b"*", b"", b"//", b"///", b"//metrics/job/p", b"/metrics/../-/healthy", b"/metrics/job/%70",
        b"/metrics/job/%zz", b"/metrics/job/%4", b"/metrics/job/%", b"/metrics/job/%00", b"/metrics/job/a%2fb",
        b"/metrics/job/p?%zz", b"/metrics/job/p?a b", b"/metrics/job/p?", b"/metrics/job/p#f", b"/metrics/job/p?#%zz",
        b"/metrics/job/a b", b"/metrics/job/a\tb", b"/metrics/job/a\x00b", b"/metrics/job/a\x7fb", b"/\xff",
        b"/metrics/job/\xc3\xbc", b"/metrics/job/a\"b", b"/metrics/job/a<>b", b"/metrics/job/a\\b", b"/metrics/job/a|b",
        b"/metrics/job/[a]", b"/metrics/job/a:b", b"/metrics/job/a@b", b"/metrics/job/a;b", b"metrics/job/p", b"./metrics",
        b"?", b"?a", b"#", b":", b"a:b", b"x:80", b"x", b"http:", b"http:/", b"http:/metrics/job/p", b"http:metrics/job/p",
        b"http://", b"http:///metrics/job/p", b"http://x", b"http://x?a", b"http://x#f", b"http://x/metrics/job/p",
        b"HTTP://x/metrics/job/p", b"http://x:80/metrics/job/p", b"http://x:/metrics/job/p", b"http://x:a/metrics/job/p",
        b"http://x:80:90/metrics/job/p", b"http://x:99999/metrics/job/p", b"http://:80/metrics/job/p",
        b"http://u@x/metrics/job/p", b"http://u:p@x/metrics/job/p", b"http://u@v@x/metrics/job/p",
        b"http://u%zz@x/metrics/job/p", b"http://u:%40@x/metrics/job/p", b"http://u\xff@x/metrics/job/p",
        b"http://u[@x/metrics/job/p", b"http://@x/metrics/job/p", b"http://[::1]/metrics/job/p",
        b"http://[::1]:80/metrics/job/p", b"http://[::1/metrics/job/p", b"http://::1]/metrics/job/p",
        b"http://[::1]x/metrics/job/p", b"http://[::1%25eth0]/metrics/job/p", b"http://[fe80::1%eth0]/metrics/job/p",
        b"http://[]/metrics/job/p", b"http://[x]/metrics/job/p", b"http://a[b]/metrics/job/p", b"http://x%20y/metrics/job/p",
        b"http://x%41/metrics/job/p", b"http://x%zz/metrics/job/p", b"http://x%c3%bc/metrics/job/p",
        b"http://x\xc3\xbc/metrics/job/p", b"http://x\xff/metrics/job/p", b"http://x\"/metrics/job/p",
        b"http://x<>/metrics/job/p", b"http://x\\/metrics/job/p", b"http://x^/metrics/job/p", b"http://x{}/metrics/job/p",
        b"http://x|/metrics/job/p", b"http://x`/metrics/job/p", b"http://x,y/metrics/job/p", b"http://x;y/metrics/job/p",
        b"http://x!$&'()*+=~_/metrics/job/p", b"http://x/%zz", b"http://x//metrics/job/p", b"http://x/../metrics/job/p",
        b"https://x/metrics/job/p", b"ftp://x/metrics/job/p", b"x+y-1.z://x/metrics/job/p", b"1x://x/metrics/job/p",
        b"_x://x/metrics/job/p", b"://x/metrics/job/p", b"-://x/metrics/job/p", b"h%74tp://x/metrics/job/p",
        b"mailto:x@y", b"file:///metrics/job/p", b"http://http://x/metrics/job/p", b"/http://x/metrics/job/p",
        b"http://x/metrics/job/p?http://y", b"http:\\\\x/metrics/job/p", b"//x/metrics/job/p", b"///x/metrics/job/p"),
    "version": _set("version", b" HTTP/1.0", b" HTTP/1.2", b" HTTP/1.9", b" HTTP/2.0", b" HTTP/0.9", b" HTTP/3.7", b" HTTP/1.10",
                    b" HTTP/11.1", b" HTTP/1", b" HTTP/1.", b" HTTP/.1", b" HTTP/1,1", b" http/1.1", b" HTTP /1.1", b" HTTPS/1.1",
                    b" HTTP/1.1 ", b"  HTTP/1.1", b"\tHTTP/1.1", b" HTTP/1.x", b" HTTP/-1.1", b" HTTP/+1.1", b" HTTP/01.1",
                    b" HTTP/1.01", b"", b" ", b" x", b" HTTP/1.1\x00", b" HTTP/1.1\t", b" x HTTP/1.1"),
    "line end": _set("line_end", b"\n", b"\r\r\n", b"\n\r\n", b"\n\n", b"\r", b"\x0b\n", b"\r\n\r\n", b"\r\n ", b"\n\t"),
    "header end": _set("header_end", b"\n", b"\r\r\n", b"\r", b"\x00\r\n", b" \r\n", b"\t\n", b"\x0b\r\n", b"\n\r"),
    "last end": _set("last_end", b"\n", b"\r\r\n", b"\r", b" \r\n\r\n", b"\t\n\n", b"\n\r"),
    "header": _headers(
        b"A: b", b"A:b", b"A:", b"A: ", b"A:\tb\t", b"A: b\r\n c", b"A: b\r\n\tc", b"A:\r\n b", b"A: b\n c", b"A: b\r\n \r\n c",
        b" A: b", b"\tA: b", b"A : b", b"A\t: b", b"A B: c", b" : b", b": b", b":", b"A", b"A b", b"\"A\": b", b"A(: b", b"A@: b",
        b"A\x00: b", b"A\x7f: b", b"A\x0b: b", b"A\xfc: b", b"\xfc: b", b"A: \xfc", b"A: \x00", b"A: b\x00", b"A: \x7f",
        b"A: \x01", b"A: b\rc", b"A: \rb", b"A: b\r", b"A: b\x0b", b"A: \x0bb", b"A: b\tc", b"A: \"b", b"A: b: c", b"A:: b",
        b"!#$%&'*+-.^_`|~09: b", b"A;: b", b"A/B: c", b"A: " + b"b" * 5000, b"A" * 5000 + b": b", b"Accept-Encoding: gzip\x01"),
    "host": _set("host", b"", b"Host: a\r\nHost: a\r\n", b"Host: a\r\nHost: b\r\n", b"host: x\r\n", b"HOST: x\r\n", b"Host : x\r\n",
                 b"Host: x\r\nhost: x\r\n", b"Host:\r\nHost: x\r\n", b"Host: a\r\n b\r\n", b"X-Host: x\r\n")
            + _hosts(b"", b" ", b"x", b" x ", b" x:80", b" x:", b" x:a", b" :80", b" a b", b" a,b", b" a/b", b" a?b", b" a#b", b" a@b",
                     b" u:p@x", b" [::1]", b" [::1]:80", b" [::1", b" ]", b" a\"b", b" a<b", b" a\\b", b" a^b", b" a`b", b" a{b", b" a|b",
                     b" a~b", b" a%b", b" a%zz", b" a_b", b" a;b", b" a=b", b" a'b", b" a!$&()*+", b" \xc3\xbc", b" \xff", b" a\x00",
                     b" a\x7f", b" a\tb", b" http://x", b" *", b" ."),
    "length": _lengths(b" 4", b"4", b" 4 ", b"\t4\t", b" 04", b" 0000000000000000000000004", b" 0", b"", b" ", b" -1", b" +4", b" -0",
                       b" 4,4", b" 4, 4", b" 4,", b" 4 4", b" 4.0", b" 4e0", b" 0x4", b" 4a", b" a", b" 4;", b" \"4\"", b" 4_0", b" \xb4",
                       b" 9223372036854775808", b" 18446744073709551620", b" 99999999999999999999999999", b" 4| 4", b" 4| 5",
                       b" 4|4 ", b" 4| 04", b" 4| 4| 4", b" 0| 4", b" 4|", b"| 4", b" 4\x0b", b" 4\x00", b" 4\r")
              + [{"framing": line + b"\r\n"} for line in (b"Content-Length : 4", b"Content-Length\t: 4", b"content-length: 4",
                                                        b"Content_Length: 4", b"Content-Length: 4\r\n ", b"Content-Length:\r\n 4",
                                                        b" Content-Length: 4", b"Content-Length 4", b"X-Content-Length: 4")]
              + [{"framing": b""}],
    "coding": _codings(b" chunked", b"chunked", b" Chunked ", b"\tCHUNKED\t", b"", b" ", b" identity", b" gzip", b" gzip, chunked",
                       b" chunked, gzip", b" chunked, chunked", b" chunked,", b" ,chunked", b" chunked;q=1", b" \"chunked\"",
                       b" 'chunked'", b" xchunked", b" chunkedx", b" chu nked", b" \x0bchunked", b" chunked\x00", b" chunked\x0b",
                       b" \xffchunked", b" chunked| chunked", b" chunked| gzip", b" gzip| chunked", b" identity| chunked",
                       b"| chunked", b" chunked|", b" chunked\r\n ")
              + [{"framing": line + b"\r\n", "body": _CHUNK + _LAST} for line in (
                  b"Transfer-Encoding : chunked", b"Transfer-Encoding\t: chunked", b"Transfer_Encoding: chunked",
                  b"transfer-encoding: chunked", b" Transfer-Encoding: chunked", b"Transfer-Encoding:\r\n chunked",
                  b"Content-Length: 4\r\nTransfer-Encoding: chunked", b"Transfer-Encoding: chunked\r\nContent-Length: 4",
                  b"Transfer-Encoding: chunked\r\nContent-Length: x", b"Content-Length: 0\r\nTransfer-Encoding: gzip",
                  b"TE: chunked", b"Trailer: Content-Length\r\nTransfer-Encoding: chunked",
                  b"Trailer: A\r\nTransfer-Encoding: chunked", b"Trailer: a b\r\nTransfer-Encoding: chunked")],
    "connection": _headers(
        b"Connection: close", b"Connection: Close", b"Connection: keep-alive", b"Connection: Keep-Alive", b"Connection:",
        b"Connection: close, keep-alive", b"Connection: keep-alive,close", b"Connection: x", b"Connection: x,close,y",
        b"Connection: ,close,", b"Connection: \tclose\t", b"Connection: closex", b"Connection: \"close\"", b"Connection: close;x",
        b"Connection: x y", b"Connection: @", b"Connection: (close)", b"Connection: close\r\nConnection: keep-alive",
        b"Connection: keep-alive\r\nConnection: close", b"Connection: close close", b"Connection: \xff, close", b"Connection: , ,",
        b"Connection: c\xc5\xbfose", b"Proxy-Connection: close", b"Proxy-Connection: keep-alive", b"Proxy-Connection: ;",
        b"Keep-Alive: timeout=5", b"Keep-Alive: @", b"Connection: Upgrade\r\nUpgrade: websocket", b"Upgrade: h2c",
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__", b"Connection: upgrade"),
    "expect": _headers(b"Expect: 100-continue", b"Expect: 100-Continue", b"Expect:", b"Expect: ", b"Expect: 100-continue, x",
                       b"Expect: x, 100-continue", b"Expect: x", b"Expect: 200-ok", b"Expect: \"100-continue\"", b"Expect: 100-continuex",
                       b"Expect: 100-continue;x", b"Expect: x100-continue", b"Expect: x 100-continue", b"Expect: 100-continue x",
                       b"Expect: 100-continue\r\nExpect: x", b"Expect: x\r\nExpect: 100-continue", b"Expect: \xff",
                       b"Expect:\r\nExpect: x", b"Expect: x\r\nConnection: close"),
    "chunk": _chunks(
        _CHUNK + b"0\r\n\r\n", b"04\r\nm 1\n\r\n" + _LAST, b"0000000000000004\r\nm 1\n\r\n" + _LAST,
        b"00000000000000004\r\nm 1\n\r\n" + _LAST, b"4 \r\nm 1\n\r\n" + _LAST, b"4\t \r\nm 1\n\r\n" + _LAST, b" 4\r\nm 1\n\r\n" + _LAST,
        b"4 4\r\nm 1\n\r\n" + _LAST, b"+4\r\nm 1\n\r\n" + _LAST, b"-4\r\nm 1\n\r\n" + _LAST, b"0x4\r\nm 1\n\r\n" + _LAST,
        b"4h\r\nm 1\n\r\n" + _LAST, b"4,\r\nm 1\n\r\n" + _LAST, b"\r\n" + _LAST, b"\xb4\r\nm 1\n\r\n" + _LAST, b"4_0\r\n" + _LAST,
        b"4\x00\r\nm 1\n\r\n" + _LAST, b"4\x0b\r\nm 1\n\r\n" + _LAST, b"4.\r\nm 1\n\r\n" + _LAST,
        b"4\nm 1\n\n0\n\n", b"4\nm 1\n\r\n" + _LAST, b"4\r\nm 1\n\n" + _LAST, b"4\r\nm 1\n\r\r\n" + _LAST, b"4\r\r\nm 1\n\r\n" + _LAST,
        b"4\r\nm 1\n" + _LAST, b"4\r\nm 1\nx\r\n" + _LAST, b"4\r\nm 1\n\r\n\r\n" + _LAST, b"4\rm 1\n\r\n" + _LAST,
        b"4;\r\nm 1\n\r\n" + _LAST, b"4;a\r\nm 1\n\r\n" + _LAST, b"4;a=b\r\nm 1\n\r\n" + _LAST, b"4;a=\"b\"\r\nm 1\n\r\n" + _LAST,
        b"4 ;a\r\nm 1\n\r\n" + _LAST, b"4; a = b ;c\r\nm 1\n\r\n" + _LAST, b"4;=b\r\nm 1\n\r\n" + _LAST, b"4;;\r\nm 1\n\r\n" + _LAST,
        b"4;a=\r\nm 1\n\r\n" + _LAST, b"4;a(b)\r\nm 1\n\r\n" + _LAST, b"4;\xff\r\nm 1\n\r\n" + _LAST, b"4;a\tb\r\nm 1\n\r\n" + _LAST,
        b"4;a=\"\n\"\r\nm 1\n\r\n" + _LAST, b"4;a=\"\r\"\r\nm 1\n\r\n" + _LAST, b"4;a=\"\r\n\"\r\nm 1\n\r\n" + _LAST,
        b"4;a=\"\r\nm 1\n\r\n" + _LAST, b"4;a=\"\\\"\r\nm 1\n\r\n" + _LAST, b"4;a=\"\\\"\"\r\nm 1\n\r\n" + _LAST, b"4;a\n\r\nm 1\n\r\n" + _LAST,
        b"4;a\x00\r\nm 1\n\r\n" + _LAST, b"4;\x0b\r\nm 1\n\r\n" + _LAST, b"4;a\x7f\r\nm 1\n\r\n" + _LAST, b"4;a\rb\r\nm 1\n\r\n" + _LAST,
        b"4;" + b"x" * 4000 + b"\r\nm 1\n\r\n" + _LAST, b"4;" + b"x" * 4092 + b"\r\nm 1\n\r\n" + _LAST,
        b"4;" + b"x" * 4093 + b"\r\nm 1\n\r\n" + _LAST, b"4;" + b"x" * 9000 + b"\r\nm 1\n\r\n" + _LAST,
        b"".join(b"1;" + b"x" * 1000 + b"\r\n\n\r\n" for _ in range(30)) + _LAST, _CHUNK + b"00\r\n\r\n", _CHUNK + b"0;a\r\n\r\n",
        _CHUNK + b"0 \r\n\r\n", _CHUNK + b"0\n\n", _CHUNK + b"0\r\n\n", _CHUNK + b"0\r\nA: b\r\n\r\n", _CHUNK + b"0\r\nA:\r\nB: c\r\n\r\n",
        _CHUNK + b"0\r\nA: b\n\r\n", _CHUNK + b"0\r\nA: b\n\n", _CHUNK + b"0\r\nA: b\r\n c\r\n\r\n", _CHUNK + b"0\r\n A: b\r\n\r\n",
        _CHUNK + b"0\r\nA : b\r\n\r\n", _CHUNK + b"0\r\nA\r\n\r\n", _CHUNK + b"0\r\n: b\r\n\r\n", _CHUNK + b"0\r\nA: \x00\r\n\r\n",
        _CHUNK + b"0\r\nA: b\rc\r\n\r\n", _CHUNK + b"0\r\nA: b\r\r\n\r\n", _CHUNK + b"0\r\nContent-Length: 5\r\n\r\n",
        _CHUNK + b"0\r\nTransfer-Encoding: chunked\r\n\r\n", _CHUNK + b"0\r\nHost: y\r\n\r\n", _CHUNK + b"0\r\nConnection: close\r\n\r\n",
        _CHUNK + b"0\r\nA: " + b"b" * 3000 + b"\r\n\r\n", _CHUNK + b"0\r\nA: " + b"b" * 9000 + b"\r\n\r\n", b"g\r\n" + _LAST,
        b"ffffffffffffffff\r\n", b"10000000000000000\r\nm 1\n\r\n" + _LAST, b"2\r\nm \r\n2\r\n1\n\r\n" + _LAST, b"2\r\nm \r\n2;x\r\n1\n\r\n0;x\r\n\r\n"),
    "behind": _set("behind", b"\r\n", b"\n", b"\r\n\r\n", b"\n\n\n\n", b"\r\n\r\n\r\n", b"\r\r\r\r", b" ", b"\x00", b"\r\n "),
}


def changed(framing: str, *choices: tuple[str, int]) -> Request:
    """A request of this framing with the numbered change at each place."""
    parts: dict = dict(FRAMINGS[framing])
    names = [framing]
    for place, number in choices:
        change = PLACES[place][number]
        for part, value in change.items():
            parts[part] = parts["headers"] + value if part == "headers" and "headers" in parts else value
        names.append(f"{place} {number}")
    return Request(**parts, changed=names)


def each_alone():
    """Every change by itself, in every framing and as POST."""
    for framing in FRAMINGS:
        yield changed(framing)
        for place, choices in PLACES.items():
            for number in range(len(choices)):
                yield changed(framing, (place, number))


# Some that belong together, which chance would seldom bring.
PAIRS = [(("version", 0), ("connection", 5)), (("version", 0), ("expect", 6)), (("method", 7), ("target", 39)),
         (("method", 7), ("host", 0)), (("version", 0), ("connection", 2)), (("version", 0), ("connection", 3))]


def pairs():
    for framing in FRAMINGS:
        for choices in PAIRS:
            yield changed(framing, *choices)


def mixed(generator: random.Random) -> Request:
    places = generator.sample(list(PLACES), generator.choice((2, 2, 2, 3, 3, 4)))
    return changed(generator.choice(list(FRAMINGS)), *((place, generator.randrange(len(PLACES[place]))) for place in places))
