"""Events judged by the behaviour model, on a recorded web service."""

import json
import subprocess
import tempfile
import time
from pathlib import Path

from ..goals import Goal, between, number, table
from ..web import Client, Service


def run(bench):
    with tempfile.TemporaryDirectory(prefix="ethogram-bench-") as work:
        recording = Path(work) / "events"
        events = _record(bench, recording)
        measured = [_judge(bench, recording) for _ in range(bench.amount(1, 3, 9))]
    measured.sort(key=lambda found: found["events_per_second"])
    rates = [found["events_per_second"] for found in measured]
    return {"recorded": events, **measured[len(measured) // 2], "spread": {"least": rates[0], "most": rates[-1]}}


def _record(bench, recording):
    """A web service from its start on, under load, with what makes it open its files and start its workers anew."""
    seconds = bench.amount(4, 10, 20)
    # Only what is recorded after its name is known counts as the container's.
    recorder = subprocess.Popen([bench.binary, "record", recording], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        time.sleep(2)
        with Service(bench.nginx, bench.work) as service, Client(service.url, seconds) as client:
            while client.runs():
                time.sleep(1)
                for container in service.containers:
                    subprocess.run(["docker", "kill", "--signal", "HUP", container.id], check=True, capture_output=True)
    finally:
        recorder.terminate()
        _, said = recorder.communicate()
    if recorder.returncode:
        raise RuntimeError(f"the recording failed: {said}")
    return said.strip().splitlines()[-1]


def _judge(bench, recording):
    command = [bench.binary, "profile", "cost", "--recording", recording, "--output", "json"]
    return json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


def tables(result):
    rows = [
        ("all events of it, once it is known", number(result["events"]), f"{number(result['event_ns'])} ns"),
        ("of these, what it is known to do", number(result["known"]), f"{number(result['known_ns'])} ns"),
        ("what is new, while it is learnt", number(result["new"]), f"{number(result['new_ns'])} ns"),
    ]
    return (
        f"{number(result['events_per_second'])} a second ({between(result['spread'])}), on one core; {result['findings']} findings.\n\n"
        + table(("", "events", "each"), rows)
    )


def goals(result):
    rate = result["events_per_second"]
    what = "events judged a second by the behaviour model, on one core"
    spread = f"{between(result['spread'])}; behaviours that it knows {number(1e9 / result['known_ns'])}"
    return [Goal(what, 1_000_000, rate, "", spread=spread, at_least=True)]
