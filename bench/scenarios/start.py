"""The binary, and from its start to every default tracker attached."""

from .. import stats
from ..agent import Agent
from ..goals import Goal, between, number


def run(bench):
    usual, times = [], []
    for _ in range(bench.amount(2, 9, 15)):
        with Agent() as agent:
            usual.append(1000 * agent.start_seconds)
        with Agent(everything=True) as agent:
            times.append(1000 * agent.start_seconds)
            trackers = agent.trackers()
    missing = [name for name, t in trackers.items() if t["default"] and t["state"] != "running"]
    return {
        "binary_bytes": bench.binary.stat().st_size,
        "ready_ms": stats.spread(times),
        "usually_ready_ms": stats.spread(usual),
        "trackers": sorted(trackers),
        "not_running": missing,
    }


def tables(result):
    ready, usual = result["ready_ms"], result["usually_ready_ms"]
    return (
        f"Release binary: {number(result['binary_bytes'] / 1e6)} MB. Ready, with all of {', '.join(result['trackers'])} "
        f"attached: {number(ready['median'])} ms ({between(ready)}, {ready['runs']} runs). With all loaded, and those attached "
        f"that profiles need: {number(usual['median'])} ms ({between(usual)})."
    )


def summary(result):
    return f"one static binary of {number(result['binary_bytes'] / 1e6)} MB"


def goals(result):
    ready = result["ready_ms"]
    return [
        Goal("one static binary", 12, result["binary_bytes"] / 1e6, " MB"),
        Goal("from start to every default tracker attached", 300, ready["median"], " ms", spread=between(ready)),
    ]
