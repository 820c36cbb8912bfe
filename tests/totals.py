#!/usr/bin/env python3
"""Adds up JUnit reports of ctest and ends with one plain line: N passed, N failed."""

import glob
import re
import sys
import xml.etree.ElementTree as xml


def reason(case: xml.Element) -> str:
    """What the test itself said about why, if it is one of those that do."""
    said = case.find("skipped").get("why") or ""
    match = re.search(r"(?m)^ *skipped[: ] *(.+)$", case.findtext("system-out") or "")
    text = match.group(1) if match else said
    return f": {text}" if text else ""


def main(patterns: list[str]) -> int:
    passed = failed = skipped = 0
    for pattern in patterns:
        for path in sorted(glob.glob(pattern)):
            for case in xml.parse(path).getroot().iter("testcase"):
                if case.find("failure") is not None:
                    failed += 1
                    print(f"failed: {case.get('name')} ({path})")
                elif case.find("skipped") is not None:
                    skipped += 1
                    print(f"skipped: {case.get('name')} ({path}){reason(case)}")
                else:
                    passed += 1
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
