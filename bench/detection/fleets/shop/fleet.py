"""The shop's services."""

import subprocess

from ....containers import LABEL, docker
from ... import fleet
from .images import Images
from .network import NETWORK, SERVICES, address

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


class Fleet(fleet.Fleet):
    network, commands, rogue_image = NETWORK, COMMANDS, "ethogram-bench-backup:latest"

    def prepare(self):
        """Configuration and data outlive a container."""
        self.images = Images(self.packages, self.tools)
        for name in ("app", "store", "worker", "backups"):
            (self.folder / name).mkdir()
        self.key = self.folder / "key"
        keygen = [self.packages / "usr/bin/dropbearkey", "-t", "ed25519", "-f", self.key]
        made = subprocess.run(keygen, capture_output=True, text=True, check=True).stdout
        public = next(line for line in made.splitlines() if line.startswith("ssh-"))
        self.write("ssh/authorized_keys", public + "\n", 0o600)
        (self.folder / "ssh").chmod(0o700)
        self.write("names/fleet", "".join(f"{address(name)} {name}\n" for name in NETWORK.hosts))
        proxy = (SERVICES / "proxy.conf").read_text()
        for word, name in (("WEB", "web"), ("APP", "app"), ("ADDRESS", "proxy")):
            proxy = proxy.replace(word, address(name))
        self.write("proxy/proxy.conf", proxy)
        self.write("secrets/shop", "correct horse battery staple\n")
        self.images.make("backup")

    def image(self, name, version):
        return self.images.make(name, version)

    def options(self, name):
        mounts = {
            "app": ["app:/data", "secrets:/run/secrets:ro"], "store": ["store:/data"], "worker": ["worker:/data"],
            "proxy": ["proxy:/etc/proxy"], "names": ["names:/etc/names"], "bastion": ["ssh:/root/.ssh"],
        }
        options = [word for mount in mounts.get(name, []) for word in ("--volume", f"{self.folder}/{mount}")]
        if name == "worker":  # As runners of jobs often are.
            options += ["--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined", "--env", f"HOUR={self.hour_seconds}"]
        return [*options, "--dns", address("names")]

    def backup(self):
        folders = ["--volume", f"{self.folder}/app:/from/app:ro", "--volume", f"{self.folder}/store:/from/store:ro"]
        command = ["tar", "-czf", "/backups/latest.tar.gz", "/from"]
        docker("run", "--rm", "--label", LABEL, "--name", "bench-backup", "--network", "none", *folders,
               "--volume", f"{self.folder}/backups:/backups", "ethogram-bench-backup:latest", *command)
