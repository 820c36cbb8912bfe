"""Checks that no room includes a room it must not know (docs/architecture.md).

Usage: rooms.py ROOT. Reads the #include "…" lines of all sources; exits 1 and names each line that
points the wrong way.
"""

import pathlib
import re
import sys

# Each room and the rooms it may include besides itself. The longest matching path counts.
ROOMS = {
    "base": (),
    "exposition": ("base",),
    "store": ("base", "exposition"),
    "store/persistence": ("base",),
    "store/durable": ("base", "exposition", "store", "store/persistence"),
    "ttl": ("base", "exposition", "store"),
    "server/http": ("base",),
    "server/routes": ("base", "exposition", "store", "store/durable", "ttl", "server/http"),
    "server/embed": ("base", "exposition", "store", "ttl", "server/http", "server/routes", "server"),
    "server": ("base", "exposition", "store", "store/persistence", "store/durable", "ttl", "server/http",
               "server/routes"),
    "examples": ("base", "exposition", "store", "ttl", "server/http", "server/routes", "server/embed",
                 "server"),
    "docker/archive": ("base", "docker"),
    "docker/pack": ("base", "docker", "docker/archive"),
    "docker/read": ("base", "docker", "docker/archive"),
    "docker/registry": ("base", "docker", "docker/archive", "docker/read"),
    "docker": ("base", "docker/archive", "docker/pack", "docker/read", "docker/registry"),
}
# Headers of libraries that one room keeps to itself.
PRIVATE = {
    "boost/asio": ("server/http", "docker/registry"),
    "boost/beast": ("server/http", "docker/registry"),
    "prometheus/": ("server/routes", "server/embed", "examples"),
    "CivetServer.h": ("server/embed", "examples"),
    "civetweb.h": ("server/embed", "examples"),
}
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.MULTILINE)


def room_of(path):
    matches = [room for room in ROOMS if path == room or path.startswith(room + "/")]
    return max(matches, key=len, default=None)


def complaints(root):
    files = 0
    for room in sorted({room.split("/")[0] for room in ROOMS}):
        for source in sorted((root / room).rglob("*")):
            if source.suffix not in (".h", ".cc"):
                continue
            files += 1
            path = source.relative_to(root).as_posix()
            own = room_of(path)
            for bracket, target in INCLUDE.findall(source.read_text()):
                if bracket == "<":
                    for prefix, owners in PRIVATE.items():
                        if target.startswith(prefix) and own not in owners:
                            yield f"{path}: <{target}> is for {', '.join(owners)} alone"
                    continue
                other = room_of(target)
                if target.startswith(("tests/", "bench/")):
                    yield f"{path}: includes {target}; nothing knows the tests"
                elif other is not None and other != own and other not in ROOMS[own]:
                    yield f"{path}: {own} must not know {other} ({target})"
    if files < 50:
        yield f"only {files} sources found below {root}"


def main():
    found = list(complaints(pathlib.Path(sys.argv[1])))
    print("\n".join(found) or "every arrow points the right way")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
