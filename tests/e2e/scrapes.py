"""Scraped text as something tests can compare."""

import re

# Families a server exposes about itself. They differ between servers and from run to run.
OWN = ("pushgateway_", "process_", "go_", "promhttp_", "exposer_")

BOOKKEEPING = ("push_time_seconds", "push_failure_time_seconds")


def line_name(line: str) -> str:
    """The metric name a line of the exposition speaks of."""
    match = re.match(r'# (?:HELP|TYPE) ("(?:[^"\\]|\\.)*"|\S+)|\{("(?:[^"\\]|\\.)*")|([^{\s]+)', line)
    return next((group for group in match.groups() if group), "") if match else ""


def pushed_lines(text: str) -> list[str]:
    """The lines of pushed families. Of a family with an own name these are the samples with a `job`
    label, which own metrics never have, and the headers if there are such samples."""
    lines = [line for line in text.split("\n") if line]
    pushed = {line_name(line) for line in lines if 'job="' in line and not line.startswith("#")}
    return [line for line in lines if not line_name(line).startswith(OWN)
            or 'job="' in line or line.startswith("#") and line_name(line) in pushed]


def canonical(lines: list[str]) -> list[str]:
    """The lines in an order that leaves out what no reader may rely on: the order of families, and
    that of the samples of one family. Kept is what matters: a family and a sample (with all its
    buckets or quantiles) appear once and in one piece, headers first, lines of a sample in order."""
    families: list[tuple[str, list[tuple[tuple, list[str]]]]] = []
    implicit = ""
    for line in lines:
        if line.startswith("#"):
            name, key = line_name(line), ()
            if not families or name != families[-1][0]:
                families.append((name, []))
            implicit = {"histogram": "le", "summary": "quantile"}.get(line.rsplit(" ", 1)[1], "")
        else:
            key = (1, *(pair for pair in _LABEL.findall(split_sample(line)[0]) if pair[0] != implicit))
        blocks = families[-1][1]
        if not blocks or blocks[-1][0] != key:
            blocks.append((key, []))
        blocks[-1][1].append(line)
    return [line for _, blocks in sorted(families, key=lambda family: family[0])
            for _, block in sorted(blocks, key=lambda block: block[0]) for line in block]


_LABEL = re.compile(r'("(?:[^"\\]|\\.)*"|\w+)="((?:[^"\\]|\\.)*)"')


def family_names(lines: list[str]) -> list[str]:
    """Names in the order in which their TYPE lines appear."""
    return [line_name(line) for line in lines if line.startswith("# TYPE ")]


def split_sample(line: str) -> tuple[str, str]:
    """`name{labels}` and the value of a sample line."""
    series, _, value = line.rpartition(" ")
    return series, value


def samples(text: str) -> dict[str, str]:
    """Every sample of an exposition: series -> value as text."""
    return dict(split_sample(line) for line in text.split("\n") if line and not line.startswith("#"))


def normal_error(text: str) -> str:
    """An error text without the spacing that protobuf's debug print varies on purpose."""
    if "collected metric" not in text:
        return text
    text = re.sub(r"[ \t]+", " ", text)
    text = re.sub(r"(?<=[a-z_]): (?=[\"{<0-9+\-a-zA-Z])", ":", text)
    return re.sub(r" ?([{}]) ?", r"\1", text)
