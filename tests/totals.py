#!/usr/bin/env python3
"""Adds up JUnit reports of ctest and ends with one plain line: N passed, N failed."""

import glob
import sys
import xml.etree.ElementTree as xml


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
                    print(f"skipped: {case.get('name')} ({path})")
                else:
                    passed += 1
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
