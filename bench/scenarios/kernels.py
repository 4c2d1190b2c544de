"""What the web service loses in kernels that hook single functions: emulated, and counted in instructions."""

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor

from ..goals import Goal, number, percent, table
from .learning import PHASES

# By the kernel's version, kinds of attach points to do without.
GUESTS = {"6.1": "", "6.12": ""}
GOAL = "6.12"


def run(bench):
    seconds = bench.amount(1, 5, 20)

    def measure(kernel):
        command = ["script/kernels/cost", kernel, str(seconds), bench.binary, bench.nginx, GUESTS[kernel]]
        return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL).stdout)

    bench.log(f"{', '.join(GUESTS)} in stretches of {seconds} s of 10^9 instructions")
    # Each is one thread.
    with ThreadPoolExecutor(2) as two:
        return dict(zip(GUESTS, two.map(measure, GUESTS)))


def tables(result):
    rows, programs = [], []
    for kernel, found in result.items():
        for phase, words in PHASES.items():
            of = found[phase]
            each = of["own"]["per_packet"]
            rows.append((
                f"{kernel}, {words}", percent(of["arms"]["agent"]), percent(of["arms"]["same"]),
                f"{number(of['own']['share_percent'])} %", number(each),
            ))
            programs += [
                (f"{kernel}, {words}", name, f"{p['runs_per_packet']:.2f}", number(p["per_run"]), f"{100 * p['per_packet'] / each:.2f} %")
                for name, p in of["programs"].items()
                if p["per_packet"] > 0.0005 * each
            ]
    return (
        table(
            ("kernel", "ethogram", "the same on both sides", "the agent's own share", "instructions a packet"),
            rows,
        )
        + "\n\nBy program, as the kernel counts them, its own counting included:\n\n"
        + table(("kernel", "program", "runs a packet", "instructions a run", "of a packet's"), programs)
    )


def summary(result):
    before, after = (_loss(result[GOAL], phase) for phase in ("before", "after"))
    return (
        f"on Linux {GOAL}, which can hook single functions, a web service loses {number(before)} % of its instructions while it is "
        f"learnt and {number(after)} % once it is known"
    )


def goals(result):
    what = "instructions a web service loses where single functions can be hooked, the agent's own included"
    return [_goal(what, 1, result[GOAL], "before"), _goal("the same once it is known", 0.5, result[GOAL], "after")]


def _loss(found, phase):
    """In percent, the agent's own share included."""
    return found[phase]["arms"]["agent"]["percent"] + found[phase]["own"]["share_percent"]


def _goal(what, limit, found, phase):
    of = found[phase]
    arm = of["arms"]["agent"]
    spread = f"{arm['pairs']} pairs of a second, the same on both sides {percent(of['arms']['same'])}; Linux {found['kernel']}"
    return Goal(what, limit, _loss(found, phase), " %", arm["error"], spread)
