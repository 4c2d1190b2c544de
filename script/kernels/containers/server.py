"""Answers what the agent asks Docker in a guest, from the folders that `docker` beside this file keeps. `runtime` is bench/guest/runtime.py."""

import json
import threading
from pathlib import Path

from runtime import Runtime

CONTAINERS = Path("/run/containers")


def containers():
    found = []
    for folder in CONTAINERS.iterdir():
        try:
            one = json.loads((folder / "api.json").read_text())
            pid = int((folder / "pid").read_text())
        except (OSError, ValueError):  # On its way, or not started.
            continue
        found.append(one | {"State": {"Pid": pid, "StartedAt": "2026-01-01T00:00:00Z"}, "Mounts": mounts(folder)})
    return found


def mounts(folder):
    """Those that were asked for."""
    asked = [m for m in json.loads((folder / "config.json").read_text())["mounts"] if m["type"] == "bind"]
    return [
        {"Type": "bind", "Source": m["source"], "Destination": m["destination"], "Mode": "", "RW": "ro" not in m["options"], "Propagation": "rprivate"}
        for m in asked
    ]


if __name__ == "__main__":
    CONTAINERS.mkdir(parents=True, exist_ok=True)
    with Runtime(containers):
        threading.Event().wait()
