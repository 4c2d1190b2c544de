"""An hour of ordinary life: nine busy services, and what the agent keeps in memory meanwhile."""

import time

from .. import cpu
from ..agent import Agent
from ..detection.clients import Clients
from ..detection.fleets import shop
from ..detection.life import Life
from ..goals import Goal, number, table

# What is learnt and what is loaded has come by then.
SETTLED_MINUTES = 10
SEED = 2
# A day of the fleet's life.
DAY_SECONDS = 600
EVERY_SECONDS = 10


def run(bench):
    minutes = bench.amount(2, 60, 180)
    packages = (bench.work / "detection" / "packages").resolve()
    with shop.Fleet(packages, bench.work / "soak" / "fleet", DAY_SECONDS / 24) as fleet:
        fleet.await_answer(shop.answers)
        with Agent() as agent:
            asking, life = Clients(shop.ask, SEED), Life(shop.of_day, fleet, DAY_SECONDS, bench.log)
            try:
                samples = _watch(bench, agent, minutes * 60)
            finally:
                asking.stop()
                life.stop()
            counters = agent.counters().values()
            events, lost = sum(c["seen"] for c in counters), sum(c["dropped"] for c in counters)
    return {"minutes": minutes, "samples": samples, "events": events, "lost": lost, "asked": asking.asked}


def _watch(bench, agent, seconds):
    """Its memory every ten seconds: seconds since the start, and KiB."""
    samples, begin = [], time.monotonic()
    while (since := time.monotonic() - begin) < seconds:
        samples.append({"seconds": since, **cpu.resident_kib(agent.pid)})
        if len(samples) % 30 == 1:
            bench.log(f"after {since / 60:.0f} min {number(samples[-1]['rss'] / 1024)} MB")
        time.sleep(EVERY_SECONDS)
    return samples


def _at(result, minute):
    """The median of a minute's samples, in MB: `kind` is resident or anonymous."""
    samples = [s for s in result["samples"] if minute - 1 <= s["seconds"] / 60 < minute] or result["samples"][-1:]
    middle = lambda kind: sorted(s[kind] for s in samples)[len(samples) // 2] / 1024
    return middle("rss"), middle("anonymous")


def tables(result):
    minutes = [m for m in (1, 5, SETTLED_MINUTES, 20, 30, 40, 50, 60, 90, 120, 180) if m <= result["minutes"]]
    rows = [(f"{m} min", *(f"{number(mb)} MB" for mb in _at(result, m))) for m in minutes]
    return (
        table(("after", "resident", "of it anonymous"), rows)
        + f"\n\nEight services and a job of the night, {result['asked']:,} requests, {result['events']:,} events, {result['lost']:,} lost."
    )


def summary(result):
    return f"{number(_growth(result))} MB more memory between the tenth minute and the end of {result['minutes']} minutes of nine busy services"


def _growth(result):
    return _at(result, result["minutes"])[0] - _at(result, min(SETTLED_MINUTES, result["minutes"]))[0]


def goals(result):
    what = f"resident memory's growth from the tenth minute to the {result['minutes']}th"
    return [Goal(what, 2, _growth(result), " MB")] if result["minutes"] > SETTLED_MINUTES else []
