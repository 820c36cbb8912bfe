"""Scraped text as something tests can compare."""

import re

# Families a server exposes about itself. They differ between servers and from run to run.
OWN = ("pushgateway_", "process_", "go_", "promhttp_", "exposer_")

BOOKKEEPING = ("push_time_seconds", "push_failure_time_seconds")


def line_name(line: str) -> str:
    """The metric name a line of the exposition speaks of."""
    match = re.match(r'# (?:HELP|TYPE) ("(?:[^"\\]|\\.)*"|\S+)|\{("(?:[^"\\]|\\.)*")|([^{\s]+)', line)
    return next((group for group in match.groups() if group), "") if match else ""


def pushed_lines(text: str, keep: tuple[str, ...] = ()) -> list[str]:
    """The lines of pushed families. A family of an own name is kept if named in `keep`, or line by
    line if it carries a `job` label, which own metrics never do."""
    lines = []
    for line in text.split("\n"):
        name = line_name(line)
        if not line or (name.startswith(OWN) and not name.startswith(tuple(keep) or ("\0",))
                        and 'job="' not in line):
            continue
        lines.append(line)
    return lines


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
