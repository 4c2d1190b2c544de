"""What a web service loses: in windows within one run, and beside what else could be used in runs of its own."""

import time
from contextlib import ExitStack

from .. import stats
from ..agent import Agent
from ..contenders import Ethogram, Nothing
from ..goals import Goal, between, number, percent, table
from ..rounds import against_first, in_rounds
from ..web import Client, Service, switches, windows

KINDS = ("exec", "open", "readwrite", "tcp")


def run(bench):
    with Service(bench.nginx, bench.work) as service:
        return {"windows": _windows(bench, service), "runs": _runs(bench, service)}


def _windows(bench, service):
    seconds = bench.amount(10, 120, 900)
    bench.log(f"windows for {seconds} s")
    with ExitStack() as held:
        agent = held.enter_context(Agent())
        wide, light = agent.syscall_wide()
        arms = {"agent": switches.Trackers("ethogram", agent), "same": switches.Same("the same on both sides", agent)}
        arms["followed"] = switches.Followed("ethogram, and a stream of every event", agent)
        arms["bare"] = switches.BareTracepoint(agent)
        held.callback(arms["bare"].remove)
        if wide and light:
            arms["light"] = switches.Trackers(f"ethogram, only {', '.join(light)}", agent, light)
        client = held.enter_context(Client(service.url, seconds + 20))
        time.sleep(1)
        logs, switching = windows.measure(windows.Meter(service, client, agent), arms, seconds)
        agent.resume()
        own = _own_share(agent, service, client)
    return {
        "seconds": seconds,
        "syscall_wide": wide,
        "arms": {
            key: {"name": arms[key].name, **{which: stats.ratio(values) for which, values in found.items()}}
            for key, found in logs.items()
        },
        "switching_ms": switching,
        "own_share": own,
    }


def _own_share(agent, service, client, seconds=10):
    """What the agent itself uses under this load, with all trackers on and nothing switched."""
    meter = windows.Meter(service, client, agent)
    time.sleep(2)
    before, own, begin = meter.read(), agent.group.ns(), time.monotonic_ns()
    time.sleep(seconds)
    after, own, wall = meter.read(), agent.group.ns() - own, time.monotonic_ns() - begin
    return {
        "core_percent": 100 * own / wall,
        "of_machine_percent": 100 * own / (after[0] - before[0]),
        "of_load_percent": 100 * own / (after[1] - before[1]),
    }


def _runs(bench, service):
    tools = bench.contenders
    others = [
        tools.bpftrace(KINDS), tools.libbpf("opensnoop"), tools.sysdig(KINDS), tools.audit(("exec", "open", "tcp")),
        tools.strace_attached(KINDS, service.group().pids()),
    ]
    everyone = [Nothing(), Nothing("no agent, again"), Ethogram(), Ethogram(rules=False), Ethogram(everything=True), *tools.usable(others)]
    seconds, rounds = bench.amount((2, 1), (3, 3), (10, 10))

    def measure(contender):
        if contender.only_new:
            with Service(bench.nginx, bench.work) as anew:
                return once(contender, anew)
        return once(contender, service)

    def once(contender, service):
        with Client(service.url, seconds) as client:
            before, begin = contender.cpu_ns(), time.monotonic_ns()
            client.process.wait()
            core = 100 * (contender.cpu_ns() - before) / (time.monotonic_ns() - begin)
            found = client.result()
        return {**found, "ns": 1e9 / found["requests_per_second"], "tool_core_percent": core,
                "tool_rss_kib": contender.rss_kib()}

    samples = in_rounds(bench, everyone, measure, rounds)
    return {"seconds": seconds, "rounds": len(samples["no agent"]), "samples": samples, "time": against_first(samples, "ns")}


def tables(result):
    found, runs = result["windows"], result["runs"]
    arms = [
        (arm["name"], percent(arm["machine"]), percent(arm["load"]), arm["machine"]["pairs"])
        for arm in found["arms"].values()
        if arm["machine"]
    ]
    own = found["own_share"]
    rows = []
    for name, samples in runs["samples"].items():
        spread = {key: stats.spread([s[key] for s in samples]) for key in samples[0]}
        alone = name.startswith("no agent")
        rows.append((
            name,
            f"{number(spread['requests_per_second']['median'])} ({between(spread['requests_per_second'])})",
            percent(runs["time"].get(name)),
            f"{number(spread['p99_ms']['median'])} ms ({between(spread['p99_ms'])})",
            "-" if alone else f"{number(spread['tool_core_percent']['median'])} %",
            "-" if alone else f"{number(spread['tool_rss_kib']['median'] / 1024)} MB",
        ))
    return (
        f"In one run of {found['seconds']} s, windows of 100 ms on and off:\n\n"
        + table(("", "CPU for a packet, whole machine", "service and client alone", "quadruples"), arms)
        + f"\n\nTo that comes the agent's own CPU: {number(own['core_percent'])} % of one core, "
        f"{number(own['of_machine_percent'])} % of what the machine uses. A switch took "
        f"{number(found['switching_ms']['median'])} ms ({between(found['switching_ms'])}).\n\n"
        f"Runs of {runs['seconds']} s, {runs['rounds']} rounds:\n\n"
        + table(("", "requests/s", "time for a request", "p99", "its CPU, of one core", "its memory"), rows)
    )


def goals(result):
    found = result["windows"]
    arms, own = found["arms"], found["own_share"]
    agent, bare = arms["agent"]["machine"], arms["bare"]["machine"]
    pairs = (
        f"{agent['pairs']} quadruples: {percent(agent)} and its own {number(own['of_machine_percent'])} %, the bare one "
        f"{percent(bare)}, the same on both sides {percent(arms['same']['machine'])}"
    )
    loss = agent["percent"] + own["of_machine_percent"]
    above = loss - bare["percent"]
    error = (agent["error"] ** 2 + bare["error"] ** 2) ** 0.5
    goals = [Goal("CPU a web service loses, above one bare syscall tracepoint", 1, above, " %", error, pairs)]
    if followed := arms.get("followed", {}).get("machine"):
        # What the agent itself uses then depends on who follows.
        error = (followed["error"] ** 2 + bare["error"] ** 2) ** 0.5
        what = "the same while a stream follows every event, the agent's own not counted"
        goals.append(Goal(what, 1, followed["percent"] - bare["percent"], " %", error, f"{followed['pairs']} quadruples"))
    if light := arms.get("light", {}).get("machine"):
        what = "CPU it loses with the trackers alone that hook no system call: less than can be measured (two errors)"
        goals.append(Goal(what, 2 * light["error"], light["percent"], " %", spread=f"{light['pairs']} quadruples"))
    if not found["syscall_wide"]:
        goals.append(Goal("CPU a web service loses", 1, loss, " %", agent["error"], pairs))
    goals.append(Goal("agent CPU at that load", 1, own["core_percent"], " % of one core"))
    return goals

