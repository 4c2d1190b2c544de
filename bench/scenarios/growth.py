"""More and more containers: asleep, then with one event a second each."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

from .. import cpu
from ..agent import Agent, difference
from ..containers import LOAD_IMAGE, LABEL, docker
from ..goals import Goal, number, table

# Nothing that a sleeping container does not need: they start several times faster so.
OPTIONS = ("--network", "none", "--log-driver", "none", "--label", LABEL, "--stop-signal", "SIGKILL")


def run(bench):
    steps, seconds = bench.amount(((1, 4), 2), ((1, 10, 100), 8), ((1, 10, 100, 500), 30))
    result, pids = [], {}
    bench.make_load_image()
    with Agent() as agent:
        for step in steps:
            bench.log(f"{step} containers")
            begin = time.monotonic()
            pids.update(_start(step - len(pids)))
            started = time.monotonic() - begin
            _await_names(agent, pids)
            asleep = _measure(agent, seconds)
            _signal(pids, signal.SIGUSR1)
            ticking = _measure(agent, seconds)
            _signal(pids, signal.SIGUSR2)
            result.append({"containers": step, "started_in_seconds": started, "asleep": asleep, "ticking": ticking})
    return result


def _start(count):
    """Pids by container."""

    def one(_):
        return docker("run", "--detach", *OPTIONS, LOAD_IMAGE, "/bench/tick")

    with ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(one, range(count)))
    pids = {}
    for at in range(0, len(ids), 50):
        some = ids[at : at + 50]
        pids.update(zip(some, map(int, docker("inspect", "--format", "{{.State.Pid}}", *some).split())))
    return pids


def _signal(pids, which):
    for pid in pids.values():
        os.kill(pid, which)


def _await_names(agent, pids):
    deadline = time.monotonic() + 60
    while pids.keys() - {c["id"] for c in agent.api.ask("GET", "/v1/containers") if c.get("name")}:
        if time.monotonic() > deadline:
            raise RuntimeError(f"after a minute the agent does not know all {len(pids)} containers")
        time.sleep(0.2)


def _measure(agent, seconds):
    counters, ns, begin = agent.settled_counters(2), agent.group.ns(), time.monotonic_ns()
    time.sleep(seconds)
    ns, wall = agent.group.ns() - ns, time.monotonic_ns() - begin
    events = difference(agent.counters(), counters)
    return {
        **cpu.resident_kib(agent.pid),
        "kernel_kib": agent.kernel_memory_kib(),
        "core_percent": 100 * ns / wall,
        "events_per_second": events["delivered"] / (wall / 1e9),
    }


def _event_cost(step):
    """What the agent uses beyond what it uses anyway, for each event."""
    asleep, ticking = step["asleep"], step["ticking"]
    events = ticking["events_per_second"] - asleep["events_per_second"]
    ns = 1e7 * (ticking["core_percent"] - asleep["core_percent"])
    return f"{number(ns / events / 1000)} µs" if events > 0 and ns > 0 else "not measurable"


def tables(result):
    rows = []
    for step in result:
        for state in ("asleep", "ticking"):
            m = step[state]
            rows.append((
                f"{step['containers']}, {state}", f"{number(m['rss'] / 1024)} MB", f"{number(m['pss'] / 1024)} MB",
                f"{number(m['kernel_kib'] / 1024)} MB", f"{number(m['core_percent'])} %", number(m["events_per_second"]),
                _event_cost(step) if state == "ticking" else "-",
            ))
    columns = (
        "containers", "resident", "proportional", "in the kernel", "CPU, of one core", "events/s", "agent's CPU for one",
    )
    return table(columns, rows)


def summary(result):
    step = max((step for step in result if step["containers"] <= 10), key=lambda step: step["containers"])
    megabytes = max(step[state]["rss"] for state in ("asleep", "ticking")) / 1024
    return f"{number(megabytes)} MB of memory with {step['containers']} containers"


def goals(result):
    limits = {10: 30, 500: 60}
    return [
        Goal(f"resident memory with {step['containers']} containers", limits[step["containers"]],
             max(step[state]["rss"] for state in ("asleep", "ticking")) / 1024, " MB")
        for step in result
        if step["containers"] in limits
    ]
