#!/usr/bin/env python3
"""Sends the same bytes to our server and to the Go reference and compares what HTTP/1.x makes of them: the answers'
status lines, their number, and whether the connection stays.

    protocol.py --program build/dev/server/pushgateway [--seconds 20] [--seed N]

Every request is a plain one with one thing or several changed; the changes are listed in protocol_changes.py. Each is
tried by itself and in all framings, then they are mixed at random. Behind each request comes another one on the same
connection, then the end of the input, so that no case waits for time to pass. Every difference has to be one of KNOWN,
each of which names its row in docs/compatibility.md; a known difference that no case shows fails as well.
"""

import argparse
import collections
import dataclasses
import itertools
import pathlib
import random
import re
import sys
import time

import peers
import protocol_changes as changes
from harness import SKIPPED, Connection, Failure, Server

PAGE = pathlib.Path(__file__).resolve().parent.parent.parent / "docs" / "compatibility.md"
FOLLOWING = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n"
EXAMPLES_MAX = 40
# Builds with Go before 1.26 redirect with 301 (docs/compatibility.md), and Debian's lacks the page. Ours says neither.
REFERENCE_MEANS = {301: (307, "Temporary Redirect"), 500: (200, "OK")}


@dataclasses.dataclass(frozen=True)
class Answer:
    status: int
    reason: str
    connection: str

    def __str__(self) -> str:
        return f"{self.status} {self.reason}" + (f" ({self.connection})" if self.connection else "")


@dataclasses.dataclass(frozen=True)
class Known:
    """A difference that docs/compatibility.md has: `row` stands in one of its rows."""

    name: str
    row: str
    applies: object  # from a request, our answers and the reference's, to whether this explains them


def stops(answers: tuple[Answer, ...]) -> bool:
    """Whether nothing behind the first request was taken for a request."""
    return len([answer for answer in answers if answer.status >= 200]) == 1


def refused(answers: tuple[Answer, ...], status: int = 400) -> bool:
    return stops(answers) and answers[0].status == status and answers[0].connection == "close"


def without_interim(answers: tuple[Answer, ...]) -> tuple[Answer, ...]:
    return tuple(answer for answer in answers if answer.status >= 200)


def keeps_what_was_there(ours: tuple[Answer, ...], theirs: tuple[Answer, ...]) -> bool:
    """Whether answers differ in interim ones alone, or in a close behind one that was given early."""
    ours, theirs = without_interim(ours), without_interim(theirs)
    return ours == theirs or (len(theirs) == 1 and theirs[0] == dataclasses.replace(ours[0], connection="close"))


def has_folds(request: changes.Request) -> bool:
    return re.search(rb"\n[ \t]", request.head()) is not None


def has_chunks(request: changes.Request) -> bool:
    return re.search(rb"(?i)\ntransfer-encoding:", request.head()) is not None


def chunk_lines(request: changes.Request) -> list[bytes]:
    """The lines of a chunked body that could be those of chunk sizes."""
    return [line for line in request.body.split(b"\r\n") if b";" in line]


def is_odd_target(target: bytes) -> bool:
    return not target.startswith(b"/") and re.match(rb"[A-Za-z][-+.A-Za-z0-9]*:(?!//)", target) is not None


def has_several_faults(request: changes.Request) -> bool:
    """`Host : x` is a bad name and no Host header."""
    return len(request.changed) > 2 or request.host == b"Host : x\r\n"


# What a body may be that ours refuses and the reference takes.
STRICT_EXTENSION = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]|\"$|\"\\\"$")
STRICT_TRAILER = re.compile(rb"\n0\r\n(\n|.*[^\r]\n|.*\n[ \t]|[^:]* :|Content-Length|Transfer-Encoding)", re.DOTALL)

