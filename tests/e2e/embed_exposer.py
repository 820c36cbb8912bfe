#!/usr/bin/env python3
"""examples/embed_exposer: pushes at one port, a prometheus-cpp Exposer at another, which shows the
program's own counter and what was pushed.

    embed_exposer.py --program build/dev/examples/embed_exposer
"""

import argparse
import pathlib
import re
import sys
import time
import urllib.request

from harness import PATIENCE_SECONDS, Failure, Server, Tally, wait_for

OWN = "example_starts_total 1"
HISTOGRAM = """# HELP work_seconds Time.
# TYPE work_seconds histogram
work_seconds_bucket{le="1"} 1
work_seconds_bucket{le="+Inf"} 3
work_seconds_sum 7.5
work_seconds_count 3
"""
EXPOSED = """# HELP work_seconds Time.
# TYPE work_seconds histogram
work_seconds_count{instance="",job="a"} 3
work_seconds_sum{instance="",job="a"} 7.5
work_seconds_bucket{instance="",job="a",le="1"} 1
work_seconds_bucket{instance="",job="a",le="+Inf"} 3
"""


def exposed(server: Server) -> str:
    line = wait_for(lambda: next((line for line in server.log if "Exposing metrics" in line), None),
                    PATIENCE_SECONDS, "the program does not say where it exposes metrics")
    port = re.search(r"address=\S*?:(\d+)", line).group(1)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE_SECONDS) as answer:
        return answer.read().decode()


def push(server: Server, target: str, body: str, status: int = 200) -> None:
    answer = server.request("PUT", target, body=body.encode())
    if answer.status != status:
        raise Failure(f"push answered {answer.status}, should be {status}: {answer.text}")


def expect(text: str, part: str) -> None:
    if part not in text:
        raise Failure(f"not in the scrape:\n{part}\nbut:\n{text}")


def shows_both(program: str) -> None:
    with Server(program) as server:
        expect(exposed(server), OWN)
        push(server, "/metrics/job/a", HISTOGRAM)
        text = exposed(server)
        expect(text, OWN)
        expect(text, EXPOSED)
        expect(text, 'push_time_seconds{instance="",job="a"} ')


def refuses_own_names(program: str) -> None:
    with Server(program) as server:
        push(server, "/metrics/job/a", "# TYPE example_starts_total gauge\nexample_starts_total 7\n", 400)
        if exposed(server).count("# TYPE example_starts_total") != 1:
            raise Failure("the counter is there twice")


def forgets(program: str) -> None:
    with Server(program, ["--metric.timetolive=3s"]) as server:
        push(server, "/metrics/job/a", HISTOGRAM)
        answered = time.monotonic()
        expect(exposed(server), EXPOSED)
        time.sleep(max(0.0, answered + 3.0 - time.monotonic()))
        text = exposed(server)
        expect(text, OWN)
        for name in ("work_seconds", "push_time_seconds"):
            if name in text:
                raise Failure(f"{name} should have expired:\n{text}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    program = str(pathlib.Path(parser.parse_args().program).resolve())
    tally = Tally()
    for check in (shows_both, refuses_own_names, forgets):
        tally.check(check.__name__.replace("_", " "), check, program)
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
