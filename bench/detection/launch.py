"""Starts attacks, and notes when and where: that is the truth that alerts are held against."""

import os
import signal
import subprocess
import sys
import time

from ..containers import LABEL, docker
from . import SERVICES
from .attacks import METADATA, OUTSIDE

BREACH = signal.SIGRTMIN + 5


class Launcher:
    """`ways` are those of the fleet: each takes this, the attack's token and its order, and may return when the attack began."""

    def __init__(self, fleet, ways):
        self.fleet, self.ways = fleet, ways
        self.outside = {}

    def launch(self, number, attack):
        """Starts it. Its token is an argument of its first program, by which the record of the run shows its processes."""
        token = f"step-{number:02}"
        truth = {"token": token, "name": attack.name, "service": attack.service, "container": f"bench-{attack.service}",
                 "how": attack.how if attack.how != "breach" else "run" if attack.starts else "itself",
                 "objects": list(attack.objects), "lasts": attack.lasts, "starts": attack.starts}
        if attack.how == "deploy":
            self.fleet.deploy(attack.service)
            time.sleep(0.5)
        if attack.how in ("breach", "deploy"):
            pid = self.fleet.pid(attack.service)
            self.reach_outside(pid)
            truth["begin"] = time.time()
            self._breach(_child(pid) if attack.worker else pid, token, attack.order)
        elif attack.how == "container":
            truth["begin"] = time.time()
            self._container(attack.service, token, *attack.order)
        else:
            for service in attack.reached:
                self.reach_outside(self.fleet.pid(service))
            begin = time.time()
            truth["begin"] = self.ways[attack.how](self, token, attack.order) or begin
        return truth

    def _breach(self, pid, token, order):
        verb, *rest = order
        with open(f"/proc/{pid}/root/run/breach", "w") as file:
            file.write("\n".join([verb, token, *rest]))
        os.kill(pid, BREACH)

    def _container(self, name, token, script, *options):
        docker("run", "--detach", "--label", LABEL, "--name", f"bench-{name}", "--network", "none", *options, self.fleet.rogue_image,
               "sh", "-c", script, token)
        self.reach_outside(int(docker("inspect", "--format", "{{.State.Pid}}", f"bench-{name}")))

    def reach_outside(self, pid):
        """Strange addresses answer inside of the container's network, from a process outside of the container."""
        net = os.readlink(f"/proc/{pid}/ns/net")
        if net in self.outside:
            return
        enter = ["nsenter", f"--net=/proc/{pid}/ns/net"]
        for address in (OUTSIDE, METADATA):
            subprocess.run([*enter, "ip", "address", "add", f"{address}/32", "dev", "lo"], check=True, capture_output=True)
        command = [*enter, sys.executable, "-B", SERVICES / "outside.py", self.fleet.tools.payload, *map(str, self.fleet.strangers)]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True)
        self.outside[net] = process
        if not process.stdout.readline():
            raise RuntimeError(f"the attacker's machine has no place in that network: {self.fleet.strangers} are its ports")

    def stop(self):
        for process in self.outside.values():
            process.kill()
            process.wait()
            process.stdout.close()


def _child(pid):
    """A service's worker process, which has fewer privileges than its master."""
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return int(file.read().split()[0])
