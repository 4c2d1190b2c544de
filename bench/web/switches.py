"""What is switched on and off within a running service, in milliseconds. On and off say how everything is, whatever was
on before."""

import subprocess
from pathlib import Path

TRACEFS = Path("/sys/kernel/tracing")
TRACING = TRACEFS / "instances/ethogram-bench"


class Trackers:
    """Some of the agent's trackers, all others paused: programs are detached, so off costs nothing."""

    def __init__(self, name, agent, names=()):
        self.name, self.agent, self.names = name, agent, names

    def on(self):
        if self.names:
            self.agent.pause()
        self.agent.resume(self.names)

    def off(self):
        self.agent.pause()


class Followed(Trackers):
    """All trackers, and a stream that follows every event. What that costs the agent itself is not in it."""

    stream = None

    def on(self):
        self.stream = self.stream or self.agent.api.open("/v1/events")
        super().on()

    def off(self):
        super().off()
        if self.stream:
            self.stream.close()
            self.stream = None


class Same:
    """The same on both sides: what comes out is noise."""

    def __init__(self, name, agent):
        self.name, self.agent = name, agent

    def on(self):
        self.agent.resume()

    off = on


class BareTracepoint:
    """One tracepoint on the exit of one system call, without any program: the least that looking at system calls by
    tracepoint can cost."""

    name = "one bare syscall tracepoint"
    file = TRACING / "events/syscalls/sys_exit_openat/enable"

    def __init__(self, agent):
        self.agent = agent
        if not (TRACEFS / "events").exists():
            subprocess.run(["mount", "-t", "tracefs", "tracefs", TRACEFS], check=True)
        TRACING.mkdir(exist_ok=True)
        (TRACING / "buffer_size_kb").write_text("64")

    def on(self):
        self.agent.pause()
        self.file.write_text("1")

    def off(self):
        self.agent.pause()
        self.file.write_text("0")

    def remove(self):
        self.file.write_text("0")
        TRACING.rmdir()