KNOWN = [
    Known("a folded header is refused", "A header that is continued on the next line",
          lambda request, ours, theirs: has_folds(request) and refused(ours)),
    Known("a length with chunks is refused", "A body with both a length and chunks",
          lambda request, ours, theirs: has_chunks(request) and b"Content-Length" in request.head() and refused(ours)),
    Known("chunks in HTTP/1.0 are refused", "`Transfer-Encoding` in HTTP/1.0",
          lambda request, ours, theirs: has_chunks(request) and b"HTTP/1.0" in request.version and
          (refused(ours) or refused(ours, 501))),
    Known("a target that is neither a path nor absolute is refused", "A target such as `a:b` or `http:/path`",
          lambda request, ours, theirs: is_odd_target(request.target) and refused(ours)),
    Known("an absolute target without a path is the root", "An absolute target without a path",
          lambda request, ours, theirs: re.fullmatch(rb"[a-z]+://[^/]*", request.target) is not None and
          any(answer.status == 307 for answer in theirs)),
    Known("no 100 Continue for a body that is coming", "`100 Continue` is sent even where the body has begun to arrive; an answer",
          lambda request, ours, theirs: b"100-" in request.head() and keeps_what_was_there(ours, theirs)),
    Known("a tunnel is refused", "`CONNECT` to a host",
          lambda request, ours, theirs: request.method == b"CONNECT" and not request.target.startswith(b"/") and
          (refused(ours) or refused(ours, 404))),
    Known("close wins over keep-alive in HTTP/1.0", "HTTP/1.0 with both `close` and `keep-alive`",
          lambda request, ours, theirs: request.version == b" HTTP/1.0" and stops(ours) and
          re.search(rb"(?i)connection:[^\n]*keep-alive", request.headers) is not None and
          re.search(rb"(?i)connection:[^\n]*close", request.headers) is not None and
          ours[0] == dataclasses.replace(theirs[0], connection="")),
    Known("417 closes HTTP/1.0 without a word", "An answer of 417 says",
          lambda request, ours, theirs: request.version == b" HTTP/1.0" and stops(ours) and ours[0].status == 417 and
          theirs == (dataclasses.replace(ours[0], connection="close"),)),
    Known("blanks before an extension are taken", "A blank between a chunk's size and its extensions",
          lambda request, ours, theirs: b"4 ;a" in request.body and stops(theirs)),
    Known("extensions with controls or an open quote are refused", "Chunk extensions with control characters",
          lambda request, ours, theirs: any(map(STRICT_EXTENSION.search, chunk_lines(request))) and stops(ours)),
    Known("trailers are as strict as chunks", "Trailers whose lines end in a line feed",
          lambda request, ours, theirs: STRICT_TRAILER.search(request.body) is not None and stops(ours)),
    Known("a chunk beyond the limit is refused at once", "No limits on bodies",
          lambda request, ours, theirs: request.body.startswith(b"ffff") and refused(ours, 413)),
    Known("a body that nobody needs breaks after the answer", "The answer waits for the rest of a body that nobody reads",
          lambda request, ours, theirs: stops(ours) and stops(theirs) and has_chunks(request) and
          ours[-1] == dataclasses.replace(theirs[-1], connection="")),
    Known("another one of several faults is named", "Of several faults of a request",
          lambda request, ours, theirs: stops(ours) and stops(theirs) and has_several_faults(request) and
          min(ours[-1].status, theirs[-1].status) >= 400 and ours[-1].connection == theirs[-1].connection == "close"),
]


def ask(server: Server, sent: bytes, method: str) -> tuple[Answer, ...]:
    """All answers on one connection."""
    with server.connect() as connection:
        connection.send(sent)
        connection.end_output()
        answers = []
        while not connection.at_end():
            try:
                answer = connection.response("GET" if without_interim(tuple(answers)) else method)
            except Failure as failure:
                raise Failure(f"{failure} to {sent!r}, {server.program}") from failure
            status, reason = REFERENCE_MEANS.get(answer.status, (answer.status, answer.reason))
            answers.append(Answer(status, reason, (answer.header("Connection") or "").lower()))
            if status >= 200 and answer.header("Date") is None:
                break  # a refusal, even of HEAD with text behind it; the connection closes
        return tuple(answers)


class Comparison:
    def __init__(self, ours: Server, reference: Server):
        self.ours = ours
        self.reference = reference
        self.asked = 0
        self.seen: collections.Counter = collections.Counter()
        self.unknown: list[str] = []

    def compare(self, request: changes.Request) -> None:
        self.asked += 1
        sent = request.encode() + FOLLOWING
        method = request.method.decode("latin-1")
        ours, theirs = ask(self.ours, sent, method), ask(self.reference, sent, method)
        if ours == theirs:
            return
        known = next((known.name for known in KNOWN if known.applies(request, ours, theirs)), None)
        self.seen[known] += 1
        if known is None:
            self.unknown.append(f"{', '.join(request.changed) or 'nothing changed'}\n      {sent!r}\n"
                                f"    - {'; '.join(map(str, theirs)) or 'no answer'}\n"
                                f"    + {'; '.join(map(str, ours)) or 'no answer'}")

    def report(self) -> bool:
        print(f"{self.asked} requests, {sum(self.seen.values())} of them with a difference")
        for known in KNOWN:
            print(f"  {self.seen[known.name]:5d}  {known.name}")
        for example in self.unknown[:EXAMPLES_MAX]:
            print(f"  not known: {example}")
        unseen = [known.name for known in KNOWN if not self.seen[known.name]]
        for name in unseen:
            print(f"  known, but no request showed it: {name}")
        return not self.unknown and not unseen


def rows_are_there() -> bool:
    """Whether docs/compatibility.md has a row for every known difference."""
    rows = re.findall(r"(?m)^\|.*\|$", PAGE.read_text(encoding="utf-8"))
    missing = [known for known in KNOWN if not any(known.row in row for row in rows)]
    for known in missing:
        print(f"{known.name}: docs/compatibility.md has no row with {known.row!r}")
    return not missing


def run(comparison: Comparison, seconds: float, seed: int) -> None:
    end = time.monotonic() + seconds
    for request in itertools.chain(changes.each_alone(), changes.pairs()):
        comparison.compare(request)
    generator = random.Random(seed)
    while time.monotonic() < end:
        comparison.compare(changes.mixed(generator))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="build/dev/server/pushgateway")
    parser.add_argument("--peers", default="build/peers")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long to go on (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=20260101)
    arguments = parser.parse_args()
    if not rows_are_there():
        return 1
    try:
        peer = peers.get("pushgateway", arguments.peers)
    except peers.Unavailable as error:
        print(f"skipped: {error}")
        return SKIPPED
    print(f"reference: {peer}; seed {arguments.seed}")
    flags = ["--persistence.file=", "--log.level=info"]
    with Server(pathlib.Path(arguments.program).resolve(), flags) as ours, Server(peer.program, flags) as reference:
        comparison = Comparison(ours, reference)
        run(comparison, arguments.seconds, arguments.seed)
    return 0 if comparison.report() else 1


if __name__ == "__main__":
    sys.exit(main())
