"""As many distinct events as the processors can make: is every one accounted for, and are counts exact afterwards?"""

import threading
import time

from ..agent import STAGES, Agent, difference, unaccounted
from ..goals import Goal, number, table

# What is counted one by one after the flood.
KNOWN = 1000


def run(bench):
    seconds = bench.amount(3, 20, 60)
    with bench.load_container() as container:
        alone = container.load("flood", seconds // 3)
        with Agent() as agent:
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
    """Known numbers of processes and opens, and how many of them arrive."""
    found = {"exec": set(), "open": set()}
    ended = threading.Event()

    def count():
        stream = agent.api.follow(f"/v1/events?container={container.id[:12]}")
        try:
            for event in stream:
                process, path = event.get("process", {}), event.get("file", {}).get("path", "")
                if event["event"] == "exec" and process.get("executable", {}).get("path") == "/bench/nothing":
                    found["exec"].add(process["pid"])
                elif event["event"] == "open" and path.startswith("/work/open-"):
                    found["open"].add(path)
                if ended.is_set() and all(len(f) >= KNOWN for f in found.values()):
                    return
        except (TimeoutError, OSError):
            pass  # Nothing more comes.

    counter = threading.Thread(target=count)
    counter.start()
    time.sleep(0.5)  # The stream has no first line to wait for.
    container.load("processes", KNOWN)
    container.load("opens", KNOWN)
    ended.set()
    container.load("pipe", 1)  # One more event, for a counter that waits for it.
    counter.join()
    return {"caused": KNOWN, **{kind: len(names) for kind, names in found.items()}}


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
