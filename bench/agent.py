"""The agent as it is measured: the release binary, its default configuration, folders and a cgroup of its own. It prints
findings, each by itself."""

import json
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from . import cpu
from .api import Api

CONFIG = """
[collection]
avoid = {avoid}
[rules]
shipped = {rules}
{trackers}
[runtimes]
containerd_socket = ""
[alerts]
deliver = "findings"
[api]
socket = "{folder}/api.sock"
[metrics]
listen = "127.0.0.1:0"
[store]
path = "{folder}/store"
{more}
"""


class Agent:
    """Started when it is made; `stop` ends it."""

    binary = None
    # Kinds of attach points to do without.
    avoid = ()

    def __init__(self, everything=False, rules=True, more="", options=(), alerts=subprocess.DEVNULL):
        """By default profiles and rules subscribe to what they need; with `everything`, all events of each
        default tracker. `more` is further configuration, `alerts` is where they go."""
        self.folder = Path(tempfile.mkdtemp(prefix="ethogram-bench-"))
        config = self.folder / "ethogram.toml"
        trackers = f"[trackers]\nenabled = {json.dumps(self._default_trackers())}" if everything else ""
        config.write_text(CONFIG.format(folder=self.folder, avoid=json.dumps(list(self.avoid)), trackers=trackers,
                                        rules=json.dumps(rules), more=more))
        self.group = cpu.Group.make("agent")
        self.log = open(self.folder / "log", "w")
        begin = time.monotonic()
        self.process = subprocess.Popen(
            [self.binary, "server", "--config", config, *options],
            stdin=subprocess.DEVNULL, stdout=alerts, stderr=self.log, preexec_fn=self.group.join,
            start_new_session=True,
        )
        self.api = Api(self.folder / "api.sock")
        try:
            self._await_ready()
        except BaseException:
            self.stop()
            raise
        self.start_seconds = time.monotonic() - begin

    def _default_trackers(self):
        command = [self.binary, "trackers", "--output", "json"]
        listed = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
        return [tracker["name"] for tracker in listed if tracker["default"]]

    def _await_ready(self):
        deadline = time.monotonic() + 60
        while True:
            try:
                self.api.ask("GET", "/healthz")
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    log = (self.folder / "log").read_text()
                    raise RuntimeError(f"the agent did not come up:\n{log}") from None
                time.sleep(0.002)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        self.group.remove()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def pid(self):
        return self.process.pid

    def trackers(self):
        """By name, those that are started."""
        return {t["name"]: t for t in self.api.ask("GET", "/v1/trackers") if t["state"] in ("running", "idle", "paused")}

    def syscall_wide(self):
        """Names of the running trackers that hook the entry or exit of every system call, and of those that do not
        and can be paused."""
        wide, light = [], []
        for name in self.api.ask("POST", "/v1/pause", {}):
            attached = [p["attach"] for p in self.trackers()[name]["programs"] if p["state"] == "attached"]
            (wide if any("sys_enter" in a or "sys_exit" in a or "syscalls" in a for a in attached) else light).append(name)
        self.api.ask("POST", "/v1/resume", {})
        return wide, light

    def pause(self):
        self.api.ask("POST", "/v1/pause", {})

    def resume(self, names=()):
        self.api.ask("POST", "/v1/resume", {"trackers": list(names)})

    def counters(self):
        """By tracker: where its events went, each stage one number."""
        return {name: _flat(t["counters"]) for name, t in self.trackers().items()}

    def settled_counters(self, seconds=10):
        """The same, once what is under way has arrived: samples are read every three seconds. Elsewhere on the machine
        things go on, so counters are never at rest; where after all the time something is missing, it stays so."""
        deadline = time.monotonic() + seconds
        while True:
            found = self.counters()
            if all(unaccounted(c) == 0 for c in found.values()) or time.monotonic() > deadline:
                return found
            time.sleep(0.1)

    def kernel_memory_kib(self):
        """What its maps and programs take in the kernel, each once."""
        found = {}
        for entry in Path(f"/proc/{self.pid}/fdinfo").iterdir():
            try:
                fields = dict(line.split(":\t", 1) for line in entry.read_text().splitlines() if ":\t" in line)
            except OSError:
                continue
            for kind in ("map_id", "prog_id"):
                if kind in fields and "memlock" in fields:
                    found[kind, fields[kind]] = int(fields["memlock"])
        return sum(found.values()) // 1024


def _flat(counters):
    dropped = {f"{stage}/{reason}": n for stage, reasons in counters["dropped"].items() for reason, n in reasons.items()}
    return {
        "seen": counters["seen"],
        "delivered": counters["delivered"],
        "aggregated": counters["aggregated"],
        "filtered": sum(counters["filtered"].values()),
        "dropped": sum(dropped.values()),
    }


STAGES = ("seen", "delivered", "aggregated", "filtered", "dropped")


def difference(after, before):
    """Of two counters: the sum over all trackers of what came between them."""
    return {stage: sum(after[t][stage] - before.get(t, {}).get(stage, 0) for t in after) for stage in STAGES}


def unaccounted(counters):
    """What was seen and is neither delivered nor aggregated, filtered or dropped."""
    return counters["seen"] - sum(counters[stage] for stage in STAGES[1:])
