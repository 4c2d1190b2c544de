"""Whose an alert is, and what comes out of it, from alerts and processes made up here."""

import json
import tempfile
import unittest
from pathlib import Path
from unittest.mock import Mock
from xml.etree import ElementTree

from bench.detection import fleets, incidents, report, run
from bench.detection.attribution import Alert, Processes, attribute, is_of_fleet, seconds
from bench.detection.judges import figures, findings, judged
from bench.detection.picture import MARKS, svg


def at(second):
    return f"1970-01-01T00:{second // 60:02}:{second % 60:02}.25Z"


def event(kind, second, pid, child=None, args=()):
    process = {"pid": pid, "command_args": list(args)}
    return {"event": kind, "time": at(second), "process": {**process, "child": {"pid": child}} if child else process}


def alert(second, pid=0, object="/x", container="bench-web", severity="Medium", uid="u"):
    return Alert(uid, second + 0.25, "behaviour.write", severity, f"{container}: wrote {object}", object, container, pid, object)


def attack(token="step-01", begin=100.0, **more):
    usual = {"token": token, "container": "bench-web", "begin": begin, "end": begin + 3, "how": "run", "objects": [], "lasts": False}
    return {**usual, **more}


FLEETS = [fleets.load(name) for name in fleets.NAMES]
# A fleet of which nothing is asked.
NOBODY = Mock()
FAMILY = [
    event("exec", 90, 8, args=["sh", "-c", "true"]),
    event("exec", 100, 10, args=["sh", "-c", "id", "step-01"]),
    event("fork", 101, 10, child=11),
    event("exec", 101, 11, args=["id"]),
    event("exit", 102, 10),
    event("fork", 103, 11, child=12),
    event("exit", 103, 11),
    event("exit", 104, 12),
    event("fork", 130, 8, child=11),
]


class Attribution(unittest.TestCase):
    def test_what_others_of_the_machine_do_is_not_judged(self):
        self.assertTrue(all(map(is_of_fleet, (["bench-web"], ["host"], [], [""], ["other", "bench-web"]))))
        self.assertFalse(is_of_fleet(["other"]))

    def test_times_have_nanoseconds(self):
        self.assertAlmostEqual(seconds("1970-01-01T00:01:00.250000001Z"), 60.25)
        self.assertEqual(seconds("1970-01-01T00:01:00Z"), 60)

    def test_what_descends_from_an_attack_is_its_own_also_when_its_parents_are_gone(self):
        processes = Processes(FAMILY)
        self.assertEqual([processes.owner(pid, 103.3) for pid in (8, 10, 11, 12)], [None, "step-01", "step-01", "step-01"])
        self.assertEqual(processes.tokens, {"step-01"})

    def test_a_number_that_is_used_again_belongs_to_another(self):
        processes = Processes(FAMILY)
        self.assertEqual(processes.owner(11, 102.0), "step-01")
        self.assertIsNone(processes.owner(11, 131.0))

    def test_an_alert_belongs_to_an_attack_by_its_process_or_by_an_object_of_the_attack_in_its_time(self):
        processes, known = Processes(FAMILY), [attack(objects=[r"shell\.php"])]
        owner = lambda *args, **more: attribute(alert(*args, **more), known, processes)
        self.assertEqual(owner(101, pid=11), "step-01")
        self.assertEqual(owner(101, object="/www/shell.php"), "step-01")
        self.assertIsNone(owner(101), "ordinary life goes on in the same container at the same time")
        self.assertIsNone(owner(101, object="/www/shell.php", container="bench-app"))
        self.assertIsNone(owner(140, object="/www/shell.php"))
        self.assertIsNone(owner(90, object="/www/shell.php"))
        known[0]["lasts"] = True
        self.assertEqual(owner(140, object="/www/shell.php"), "step-01")

    def test_in_a_container_of_the_attackers_all_is_the_attack(self):
        known = [attack(container="bench-rogue", how="container")]
        self.assertEqual(attribute(alert(101, container="bench-rogue"), known, Processes([])), "step-01")

    def test_an_alert_is_read_from_a_finding(self):
        finding = {
            "time_dt": at(5), "severity": "High", "finding_info": {"uid": "u", "title": "t", "analytic": {"uid": "rule.x"}},
            "evidences": [{"container": {"name": "bench-web"}, "process": {"pid": 7}}],
            "unmapped": {"behaviour": {"object": "/o"}, "rule": {"name": "n", "output": "said"}},
        }
        read = Alert.of(finding)
        self.assertEqual((read.time, read.pid, read.container, read.text), (5.25, 7, "bench-web", "t /o n said"))


