"""What a load runs beside: nothing, Ethogram, or what somebody would use instead. Each starts and stops cleanly."""

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

from . import cpu
from .agent import Agent

HERE = Path(__file__).parent

# What is looked at, in each tool's own words.
AUDITED = {"exec": ("execve",), "open": ("openat",), "readwrite": ("read", "write"), "tcp": ("connect", "accept4")}
STRACED = {"exec": "execve,clone,vfork,exit_group", "open": "openat", "readwrite": "read,write", "tcp": "connect,accept4"}


class Nothing:
    """No agent at all."""

    # What a load's count is divided by, where the load would take minutes.
    slower = 1
    # What a command has to be run under.
    under = ()

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


class Ethogram(Nothing):
    def __init__(self):
        super().__init__("ethogram")
        self.agent = None

    def start(self):
        self.agent = Agent()

    def stop(self):
        if self.agent:
            self.agent.stop()
            self.agent = None

    def cpu_ns(self):
        return self.agent.group.ns()

    def rss_kib(self):
        return cpu.resident_kib(self.agent.pid)["rss"]


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
            if (now := self._attached()) != before:
                before, since = now, time.monotonic()
            if before and time.monotonic() - since > 0.3:
                return
            time.sleep(0.05)
        raise RuntimeError(f"{self.name} attached nothing within 30 s: {self._words()}")

    def _words(self):
        return (self.process.stderr.read() or b"").decode(errors="replace").strip()[-500:]

    def _attached(self):
        found = 0
        for entry in Path(f"/proc/{self.process.pid}/fd").iterdir():
            try:
                kind = os.readlink(entry)
            except OSError:
                continue
            found += "perf_event" in kind or "bpf_link" in kind or "bpf-link" in kind
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


class Audit(Program):
    """auditd with a rule for the calls. Rules of others are left alone; where a daemon listens already, it cannot run."""

    def __init__(self, name, calls, root, work):
        self.root, self.work = Path(root), Path(work)
        environment = {"LD_LIBRARY_PATH": ":".join(str(p) for p in self.root.glob("**/*-linux-gnu"))}
        super().__init__(name, [self.root / "sbin/auditd", "-n", "-c", self.work], environment)
        self.rules = [part for call in calls for part in ("-S", call)]

    def _auditctl(self, *args):
        command = [self.root / "sbin/auditctl", *args]
        done = subprocess.run(command, env={**os.environ, **self.environment}, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"auditctl {' '.join(args)}: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    def start(self):
        if (pid := re.search(r"^pid (\d+)", self._auditctl("-s"), re.M)) and pid[1] != "0":
            raise RuntimeError(f"process {pid[1]} receives the audit events already")
        self.work.mkdir(parents=True, exist_ok=True)
        self.work.chmod(0o750)
        (self.work / "auditd.conf").write_text(
            f"log_file = {self.work}/audit.log\nlog_format = RAW\nflush = INCREMENTAL_ASYNC\nfreq = 50\n"
            "max_log_file = 50\nnum_logs = 2\nmax_log_file_action = ROTATE\nspace_left = 75\n"
            "space_left_action = IGNORE\nadmin_space_left = 50\nadmin_space_left_action = IGNORE\n"
            "disk_full_action = IGNORE\ndisk_error_action = IGNORE\nlocal_events = yes\n"
        )
        super().start()
        self._auditctl("-b", "8192")
        self._auditctl("-a", "always,exit", "-F", "arch=b64", *self.rules, "-k", "ethogram-bench")

    def _attached(self):
        return f"pid {self.process.pid}" in self._auditctl("-s")

    def stop(self):
        if self.process:
            subprocess.run(
                [self.root / "sbin/auditctl", "-d", "always,exit", "-F", "arch=b64", *self.rules, "-k", "ethogram-bench"],
                env={**os.environ, **self.environment}, capture_output=True,
            )
            self.process.send_signal(signal.SIGTERM)
            super().stop()
            self._auditctl("-e", "0")
            shutil.rmtree(self.work, ignore_errors=True)


class Strace(Nothing):
    """Runs the load under itself."""

    def __init__(self, calls, slower):
        super().__init__("strace")
        self.under = ("/usr/bin/strace", "--follow-forks", "--output=/dev/null", f"--trace={calls}")
        self.slower = slower


class AttachedStrace(Program):
    """Attached to processes that run already."""

    def __init__(self, calls, pids):
        which = [f"--attach={pid}" for pid in pids]
        super().__init__("strace", ["strace", "--follow-forks", "--output=/dev/null", f"--trace={calls}", *which])
        self.pids = pids

    def _attached(self):
        ours = f"TracerPid:\t{self.process.pid}\n"
        return sum(ours in Path(f"/proc/{pid}/status").read_text() for pid in self.pids)


class Contenders:
    """Those of a machine: what is missing or refuses to start is left out, with its reason."""

    def __init__(self, tools, work):
        self.tools, self.work = Path(tools), Path(work)
        self.left_out = {}

    def bpftrace(self, kinds):
        script = self.work / f"{'-'.join(kinds)}.bt"
        script.write_text("".join((HERE / "trace" / f"{kind}.bt").read_text() for kind in kinds))
        return Program("bpftrace", ["bpftrace", script], {"BPFTRACE_STRLEN": "200"})

    def audit(self, kinds, slower=1):
        calls = [call for kind in kinds for call in AUDITED[kind]]
        audit = Audit("auditd", calls, self.tools, self.work / "audit")
        audit.slower = slower
        return audit

    def strace(self, kinds, slower=10):
        return Strace(",".join(STRACED[kind] for kind in kinds), slower)

    def strace_attached(self, kinds, pids):
        return AttachedStrace(",".join(STRACED[kind] for kind in kinds), pids)

    def libbpf(self, name):
        return Program(f"{name} (libbpf-tools)", [name])

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
