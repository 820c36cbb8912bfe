#!/usr/bin/env python3
"""Writes the tables of docs/performance.md and README.md from the JSON of matrix.py and Google Benchmark.

    tables.py --json build/bench/load.json [--micro build/bench/NAME.json …] FILE …

Rewrites what stands between `<!-- bench:NAME -->` and `<!-- bench:end -->` in each FILE, for the names
that blocks() makes; everything else in it is prose and stays.
"""

import argparse
import collections
import dataclasses
import json
import pathlib
import re
import sys
from collections.abc import Callable

PARSER_BENCHMARK = "Parse/control_plane_280k"
NONE = "–"


def number(value: float | None) -> str:
    if value is None:
        return NONE
    if isinstance(value, int):
        return f"{value:,}"
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"


def percent(value: float) -> str:
    return f"{value:.0%}"


def markdown(head: list[str], lines: list[list[str]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows)


# Goals.

@dataclasses.dataclass(frozen=True)
class Verdict:
    measured: str
    met: bool


@dataclasses.dataclass(frozen=True)
class Goal:
    what: str
    goal: str
    rows: str  # of which it speaks: a pattern that row names match in full
    judge: Callable[[dict], Verdict | None]  # nothing: was not measured


def _at_least(ratio: str, bound: float) -> Callable[[dict], Verdict | None]:
    def judge(row: dict) -> Verdict | None:
        value = row.get("ratios", {}).get(ratio)
        return None if value is None else Verdict(f"{value:.1%}", value >= bound)

    return judge


def _at_most(key: str, bound: float, unit: str) -> Callable[[dict], Verdict | None]:
    def judge(row: dict) -> Verdict | None:
        return None if key not in row else Verdict(f"{number(row[key])} {unit}", row[key] <= bound)

    return judge


def _times_nginx(bound: float, *, cpu: bool) -> Callable[[dict], Verdict | None]:
    def judge(row: dict) -> Verdict | None:
        ratios = row.get("ratios", {})
        if "nginx" not in ratios:
            return None
        time = f"{ratios['nginx']:.2f} × ({number(row['ours'])} ms against {number(row['nginx'])})"
        if not cpu:
            return Verdict(time, ratios["nginx"] <= bound)
        return Verdict(f"{time}; CPU {ratios['nginx cpu']:.2f} × ({number(row['ours_cpu_ms'])} ms against "
                       f"{number(row['nginx_cpu_ms'])})", max(ratios["nginx"], ratios["nginx cpu"]) <= bound)

    return judge


def _fraction_of_go(bound: float) -> Callable[[dict], Verdict | None]:
    def judge(row: dict) -> Verdict | None:
        if "go" not in row.get("ratios", {}):
            return None
        return Verdict(f"1/{row['ratios']['go']:.1f} ({number(row['ours'])} ms against {number(row['go'])})",
                       row["ratios"]["go"] >= bound)

    return judge


def _beside(row: dict) -> Verdict:
    return Verdict(f"{number(row['p99_ms'])} ms; without scrapes {number(row['alone_p99_ms'])} ms (scrapes of "
                   f"{row['bytes'] / 1e6:.0f} MB, {number(row['scrape_ms'])} ms each)", row["p99_ms"] <= 2)


def _cliff_delay(row: dict) -> Verdict:
    each = ", ".join(number(run["max_ms"]) for run in row["runs"])
    floor = row["floor"]
    return Verdict(f"{number(row['max_ms'])} ms (runs: {each}; p99 {number(row['p99_ms'])}); in other seconds "
                   f"{number(row['quiet_max_ms'])} ms. The empty handler, asked as often: "
                   f"above 2 ms in {floor['above_2_ms']} of {floor['seconds']} seconds, at most {number(floor['max_ms'])} ms",
                   row["max_ms"] <= 2)


def _cliff_shown(row: dict) -> Verdict:
    shown = sum(run["shown_after"] for run in row["runs"])
    asked = ", ".join(number(run["first_scrape_after_ms"]) for run in row["runs"])
    return Verdict(f"{shown:,} (asked for {asked} ms after)", shown == 0 and all(run["complete"] for run in row["runs"]))


def _grown(row: dict) -> Verdict:
    return Verdict(f"{row['grown_mb']:+.1f} MB (at most {number(row['rss_mb'])} in all meanwhile)", row["grown_mb"] <= 6)


def _stalled(row: dict) -> Verdict:
    failed = sum(row["problems"].values())
    return Verdict(f"{row['open']:,} of {row['clients']:,} connected, {failed:,} of the others' requests failed, "
                   f"{number(row['rss_mb'])} MB", row["open"] == row["clients"] and failed == 0 and row["rss_mb"] <= 40)


def _idle(row: dict) -> Verdict:
    return Verdict(f"{row['ours']:,} in {row['seconds']} s", row["ours"] == 0)


def _parser(row: dict) -> Verdict:
    return Verdict(f"{row['bytes_per_second'] / 1e9:.2f} GB/s", row["bytes_per_second"] >= 1e9)


GOALS = (
    Goal("pushes/s against the empty handler, {n} groups", "≥ 80 %", r"push \d+", _at_least("empty", 0.80)),
    Goal("pushes/s against nginx `return 200`, {n} groups", "≥ 50 %", r"push \d+", _at_least("nginx", 0.50)),
    Goal("pushes/s into 10,000 groups against the fewest", "≥ 95 %", r"push 10000", _at_least("fewest groups", 0.95)),
    Goal("pushes/s into 100,000 groups against the fewest", "≥ 85 %", r"push 100000", _at_least("fewest groups", 0.85)),
    Goal("PUT of ten series against the empty handler, {n} groups", "≥ 60 %", r"put \d+", _at_least("empty", 0.60)),
    Goal("push of one component of k0s, {bytes} KB, all values changed: CPU", "≤ 0.5 ms", r"k0s changed",
         _at_most("ours", 0.5, "ms")),
    Goal("the same, body unchanged, above a handler that only receives it: CPU", "≤ 0.15 ms", r"k0s same",
         _at_most("above empty", 0.15, "ms")),
    Goal("text parser alone, one core", "≥ 1 GB/s", r"parser", _parser),
    Goal("plain scrape of {ours_bytes} MB against nginx's static file, time and CPU", "≤ 1.1 ×", r"scrape",
         _times_nginx(1.1, cpu=True)),
    Goal("gzip scrape, nothing changed, against nginx's precompressed file", "≤ 1.5 ×", r"scrape gzip same",
         _times_nginx(1.5, cpu=False)),
    Goal("gzip scrape, everything changed, against Go", "≤ 1/15", r"scrape gzip changed", _fraction_of_go(15)),
    Goal("pushes at {rate}/s, open loop, beside scrapes of {n} groups one after the other: p99", "≤ 2 ms", r"beside", _beside),
    Goal("{series} series expire at once: longest wait of a push", "≤ 2 ms", r"cliff", _cliff_delay),
    Goal("the first scrape after that shows of them", "0", r"cliff", _cliff_shown),
    Goal("anonymous memory ten seconds after that, against before the load", "≤ + 6 MB", r"cliff", _grown),
    Goal("memory per stored series ({text bytes} bytes of text each)", "≤ 200 bytes", r"memory",
         _at_most("ours", 200, "bytes")),
    Goal("{clients} stalled clients: all others are served, memory of the process", "≤ 40 MB", r"stalled", _stalled),
    Goal("idle: CPU wake-ups", "0", r"idle", _idle),
)


def _words(name: str, row: dict) -> dict:
    """What titles may name."""
    tail = name.rsplit(" ", 1)[-1]
    words = {"n": int(tail) if tail.isdigit() else row.get("groups", 0)}
    words |= {key: row[key] for key in ("rate", "series", "clients") if key in row}
    words = {key: f"{value:,}" for key, value in words.items()}
    if "bytes" in row:
        words["bytes"] = f"{row['bytes'] / 1000:.0f}"
    if "ours_bytes" in row:
        words["ours_bytes"] = f"{row['ours_bytes'] / 1e6:.1f}"
    if "text bytes" in row:
        words["text bytes"] = f"{row['text bytes']:.0f}"
    return words


def goals(rows: dict) -> str:
    lines = []
    for goal in GOALS:
        found = [(name, row) for name, row in rows.items() if re.fullmatch(goal.rows, name)]
        for name, row in found:
            verdict = goal.judge(row)
            title = goal.what.format_map(_words(name, row))
            if verdict is None:
                lines.append([title, goal.goal, NONE, "not measured"])
            else:
                lines.append([title, goal.goal, verdict.measured, "yes" if verdict.met else "**no**"])
        if not found:
            lines.append([goal.what.format_map(collections.defaultdict(lambda: "N")), goal.goal, NONE, "not measured"])
    return markdown(["", "goal", "measured", "met"], lines)


# Beside others.

COLUMNS = (("ours", "pushgateway-ttl {}"), ("go", "Go Pushgateway {}"), ("empty", "empty handler on our engine"),
           ("nginx", "nginx {}"), ("victoria", "VictoriaMetrics {}"))


def _upstream(version: str) -> str:
    """Without what Debian adds to it."""
    return re.split(r"[-+]", version, maxsplit=1)[0]


# Pattern of the rows, title, suffix of the column's key, whether the README has it.
BESIDE = (
    (r"push \d+", "pushes/s, one series into one of {n} groups of 10", "", True),
    (r"push \d+", "the server's CPU for one of them, {n} groups: µs", "_cpu_us", False),
    (r"put \d+", "pushes/s, PUT of ten series, {n} groups", "", False),
    (r"put \d+", "the server's CPU for one of them, {n} groups: µs", "_cpu_us", False),
    (r"k0s changed", "push of one component of k0s, {bytes} KB, all values changed: CPU ms", "", True),
    (r"k0s same", "the same, body unchanged: CPU ms", "", False),
    (r"scrape", "plain scrape of {n} groups of 10: ms", "", True),
    (r"scrape", "its CPU: ms", "_cpu_ms", False),
    (r"scrape", "memory holding that, after pushes and scrapes: MB", "_memory_mb", True),
    (r"scrape gzip same", "gzip scrape of {n} groups of 10, nothing changed: ms", "", True),
    (r"scrape gzip same", "its CPU: ms", "_cpu_ms", False),
    (r"scrape gzip changed", "the same, everything changed: ms", "", False),
    (r"scrape gzip changed", "its CPU: ms", "_cpu_ms", False),
    (r"memory", "memory per stored series: bytes", "", False),
    (r"idle", "CPU wake-ups, idle: in {seconds} s", "", False),
    (r"start", "start to first answer: ms", "", True),
    (r"start memory", "memory then: MB", "", False),
)


def beside(result: dict, chosen, columns=COLUMNS) -> str:
    versions, rows = result["versions"], result["rows"]
    columns = [(key, title.format(_upstream(versions.get(key, "")))) for key, title in columns
               if key == "empty" or key in versions]
    lines = []
    for pattern, title, suffix, _ in chosen:
        for name, row in rows.items():
            if not re.fullmatch(pattern, name) or f"ours{suffix}" not in row:
                continue
            words = _words(name, row) | {"seconds": row.get("seconds", "")}
            lines.append([title.format_map(words), *(number(row.get(f"{key}{suffix}")) for key, _ in columns)])
    return markdown(["", *(title for _, title in columns)], lines)


# Expiry under load.

def scenarios(rows: dict) -> str:
    lines = []
    for name, row in rows.items():
        if not name.startswith("scenario "):
            continue
        wrong = row["problems"]
        lines.append([
            name.removeprefix("scenario "), number(row["pushes/s"]), number(row["p50_ms"]), number(row["p99_ms"]),
            number(row["max_ms"]), number(row["expired"]), f"{wrong['early']}, {wrong['late']}",
            str(wrong["stale"] + wrong["partial"] + wrong["torn"]), str(wrong["failed"]),
            number(row["cpu_percent"]) + " %", number(row["rss_mb"])])
    return markdown(["scenario", "pushes/s", "p50 ms", "p99 ms", "longest ms", "pushes seen to expire", "early, late",
                     "lost, partial or torn", "failed", "CPU", "RSS MB"], lines)


# Persistence.

def persistence(result: dict) -> str:
    rows, lines = result["rows"], []
    if rates := rows.get("kept rates"):
        lines.append([f"pushes/s without a file, {rates['connections']} connections", number(rates["none"]), ""])
        for mode, ratio in rates["ratios"].items():
            lines.append([f"with `--persistence.sync={mode}`", f"{number(rates[mode])} ({percent(ratio)})", ""])
    if sync := rows.get("kept sync"):
        lines.append(["the disk's own write and sync: ms", number(sync["disk"]), ""])
    for name, row in rows.items():
        if name.startswith("kept start "):
            groups = _words(name, row)["n"]
            lines.append([f"start with {groups} groups of 10: ms", number(row["ours"]), number(row.get("go"))])
            lines.append([f"stop with {groups} groups of 10: ms", number(row["ours_stop"]), number(row.get("go_stop"))])
    if written := rows.get("kept bytes"):
        lines.append([f"bytes written for a push of {written['body']:,}", number(written["ours"]), "the whole file"])
    for name, row in rows.items():
        if name.startswith("kept pause "):
            mode = name.rsplit(" ", 1)[1]
            title = "no file, for comparison" if mode == "none" else f"`{mode}`, snapshots written all the time"
            text = f"{number(row['p99_ms'])}, {number(row['max_ms'])}"
            if "bare_p99_ms" in row:
                text += f"; a bare appender beside it: {number(row['bare_p99_ms'])}, {number(row['bare_max_ms'])}"
            lines.append([f"one client pushing into {row['groups']:,} groups, {title}: ms, p99 and longest", text, ""])
    versions = result["versions"]
    return markdown(["", f"pushgateway-ttl {versions['ours']}", f"Go Pushgateway {_upstream(versions.get('go', ''))}".strip()], lines)


# Micro benchmarks.

def micro(benchmarks: dict) -> str:
    scale = {"ns": 1e-3, "us": 1.0, "ms": 1e3, "s": 1e6}
    lines = []
    for name, each in benchmarks.items():
        rate = each.get("bytes_per_second")
        lines.append([f"`{name}`", number(each["cpu_time"] * scale[each["time_unit"]]),
                      NONE if rate is None else number(rate / 1e6), number(each.get("allocs"))])
    return markdown(["", "CPU µs", "MB/s", "allocations"], lines)


def about(result: dict) -> str:
    machine, versions = result["machine"], result["versions"]
    lines = [f"A {result['run']} run of {result['date']}, revision {result['revision']}, on {machine['cores']} cores "
             f"({machine['model']}, {machine['memory_gb']} GB, {machine['system']})."]
    names = {"go": "the Go Pushgateway", "nginx": "nginx", "victoria": "VictoriaMetrics"}
    had = [f"{text} {versions[key]}" for key, text in names.items() if key in versions]
    if had:
        lines.append(f"Debian's packages: {', '.join(had)}.")
    missing = [text for key, text in names.items() if key not in versions]
    if missing:
        lines.append(f"Not to be had: {', '.join(missing)}.")
    lines += [f"Skipped: {part}, which {reason}." for part, reason in result["skipped"].items()]
    lines += [f"Failed: {part}." for part in result["failed"]]
    return "\n".join(lines)


def blocks(result: dict, benchmarks: dict) -> dict[str, str]:
    """The text of each block by its name."""
    rows = dict(result["rows"])
    if PARSER_BENCHMARK in benchmarks:
        rows["parser"] = benchmarks[PARSER_BENCHMARK]
    return {
        "about": about(result),
        "goals": goals(rows),
        "beside": beside(result, BESIDE),
        "short": beside(result, [row for row in BESIDE if row[3]], COLUMNS[:4]),
        "scenarios": scenarios(rows),
        "persistence": persistence(result),
        "micro": micro(benchmarks),
    }


def rewrite(text: str, found: dict[str, str]) -> str:
    """`text` with its blocks replaced. One that nobody makes, or that has no end, is an error."""
    def replace(match: re.Match) -> str:
        name = match.group(1)
        if name not in found:
            raise ValueError(f"no block is called {name}")
        return f"<!-- bench:{name} -->\n{found[name]}\n<!-- bench:end -->"

    done, count = re.subn(r"<!-- bench:(?!end)(\S+) -->\n.*?<!-- bench:end -->", replace, text, flags=re.DOTALL)
    if count != len(re.findall(r"<!-- bench:(?!end)", text)) or count != text.count("<!-- bench:end -->"):
        raise ValueError("a block has no end, or an end no block")
    return done


def read_micro(files: list[pathlib.Path]) -> dict:
    found = {}
    for file in files:
        for each in json.loads(file.read_text(encoding="utf-8"))["benchmarks"]:
            if not each.get("error_occurred"):
                found[each["name"]] = each
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=pathlib.Path, required=True)
    parser.add_argument("--micro", type=pathlib.Path, nargs="*", default=[])
    parser.add_argument("files", type=pathlib.Path, nargs="+", metavar="FILE")
    options = parser.parse_args()
    found = blocks(json.loads(options.json.read_text(encoding="utf-8")), read_micro(options.micro))
    for file in options.files:
        text = file.read_text(encoding="utf-8")
        file.write_text(rewrite(text, found), encoding="utf-8")
    print(found["goals"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
