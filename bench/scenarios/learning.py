"""What a web service costs while it is learnt, and when it is known: in one run of one agent."""

import json
import time

from .. import stats
from ..agent import Agent, difference
from ..goals import Goal, number, percent, table
from ..web import IMAGE, Client, Service, switches, windows

# Added to what is measured within the learning period: start, first looks, a machine that is slow.
SPARE = 40
CONNECTING = "for each request"
# Whether connections are made anew. Where they stay, there are few events in the first place.
LOADS = {"that stay": False, CONNECTING: True}
PHASES = {"before": "while it is learnt", "after": "once it is known"}


def run(bench):
    lost, counted = bench.amount(5, 60, 400), bench.amount(5, 15, 60)
    period = lost + 2 * counted + SPARE
    more = f'[behaviour]\nlearning_period = "{period}s"'
    with Service(bench.nginx, bench.work) as service, Agent(more=more) as agent:
        began = time.monotonic()
        bench.log(f"learnt for {period} s")
        found = {"before": _measure(agent, service, lost, counted)}
        if time.monotonic() - began > period:
            raise RuntimeError("the machine was so slow that learning ended while it was measured")
        _await_known(agent, began + 5 * period)
        # A known behaviour becomes a habit in the kernel within a moment of being seen once more.
        with Client(service.url, bench.amount(2, 10, 10), anew=True) as client:
            client.process.wait()
        bench.log("known")
        found["after"] = _measure(agent, service, lost, counted)
        found["profile_bytes"] = _profile_bytes(agent)
    return {"seconds": counted, "windows_seconds": lost, **found}


def _await_known(agent, deadline):
    while any(p["state"] == "learning" for p in _profiles(agent)):
        if time.monotonic() > deadline:
            raise RuntimeError("the profiles did not become stable")
        time.sleep(0.5)


def _profiles(agent):
    """Of the service; others may have containers as well."""
    return [p for p in agent.api.ask("GET", "/v1/profiles") if p["image"].startswith(IMAGE)]


def _measure(agent, service, lost, counted):
    """Where events go and what the agent uses, with connections that stay and with such as are made for each request. Then what the
    service loses, in windows in which the agent's trackers are switched."""
    agent.resume()
    counts = {}
    for load, anew in LOADS.items():
        with Client(service.url, counted + 4, anew) as client:
            time.sleep(2)
            counts[load] = _count(agent, service, counted)
            client.process.wait()
    with Client(service.url, lost + 20) as client:
        time.sleep(1)
        meter = windows.Meter(service, client, agent)
        arms = {"agent": switches.Trackers("ethogram", agent), "same": switches.Same("the same on both sides", agent)}
        logs, _ = windows.measure(meter, arms, lost)
        agent.resume()
    return {"counts": counts, "loss": {name: stats.ratio(found["machine"]) for name, found in logs.items()}}


def _count(agent, service, seconds):
    before, own, packets, begin = agent.counters(), agent.group.ns(), service.packets(), time.monotonic()
    time.sleep(seconds)
    after, own, packets, took = agent.counters(), agent.group.ns() - own, service.packets() - packets, time.monotonic() - begin
    delivered = {name: (now["delivered"] - before[name]["delivered"]) / took for name, now in after.items() if name in before}
    return {
        "events_per_second": {stage: n / took for stage, n in difference(after, before).items()},
        "delivered": {name: rate for name, rate in delivered.items() if rate >= 1},
        "core_percent": 100 * own / 1e9 / took,
        # As much of the service's work is done as the machine allows at the time.
        "packets_per_second": packets / took,
    }


def _profile_bytes(agent):
    """Of the largest profile of the service: its balancer's, or that of those behind it."""
    found = {p["workload"]: p["id"] for p in _profiles(agent)}
    return {name: len(json.dumps(agent.api.ask("GET", f"/v1/profiles/{uid}"))) for name, uid in found.items()}


def _fall(result, of):
    """How much less of it there is for a packet, in percent, and for a thousand packets before and after."""
    before, after = (1000 * of(found) / found["packets_per_second"] for found in (result[phase]["counts"][CONNECTING] for phase in PHASES))
    return 100 * (1 - after / before) if before else 0.0, f"{number(before)} to {number(after)}"


def tables(result):
    rows = []
    for load in LOADS:
        for phase, words in PHASES.items():
            found = result[phase]["counts"][load]
            events = found["events_per_second"]
            most = sorted(found["delivered"].items(), key=lambda delivered: -delivered[1])[:4]
            rows.append((f"{load}, {words}", *(number(events[stage]) for stage in ("delivered", "aggregated", "filtered")),
                         f"{number(found['core_percent'])} %", ", ".join(f"`{name}` {number(rate)}" for name, rate in most)))
    losses = [(words, *(percent(result[phase]["loss"][arm]) for arm in ("agent", "same"))) for phase, words in PHASES.items()]
    sizes = ", ".join(f"{name}: {number(size / 1000)} KB" for name, size in result["profile_bytes"].items())
    columns = ("connections", "delivered/s", "aggregated/s", "filtered/s", "agent CPU, of one core", "delivered/s by tracker")
    return "\n\n".join([
        table(columns, rows), table(("CPU for a packet", "ethogram", "the same on both sides"), losses), f"Profiles as JSON: {sizes}.",
    ])


def summary(result):
    loss = result["after"]["loss"]["agent"]
    return f"on the machine of the table it loses {number(loss['percent'])} ± {number(loss['error'])} % of its CPU time once it is known"


def goals(result):
    delivered, rates = _fall(result, lambda found: found["events_per_second"]["delivered"])
    core, times = _fall(result, lambda found: found["core_percent"] * 1e4)
    loss = result["after"]["loss"]["agent"]
    spread = f"{loss['pairs']} quadruples, the same on both sides {percent(result['after']['loss']['same'])}"
    return [
        Goal("events delivered, once a web service is known: fewer by", 95, delivered, " %", spread=f"{rates} for a thousand packets", at_least=True),
        Goal("CPU of the agent, once it is known: less by", 80, core, " %", spread=f"{times} µs for a thousand packets", at_least=True),
        Goal("CPU the service loses then, beside no agent", 0.5, loss["percent"], " %", loss["error"], spread),
        Goal("profile of a web server", 200, max(result["profile_bytes"].values()) / 1000, " KB"),
    ]
