"""The services, as containers of one network that leads nowhere else."""

import shutil
import subprocess
import time
from pathlib import Path

from ..containers import LABEL, Container, docker
from . import ADDRESSES, NETWORK, SERVICES, address
from .images import Images

COMMANDS = {
    "web": ["nginx", "-c", "/etc/nginx.conf"],
    "proxy": ["nginx", "-c", "/etc/proxy/proxy.conf"],
    "store": ["redis-server", "/etc/redis.conf"],
    "broker": ["mosquitto", "-c", "/etc/mosquitto.conf"],
    "app": ["python3", "/app.py", "shop"],
    "worker": ["python3", "/jobs/worker.py"],
    "names": ["dnsmasq", "--user=root", "--no-resolv", "--no-daemon", "--hostsdir=/etc/names", "--log-facility=-"],
    "bastion": ["dropbear", "-F", "-R", "-E", "-s"],
}


class Fleet:
    """Runs until it is left."""

    def __init__(self, packages, work, hour_seconds):
        self.packages, self.folder = packages, Path(work).resolve()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.hour_seconds = hour_seconds
        self.images = Images(packages, self.folder)
        self.containers, self.versions = {}, {}
        docker("network", "create", "--internal", "--subnet", f"{NETWORK}.0/24", "--label", LABEL, "ethogram-bench-fleet")
        try:
            self._write_files()
            self.images.make("backup")
            for name in ADDRESSES:
                self.deploy(name)
        except BaseException:
            self.__exit__()
            raise

    def _write_files(self):
        """What is mounted: configuration and data outlive a container."""
        for name in ("app", "store", "worker", "backups"):
            (self.folder / name).mkdir()
        self.key = self.folder / "key"
        keygen = [self.packages / "usr/bin/dropbearkey", "-t", "ed25519", "-f", self.key]
        made = subprocess.run(keygen, capture_output=True, text=True, check=True).stdout
        public = next(line for line in made.splitlines() if line.startswith("ssh-"))
        self._write("ssh/authorized_keys", public + "\n", 0o600)
        (self.folder / "ssh").chmod(0o700)
        self._write("names/fleet", "".join(f"{NETWORK}.{last} {name}\n" for name, last in ADDRESSES.items()))
        proxy = (SERVICES / "proxy.conf").read_text()
        for word, name in (("WEB", "web"), ("APP", "app"), ("ADDRESS", "proxy")):
            proxy = proxy.replace(word, address(name))
        self._write("proxy/proxy.conf", proxy)
        self._write("secrets/shop", "correct horse battery staple\n")

    def _write(self, path, text, mode=0o644):
        file = self.folder / path
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def _options(self, name):
        mounts = {
            "app": ["app:/data", "secrets:/run/secrets:ro"], "store": ["store:/data"], "worker": ["worker:/data"],
            "proxy": ["proxy:/etc/proxy"], "names": ["names:/etc/names"], "bastion": ["ssh:/root/.ssh"],
        }
        options = [word for mount in mounts.get(name, []) for word in ("--volume", f"{self.folder}/{mount}")]
        if name == "worker":  # As runners of jobs often are.
            options += ["--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined", "--env", f"HOUR={self.hour_seconds}"]
        return [*options, "--name", f"bench-{name}", "--network", "ethogram-bench-fleet", "--ip", address(name), "--dns", address("names"),
                "--stop-timeout", "1", "--init=false"]

    def deploy(self, name):
        """Its next version takes the place of the one before."""
        self.versions[name] = self.versions.get(name, 0) + 1
        image = self.images.make(name, self.versions[name])
        if name in self.containers:
            docker("stop", "--time", "1", f"bench-{name}")
            self.containers.pop(name).remove()
        self.containers[name] = Container(image, *COMMANDS[name], options=self._options(name))

    def restart(self, name):
        docker("restart", "--time", "1", f"bench-{name}")

    def signal(self, name, signal):
        docker("kill", "--signal", signal, f"bench-{name}")

    def exec(self, name, script):
        """A person's look inside, or a script of the host's."""
        return subprocess.run(["docker", "exec", f"bench-{name}", "sh", "-c", script], capture_output=True, stdin=subprocess.DEVNULL)

    def backup(self):
        folders = ["--volume", f"{self.folder}/app:/from/app:ro", "--volume", f"{self.folder}/store:/from/store:ro"]
        command = ["tar", "-czf", "/backups/latest.tar.gz", "/from"]
        docker("run", "--rm", "--label", LABEL, "--name", "bench-backup", "--network", "none", *folders,
               "--volume", f"{self.folder}/backups:/backups", "ethogram-bench-backup:latest", *command)

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
        docker("network", "rm", "ethogram-bench-fleet")
