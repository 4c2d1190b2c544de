"""The run: a day that is learnt, a day of ordinary life, and a day on which there are attacks as well. Its record is judged after it."""

import http.client
import json
import re
import subprocess
import threading
import time
from contextlib import suppress

from ..agent import Agent
from ..api import Api
from . import incidents
from .attribution import LATE, Alert, Processes, is_of_fleet, seconds
from .clients import Clients
from .judges import JUDGES, NAMES, figures, findings, judged
from .launch import Launcher
from .life import Life

SEED = 1
# What of a step's time its attack has to itself, before the next one begins.
FULL = 0.95


class Live:
    """Alerts as the agent prints them, each with when it came."""

    def __init__(self, agent):
        self.lines, self.came = [], []
        self.thread = threading.Thread(target=self._read, args=(agent.process.stdout,), daemon=True)
        self.thread.start()

    def _read(self, lines):
        for line in lines:
            self.came.append(time.time())
            self.lines.append(line.decode())


class Incidents:
    """When an incident first had a finding, as the agent's stream of incidents shows it."""

    def __init__(self, api):
        self.opened = {}
        self.thread = threading.Thread(target=self._read, args=(api,), daemon=True)
        self.thread.start()

    def _read(self, api):
        with suppress(OSError, http.client.HTTPException, ValueError):  # It ends with the agent.
            for event in api.follow("/v1/incidents?follow=true", timeout=None):
                for part in event["unmapped"]["incident"]["parts"]:
                    for uid in part["findings"]:
                        self.opened.setdefault(uid, time.time())


def behaviour(bench, day_minutes):
    """The configuration by default, for days that are so long."""
    schema = json.loads(subprocess.run([bench.binary, "schema", "config"], capture_output=True, check=True).stdout)
    default = {}
    for section in ("behaviour", "incidents"):
        default |= {key: value.get("default") for key, value in schema["properties"][section]["properties"].items()}
    return scaled(default, day_minutes)


def scaled(default, day_minutes):
    lines = ["[behaviour]"]
    for key in ("learning_period", "forget_after"):
        if key in default:
            lines.append(f'{key} = "{round(int(default[key].removesuffix("h")) * 60 * day_minutes / 24)}s"')
    if "per_day" in default:
        lines += ["[incidents]", f"per_day = {round(default['per_day'] * 24 * 60 / day_minutes)}"]
    return "\n".join(lines) + "\n"


def live(bench, folder, fleet_of, packages, day_minutes):
    """Lives, attacks and records. Gives what is true, and what the live agent said."""
    day = 60 * day_minutes
    recording = folder / "live.egr"
    recording.unlink(missing_ok=True)
    more = behaviour(bench, day_minutes)
    with fleet_of.Fleet(packages, folder / "fleet", day / 24) as fleet:
        fleet.await_answer(fleet_of.answers)
        launcher = Launcher(fleet, fleet_of.WAYS)
        with Agent(more=more, options=("--record", recording), alerts=subprocess.PIPE) as agent:
            printed, stories, asking = Live(agent), Incidents(Api(agent.folder / "api.sock")), Clients(fleet_of.ask, SEED)
            life = Life(fleet_of.of_day, fleet, day, bench.log)
            try:
                bench.log(f"a day is {day:.0f} s: the first is learnt")
                life.await_day(2)
                bench.log("an ordinary day")
                life.await_day(3)
                attacks, failed = _attack(bench, launcher, fleet_of.ATTACKS, day)
                time.sleep(4)
            finally:
                asking.stop()
                life.stop()
                launcher.stop()
            profiles = agent.api.ask("GET", "/v1/profiles")
            counters = agent.counters()
            agent.process.terminate()
            agent.process.wait(60)
            printed.thread.join(10)
            stories.thread.join(10)
    truth = {"begin": life.begin, "day_seconds": day, "attacks": attacks, "life": life.done, "asked": asking.asked, "failed": asking.failed,
             "not_launched": failed}
    (folder / "live.jsonl").write_text("".join(printed.lines))
    raised = [(came, Alert.of(json.loads(line))) for came, line in zip(printed.came, printed.lines)]
    # An alert's uid stays the same when it is printed again.
    delays = {alert.uid: came - alert.time for came, alert in reversed(raised)}
    said = {"day_minutes": day_minutes, "delivery": delays, "opened": stories.opened, "profiles": len(profiles),
            "events": sum(c["seen"] for c in counters.values()), "lost": sum(c["dropped"] for c in counters.values())}
    (folder / "truth.json").write_text(json.dumps({"truth": truth, "live": said}, indent=1))
    return truth, said


