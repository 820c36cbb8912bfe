"""What Kubernetes components expose, in shape: families, types, label sets, sizes. All generated.

`render(component, tick)` gives the text a component would serve at that tick: same families and
series each time, values that move. Deterministic. Names start with `sim_` but for the `go_` and
`process_` metrics that every such component has, under their real names and types.
"""

import dataclasses
import functools
import random
import zlib


@dataclasses.dataclass(frozen=True)
class Shape:
    counters: int
    gauges: int
    histograms: int
    samples: int  # about


# Measured on a small cluster: families by type and number of sample lines.
COMPONENTS = {
    "kube-scheduler": Shape(101, 71, 34, 2334),
    "kube-controller-manager": Shape(114, 80, 40, 2852),
    "etcd": Shape(39, 69, 21, 1461),
}

RUNTIME = (
    ("go_goroutines", "gauge", "Number of goroutines that currently exist."),
    ("go_threads", "gauge", "Number of OS threads created."),
    ("go_memstats_alloc_bytes", "gauge", "Number of bytes allocated in heap and currently in use."),
    ("go_memstats_alloc_bytes_total", "counter", "Total number of bytes allocated in heap until now, even if released already."),
    ("process_cpu_seconds_total", "counter", "CPU time of the component, in its own words."),
    ("process_open_fds", "gauge", "Number of open file descriptors."),
    ("process_resident_memory_bytes", "gauge", "Resident memory size in bytes."),
)
QUANTILES = ("0", "0.25", "0.5", "0.75", "1")
BUCKETS = (
    ("0.001", "0.002", "0.004", "0.008", "0.016", "0.032", "0.064", "0.128", "0.256", "0.512", "1.024", "2.048", "+Inf"),
    ("1e-05", "4e-05", "0.00016", "0.00064", "0.00256", "0.01024", "0.04096", "0.16384", "0.65536", "2.62144", "+Inf"),
    ("0.005", "0.025", "0.1", "0.25", "0.5", "1", "2", "4", "8", "15", "30", "60", "+Inf"),
    ("0", "1800", "3600", "7200", "21600", "43200", "86400", "172800", "345600", "604800", "2.592e+06", "+Inf"),
)
LABELS = {
    "code": ("200", "201", "404", "409", "500"),
    "verb": ("GET", "LIST", "PUT", "PATCH", "WATCH"),
    "group": ("", "apps", "batch", "policy", "storage.k8s.io", "rbac.authorization.k8s.io"),
    "resource": ("pods", "nodes", "leases", "deployments", "endpointslices", "persistentvolumeclaims"),
    "name": ("daemonset", "deployment", "garbage_collector_attempt_to_delete", "endpoint_slice", "job", "namespace"),
    "host": ("10.96.0.1:443", "127.0.0.1:6443", "node-a.example:10250"),
    "extension_point": ("Bind", "Filter", "PreScore", "Reserve", "Score"),
    "grpc_method": ("Range", "Txn", "LeaseGrant", "Watch", "MemberList"),
    "grpc_type": ("unary", "bidi_stream"),
}
SUBSYSTEMS = ("workqueue", "rest_client", "authentication", "leader_election", "scheduler_plugin", "node_lifecycle", "disk_wal",
              "network_peer", "grpc_server", "apiserver_audit", "volume", "feature_gate")
THINGS = ("requests", "retries", "evictions", "attempts", "bytes", "sessions", "snapshots", "entries", "events", "failures")


@dataclasses.dataclass(frozen=True)
class Family:
    name: str
    kind: str
    help: str
    label_sets: tuple[tuple[tuple[str, str], ...], ...]
    buckets: tuple[str, ...] = ()

    def lines(self, tick: int) -> list[str]:
        out = [f"# HELP {self.name} {self.help}", f"# TYPE {self.name} {self.kind}"]
        for index, labels in enumerate(self.label_sets):
            seed = zlib.crc32(f"{self.name}{index}".encode())
            out += getattr(self, "_" + self.kind)(labels, seed, tick)
        return out

    def _counter(self, labels, seed: int, tick: int) -> list[str]:
        return [sample(self.name, labels, number(seed % 100000 + tick * (1 + seed % 7)))]

    def _gauge(self, labels, seed: int, tick: int) -> list[str]:
        value = (seed % 1000) / 8 + (tick * (seed % 5)) if seed % 3 else seed % 10 ** 9 + tick * 4096
        return [sample(self.name, labels, number(value))]

    def _summary(self, labels, seed: int, tick: int) -> list[str]:
        out = [sample(self.name, (*labels, ("quantile", q)), number((seed % 97 + i) / 1e6)) for i, q in enumerate(QUANTILES)]
        return out + [sample(self.name + "_sum", labels, number(seed % 1000 / 1e3 + tick)),
                      sample(self.name + "_count", labels, str(seed % 1000 + tick))]

    def _histogram(self, labels, seed: int, tick: int) -> list[str]:
        step = seed % 40
        out = [sample(self.name + "_bucket", (*labels, ("le", bound)), str(step * (i + 1) + tick))
               for i, bound in enumerate(self.buckets)]
        total = step * len(self.buckets) + tick
        return out + [sample(self.name + "_sum", labels, number(total * 0.0173)), sample(self.name + "_count", labels, str(total))]


