"""Reads the conformance case files; tests/data/conformance/README.md describes their language."""

import ast
import dataclasses
import gzip
import json
import pathlib
import re
import shlex

import wire


class CaseError(Exception):
    """A case file is malformed."""


@dataclasses.dataclass
class Step:
    """One directive with the lines that belong to it."""

    verb: str
    argument: str
    where: str  # file:line
    headers: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    body: bytes | None = None


@dataclasses.dataclass
class Case:
    numbers: list[str]
    title: str
    where: str
    flags: list[str] = dataclasses.field(default_factory=list)
    needs: set[str] = dataclasses.field(default_factory=set)
    differs: list[str] = dataclasses.field(default_factory=list)
    steps: list[Step] = dataclasses.field(default_factory=list)
    sides: set[str] = dataclasses.field(default_factory=set)  # that have lines of their own

    @property
    def name(self) -> str:
        return f"{','.join(self.numbers)} {self.title}"


# Verbs that open a step. Everything else continues the step before it.
VERBS = ("<", ">", ">>", "ends", "closed", "scrape", "has", "lacks", "json", "at", "from", "pause", "run", "exit", "stdout",
         "stderr", "log", "nolog", "signal", "holds", "proto",
         "families", "ordered")


def read_file(path: pathlib.Path, side: str) -> list[Case]:
    """The cases of one file as `side` ("ours" or "go") is to run them."""
    cases: list[Case] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        where = f"{path.name}:{number}"
        text = line.lstrip()
        if not text or text.startswith("#"):
            continue
        marked = re.match(r"\[(ours|go)\] ?", text)
        if marked:
            if not cases:
                raise CaseError(f"{where}: a side before the first case")
            cases[-1].sides.add(marked.group(1))
            if marked.group(1) != side:
                continue
            text = text[marked.end():]
        try:
            _read_line(cases, text, where)
        except (ValueError, IndexError, SyntaxError, AttributeError) as error:
            raise CaseError(f"{where}: {error}") from error
    for case in cases:
        if case.sides and not case.differs:
            raise CaseError(f"{case.where}: lines for one side only, but no `differs`")
    return cases


def _read_line(cases: list[Case], text: str, where: str) -> None:
    verb, _, argument = text.partition(" ")
    if verb == "case":
        numbers, _, title = argument.partition(" ")
        cases.append(Case(numbers.split(","), title.strip(), where))
        return
    case = cases[-1]
    if verb == "flags":
        case.flags += shlex.split(argument)
    elif verb == "needs":
        case.needs |= set(argument.split())
    elif verb == "differs":
        case.differs.append(argument)
    elif verb in VERBS:
        case.steps.append(Step(verb, argument, where))
    else:
        _continue(case.steps[-1], text)


def _continue(step: Step, text: str) -> None:
    kind, rest = text[0], text[1:]
    if kind == ":":
        name, _, value = rest.strip().partition(":")
        step.headers.append((name.strip(), value.strip()))
        return
    if kind == "@":
        step.body = _generated(rest, step.body or b"")
        return
    if kind == "|":
        piece = rest.encode() + b"\n"
    elif kind == "~":
        piece = rest.encode()
    elif kind == "\\":
        piece = unescape(rest)
    else:
        raise ValueError(f"unknown directive: {text}")
    step.body = (step.body or b"") + piece


def unescape(text: str) -> bytes:
    """Text with Python's escapes for bytes; a bare quote is a quote."""
    quoted = re.sub(r'(\\.)|"', lambda m: m.group(1) or '\\"', text).encode("utf-8").decode("latin-1")
    return ast.literal_eval('b"' + "".join(c if ord(c) < 128 else f"\\x{ord(c):02x}" for c in quoted) + '"')


def _generated(text: str, before: bytes) -> bytes:
    word, _, argument = text.partition(" ")
    if word == "empty":
        return before
    if word == "proto":
        return before + wire.encode_families([json.loads(argument)])
    if word == "gzip":
        return gzip.compress(before, mtime=0)
    if word == "member":
        return before + gzip.compress(unescape(argument), mtime=0)
    if word == "snappy":
        return wire.snappy_frames(before)
    if word == "cut":
        return before[:-int(argument)]
    if word == "flip":
        at = int(argument)
        return before[:at] + bytes([before[at] ^ 0xFF]) + before[at:][1:]
    if word == "repeat":
        count, _, piece = argument.partition(" ")
        return before + unescape(piece) * int(count)
    if word == "number":
        count, _, piece = argument.partition(" ")
        return before + b"".join(unescape(piece.replace("{i}", str(i))) for i in range(int(count)))
    raise ValueError(f"unknown generator @{word}")
