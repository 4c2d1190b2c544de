"""Statistics, goals and the tables of the documentation."""

import math
import random
import tempfile
import types
import unittest
from pathlib import Path
from unittest import mock

from bench import results, stats
from bench.agent import difference, unaccounted
from bench.goals import Goal, number


class Statistics(unittest.TestCase):
    def test_a_small_ratio_is_found_in_noise_and_outliers(self):
        noise = random.Random(7)
        logs = [math.log(1.03) + noise.gauss(0, 0.05) for _ in range(400)] + [2.0] * 20 + [-2.0] * 20
        found = stats.ratio(logs)
        self.assertAlmostEqual(found["percent"], 3, delta=1)
        self.assertLess(found["error"], 0.6)
        self.assertGreater(found["error"], 0.1)
        self.assertEqual(found, stats.ratio(logs), "the same data give the same figures")

    def test_no_difference_is_within_its_error(self):
        noise = random.Random(8)
        found = stats.ratio([noise.gauss(0, 0.05) for _ in range(400)])
        self.assertLess(abs(found["percent"]), 3 * found["error"])

    def test_nothing_measured_is_no_ratio(self):
        self.assertIsNone(stats.ratio([]))


class Goals(unittest.TestCase):
    def test_verdicts(self):
        self.assertEqual(Goal("", 30, 28, " MB").verdict(), "met")
        self.assertEqual(Goal("", 30, 42.5, " MB").verdict(), "missed by 12.5 MB")
        self.assertEqual(Goal("", 1, 1.2, " %", 0.4).verdict(), "undecided: within the error")
        self.assertEqual(Goal("", 1, 3, " %", 0.4).verdict(), "missed by 2 %")
        self.assertEqual(Goal("", 500_000, 600_000, "", at_least=True).verdict(), "met")
        self.assertEqual(Goal("", 500_000, 90_000, "", at_least=True).verdict(), "missed by 410,000")
        self.assertEqual(Goal("", 0, 1, "").verdict(), "missed by 1")

    def test_numbers(self):
        self.assertEqual([number(n) for n in (0, 1234567, 99.96, 9.996, -0.5, 7, None)],
                         ["0", "1,234,567", "100.0", "10.00", "-0.50", "7", "-"])


class Counters(unittest.TestCase):
    def test_what_is_not_accounted_for_shows(self):
        nothing = {"seen": 0, "delivered": 0, "aggregated": 0, "filtered": 0, "dropped": 0}
        all_found = {"seen": 10, "delivered": 4, "aggregated": 3, "filtered": 2, "dropped": 1}
        self.assertEqual(unaccounted(difference({"open": all_found}, {"open": nothing})), 0)
        self.assertEqual(unaccounted(difference({"open": {**all_found, "delivered": 3}}, {})), 1)


class Table(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.binary = self.folder / "binary"
        self.binary.write_bytes(b"one")
        self.modules = {"start": types.SimpleNamespace(
            __doc__="Start.", goals=lambda figures: [Goal("size", 12, figures["mb"], " MB")], tables=lambda _: "",
            summary=lambda figures: f"it is {number(figures['mb'])} MB")}

    def put(self, megabytes):
        made = results.Results(self.folder / "results.json", self.binary)
        made.put("start", {"command": "script/bench start", "figures": {"mb": megabytes}, "left_out": {}})
        return made

    def pages(self, **texts):
        """Pages in place of the documentation's, while the test runs."""
        pages = {name: self.folder / name for name in ("README", "COSTS")}
        for name, page in pages.items():
            page.write_text(texts[name])
            patched = mock.patch.object(results, name, page)
            patched.start()
            self.addCleanup(patched.stop)
        return pages.values()

    def test_pages_are_changed_between_the_markers_and_nowhere_else(self):
        text = "before\n<!-- bench -->\nold\n<!-- /bench -->\nafter\n"
        readme, costs = self.pages(README=text, COSTS=text)
        self.put(10.5).update_docs(self.modules)
        first = costs.read_text()
        self.put(13.0).update_docs(self.modules)
        self.assertIn("| size | at most 12 MB | 10.5 MB |  | met |", first)
        self.assertIn("`script/bench start`", first)
        self.assertIn("missed by 1.00 MB", costs.read_text())
        self.assertNotIn("10.5", costs.read_text())
        self.assertIn("\nIt is 13.0 MB.\n", readme.read_text())
        for text in (first, costs.read_text(), readme.read_text()):
            self.assertTrue(text.startswith("before\n<!-- bench -->\n") and text.endswith("\n<!-- /bench -->\nafter\n"))
            self.assertNotIn("old", text)

    def test_a_page_without_a_place_is_left_alone(self):
        pages = self.pages(README="nothing here\n", COSTS="nothing here\n")
        with self.assertRaises(SystemExit):
            self.put(1).update_docs(self.modules)
        self.assertEqual([page.read_text() for page in pages], ["nothing here\n"] * 2)

    def test_a_scenario_with_a_page_of_its_own_has_its_own_places(self):
        costs = "<!-- bench -->\ncosts\n<!-- /bench -->\n"
        readme, _ = self.pages(README=costs + "<!-- found -->\nold\n<!-- /found -->\n", COSTS=costs)
        page = self.folder / "found.md"
        page.write_text("<!-- found -->\nold\n<!-- /found -->\n")
        published = []
        modules = {**self.modules, "found": types.SimpleNamespace(
            __doc__="Found.", PAGE=page, goals=lambda _: [], tables=lambda _: "", page=lambda figures: f"all {figures['attacks']}",
            summary=lambda figures: f"all {figures['attacks']} are found", publish=published.append)}
        made = self.put(10.5)
        made.put("found", {"command": "script/bench found", "figures": {"attacks": 36}, "left_out": {}})
        made.update_docs(modules, ["found"])
        self.assertEqual(published, [{"attacks": 36}])
        self.assertEqual(readme.read_text(), costs + "<!-- found -->\nAll 36 are found.\n<!-- /found -->\n")
        self.assertIn("`script/bench found`:\n\nall 36\n<!-- /found -->", page.read_text())

    def test_earlier_figures_stay_for_the_same_binary_only(self):
        self.put(10.5)
        self.assertIn("start", results.Results(self.folder / "results.json", self.binary).scenarios)
        self.binary.write_bytes(b"another")
        self.assertEqual(results.Results(self.folder / "results.json", self.binary).scenarios, {})


if __name__ == "__main__":
    unittest.main()
