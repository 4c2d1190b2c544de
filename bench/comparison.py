"""A load in a container, alone and beside each contender: what processes, build, files and pipe have in common."""

from statistics import median

from . import stats
from .contenders import Ethogram, Nothing
from .goals import Goal, number, percent, table
from .rounds import against_first, load_in_rounds


def compare(bench, load, count, rounds, others):
    """`others` are what a user would pick instead. The second run without an agent shows what noise alone makes."""
    everyone = [Nothing(), Nothing("no agent, again"), Ethogram(), Ethogram(everything=True), *bench.contenders.usable(others)]
    with bench.load_container():
        samples = load_in_rounds(bench, everyone, load, count, rounds)
    return {
        "load": load,
        "count": count,
        "rounds": len(samples["no agent"]),
        "shortened": {c.name: count // c.slower for c in everyone if c.slower > 1},
        "samples": samples,
        "wall": against_first(samples, "ns"),
        "cpu": against_first(samples, "cpu_ns"),
        "spread": {name: stats.spread([s["ns"] for s in all]) for name, all in samples.items()},
        "left_out": dict(bench.contenders.left_out),
    }


def comparison_table(result, each):
    """`each` is what one of it is called."""
    rows = []
    for name, samples in result["samples"].items():
        spread = result["spread"][name]
        alone = name.startswith("no agent") or samples[0]["tool_core_percent"] is None
        rows.append((
            name,
            f"{number(spread['median'] / 1000)} µs ({number(spread['least'] / 1000)} to {number(spread['most'] / 1000)})",
            percent(result["wall"].get(name)),
            percent(result["cpu"].get(name)),
            "-" if alone else f"{number(median(s['tool_core_percent'] for s in samples))} %",
            "-" if alone else f"{number(median(s['tool_rss_kib'] for s in samples) / 1024)} MB",
        ))
    columns = ("", f"time for {each} (spread)", "time", "CPU, its own included", "its CPU, of one core", "its memory")
    notes = [f"{number(result['count'])} a run, {result['rounds']} rounds; changes against no agent in the same round."]
    notes += [f"{name}: {number(count)} a run." for name, count in result["shortened"].items()]
    return table(columns, rows) + "\n\n" + " ".join(notes)


def loss_goal(what, result, limit):
    ratio, same = result["cpu"]["ethogram"], result["cpu"]["no agent, again"]
    spread = f"{ratio['pairs']} pairs, no agent on both sides {percent(same)}"
    return Goal(what, limit, ratio["percent"], " %", ratio["error"], spread)
