"""Our program beside its peers: pushes, scrapes, a start. Each function fills rows of a result.

A row is {column: value}; columns are `ours`, `go` (the Go Pushgateway), `empty` (our HTTP engine with
nothing behind it), `nginx` and `victoria`. `ratios` has the medians of what was divided round by round.
"""

import contextlib
import gzip
import statistics
import time

import servers
from servers import SERIES_PER_GROUP, harness, median_ratio

# With many groups it needs seconds for a push.
GO_SECONDS = {10_000: 32}
GO_SECONDS_ELSE = 4


def _spread(samples: list[float]) -> list[float]:
    return [min(samples), max(samples)]


def _push_row(samples: dict, groups: int) -> dict:
    row = {}
    for name in ("ours", "empty", "nginx"):
        found = samples.get((name, groups)) or samples.get((name, 0))
        if found:
            row[name] = statistics.median(each.per_second for each in found)
            row[f"{name}_cpu_us"] = statistics.median(each.cpu_us for each in found)
            row[f"{name}_spread"] = _spread([each.per_second for each in found])
    return row


def _push_ratios(samples: dict, groups: int, fewest: int) -> dict:
    def rates(name: str, of: int) -> list[float]:
        return [each.per_second for each in samples.get((name, of), ())]

    ours = rates("ours", groups)
    return {name: median_ratio(ours, rates(*of))
            for name, of in (("empty", ("empty", groups)), ("nginx", ("nginx", 0)), ("fewest groups", ("ours", fewest)))
            if rates(*of)}


def pushes(options, rows: dict, whole: bool) -> None:
    """Pushes/s into few and many groups, the empty handler and nginx, in turns. The empty handler is asked the same
    as ours; nginx, to which it makes no difference, once in each round."""
    sizes = options.sizes
    counts = sizes.put_groups if whole else sizes.push_groups
    samples: dict = {}
    with contextlib.ExitStack() as stack:
        turns = []
        for groups in counts:
            server = stack.enter_context(harness.Server(options.ours))
            servers.fill(server, groups)
            servers.settle(server)
            turns.append(("ours", groups, groups, server))
        empty = stack.enter_context(servers.empty_server(options.empty))
        turns += [("empty", groups, groups, empty) for groups in counts]
        if options.nginx:
            turns.append(("nginx", 0, counts[0], stack.enter_context(servers.nginx(options.nginx.program))))
        for _ in range(sizes.push_rounds):
            for name, key, groups, server in turns:
                samples.setdefault((name, key), []).append(
                    servers.push(options.load, server, groups, sizes.push_seconds, whole=whole))
    for groups in counts:
        row = rows[f"{'put' if whole else 'push'} {groups}"] = _push_row(samples, groups)
        row["ratios"] = _push_ratios(samples, groups, counts[0])
        if options.go and groups in sizes.go_groups and not whole:
            with servers.go_with_groups(options.go.program, groups) as server:
                row["go"] = servers.push(options.load, server, groups, GO_SECONDS.get(groups, GO_SECONDS_ELSE)).per_second


def k0s(options, rows: dict) -> None:
    """CPU of a push as k0s makes them, all values changed and none."""
    body = servers.k0s_body()
    with contextlib.ExitStack() as stack:
        turns = [("ours", stack.enter_context(harness.Server(options.ours))),
                 ("empty", stack.enter_context(servers.empty_server(options.empty)))]
        if options.nginx:
            turns.append(("nginx", stack.enter_context(servers.nginx(options.nginx.program))))
        if options.go:
            turns.append(("go", stack.enter_context(harness.Server(options.go.program, ["--persistence.file="]))))
        if options.victoria:
            turns.append(("victoria", stack.enter_context(servers.victoria_metrics(options.victoria.program))))
        for kind, bodies in (("changed", servers.changed_bodies(body, 10)), ("same", [body])):
            samples: dict = {name: [] for name, _ in turns}
            for _ in range(options.sizes.k0s_rounds):
                for name, server in turns:
                    samples[name].append(servers.big_push_cpu_ms(server, bodies, options.sizes.k0s_pushes))
            row = rows[f"k0s {kind}"] = {name: statistics.median(found) for name, found in samples.items()}
            row["bytes"] = len(body)
            row["above empty"] = statistics.median(a - b for a, b in zip(samples["ours"], samples["empty"]))
            row["ours_spread"] = _spread(samples["ours"])


def _scrape_row(turns, rounds: int, times: int, encoding: str = "identity") -> dict:
    samples: dict = {name: [] for name, _ in turns}
    for _ in range(rounds):
        for name, server in turns:
            samples[name].append(servers.scrape(server, times, encoding))
    row = {}
    for name, found in samples.items():
        row[name] = statistics.median(each.ms for each in found)
        row[f"{name}_cpu_ms"] = statistics.median(each.cpu_ms for each in found)
        row[f"{name}_bytes"] = found[-1].bytes
    if "nginx" in samples:
        row["ratios"] = {
            "nginx": median_ratio([each.ms for each in samples["ours"]], [each.ms for each in samples["nginx"]]),
            "nginx cpu": median_ratio([each.cpu_ms for each in samples["ours"]],
                                      [each.cpu_ms for each in samples["nginx"]])}
    return row