def kept(folder):
    """The same of a run that was made before."""
    found = json.loads((folder / "truth.json").read_text())
    return found["truth"], found["live"]


def _attack(bench, launcher, wanted, day):
    """What began, and what did not."""
    bench.log(f"{len(wanted)} attacks")
    step, attacks, failed = FULL * day / len(wanted), [], []
    begin = time.time()
    for number, attack in enumerate(wanted, 1):
        time.sleep(max(0, begin + (number - 1) * step - time.time()))
        try:
            attacks.append(launcher.launch(number, attack))
        except (OSError, RuntimeError, subprocess.SubprocessError) as error:
            bench.log(f"not launched: {attack.name}: {error}")
            failed.append({"name": attack.name, "error": str(error)})
    for attack in attacks:
        attack["end"] = attack["begin"] + max(3.0, step)
    time.sleep(step)
    return attacks, failed


def replay(bench, recording, *options):
    """What `ethogram replay` prints."""
    done = subprocess.run([bench.binary, "replay", recording, *options], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"the replay failed: {done.stderr}")
    return done.stdout


def processes(bench, recording):
    """Read line by line: a run has hundreds of thousands."""
    command = [bench.binary, "replay", recording, "-o", "json", "--tracker", "process"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as reading:
        return Processes(json.loads(line) for line in reading.stdout)


def traced(bench, recording, truth, tree):
    """The attacks of which the record has something: a process with their token, or of those that start none, an event in their
    container and time with an object that is theirs."""
    found = {a["token"] for a in truth["attacks"] if a["token"] in tree.tokens}
    rest = [(a, re.compile("|".join(a["objects"]))) for a in truth["attacks"] if not a.get("starts", a["how"] in ("run", "ssh", "container"))]
    command = [bench.binary, "replay", recording, "-o", "json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as reading:
        for line in reading.stdout:
            for attack, objects in rest:
                if attack["token"] not in found and attack["container"] in line and objects.search(line):
                    if attack["begin"] - 1 <= seconds(json.loads(line)["time"]) <= attack["end"] + LATE:
                        found.add(attack["token"])
    return found


def judge(bench, folder, truth, said, anew=False):
    """The record judged by each judge, and what is true of it; `anew` with this binary's rules, and not those that were recorded."""
    recording = folder / "live.egr"
    config = folder / "anew.toml"
    config.write_text(behaviour(bench, said["day_minutes"]))
    conditions = ("--config", config) if anew else ()
    tree = processes(bench, recording)
    launched = traced(bench, recording, truth, tree)
    for attack in truth["attacks"]:
        if attack["token"] not in launched:
            bench.log(f"began and left no trace: {attack['name']}")
    judges, same, stories = {}, None, None
    for name, options in JUDGES.items():
        bench.log(f"judged again: {NAMES[name]}")
        printed = replay(bench, recording, *options, *conditions)
        (folder / f"{name}.jsonl").write_text(printed)
        if name == "both" and not anew:
            same = printed == (folder / "live.jsonl").read_text()
        alerts = [Alert.of(json.loads(line)) for line in printed.splitlines()]
        alerts = [alert for alert in alerts if is_of_fleet([alert.container])]
        by_attack, others = judged(alerts, truth, tree)
        grades = {grade: figures(by_attack, others, truth, grade, said["delivery"]) for grade in ("Informational", "Medium", "High")}
        if name == "both":
            printed = replay(bench, recording, "-o", "incidents", *options, *conditions)
            (folder / "incidents.jsonl").write_text(printed)
            lines = [line for line in printed.splitlines() if is_of_fleet(incidents.containers(line))]
            stories = incidents.judged(lines, alerts, truth, tree, said["delivery"], said.get("opened"))
        judges[name] = {"figures": grades, "found": findings(by_attack), "others": others}
    return {"judges": judges, "incidents": stories, "replay_is_the_same": same, "without_trace": sorted({a["token"] for a in truth["attacks"]} - launched)}
