"""Starts attacks, and notes when and where: that is the truth that alerts are held against."""

import os
import signal
import subprocess
import sys
import time

from ..containers import LABEL, docker
from . import SERVICES, clients
from .attacks import METADATA, OUTSIDE

BREACH = signal.SIGRTMIN + 5


class Launcher:
    def __init__(self, fleet):
        self.fleet = fleet
        self.outside = {}

    def launch(self, number, attack):
        """Starts it. Its token is an argument of its first program, by which the record of the run shows its processes."""
        token = f"step-{number:02}"
        truth = {"token": token, "name": attack.name, "service": attack.service, "container": f"bench-{attack.service}",
                 "how": attack.how if attack.how != "breach" or attack.order[0] == "run" else "itself",
                 "objects": list(attack.objects), "lasts": attack.lasts}
        if attack.how == "deploy":
            self.fleet.deploy(attack.service)
            time.sleep(0.5)
        if attack.how in ("breach", "deploy"):
            pid = self.fleet.pid(attack.service)
            self._reach_outside(pid)
            truth["begin"] = time.time()
            self._breach(_child(pid) if attack.worker else pid, token, attack.order)
        elif attack.how == "ssh":
            truth["begin"] = time.time()
            clients.ssh(self.fleet, f"{attack.order[0]}; : {token}")
        elif attack.how == "store":
            truth["begin"] = time.time()
            for words in attack.order:
                clients.store(*words)
        else:
            truth["begin"] = time.time()
            self._container(token, attack.order[0])
        return truth

    def _breach(self, pid, token, order):
        verb, *rest = order
        with open(f"/proc/{pid}/root/run/breach", "w") as file:
            file.write("\n".join([verb, token, *rest]))
        os.kill(pid, BREACH)

    def _container(self, token, script):
        docker("run", "--detach", "--label", LABEL, "--name", "bench-rogue", "--network", "none", "ethogram-bench-backup:latest",
               "sh", "-c", script, token)
        self._reach_outside(int(docker("inspect", "--format", "{{.State.Pid}}", "bench-rogue")))

    def _reach_outside(self, pid):
        """Strange addresses answer inside of the container's network, from a process outside of the container."""
        net = os.readlink(f"/proc/{pid}/ns/net")
        if net in self.outside:
            return
        enter = ["nsenter", f"--net=/proc/{pid}/ns/net"]
        for address in (OUTSIDE, METADATA):
            subprocess.run([*enter, "ip", "address", "add", f"{address}/32", "dev", "lo"], check=True, capture_output=True)
        command = [*enter, sys.executable, "-B", SERVICES / "outside.py", self.fleet.images.payload]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True)
        process.stdout.readline()
        self.outside[net] = process

    def stop(self):
        for process in self.outside.values():
            process.kill()
            process.wait()
            process.stdout.close()


def _child(pid):
    """A service's worker process, which has fewer privileges than its master."""
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return int(file.read().split()[0])
