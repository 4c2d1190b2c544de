"""What a load runs beside, and what every such thing can: start, stop, and say what it uses itself."""

import os
import signal
import subprocess
import time
from pathlib import Path

from . import cpu


class Nothing:
    """No agent at all."""

    # What a load's count is divided by, where the load would take minutes.
    slower = 1
    # What a command has to be run under.
    under = ()
    # Whether it sees only processes that were started after it.
    only_new = False

    def __init__(self, name="no agent"):
        self.name = name

    def start(self):
        pass

    def stop(self):
        pass

    def cpu_ns(self):
        return 0

    def rss_kib(self):
        return 0


class Program(Nothing):
    """A program that is started, and is ready when it has attached what it attaches."""

    def __init__(self, name, command, environment=None):
        super().__init__(name)
        self.command, self.environment = command, environment
        self.process = self.group = None

    def start(self):
        self.group = cpu.Group.make("tool")
        # What it prints goes nowhere: that is the cheapest for it.
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            env={**os.environ, **(self.environment or {})}, preexec_fn=self.group.join, start_new_session=True,
        )
        os.set_blocking(self.process.stderr.fileno(), False)
        self._await_ready()

    def _await_ready(self):
        """Ready is who holds links or perf events, and for a third of a second no more than before."""
        deadline, before, since = time.monotonic() + 30, 0, time.monotonic()
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} ended by itself: {self._words()}")
            if (now := self.attached()) != before:
                before, since = now, time.monotonic()
            if before and time.monotonic() - since > 0.3:
                return
            time.sleep(0.05)
        raise RuntimeError(f"{self.name} attached nothing within 30 s: {self._words()}")

    def _words(self):
        return (self.process.stderr.read() or b"").decode(errors="replace").strip()[-500:]

    def attached(self):
        """How many of the things it holds that make it see something."""
        found = 0
        for entry in Path(f"/proc/{self.process.pid}/fd").iterdir():
            try:
                kind = os.readlink(entry)
            except OSError:
                continue
            found += "perf_event" in kind or "bpf_link" in kind or "bpf-link" in kind or "/dev/scap" in kind
        return found

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process.stderr.close()
            self.group.remove()
        self.process = None

    def cpu_ns(self):
        return self.group.ns()

    def rss_kib(self):
        return cpu.resident_kib(self.process.pid)["rss"]
