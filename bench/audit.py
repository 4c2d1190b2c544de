"""The kernel's audit system with auditd, as something that a load runs beside.

Once audit has been enabled, every new task is on the kernel's slow path for system calls until the next boot, also when
audit is off again: what is measured afterwards without an agent would be too slow, and any agent would look too good.
The rule `never,task` keeps new tasks off it, so it stands whenever auditd is not the one that is measured."""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

from .contender import Program

CALLS = {"exec": ("execve",), "open": ("openat",), "readwrite": ("read", "write"), "tcp": ("connect", "accept4")}
KEEP_OFF = ("never,task",)

CONFIGURATION = """
log_file = {folder}/audit.log
log_format = RAW
flush = INCREMENTAL_ASYNC
freq = 50
max_log_file = 50
num_logs = 2
max_log_file_action = ROTATE
space_left = 75
space_left_action = IGNORE
admin_space_left = 50
admin_space_left_action = IGNORE
disk_full_action = IGNORE
disk_error_action = IGNORE
local_events = yes
"""


class Auditctl:
    def __init__(self, root):
        self.program = Path(root).resolve() / "sbin/auditctl"
        libraries = {str(folder) for folder in Path(root).resolve().glob("**/*-linux-gnu")}
        self.environment = {"LD_LIBRARY_PATH": ":".join(libraries)}

    def __call__(self, *args):
        environment = {**os.environ, **self.environment}
        done = subprocess.run([self.program, *args], env=environment, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"auditctl {' '.join(args)}: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    def daemon(self):
        """The pid of who receives audit's events, or 0."""
        found = re.search(r"^pid (\d+)", self("-s"), re.MULTILINE)
        return int(found[1]) if found else 0

    def keep_off(self):
        """Keeps new tasks off the slow path, unless somebody audits this machine."""
        try:
            if not self.daemon() and "task" not in self("-l"):
                self("-a", *KEEP_OFF)
        except RuntimeError:
            pass  # A kernel without audit has no such path.

    def let_on(self):
        if "task" in self("-l"):
            self("-d", *KEEP_OFF)


class Audit(Program):
    """auditd with a rule for the calls. Where another daemon receives the events, it cannot run."""

    only_new = True

    def __init__(self, kinds, root, work):
        self.auditctl, self.work = Auditctl(root), Path(work).resolve()
        command = [self.auditctl.program.with_name("auditd"), "-n", "-c", self.work]
        super().__init__("auditd", command, self.auditctl.environment)
        calls = [part for kind in kinds for call in CALLS[kind] for part in ("-S", call)]
        self.rule = ("always,exit", "-F", "arch=b64", *calls, "-k", "ethogram-bench")

    def start(self):
        if other := self.auditctl.daemon():
            raise RuntimeError(f"process {other} receives audit's events already")
        self.work.mkdir(parents=True, exist_ok=True)
        self.work.chmod(0o750)  # It refuses a folder that others can write to.
        (self.work / "auditd.conf").write_text(CONFIGURATION.format(folder=self.work))
        self.auditctl.let_on()
        super().start()
        self.auditctl("-b", "8192")
        self.auditctl("-a", *self.rule)

    def attached(self):
        return self.auditctl.daemon() == self.process.pid

    def stop(self):
        if not self.process:
            return
        try:
            self.auditctl("-d", *self.rule)
        except RuntimeError:
            pass  # It had not come as far as that.
        self.process.send_signal(signal.SIGTERM)
        super().stop()
        self.auditctl("-e", "0")
        self.auditctl.keep_off()
        shutil.rmtree(self.work, ignore_errors=True)
