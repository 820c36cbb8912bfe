#!/usr/bin/env python3
"""Runs the fuzz targets of a build side by side for some seconds each, from their seed corpora.

    run.py --build build/fuzz [--seconds 10] [--jobs 2] [--report file.xml] [target …]

What is found beyond the seeds goes to build/fuzz/corpus; a crash is printed with its input.
"""

import argparse
import concurrent.futures
import pathlib
import re
import subprocess
import sys
from xml.sax.saxutils import quoteattr

HERE = pathlib.Path(__file__).resolve().parent
SEEDS = HERE.parent / "data" / "corpus"


def targets() -> list[str]:
    return re.findall(r"(?m)^ *pgw_fuzz\((\w+)", (HERE / "CMakeLists.txt").read_text(encoding="utf-8"))


def run(build: pathlib.Path, name: str, seconds: int) -> tuple[str, bool, str]:
    corpus = build / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    command = [build / "tests/fuzz" / name, f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=3072",
               "-print_final_stats=1", f"-artifact_prefix={corpus.parent}/{name}-", corpus, SEEDS / name]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, errors="replace",
                          timeout=seconds + 300, check=False)
    runs = re.search(r"number_of_executed_units: (\d+)", done.stderr)
    return name, done.returncode == 0, f"{runs.group(1)} inputs" if runs and done.returncode == 0 else done.stderr[-4000:]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build/fuzz"))
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--report", type=pathlib.Path)
    parser.add_argument("--list", action="store_true", help="print the targets and end")
    parser.add_argument("targets", nargs="*")
    arguments = parser.parse_args()
    if arguments.list:
        print(" ".join(targets()))
        return 0
    build = arguments.build.resolve()
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        futures = [pool.submit(run, build, name, arguments.seconds) for name in arguments.targets or targets()]
        results = [future.result() for future in futures]
    for name, good, text in results:
        print(f"  {'ok     ' if good else 'FAILED '} {name}: {text}")
    if arguments.report:
        cases = "".join(f"<testcase name={quoteattr('fuzz.' + name)}>{'' if good else '<failure/>'}</testcase>"
                        for name, good, _ in results)
        arguments.report.write_text(f"<testsuite>{cases}</testsuite>\n", encoding="utf-8")
    failed = sum(not good for _, good, _ in results)
    print(f"{len(results) - failed} passed, {failed} failed")
    return 1 if failed or not results else 0


if __name__ == "__main__":
    sys.exit(main())
