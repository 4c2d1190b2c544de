"""Events judged by all rules, on recorded real events."""

import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

from ..goals import Goal, between, number, table

ROOT = Path(__file__).resolve().parents[2]
# Falco's own files, which are not part of the project: where they are, they are loaded beside those that ship.
FALCO = Path(os.environ.get("ETHOGRAM_TEST_DATA", ROOT.parent / "shared/data")) / "falco-rules"


def run(bench):
    folders = [ROOT / "rules", *([FALCO] if FALCO.is_dir() else [])]
    with tempfile.TemporaryDirectory(prefix="ethogram-bench-") as work:
        recording = Path(work) / "events"
        events = _record(bench, recording)
        measured = [_judge(bench, recording, folders) for _ in range(bench.amount(1, 3, 9))]
    measured.sort(key=lambda found: found["events_per_second"])
    found = measured[len(measured) // 2]
    return {
        "recorded": events,
        "with_falco": len(folders) == 2,
        "rules": found["rules"],
        "events": found["events"],
        "events_per_second": found["events_per_second"],
        "spread": {"least": measured[0]["events_per_second"], "most": measured[-1]["events_per_second"]},
        "load_ms": sorted(m["load_ms"] for m in measured)[len(measured) // 2],
        "dearest": _dearest(found["costs"]),
    }


def _record(bench, recording):
    """Everything that the loads of the other scenarios do: files, processes, a build."""
    seconds = bench.amount(5, 10, 20)
    command = [bench.binary, "record", recording, "--duration", f"{seconds + 3}s", "--host"]
    with bench.load_container() as container:
        recorder = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        time.sleep(2)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for load, count in (("files", 200), ("processes", 100)):
                container.load(load, str(count))
            subprocess.run(["find", "/usr", "-maxdepth", "3", "-name", "*.h"], stdout=subprocess.DEVNULL, check=False)
        _, said = recorder.communicate()
    if recorder.returncode:
        raise RuntimeError(f"the recording failed: {said}")
    return said.strip().splitlines()[-1]


def _judge(bench, recording, folders):
    command = [bench.binary, "rules", "cost", "--recording", recording, "--output", "json", *folders]
    return json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


def _dearest(costs, count=5):
    spent = [(c["rule"], c["tested"], c["test_ns"] or 0) for c in costs]
    return sorted(spent, key=lambda c: -c[1] * c[2])[:count]


def tables(result):
    rows = [(rule, number(tested), f"{number(ns)} ns") for rule, tested, ns in result["dearest"]]
    falco = "Falco's 93 and those that ship" if result["with_falco"] else "those that ship"
    return (
        f"{result['rules']} rules ({falco}), loaded in {number(result['load_ms'])} ms; {number(result['events'])} recorded "
        f"events, judged over and over on one core: {number(result['events_per_second'])} a second "
        f"({between(result['spread'])}). What dominates, each rule by itself:\n\n"
        + table(("rule", "events tested", "a test"), rows)
    )


def goals(result):
    rate = result["events_per_second"]
    return [
        Goal("events judged a second by all rules, on one core", 1_000_000, rate, "", spread=between(result["spread"]), at_least=True),
        Goal("time to load all rules", 100, result["load_ms"], " ms"),
    ]
