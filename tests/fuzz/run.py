#!/usr/bin/env python3
"""Runs the fuzz targets of a build side by side for some seconds each, from their corpora in tests/data/corpus.

    run.py --build build/fuzz [--seconds 10] [--jobs 2] [--report file.xml] [target …]
    run.py --build build/fuzz --merge [target …]

What is found beyond them goes to build/fuzz/corpus; a crash is printed with its input. --merge takes into
tests/data/corpus what reaches something that nothing there reaches: inputs named by their SHA-1, those that reach most
first, up to CORPUS_BYTES_MAX and CORPUS_FILES_MAX for each target. Inputs with names of their own were put there by
hand; they stay, and count.
"""

import argparse
import concurrent.futures
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
from xml.sax.saxutils import quoteattr

HERE = pathlib.Path(__file__).resolve().parent
SEEDS = HERE.parent / "data" / "corpus"


CORPUS_BYTES_MAX = 200_000
CORPUS_FILES_MAX = 400
INPUT_BYTES_MAX = 16_384


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


def merge(build: pathlib.Path, name: str) -> tuple[str, bool, str]:
    """Renews the inputs in tests/data/corpus that bear a SHA-1 for a name."""
    kept, found = SEEDS / name, build / "corpus" / name
    found.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pgw-corpus-") as folder:
        merged = pathlib.Path(folder)
        by_hand = [path for path in sorted(kept.iterdir()) if not re.fullmatch(r"[0-9a-f]{40}", path.name)]
        for path in by_hand:
            shutil.copy(path, merged)
        command = [build / "tests/fuzz" / name, "-set_cover_merge=1", "-timeout=10", "-rss_limit_mb=3072", merged, kept, found]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, errors="replace", timeout=3600, check=False)
        if done.returncode != 0:
            return name, False, done.stderr[-4000:]
        # In the order in which the fuzzer has chosen them.
        chosen = sorted((path for path in merged.iterdir() if re.fullmatch(r"[0-9a-f]{40}", path.name)),
                        key=lambda path: (path.stat().st_mtime_ns, path.name))
        size, count = sum(path.stat().st_size for path in by_hand), len(by_hand)
        for path in kept.iterdir():
            if path not in by_hand:
                path.unlink()
        for path in chosen:
            bytes_more = path.stat().st_size
            if bytes_more <= INPUT_BYTES_MAX and size + bytes_more <= CORPUS_BYTES_MAX and count < CORPUS_FILES_MAX:
                shutil.copy(path, kept)
                size, count = size + bytes_more, count + 1
    return name, True, f"{count} inputs of {size} bytes, {len(by_hand)} of them by hand; {len(chosen)} were chosen"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build/fuzz"))
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--report", type=pathlib.Path)
    parser.add_argument("--merge", action="store_true", help="take what was found into tests/data/corpus, and end")
    parser.add_argument("--list", action="store_true", help="print the targets and end")
    parser.add_argument("targets", nargs="*")
    arguments = parser.parse_args()
    if arguments.list:
        print(" ".join(targets()))
        return 0
    build = arguments.build.resolve()
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        names = arguments.targets or targets()
        futures = [pool.submit(merge, build, name) if arguments.merge else pool.submit(run, build, name, arguments.seconds)
                   for name in names]
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
