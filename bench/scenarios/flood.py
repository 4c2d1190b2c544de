"""As many distinct events as the processors can make: is every one accounted for, and are counts exact afterwards?"""

import threading
import time

from ..agent import STAGES, Agent, difference, unaccounted
from ..goals import Goal, number, table

# What is counted one by one after the flood.
PARTS, PART = 10, 100


def run(bench):
    seconds = bench.amount(3, 60, 60)
    with bench.load_container() as container:
        alone = container.load("flood", max(1, seconds // 6))
        with Agent(everything=True) as agent:
            return {"files_per_second_alone": _rate(alone), **_flood(container, agent, seconds)}


def _rate(flood):
    return 1e9 * flood["done"] / flood["ns"]


def _flood(container, agent, seconds):
    before, cpu = agent.settled_counters(), agent.group.ns()
    flood = container.load("flood", seconds)
    during = difference(agent.counters(), before)
    cpu = agent.group.ns() - cpu
    after = agent.settled_counters(30)
    events = difference(after, before)
    return {
        "seconds": flood["ns"] / 1e9,
        "files_per_second": _rate(flood),
        "events": events,
        "seen_per_second": 1e9 * during["seen"] / flood["ns"],
        "by_tracker": {name: difference({name: after[name]}, before) for name in after},
        "unaccounted": unaccounted(events),
        "agent_core_percent": 100 * cpu / flood["ns"],
        "afterwards": exact(container, agent),
    }


def exact(container, agent):
    """Known numbers of processes and opens, and how many of them arrive. In small parts, and each only when the one
    before has arrived: a stream leaves out what its reader is too slow for."""
    follower = Follower(agent, container)
    for part in range(1, PARTS + 1):
        container.load("processes", PART)
        container.load("opens", PART)
        follower.await_events(part * PART)
    return {"caused": PARTS * PART, "exec": follower.processes, "open": follower.opens}


class Follower:
    """Counts the events of a container's known processes and opens as the agent's stream brings them."""

    def __init__(self, agent, container):
        self.processes = self.opens = 0
        self.last = None
        lines = agent.api.follow(f"/v1/events?container={container.id[:12]}")
        threading.Thread(target=self._count, args=(lines,), daemon=True).start()
        deadline = time.monotonic() + 30
        # A stream says nothing when it begins; something that is not counted shows it.
        while self.last is None:
            container.load("pipe", 1)
            self._check(deadline)
        # The rest of the flood comes first.
        while time.monotonic() - self.last < 1:
            self._check(deadline)

    @staticmethod
    def _check(deadline):
        if time.monotonic() > deadline:
            raise RuntimeError("the agent's stream does not begin, or the flood in it does not end")
        time.sleep(0.1)

    def _count(self, lines):
        try:
            for event in lines:
                self.last = time.monotonic()
                executable = event.get("process", {}).get("executable", {}).get("path")
                self.processes += event["event"] == "exec" and executable == "/bench/nothing"
                self.opens += event["event"] == "open" and event["file"]["path"].startswith("/scratch/open-")
        except OSError:
            pass  # Nothing comes any more.

    def await_events(self, count):
        """Until so many of both have come, or nothing has for some seconds."""
        last, since = None, time.monotonic()
        while min(self.processes, self.opens) < count and time.monotonic() - since < 4:
            if (now := (self.processes, self.opens)) != last:
                last, since = now, time.monotonic()
            time.sleep(0.02)


def tables(result):
    rows = [(name, *(f"{e[s]:,}" for s in STAGES), f"{unaccounted(e):,}") for name, e in result["by_tracker"].items()]
    rows.append(("all", *(f"{result['events'][s]:,}" for s in STAGES), f"{result['unaccounted']:,}"))
    after = result["afterwards"]
    return (
        table(("tracker", *STAGES, "unaccounted"), rows)
        + f"\n\n{number(result['seconds'])} s, {number(result['files_per_second'])} files/s, of which each is opened, written, "
        f"read and closed ({number(result['files_per_second_alone'])} without the agent), {number(result['seen_per_second'])} "
        f"events/s seen, the agent at {number(result['agent_core_percent'])} % of one core. Afterwards, of {after['caused']:,} processes and as many "
        f"opens: {after['exec']:,} and {after['open']:,} arrived."
    )


def goals(result):
    after = result["afterwards"]
    missing = 2 * after["caused"] - after["exec"] - after["open"]
    return [
        Goal("a flood: events seen in a second", 500_000, result["seen_per_second"], "", at_least=True),
        Goal("a flood: events unaccounted for", 0, abs(result["unaccounted"]), ""),
        Goal("after the flood: known events that did not arrive", 0, abs(missing), ""),
    ]
