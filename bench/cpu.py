"""Processor time and memory, as the kernel accounts them."""

import os
from pathlib import Path


def _mount(kind, option=None):
    for line in Path("/proc/mounts").read_text().splitlines():
        _, path, found, options, *_ = line.split()
        if found == kind and (option is None or option in options.split(",")):
            return Path(path)
    return None


V1 = _mount("cgroup", "cpuacct")
V2 = _mount("cgroup2")
OURS = "ethogram-bench-"


def _usage_file(cgroup):
    return cgroup / ("cpuacct.usage" if V1 else "cpu.stat")


def _usage(file):
    text = file.read_text()
    return int(text) if V1 else 1000 * int(text.split("usage_usec ", 1)[1].split(None, 1)[0])


def machine_ns():
    """Nanoseconds of all processors that anything on this machine has used, interrupts included."""
    return _usage(_usage_file(V1 or V2))


class Group:
    """Cgroups whose time is taken together: of containers, or one made here for programs that the bench starts."""

    def __init__(self, pids=()):
        self.files = [_usage_file(_cgroup_of(pid)) for pid in pids]
        self.own = None

    @classmethod
    def make(cls, name):
        group = cls()
        group.own = (V1 or V2) / f"{OURS}{name}-{os.getpid()}"
        group.own.mkdir(exist_ok=True)
        group.files = [_usage_file(group.own)]
        return group

    def join(self):
        """Moves the calling process there; for `preexec_fn`."""
        (self.own / "cgroup.procs").write_text(str(os.getpid()))

    def ns(self):
        return sum(_usage(file) for file in self.files)

    def pids(self):
        """All processes in them."""
        return [int(pid) for file in self.files for pid in (file.parent / "cgroup.procs").read_text().split()]

    def remove(self):
        if self.own:
            try:
                self.own.rmdir()
            except OSError:
                pass  # A process is still ending; the next bench makes its own.


def remove_left_over():
    """Removes the cgroups of a bench that was killed."""
    for cgroup in (V1 or V2).glob(f"{OURS}*"):
        try:
            cgroup.rmdir()
        except OSError:
            pass  # Something still runs in it.


def _cgroup_of(pid):
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if ("cpuacct" in controllers.split(",")) if V1 else controllers == "":
            return (V1 or V2) / path.lstrip("/")
    raise RuntimeError(f"process {pid} is in no cgroup that accounts processor time")


def resident_kib(pid):
    """Resident and proportional set size, and what of the first is no file's."""
    fields = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, value, *_ = line.split()
        fields[name] = int(value)
    return {"rss": fields["Rss:"], "pss": fields["Pss:"], "anonymous": fields["Anonymous:"]}


def threads_ns(pid):
    """By the thread's name: nanoseconds on a processor."""
    times = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            name, time = (task / "comm").read_text().strip(), int((task / "schedstat").read_text().split()[0])
        except OSError:
            continue  # It has ended meanwhile.
        times[name] = times.get(name, 0) + time
    return times
