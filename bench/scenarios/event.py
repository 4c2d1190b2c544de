"""What one event costs: in the kernel, in the reader and in the engine."""

import json
import subprocess
import time
from pathlib import Path

from .. import cpu
from ..agent import Agent, difference
from ..goals import Goal, number, table

SWITCH = Path("/proc/sys/kernel/bpf_stats_enabled")

# By load: how much of it.
LOADS = {"processes": 2000, "opens": 50_000, "reads": 500_000, "files": 30_000}
# The same, where the agent knows by then that it is all that the container does, or that nothing asks for it.
KNOWN = {"rewrites": 100_000, "reopens": 100_000}
HABIT = "rewrites"


def run(bench):
    share = bench.amount(0.1, 1, 5)
    before = SWITCH.read_text()
    SWITCH.write_text("1")
    try:
        with bench.load_container() as container, Agent(everything=True) as agent:
            found = _measure_all(container, agent, LOADS, share)
        with bench.load_container() as container, Agent(more='[behaviour]\nlearning_period = "5s"') as agent:
            _await_habits(container, agent)
            known = _measure_all(container, agent, KNOWN, share)
            return found | {f"{name}, known": measured for name, measured in known.items()}
    finally:
        SWITCH.write_text(before)


def _await_habits(container, agent):
    """Until what is done again and again is only counted."""
    deadline = time.monotonic() + 120
    counted = agent.counters()["open"]["aggregated"]
    while agent.counters()["open"]["aggregated"] == counted:
        if time.monotonic() > deadline:
            raise RuntimeError(f"'{HABIT}' has not become a habit: is its profile stable? {agent.api.ask('GET', '/v1/profiles')}")
        container.load(HABIT, 10)


def _measure_all(container, agent, loads, share):
    return {name: _measure(container, agent, name, max(1, int(share * count))) for name, count in loads.items()}


def _measure(container, agent, load, count):
    counters, before, threads = agent.settled_counters(), programs(agent.pid), cpu.threads_ns(agent.pid)
    container.load(load, count)
    events = difference(agent.settled_counters(), counters)
    ran = {}
    for id, after in programs(agent.pid).items():
        earlier = before.get(id, {"ns": 0, "runs": 0})
        runs, ns = after["runs"] - earlier["runs"], after["ns"] - earlier["ns"]
        if runs:
            ran[f"{after['name']} #{id}"] = {"runs": runs, "ns": ns, "ns_per_run": ns / runs}
    spent = {name: ns - threads.get(name, 0) for name, ns in cpu.threads_ns(agent.pid).items()}
    return {
        "count": count,
        "events": events,
        "programs": ran,
        "kernel_ns_per_event": sum(p["ns"] for p in ran.values()) / max(1, events["seen"]),
        # A few that happen to come along say nothing about what one costs.
        "threads_ns_per_delivered": {name: ns / events["delivered"] for name, ns in spent.items() if ns > 0}
        if events["delivered"] > count // 2
        else {},
    }


def programs(pid):
    """By id, the programs that a process holds: name, nanoseconds and runs so far."""
    held = set()
    for entry in Path(f"/proc/{pid}/fdinfo").iterdir():
        try:
            held |= {int(line.split()[1]) for line in entry.read_text().splitlines() if line.startswith("prog_id:")}
        except OSError:
            continue
    shown = json.loads(subprocess.run(["bpftool", "--json", "prog", "show"], capture_output=True, check=True).stdout)
    return {
        p["id"]: {"name": p.get("name", "?"), "ns": p.get("run_time_ns", 0), "runs": p.get("run_cnt", 0)}
        for p in shown
        if p["id"] in held
    }


def tables(result):
    loads = [
        (
            name,
            *(f"{r['events'][s]:,}" for s in ("seen", "delivered", "aggregated")),
            number(r["kernel_ns_per_event"]),
            number(r["threads_ns_per_delivered"].get("reader")),
            number(r["threads_ns_per_delivered"].get("engine")),
        )
        for name, r in result.items()
    ]
    rows = [
        (load, name, f"{p['runs']:,}", number(p["ns_per_run"]))
        for load, r in result.items()
        for name, p in sorted(r["programs"].items(), key=lambda item: -item[1]["ns"])
        if p["ns"] > 0.01 * sum(q["ns"] for q in r["programs"].values())
    ]
    return (
        table(
            ("load", "seen", "delivered", "aggregated", "kernel, ns an event", "reader, ns a delivered one",
             "engine, ns a delivered one"),
            loads,
        )
        + "\n\nBy program, those with more than 1 % of a load's time:\n\n"
        + table(("load", "program", "runs", "ns a run"), rows)
    )


def goals(result):
    counted = result["reads"]["kernel_ns_per_event"]
    times = lambda load: result[f"{load}, known"]["kernel_ns_per_event"] / counted
    return [
        Goal("kernel time for an event, counted (reads)", 300, result["reads"]["kernel_ns_per_event"], " ns"),
        Goal("kernel time for an event, habitual (opens)", 300, result["rewrites, known"]["kernel_ns_per_event"], " ns"),
        Goal("the same, as many times a counted read", 1.2, times("rewrites"), ""),
        Goal("an ordinary open, as many times a counted read", 1.2, times("reopens"), ""),
        Goal("kernel time for an event, delivered (opens)", 1500, result["opens"]["kernel_ns_per_event"], " ns"),
    ]
