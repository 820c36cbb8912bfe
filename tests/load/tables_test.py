#!/usr/bin/env python3
"""The tables that are written from the figures of the load bench: what is met, missed or was not measured."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench/load"))

import tables  # noqa: E402

RESULT = {
    "run": "full", "date": "2030-01-02", "revision": "abc1234", "versions": {"ours": "0.1.0", "go": "1.11.2-1", "nginx": "1.22.1-9+deb12u9"},
    "machine": {"cores": 2, "model": "Some Processor", "memory_gb": 24, "system": "Linux 6.1"},
    "skipped": {"stalled": "needs 10,500 open files"}, "failed": {},
    "rows": {
        "push 100": {"ours": 130_000, "ours_cpu_us": 7.5, "empty": 160_000, "empty_cpu_us": 5.25, "nginx": 150_000, "go": 693,
                     "ratios": {"empty": 0.8125, "nginx": 0.43, "fewest groups": 1.0}},
        "push 10000": {"ours": 120_000, "empty": 160_000, "ratios": {"empty": 0.75, "fewest groups": 0.96}},
        "k0s changed": {"ours": 0.44, "go": 14.5, "bytes": 313_455},
        "scrape": {"ours": 3.6, "nginx": 3.0, "ours_cpu_ms": 3.3, "nginx_cpu_ms": 3.2, "ours_bytes": 8_600_000,
                   "groups": 10_000, "ratios": {"nginx": 1.2, "nginx cpu": 1.03}},
        "scrape gzip changed": {"ours": 40.0, "go": 800.0, "groups": 10_000, "ratios": {"go": 20.0}},
        "cliff": {"series": 1_000_000, "max_ms": 3.1, "p99_ms": 0.4, "quiet_max_ms": 2.9,
                  "floor": {"max_ms": 4.5, "seconds": 40, "above_2_ms": 9},
                  "grown_mb": -0.25, "rss_mb": 210.0, "runs": [
            {"max_ms": 3.1, "shown_after": 0, "complete": True, "first_scrape_after_ms": 0.4}]},
        "idle": {"ours": 0, "go": 41, "seconds": 60},
        "scenario steady": {"pushes/s": 800.0, "p50_ms": 0.05, "p99_ms": 0.2, "max_ms": 1.5, "expired": 1_000, "cpu_percent": 2.5,
                            "rss_mb": 12.0, "problems": {"early": 0, "late": 3, "stale": 0, "partial": 0, "torn": 1, "failed": 0}},
        "kept rates": {"none": 120_000, "interval": 100_000, "connections": 64, "ratios": {"interval": 0.85}},
        "kept pause none": {"groups": 100_000, "p99_ms": 0.1, "max_ms": 4.5},
    },
}
BENCHMARKS = {"Parse/control_plane_280k": {"cpu_time": 250_000.0, "time_unit": "ns", "bytes_per_second": 1.12e9, "allocs": 0.0}}
PAGE = "Before.\n<!-- bench:idle -->\nold\n<!-- bench:end -->\nBetween.\n<!-- bench:about -->\n<!-- bench:end -->\nAfter.\n"


def cells(table: str, title: str) -> list[str]:
    (line,) = [line for line in table.splitlines() if line.startswith(f"| {title} |")]
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


class GoalsTest(unittest.TestCase):
    def setUp(self) -> None:
        self.goals = tables.blocks(RESULT, BENCHMARKS)["goals"]

    def test_says_what_is_met(self) -> None:
        self.assertEqual(cells(self.goals, "pushes/s against the empty handler, 100 groups"), ["≥ 80 %", "81.2%", "yes"])
        self.assertEqual(cells(self.goals, "text parser alone, one core"), ["≥ 1 GB/s", "1.12 GB/s", "yes"])
        self.assertEqual(cells(self.goals, "idle: CPU wake-ups"), ["0", "0 in 60 s", "yes"])
        self.assertEqual(cells(self.goals, "push of one component of k0s, 313 KB, all values changed: CPU"),
                         ["≤ 0.5 ms", "0.44 ms", "yes"])
        self.assertEqual(cells(self.goals, "gzip scrape, everything changed, against Go"),
                         ["≤ 1/15", "1/20.0 (40.0 ms against 800)", "yes"])

    def test_says_what_is_missed_with_the_measurement(self) -> None:
        self.assertEqual(cells(self.goals, "pushes/s against nginx `return 200`, 100 groups"), ["≥ 50 %", "43.0%", "**no**"])
        self.assertEqual(cells(self.goals, "1,000,000 series expire at once: longest wait of a push"),
                         ["≤ 2 ms", "3.10 ms (runs: 3.10; p99 0.40); in other seconds 2.90 ms. The empty handler, asked as often: "
                          "above 2 ms in 9 of 40 seconds, at most 4.50 ms", "**no**"])

    def test_a_goal_for_time_and_cpu_needs_both(self) -> None:
        title = "plain scrape of 8.6 MB against nginx's static file, time and CPU"
        self.assertEqual(cells(self.goals, title)[2], "**no**")

    def test_says_what_was_not_measured(self) -> None:
        self.assertIn("| pushes/s into 100,000 groups against the fewest | ≥ 85 % | – | not measured |", self.goals)
        self.assertIn("stalled clients: all others are served, memory of the process | ≤ 40 MB | – | not measured |", self.goals)
        self.assertNotIn("{", self.goals)


class TablesTest(unittest.TestCase):
    def setUp(self) -> None:
        self.blocks = tables.blocks(RESULT, BENCHMARKS)

    def test_columns_name_versions_and_leave_out_who_was_not_there(self) -> None:
        head = self.blocks["beside"].splitlines()[0]
        self.assertIn("| pushgateway-ttl 0.1.0 | Go Pushgateway 1.11.2 | empty handler on our engine | nginx 1.22.1 |", head)
        self.assertNotIn("VictoriaMetrics", head)
        self.assertIn("Not to be had: VictoriaMetrics.", self.blocks["about"])

    def test_what_has_no_figure_has_a_dash(self) -> None:
        self.assertEqual(cells(self.blocks["beside"], "pushes/s, one series into one of 10,000 groups of 10"),
                         ["120,000", "–", "160,000", "–"])

    def test_every_line_has_as_many_cells_as_its_head(self) -> None:
        for name, block in self.blocks.items():
            if name != "about":
                self.assertEqual({line.count("|") for line in block.splitlines()}, {block.splitlines()[0].count("|")}, name)

    def test_violations_are_shown(self) -> None:
        self.assertEqual(cells(self.blocks["scenarios"], "steady")[5:8], ["0, 3", "1", "0"])

    def test_skipped_parts_are_named(self) -> None:
        self.assertIn("Skipped: stalled, which needs 10,500 open files.", self.blocks["about"])

    def test_micro_benchmarks_have_allocations(self) -> None:
        self.assertEqual(cells(self.blocks["micro"], "`Parse/control_plane_280k`"), ["250", "1,120", "0"])

    def test_an_empty_result_makes_tables_too(self) -> None:
        tables.blocks(RESULT | {"rows": {}}, {})


class RewriteTest(unittest.TestCase):
    def test_prose_stays_and_blocks_are_replaced(self) -> None:
        page = tables.rewrite(PAGE, {"idle": "| new |", "about": "text"})
        self.assertEqual(page, "Before.\n<!-- bench:idle -->\n| new |\n<!-- bench:end -->\nBetween.\n"
                               "<!-- bench:about -->\ntext\n<!-- bench:end -->\nAfter.\n")
        self.assertEqual(tables.rewrite(page, {"idle": "| new |", "about": "text"}), page)

    def test_unknown_blocks_and_missing_ends_are_errors(self) -> None:
        with self.assertRaises(ValueError):
            tables.rewrite(PAGE, {"idle": ""})
        with self.assertRaises(ValueError):
            tables.rewrite("<!-- bench:idle -->\nno end\n", {"idle": ""})


if __name__ == "__main__":
    unittest.main()
