"""The services of a fleet, as containers of one network that leads nowhere else."""

import shutil
import subprocess
import time
from pathlib import Path

from ..containers import LABEL, Container, docker
from .images import Tools

DOCKER_NETWORK = "ethogram-bench-fleet"
# Seconds that a deed may take: what waits for something that an attack holds must not hold all others up.
PATIENCE = 20


class Fleet:
    """Runs until it is left. Each fleet says what its services are."""

    # Where they are, and with what they begin.
    network = None
    commands = {}
    # Ports of the attacker's machine.
    strangers = (80, 443, 3333, 4444)
    shell = "sh"
    # Of which an attacker makes a container.
    rogue_image = ""

    def __init__(self, packages, work, hour_seconds):
        self.packages, self.folder = packages, Path(work).resolve()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.hour_seconds = hour_seconds
        self.tools = Tools(self.folder)
        self.containers, self.versions = {}, {}
        docker("network", "create", "--internal", "--subnet", self.network.subnet, "--label", LABEL, DOCKER_NETWORK)
        try:
            self.prepare()
            for name in self.network.hosts:
                self.deploy(name)
        except BaseException:
            self.__exit__()
            raise

    def prepare(self):
        """Makes what is mounted, and images that are no service."""

    def image(self, name, version):
        """The image of that version of a service."""
        raise NotImplementedError

    def options(self, name):
        """Options for the container of a service."""
        return []

    def write(self, path, text, mode=0o644):
        file = self.folder / path
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def deploy(self, name):
        """Its next version takes the place of the one before."""
        self.versions[name] = self.versions.get(name, 0) + 1
        image = self.image(name, self.versions[name])
        if name in self.containers:
            docker("stop", "--time", "1", f"bench-{name}")
            self.containers.pop(name).remove()
        options = ["--name", f"bench-{name}", "--network", DOCKER_NETWORK, "--ip", self.network.address(name), "--stop-timeout", "1", "--init=false"]
        self.containers[name] = Container(image, *self.commands[name], options=[*self.options(name), *options])

    def restart(self, name):
        docker("restart", "--time", "1", f"bench-{name}")

    def signal(self, name, signal):
        docker("kill", "--signal", signal, f"bench-{name}")

    def exec(self, name, script):
        """A person's look inside, or a script of the host's."""
        return subprocess.run(["docker", "exec", f"bench-{name}", self.shell, "-c", script], capture_output=True, stdin=subprocess.DEVNULL,
                              timeout=PATIENCE)

    def pid(self, name):
        """The host's number for its first process, once it has one: life may be restarting it."""
        deadline = time.monotonic() + 10
        while not (pid := int(docker("inspect", "--format", "{{.State.Pid}}", f"bench-{name}"))):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{name} does not run")
            time.sleep(0.1)
        return pid

    def await_answer(self, ask, seconds=20):
        deadline = time.monotonic() + seconds
        while not ask():
            if time.monotonic() > deadline:
                states = docker("ps", "--all", "--filter", f"label={LABEL}", "--format", "{{.Names}} {{.Status}}")
                raise RuntimeError(f"the fleet does not answer:\n{states}")
            time.sleep(0.2)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for container in self.containers.values():
            container.remove()
        docker("network", "rm", DOCKER_NETWORK)
