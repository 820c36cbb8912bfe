#!/usr/bin/env python3
"""Runs clang-tidy over our own sources (not tests, not generated ones) with a build's flags.

    tidy.py --build build/dev [--jobs 2] [file …]
"""

import argparse
import concurrent.futures
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROOMS = ("base", "exposition", "store", "ttl", "server", "docker", "bench")


def sources(build: pathlib.Path) -> list[str]:
    """Sources of ours that the build compiles."""
    commands = json.loads((build / "compile_commands.json").read_text(encoding="utf-8"))
    files = {pathlib.Path(command["file"]) for command in commands}
    return sorted(str(file.relative_to(ROOT)) for file in files
                  if file.is_relative_to(ROOT) and file.relative_to(ROOT).parts[0] in ROOMS)


def check(build: pathlib.Path, file: str) -> tuple[str, int, str]:
    # The flags are gcc's; clang need not know each of its warnings. Lock annotations are for clang alone.
    done = subprocess.run(["clang-tidy-19", "--quiet", f"-p={build}", "--extra-arg=-Wno-unknown-warning-option",
                           "--extra-arg=-Wthread-safety", "--extra-arg=-Wthread-safety-beta", file],
                          cwd=ROOT, capture_output=True, text=True, check=False)
    return file, done.returncode, done.stdout + (done.stderr if done.returncode else "")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/dev")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("files", nargs="*")
    arguments = parser.parse_args()
    build = arguments.build.resolve()
    failed = 0
    files = arguments.files or sources(build)
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        for file, code, output in pool.map(lambda file: check(build, file), files):
            if code:
                failed += 1
                print(f"{file}:\n{output}")
    print(f"clang-tidy: {len(files) - failed} of {len(files)} files are clean")
    return 1 if failed or not files else 0


if __name__ == "__main__":
    sys.exit(main())
