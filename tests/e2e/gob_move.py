#!/usr/bin/env python3
"""Moving over from the Go Pushgateway to ours, and back, with the real programs.

    gob_move.py --program build/dev/server/pushgateway --tool build/dev/tests/store/persistence/gob_tool \
                --peers build/peers

Go is pushed to and stopped; ours starts on its file and must show the same, keep the file as F.gob.bak
and not read it again; what ours exports starts Go, which must show the same once more. In between the
commands check and export look at the same files.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

# As in gob_exchange, and before harness looks at it.
os.environ["TZ"] = "Asia/Kolkata"

# pylint: disable=wrong-import-position
import peers
from gob_exchange import Exchange, Shown, expect_same, expect_shown
from harness import PATIENCE_SECONDS, SKIPPED, Failure, Server, Tally, wait_for


def run(program: pathlib.Path, *words: object) -> subprocess.CompletedProcess:
    return subprocess.run([program, *map(str, words)], capture_output=True, text=True, timeout=60, check=False)


def expect_exit(done: subprocess.CompletedProcess, code: int, text: str) -> None:
    if done.returncode != code or text not in done.stdout + done.stderr:
        raise Failure(f"{done.args} gave {done.returncode}, not {code} with {text!r}:\n{done.stdout}{done.stderr}")


class Move:
    """One Go Pushgateway's file on its way to ours and back."""

    def __init__(self, program: pathlib.Path, exchange: Exchange, go: pathlib.Path):
        self.program = program
        self.exchange = exchange
        self.go = go
        self.file = exchange.folder / "moved"
        self.backup = exchange.folder / "moved.gob.bak"
        self.shown: Shown | None = None
        self.original = b""

    def push_to_go(self) -> None:
        self.shown = self.exchange.written_by_go(self.go, self.file)
        self.original = self.file.read_bytes()

    def export_directly(self) -> None:
        """Without a server of ours in between."""
        expect_exit(run(self.program, "check", self.file), 0, "a persistence file of the Go Pushgateway")
        out = self.exchange.folder / "direct.gob"
        expect_exit(run(self.program, "export", "--format=gob", self.file, out), 0, "families")
        if self.file.read_bytes() != self.original:
            raise Failure("check or export has changed the file")
        expect_same("export", self.exchange.read(out).decoded(), self.exchange.read(self.file).decoded())
        self.exchange.check_start(self.go, out, self.shown)
        expect_exit(run(self.program, "export", self.file, out), 1, "it exists")

    def start_ours(self) -> None:
        with self.start() as server:
            expect_shown(Shown.of_server(server, self.exchange.modern), self.shown)
            expect_exit(run(self.program, "export", self.file, self.exchange.folder / "busy.gob"), 1, "lock")
            # The first snapshot takes the file's place.
            wait_for(self.backup.exists, PATIENCE_SECONDS, f"no {self.backup} appears")
            wait_for(lambda: self.file.read_bytes()[:5] == b"\x89PGWS", PATIENCE_SECONDS, "no snapshot appears")
        if self.backup.read_bytes() != self.original:
            raise Failure("the file that was kept is not the one that was there")

    def start_ours_again(self) -> None:
        """What has been imported once is not looked at again."""
        self.backup.unlink()
        with self.start() as server:
            expect_shown(Shown.of_server(server, self.exchange.modern), self.shown)
        if self.backup.exists():
            raise Failure("something was kept again")

    def move_back(self) -> None:
        out = self.exchange.folder / "back.gob"
        expect_exit(run(self.program, "check", self.file), 0, "sound")
        expect_exit(run(self.program, "export", "--format=gob", self.file, out), 0, "families")
        self.exchange.check_start(self.go, out, self.shown)

    def start(self) -> Server:
        # The shortest age of a snapshot, so that it comes soon.
        return Server(self.program, [f"--persistence.file={self.file}", "--persistence.interval=1s",
                                     "--push.enable-utf8-names"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=pathlib.Path, required=True)
    parser.add_argument("--tool", type=pathlib.Path, required=True)
    parser.add_argument("--peers", type=pathlib.Path, required=True)
    parser.add_argument("--only-export", action="store_true", help="no server of ours is started")
    arguments = parser.parse_args()
    try:
        old, new = (peers.get(name, arguments.peers) for name in ("pushgateway-1.5", "pushgateway"))
    except peers.Unavailable as error:
        print(error)
        return SKIPPED
    print(f"{old}\n{new}")
    tally = Tally()
    for go, modern in ((old, False), (new, False), (new, True)):
        with tempfile.TemporaryDirectory(prefix="pgw-move-") as temporary:
            exchange = Exchange(arguments.tool.resolve(), pathlib.Path(temporary), modern)
            move = Move(arguments.program.resolve(), exchange, go.program)
            name = f"{go.version}{' with UTF-8 names' if modern else ''}"
            move.push_to_go()
            tally.check(f"{name} -> export -> Go", move.export_directly)
            if arguments.only_export:
                continue
            tally.check(f"{name} -> ours", move.start_ours)
            tally.check(f"{name} -> ours -> ours again", move.start_ours_again)
            tally.check(f"{name} -> ours -> export -> Go", move.move_back)
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
