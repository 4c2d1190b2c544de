"""The program of a guest: measures, and prints what it found as one line of JSON.

The guest's clock counts instructions, one a nanosecond, and its one processor is never idle under the load. So the time that
a packet takes is the number of instructions that the whole machine spends on it."""

import json
import math
import platform
import sys
import time
from pathlib import Path

from .. import stats
from ..agent import Agent
from ..web import Client, windows
from ..scenarios import event
from .service import Service


class Meter(windows.Meter):
    """By the clock: what the kernel says of the whole machine's time is only as exact as its tick."""

    seconds = 1.0

    def read(self):
        load = sum(group.ns() for group in self.load)
        return time.monotonic_ns() - self.agent.group.ns(), load, self.service.packets()


def main(seconds, avoid):
    Agent.binary = Path("/ethogram")
    Agent.avoid = [kind for kind in avoid.split(",") if kind]
    with Service() as service, Agent() as agent, Client(service.url, 100_000) as client:
        meter = Meter(service, client, agent)
        agent.resume()
        # The first seconds of so many connections cost less than all that come later.
        time.sleep(5)
        if not client.runs():
            raise RuntimeError(f"the client ended:\n{client.process.stdout.read()}")
        before = _measure(meter, agent, seconds)
        _approve(agent)
        # A known behaviour becomes a habit in the kernel within a moment of being seen once more.
        time.sleep(3)
        after = _measure(meter, agent, seconds)
        attached = {name: _attached(tracker) for name, tracker in agent.trackers().items()}
    return {"kernel": platform.release(), "seconds": seconds, "attached": attached, "before": before, "after": after}


def _approve(agent):
    """What was learnt so far is what is normal: without waiting for the end of learning."""
    profiles = agent.api.ask("GET", "/v1/profiles")
    for profile in profiles:
        agent.api.ask("POST", f"/v1/profiles/{profile['id']}/approve")
    if not profiles:
        raise RuntimeError("no profile was learnt")


def _measure(meter, agent, seconds):
    """All on, off, off and on again, each for a while: what drifts falls out. One switch takes ten seconds here, as the kernel waits for
    all of its tasks at each program, so windows cannot take turns as they do elsewhere."""
    idle, stretches = _idle_ticks(), []
    for on in (True, False, False, True):
        (agent.resume if on else agent.pause)()
        time.sleep(1)
        stretches.append([meter.window()[0] for _ in range(seconds)])
    idle = _idle_ticks() - idle
    on, off, again, back = ([math.log(window) for window in stretch] for stretch in stretches)
    logs = {"agent": [a - b for a, b in zip(on + back, off + again)], "same": [a - b for a, b in zip(off, again)]}
    return {
        "idle_ticks": idle,
        "arms": {name: stats.ratio(found) for name, found in logs.items()},
        "own": _own(meter, agent, seconds),
        "programs": _by_program(meter, agent),
    }


def _by_program(meter, agent):
    """What each program costs a packet, in instructions. Their own counting is in it."""
    event.SWITCH.write_text("1")
    before, (_, _, packets) = event.programs(agent.pid), meter.read()
    time.sleep(2)
    after, packets = event.programs(agent.pid), meter.read()[2] - packets
    event.SWITCH.write_text("0")
    found = {}
    for id, program in after.items():
        earlier = before.get(id, {"ns": 0, "runs": 0})
        runs, ns = program["runs"] - earlier["runs"], program["ns"] - earlier["ns"]
        if runs:
            found[f"{program['name']} #{id}"] = {"runs_per_packet": runs / packets, "per_run": ns / runs, "per_packet": ns / packets}
    return dict(sorted(found.items(), key=lambda item: -item[1]["per_packet"]))


def _own(meter, agent, seconds):
    """Instructions for a packet, and the share of them that is the agent's own, with all on and nothing switched."""
    (before, _, packets), own, begin = meter.read(), agent.group.ns(), time.monotonic_ns()
    time.sleep(seconds)
    after, wall = meter.read(), time.monotonic_ns() - begin
    return {"share_percent": 100 * (agent.group.ns() - own) / wall, "per_packet": (after[0] - before) / (after[2] - packets)}


def _attached(tracker):
    return sorted({p["attach"].split("/")[0] for p in tracker["programs"] if p["state"] == "attached"})


def _idle_ticks():
    return int(Path("/proc/stat").read_text().split()[4])


if __name__ == "__main__":
    print("@@ figures " + json.dumps(main(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "")), flush=True)
