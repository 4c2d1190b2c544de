"""Ethogram, and the tools that one could use instead."""

from pathlib import Path

from . import cpu
from .agent import Agent
from .audit import Audit
from .contender import Nothing, Program

HERE = Path(__file__).parent

# What is looked at, in the tool's own words.
STRACED = {"exec": "execve,clone,vfork,exit_group", "open": "openat", "readwrite": "read,write", "tcp": "connect,accept4"}
SYSDIG = {"exec": "clone,vfork,execve,procexit", "open": "open,openat", "readwrite": "read,write", "tcp": "connect,accept"}


class Ethogram(Nothing):
    """As it is configured by default, without rules, or with every event of its default trackers wanted."""

    def __init__(self, everything=False, rules=True):
        super().__init__("ethogram, every event wanted" if everything else "ethogram" if rules else "ethogram, without rules")
        self.everything, self.rules, self.agent = everything, rules, None

    def start(self):
        self.agent = Agent(self.everything, self.rules)

    def stop(self):
        if self.agent:
            self.agent.stop()
            self.agent = None

    def cpu_ns(self):
        return self.agent.group.ns()

    def rss_kib(self):
        return cpu.resident_kib(self.agent.pid)["rss"]


class Strace(Nothing):
    """Runs the load under itself."""

    def __init__(self, calls):
        super().__init__("strace")
        self.under = ("/usr/bin/strace", "--follow-forks", "--output=/dev/null", f"--trace={calls}")


class AttachedStrace(Program):
    """Attached to processes that run already."""

    def __init__(self, calls, pids):
        which = [f"--attach={pid}" for pid in pids]
        super().__init__("strace", ["strace", "--follow-forks", "--output=/dev/null", f"--trace={calls}", *which])
        self.pids = pids

    def attached(self):
        ours = f"TracerPid:\t{self.process.pid}\n"
        return sum(ours in Path(f"/proc/{pid}/status").read_text() for pid in self.pids)


def _slowed(contender, slower):
    """Given a smaller load, so that the whole does not take too long."""
    contender.slower = slower
    return contender


class Contenders:
    """Those of a machine: what is missing or refuses to start is left out, with its reason."""

    def __init__(self, tools, work):
        self.tools, self.work = Path(tools), Path(work)
        self.left_out = {}

    def bpftrace(self, kinds, slower=1):
        script = self.work / f"{'-'.join(kinds)}.bt"
        script.write_text("".join((HERE / "trace" / f"{kind}.bt").read_text() for kind in kinds))
        return _slowed(Program("bpftrace", ["bpftrace", script], {"BPFTRACE_STRLEN": "200"}), slower)

    def sysdig(self, kinds, slower=1):
        """By its own kernel module or probe, which most machines have to build first."""
        events = ",".join(SYSDIG[kind] for kind in kinds)
        return _slowed(Program("sysdig", ["sysdig", f"evt.type in ({events})"]), slower)

    def audit(self, kinds, slower=1):
        return _slowed(Audit(kinds, self.tools, self.work / "audit"), slower)

    def strace(self, kinds, slower=10):
        return _slowed(Strace(",".join(STRACED[kind] for kind in kinds)), slower)

    def strace_attached(self, kinds, pids):
        return AttachedStrace(",".join(STRACED[kind] for kind in kinds), pids)

    def libbpf(self, name, slower=1):
        return _slowed(Program(f"{name} (libbpf-tools)", [name]), slower)

    def usable(self, contenders):
        """Those of them that start here."""
        return [c for c in contenders if self._starts(c)]

    def _starts(self, contender):
        try:
            contender.start()
        except (RuntimeError, OSError) as error:
            self.left_out[contender.name] = str(error).splitlines()[0]
            return False
        finally:
            contender.stop()
        return True