def sample(name: str, labels, value: str) -> str:
    pairs = ",".join(f'{key}="{text}"' for key, text in labels)
    return f"{name}{{{pairs}}} {value}" if pairs else f"{name} {value}"


def number(value: float) -> str:
    """As Go's client library prints it."""
    if float(value).is_integer() and abs(value) < 10 ** 6:
        return str(int(value))
    if abs(value) >= 10 ** 6:
        mantissa, exponent = f"{value:.9e}".split("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{exponent[0]}{int(exponent[1:]):02d}"
    return repr(float(value))


def probe_name(component: str) -> str:
    """A counter without labels whose value tells the ticks apart."""
    return f"sim_{component.replace('-', '_')}_ticks_total"


@functools.cache
def families(component: str) -> list[Family]:
    """The component's families, sorted by name as a registry serves them."""
    shape, rng = COMPONENTS[component], random.Random(component)
    out = [Family(name, kind, help_text, ((),)) for name, kind, help_text in RUNTIME]
    out.append(Family("go_gc_duration_seconds", "summary", "A summary of the pause duration of garbage collection cycles.", ((),)))
    # Names that a linter of metrics complains about, as real components have them too.
    stem = f"sim_{component.replace('-', '_')}"
    out.append(Family(f"{stem}_keys_total", "gauge", "A gauge with the suffix of counters.", ((),)))
    out.append(Family(f"{stem}_pause_milliseconds", "gauge", "Not a base unit.", ((),)))
    out.append(Family(probe_name(component), "counter", "Moves with every tick.", ((),)))
    taken: set[str] = set()
    plan = ([("histogram", "_duration_seconds")] * shape.histograms + [("counter", "_total")] * shape.counters +
            [("gauge", "")] * shape.gauges)
    left = shape.samples - 20
    for number_left, (kind, suffix) in zip(range(len(plan), 0, -1), plan):
        name = _name(stem, kind, suffix, rng, taken)
        buckets = rng.choice(BUCKETS) if kind == "histogram" else ()
        # Histograms come first and take most of the lines, the rest share what is left.
        wanted = left * (0.75 / max(1, shape.histograms)) if kind == "histogram" else left / number_left
        sets = _label_sets(max(1, round(wanted / (len(buckets) + 2 if buckets else 1) * rng.uniform(0.5, 1.5))), rng)
        if kind != "histogram":
            left -= len(sets)
        elif number_left == shape.counters + shape.gauges + 1:
            left = round(left * 0.25)
        out.append(Family(name, kind, f"[ALPHA] Simulated {kind} of {component}, with a help text as long as those usually are.",
                          sets, buckets))
    return sorted(out, key=lambda family: family.name)


def _name(stem: str, kind: str, suffix: str, rng: random.Random, taken: set[str]) -> str:
    name = f"{stem}_{rng.choice(SUBSYSTEMS)}_{rng.choice(THINGS)}_{kind[0]}{len(taken)}{suffix}"
    taken.add(name)
    return name


def _label_sets(count: int, rng: random.Random) -> tuple:
    """`count` different label sets over the same one to three label names."""
    if count == 1:
        return ((),)
    names = sorted(rng.sample(sorted(LABELS), rng.choice((1, 2, 2, 3))))
    out: dict = {}
    attempts = 0
    while len(out) < count and attempts < 20 * count:
        attempts += 1
        out[tuple((name, rng.choice(LABELS[name])) for name in names)] = None
    return tuple(out)


def render(component: str, tick: int) -> bytes:
    return ("\n".join(line for family in families(component) for line in family.lines(tick)) + "\n").encode()
