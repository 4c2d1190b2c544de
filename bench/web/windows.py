"""What a running service loses: windows of a tenth of a second with and without, in the order A B B A or B A A B, in
one run of the client. Separate runs differ by far more than what is looked for."""

import math
import time

from .. import cpu, stats

WINDOW = 0.1
# In this order, again and again: what the goals are about most often.
TURNS = ("agent", "bare", "same", "agent", "bare", "followed", "agent", "bare", "light")


class Meter:
    """Processor time for a packet. The agent's own is left out: it comes later than the window, and is added apart."""

    seconds = WINDOW

    def __init__(self, service, client, agent):
        self.service, self.agent = service, agent
        self.load = [service.group(), client.group]

    def read(self):
        """Nanoseconds of the machine without the agent and of the load, and packets, so far."""
        load = sum(group.ns() for group in self.load)
        return cpu.machine_ns() - self.agent.group.ns(), load, self.service.packets()

    def window(self):
        """Nanoseconds for a packet: of the whole machine, and of the service and its client alone."""
        before = self.read()
        time.sleep(self.seconds)
        machine, load, packets = (b - a for a, b in zip(before, self.read()))
        return machine / packets, load / packets


def measure(meter, switches, seconds):
    """Log ratios by switch, each of four windows, for the machine and for the load; and how long a switch took."""
    logs = {name: {"machine": [], "load": []} for name in switches}
    turns = [name for name in TURNS if name in switches]
    switching, until, turn = [], time.monotonic() + seconds, 0
    while time.monotonic() < until:
        name = turns[turn % len(turns)]
        order = (False, True, True, False) if turn // len(turns) % 2 else (True, False, False, True)
        turn += 1
        sums = {False: [0.0, 0.0], True: [0.0, 0.0]}
        for on in order:
            begin = time.monotonic()
            (switches[name].on if on else switches[name].off)()
            switching.append(1000 * (time.monotonic() - begin))
            for i, value in enumerate(meter.window()):
                sums[on][i] += math.log(value) / 2
        switches[name].off()
        for i, which in enumerate(("machine", "load")):
            logs[name][which].append(sums[True][i] - sums[False][i])
    return logs, stats.spread(switching)