def scrapes(options, rows: dict) -> None:
    """Plain scrapes, and gzip ones of what has not changed, beside nginx with files of the same bytes."""
    sizes = options.sizes
    groups = sizes.scrape_groups
    with harness.Server(options.ours) as server, contextlib.ExitStack() as stack:
        servers.fill(server, groups, lambda group: servers.varied_body(group, 0))
        content, compressed = servers.scrape_body(server), servers.scrape_body(server, "gzip")
        if gzip.decompress(compressed).count(b"\npgw_load") != groups * SERIES_PER_GROUP:
            raise harness.Failure("the gzip scrape is not whole")
        turns = [("ours", server)]
        if options.nginx:
            turns.append(("nginx", stack.enter_context(servers.nginx(options.nginx.program, content, compressed))))
        plain = turns + [("empty", stack.enter_context(servers.empty_server(options.empty, len(content))))]
        row = rows["scrape"] = _scrape_row(plain, sizes.scrape_rounds, sizes.scrapes)
        # Own metrics change with every scrape, so that ours is never quite the same.
        same = rows["scrape gzip same"] = _scrape_row(turns, sizes.scrape_rounds, 4 * sizes.scrapes, "gzip")
        row["groups"] = same["groups"] = groups
        row["ours_memory_mb"] = servers.memory_mb(server.pid)
    if not options.go:
        return
    with servers.go_with_groups(options.go.program, groups, lambda group: servers.varied_body(group, 0)) as server:
        for each, encoding in ((row, "identity"), (same, "gzip")):
            found = servers.scrape(server, 3, encoding)
            each["go"], each["go_cpu_ms"], each["go_bytes"] = found.ms, found.cpu_ms, found.bytes
        row["go_memory_mb"] = servers.memory_mb(server.pid)


def changed_scrapes(options, rows: dict) -> None:
    """Gzip scrapes of which every value has changed since the last one."""
    row = rows["scrape gzip changed"] = {"groups": options.sizes.scrape_groups}
    # Go's check would make filling take hours; scrapes compress the same.
    programs = [("ours", options.ours, [], options.sizes.scrape_rounds)]
    if options.go:
        programs.append(("go", options.go.program, ["--persistence.file=", "--push.disable-consistency-check"], 2))
    for name, program, flags, rounds in programs:
        found = []
        with harness.Server(program, flags) as server:
            for round_ in range(rounds):
                servers.fill(server, options.sizes.scrape_groups, lambda group, round_=round_: servers.varied_body(group, round_))
                found.append(servers.scrape(server, 1, "gzip"))
        row[name] = statistics.median(each.ms for each in found)
        row[f"{name}_cpu_ms"] = statistics.median(each.cpu_ms for each in found)
        row[f"{name}_bytes"] = found[-1].bytes
    if options.go:
        row["ratios"] = {"go": row["go"] / row["ours"], "go cpu": row["go_cpu_ms"] / row["ours_cpu_ms"]}


def starts(options, rows: dict) -> None:
    first, memory = rows.setdefault("start", {}), rows.setdefault("start memory", {})
    programs = [("ours", options.ours, [])]
    if options.go:
        programs.append(("go", options.go.program, ["--persistence.file="]))
    for name, program, flags in programs:
        samples = [servers.start(program, flags) for _ in range(options.sizes.starts)]
        first[name] = statistics.median(span for span, _ in samples)
        memory[name] = statistics.median(mb for _, mb in samples)


def memory(options, rows: dict) -> None:
    """Anonymous memory that stored series take, nobody having scraped yet."""
    programs = [("ours", options.ours, [], options.sizes.memory_groups)]
    if options.go:
        programs.append(("go", options.go.program, ["--persistence.file=", "--push.disable-consistency-check"], 10_000))
    row = rows["memory"] = {"groups": options.sizes.memory_groups}
    for name, program, flags, groups in programs:
        with harness.Server(program, flags) as server:
            before = servers.memory_mb(server.pid, "RssAnon")
            servers.fill(server, groups, lambda group: servers.varied_body(group, 0))
            row[name] = (servers.memory_mb(server.pid, "RssAnon") - before) * 1024 * 1024 / (groups * SERIES_PER_GROUP)
            if name == "ours":
                lines = [line for line in servers.scrape_body(server).splitlines() if line.startswith(b"pgw_load")]
                row["text bytes"] = sum(map(len, lines)) / len(lines) + 1


def idle(options, rows: dict) -> None:
    """CPU wake-ups of servers that hold something which does not expire meanwhile, and that nobody calls."""
    row = rows["idle"] = {"seconds": options.sizes.idle_seconds}
    with contextlib.ExitStack() as stack:
        running = {"ours": stack.enter_context(harness.Server(options.ours, ["--metric.timetolive=1h"]))}
        if options.go:
            running["go"] = stack.enter_context(harness.Server(options.go.program, ["--persistence.file="]))
        for server in running.values():
            servers.fill(server, 100)
        time.sleep(options.sizes.settle_seconds)
        before = {name: servers.wake_ups(server.pid) for name, server in running.items()}
        time.sleep(options.sizes.idle_seconds)
        for name, server in running.items():
            row[name] = servers.wake_ups(server.pid) - before[name]