class Figures(unittest.TestCase):
    TRUTH = {"begin": 0.0, "day_seconds": 50.0, "attacks": [attack(), attack("step-02", 110.0, container="bench-app")]}

    def judge(self, *alerts):
        return judged(list(alerts), self.TRUTH, Processes(FAMILY))

    def test_recall_precision_and_days(self):
        raised = [alert(10), alert(60), alert(61, severity="Low"), alert(101, pid=11, uid="a"), alert(103, pid=12, severity="High"), alert(120)]
        found = figures(*self.judge(*raised), self.TRUTH)
        self.assertEqual((found["found"], found["attacks"], found["recall"]), (1, 2, 0.5))
        self.assertEqual((found["true_alerts"], found["false_alerts"], found["precision"]), (2, 3, 0.4))
        self.assertEqual((found["first_day"], found["ordinary_day"]), (1, 2))
        self.assertEqual((found["seconds_median"], found["seconds_most"]), (1.25, 1.25))
        self.assertEqual(figures(*self.judge(*raised), self.TRUTH, delivery={"a": 0.5})["seconds_median"], 1.75)

    def test_of_grave_alerts_alone(self):
        raised = self.judge(alert(60), alert(101, pid=11), alert(103, pid=12, severity="High"))
        found = figures(*raised, self.TRUTH, "High")
        self.assertEqual((found["found"], found["precision"], found["ordinary_day"], found["seconds_median"]), (1, 1.0, 0, 3.25))

    def test_no_alert_is_no_division_by_nothing(self):
        found = figures(*self.judge(), self.TRUTH)
        self.assertEqual((found["recall"], found["precision"], found["seconds_median"]), (0.0, None, None))

    def test_the_gravest_alert_stands_for_an_attack(self):
        by_attack, _ = self.judge(alert(101, pid=11), alert(102, pid=11, severity="High", object="/y"), alert(103, pid=12, severity="High"))
        found = findings(by_attack)
        self.assertEqual((found["step-01"]["title"], found["step-01"]["alerts"]), ("bench-web: wrote /y", 3))
        self.assertIsNone(found["step-02"])


class Run(unittest.TestCase):
    def test_attacks_have_names_of_their_own_and_ways_to_be_known(self):
        for fleet in FLEETS:
            names = [a.name for a in fleet.ATTACKS]
            self.assertEqual(len(names), len(set(names)))
            for a in fleet.ATTACKS:
                self.assertTrue(a.starts or a.objects, a.name)
                self.assertIn(a.how, {"breach", "deploy", "container", *fleet.WAYS}, a.name)
                self.assertTrue(a.service in fleet.NETWORK.hosts or a.how == "container", a.name)

    def test_what_is_counted_in_days_is_scaled(self):
        wanted = '[behaviour]\nlearning_period = "240s"\nforget_after = "7200s"\n[incidents]\nper_day = 360\n'
        self.assertEqual(run.scaled({"learning_period": "24h", "forget_after": "720h", "per_day": 1, "other": 3}, 4), wanted)
        self.assertEqual(run.scaled({"learning_period": "24h"}, 0.4), '[behaviour]\nlearning_period = "24s"\n')

    def test_the_picture_has_every_attack_and_false_positive(self):
        truth = {**Figures.TRUTH, "life": [{"what": "a <look>", "begin": 10.0}]}
        truth["attacks"] = [{**a, "name": "a & b", "service": a["container"].removeprefix("bench-")} for a in truth["attacks"]]
        found = {"step-01": {"title": "t"}, "step-02": None}
        judge = {"found": found, "others": [{"title": "bench-web: <x>", "time": 60.0}]}
        drawn = ElementTree.fromstring(svg({"truth": truth, "judges": {name: judge for name in ("behaviour", "rules", "both")}}))
        count = lambda kind: len(drawn.findall(f".//{{http://www.w3.org/2000/svg}}{kind}"))
        # The legend has one of each.
        self.assertEqual((count("circle"), count("path")), (2 + len(MARKS), 1 + 1))

    def test_the_same_day_is_the_same_each_time(self):
        for fleet in FLEETS:
            days = [[(hour, what) for hour, what, _ in fleet.of_day(2, NOBODY)] for _ in range(2)]
            self.assertEqual(*days)
            self.assertEqual(days[0], sorted(days[0]))
            self.assertTrue(all(0 <= hour < 24 for hour, _ in days[0]))

    def test_an_attack_left_a_trace_if_the_record_has_its_processes_or_its_objects_in_its_time(self):
        itself = lambda token, **more: attack(token, how="itself", starts=False, objects=[r"shell\.php"], **more)
        known = [attack(starts=True), itself("step-02"), itself("step-03", begin=300.0), itself("step-04", container="bench-app")]
        line = json.dumps({**event("open", 101, 7), "container": {"name": "bench-web"}, "file": "/www/shell.php"})
        with tempfile.TemporaryDirectory() as folder:
            binary = Path(folder) / "ethogram"
            binary.write_text(f"#!/bin/sh\ncat <<'END'\n{line}\nEND\n")
            binary.chmod(0o755)
            found = run.traced(Mock(binary=binary), "live.egr", {"attacks": known}, Processes(FAMILY))
        self.assertEqual(found, {"step-01", "step-02"})

    def test_what_is_wrong_with_the_bench_is_reported(self):
        truth = {"attacks": [{"token": "step-01", "name": "a"}, {"token": "step-02", "name": "b"}], "not_launched": [{"name": "c", "error": "no"}]}
        words = " ".join(report.not_attacked({"truth": truth, "without_trace": ["step-02"]}))
        self.assertIn("c: no", words)
        self.assertIn("RECORD: b.", words)
        self.assertEqual(report.not_attacked({"truth": {"attacks": []}, "without_trace": []}), [])



