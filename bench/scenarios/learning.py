"""What a web service costs while it is learnt, and when it is known: in one run of one agent."""

import json
import time
from contextlib import ExitStack

from .. import stats
from ..agent import Agent, difference
from ..goals import Goal, number, percent, table
from ..web import Client, Service, switches, windows

# Added to what is measured within the learning period: start, first looks, a machine that is slow.
SPARE = 20
PHASES = {"before": "while it is learnt", "after": "once it is known"}


def run(bench):
    lost, counted = bench.amount(5, 60, 400), bench.amount(5, 20, 60)
    period = lost + counted + SPARE
    more = f'[behaviour]\nlearning_period = "{period}s"'
    with Service(bench.nginx, bench.work) as service, ExitStack() as held:
        agent = held.enter_context(Agent(more=more))
        began = time.monotonic()
        client = held.enter_context(Client(service.url, 2 * period + lost + counted + 60))
        bench.log(f"learnt for {period} s")
        found = {"before": _measure(agent, service, client, lost, counted)}
        if time.monotonic() - began > period:
            raise RuntimeError("the machine was so slow that learning ended while it was measured")
        _await_known(agent, began + period + 60)
        # What the kernel is told of what is known goes there within a moment.
        time.sleep(bench.amount(2, 15, 15))
        bench.log("known")
        found["after"] = _measure(agent, service, client, lost, counted)
        found["profile_bytes"] = _profile_bytes(agent)
    return {"seconds": counted, "windows_seconds": lost, **found}


def _await_known(agent, deadline):
    while any(p["state"] != "judging" for p in agent.api.ask("GET", "/v1/profiles")):
        if time.monotonic() > deadline:
            raise RuntimeError("the profiles did not become stable")
        time.sleep(0.5)


def _measure(agent, service, client, lost, counted):
    """First with nothing switched: where events go and what the agent uses. Then what the service loses, in windows."""
    agent.resume()
    time.sleep(2)
    before, own, packets, begin = agent.counters(), agent.group.ns(), service.packets(), time.monotonic()
    time.sleep(counted)
    after, own, packets = agent.counters(), agent.group.ns() - own, service.packets() - packets
    seconds = time.monotonic() - begin
    events = difference(after, before)
    meter = windows.Meter(service, client, agent)
    arms = {"agent": switches.Trackers("ethogram", agent), "same": switches.Same("the same on both sides", agent)}
    logs, _ = windows.measure(meter, arms, lost)
    agent.resume()
    return {
        "events_per_second": {stage: n / seconds for stage, n in events.items()},
        "packets_per_second": packets / seconds,
        "core_percent": 100 * own / 1e9 / seconds,
        "loss": {name: stats.ratio(found["machine"]) for name, found in logs.items()},
    }


def _profile_bytes(agent):
    """Of the largest profile of the service: its balancer's, or that of those behind it."""
    found = {p["workload"]: p["id"] for p in agent.api.ask("GET", "/v1/profiles") if "ethogram-bench-web" in p["image"]}
    return {name: len(json.dumps(agent.api.ask("GET", f"/v1/profiles/{uid}"))) for name, uid in found.items()}


def _fall(result, of):
    before, after = of(result["before"]), of(result["after"])
    return 100 * (1 - after / before) if before else 0.0


def tables(result):
    rows = []
    for phase, words in PHASES.items():
        found = result[phase]
        events = found["events_per_second"]
        rows.append((words, *(number(events[stage]) for stage in ("delivered", "aggregated", "filtered")),
                     f"{number(found['core_percent'])} %", percent(found["loss"]["agent"]), percent(found["loss"]["same"])))
    sizes = ", ".join(f"{name}: {number(size / 1000)} KB" for name, size in result["profile_bytes"].items())
    columns = ("", "delivered/s", "aggregated/s", "filtered/s", "agent CPU, of one core", "CPU for a packet", "the same on both sides")
    return table(columns, rows) + f"\n\nProfiles as JSON: {sizes}."


def goals(result):
    delivered = _fall(result, lambda found: found["events_per_second"]["delivered"])
    core = _fall(result, lambda found: found["core_percent"])
    loss = result["after"]["loss"]["agent"]
    both = [f"{number(result[phase]['events_per_second']['delivered'])}/s" for phase in PHASES]
    cores = [f"{number(result[phase]['core_percent'])} %" for phase in PHASES]
    return [
        Goal("events delivered, once a web service is known: fewer by", 95, delivered, " %", spread=" to ".join(both), at_least=True),
        Goal("CPU of the agent, once it is known: less by", 80, core, " %", spread=" to ".join(cores), at_least=True),
        Goal("CPU the service loses then", 0.5, loss["percent"], " %", loss["error"], f"{loss['pairs']} quadruples"),
        Goal("profile of a web server", 200, max(result["profile_bytes"].values()) / 1000, " KB"),
    ]
