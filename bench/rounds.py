"""Contenders one after the other, in turns, so that a phase in which the machine is slow meets all of them."""

import math
import time

from . import stats


def in_rounds(bench, contenders, measure, rounds):
    """Calls `measure(contender)`, which gives a number by name, for all contenders in every round, every other round
    backwards. Ends earlier where the machine is so slow that it would take too long, but not before two rounds. Returns
    the samples by contender."""
    samples = {contender.name: [] for contender in contenders}
    end = time.monotonic() + bench.amount(3600, 60, 3600)
    for number in range(rounds):
        if number >= 2 and time.monotonic() > end:
            bench.log("that is enough: this machine is slow now")
            break
        bench.log(f"round {number + 1} of {rounds}")
        for contender in contenders[:: -1 if number % 2 else 1]:
            contender.start()
            try:
                samples[contender.name].append(measure(contender))
            finally:
                contender.stop()
    return samples


def load_in_rounds(bench, contenders, load, count, rounds):
    """The same for a load in a container: nanoseconds for one of what it does, and of that processor time."""

    def measure(contender):
        todo = max(1, count // contender.slower)
        group = bench.container_group()
        load_before, tool_before, begin = group.ns(), contender.cpu_ns(), time.monotonic_ns()
        done = bench.container.load(load, todo, contender.under)
        wall = time.monotonic_ns() - begin
        tool = contender.cpu_ns() - tool_before
        return {
            "ns": done["ns"] / done["done"],
            "cpu_ns": (group.ns() - load_before + tool) / done["done"],
            # What the load runs under is in the load's own cgroup.
            "tool_core_percent": None if contender.under else 100 * tool / wall,
            "tool_rss_kib": contender.rss_kib(),
        }

    return in_rounds(bench, contenders, measure, rounds)


def against_first(samples, key, middle=None):
    """By contender: how much more of `key` than the first contender in the same round, in percent."""
    baseline, *others = samples
    pairs = {
        name: [math.log(b[key] / a[key]) for a, b in zip(samples[baseline], samples[name])] for name in others
    }
    return {name: stats.ratio(logs, **({"middle": middle} if middle else {})) for name, logs in pairs.items()}