def incident(uid, findings, day=3, severity="High", merged=None, last=None):
    begin = f"1970-01-01T00:{(day - 1) * 4:02}:30Z"
    last = begin if last is None else at(last)
    parts = [{"findings": findings}]
    story = {"uid": uid, "parts": parts, **({"merged_into": merged} if merged else {})}
    return json.dumps({"severity": severity, "message": uid, "start_time_dt": begin, "time_dt": last, "unmapped": {"incident": story}})


class Incidents(unittest.TestCase):
    TRUTH = {"begin": 0.0, "day_seconds": 240.0, "attacks": [attack(), attack("step-02", 500.0, container="bench-app", objects=["/y"])]}
    ALERTS = [alert(100, 10, uid="a"), alert(101, 11, uid="b"), alert(501, 0, "/y", "bench-app", uid="c"), alert(300, 99, uid="d")]

    def judged(self, *lines, **more):
        return incidents.judged(lines, self.ALERTS, self.TRUTH, Processes(FAMILY), **more)

    def test_each_attack_in_one_incident_is_pure_and_complete(self):
        of = self.judged(incident("i", ["a"]), incident("i", ["a", "b"]), incident("j", ["c"]), incident("k", ["d"], day=2, severity="Low"))
        self.assertEqual((of["incidents"], of["found"], of["per_attack"], of["purity"], of["completeness"]), (3, 2, 1, 1, 1))
        self.assertEqual((of["mixed"], of["ordinary_day"], of["ordinary_day_medium"], of["precision_medium"]), ([], 1, 0, 1))

    def test_what_is_torn_apart_or_mixed_shows(self):
        torn = self.judged(incident("i", ["a"]), incident("j", ["b"]))
        self.assertEqual((torn["per_attack"], torn["completeness"], torn["purity"]), (2, 0.5, 1))
        mixed = self.judged(incident("i", ["a", "b", "c", "d"]), incident("k", ["d"], day=2))
        self.assertEqual((len(mixed["mixed"]), mixed["purity"], mixed["precision_medium"]), (1, 0.5, 0.5))

    def test_what_became_part_of_another_is_not_counted(self):
        of = self.judged(incident("i", ["a"]), incident("j", ["b"]), incident("j", ["b"], merged="i"), incident("i", ["a", "b"]))
        self.assertEqual((of["incidents"], of["completeness"]), (1, 1))

    def test_an_attack_is_open_once_an_incident_with_it_is_printed(self):
        lines = incident("i", ["d"], last=99), incident("i", ["d", "b"], last=101), incident("i", ["d", "b", "a"], last=103), incident("j", ["c"], last=510)
        of = self.judged(*lines)
        self.assertEqual((of["seconds_median"], of["seconds_most"]), (5.75, 10.25))
        of = self.judged(*lines, delivery={"x": 0.5}, opened={"c": 504.0})
        self.assertEqual((of["seconds_median"], of["seconds_most"]), (2.875, 4.0))
        of = self.judged(incident("k", ["d"]))
        self.assertEqual((of["seconds_median"], of["seconds_most"]), (None, None))


if __name__ == "__main__":
    unittest.main()
