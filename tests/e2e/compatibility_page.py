#!/usr/bin/env python3
"""Keeps docs/compatibility.md and the conformance cases together: every case that says `differs`
is named there by its number, and every number named there has such a case."""

import pathlib
import re
import sys

import cases

DATA = pathlib.Path(__file__).resolve().parent.parent / "data" / "conformance"


def main(page: str) -> int:
    text = pathlib.Path(page).read_text(encoding="utf-8")
    named = {number for row in re.findall(r"(?m)^\| ([^|]+) \|", text) for number in re.split(r"[,\s]+", row.strip())
             if re.fullmatch(r"\d+|(?:http|push|format|flags|ttl)-[\w.]+", number)}
    differing: dict[str, str] = {}
    for path in sorted(DATA.glob("*.case")):
        for case in cases.read_file(path, "ours"):
            if case.differs:
                differing.update(dict.fromkeys(case.numbers, case.where))
                if not named & set(case.numbers):
                    differing[f"{case.numbers[0]} ({case.where}): {case.title}"] = "missing"
    missing = [text for text, where in differing.items() if where == "missing"]
    unknown = sorted(number for number in named if number not in differing)
    for entry in missing:
        print(f"not in {page}: {entry}")
    for number in unknown:
        print(f"named in {page}, but no case says that it differs: {number}")
    print(f"{len(differing) - len(missing)} numbers checked")
    return 1 if missing or unknown else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
