"""The office's services."""

import os
import subprocess

from ....containers import LABEL, docker
from ... import fleet
from .images import REPOSITORY, Images
from .network import NETWORK, address

DATABASE = "exec /usr/lib/postgresql/*/bin/postgres -D /var/lib/postgresql/*/main -c config_file=$(echo /etc/postgresql/*/main/postgresql.conf)"
COMMANDS = {
    "gateway": ["haproxy", "-W", "-db", "-f", "/etc/haproxy/haproxy.cfg"],
    "portal": ["bash", "-c", ". /etc/apache2/envvars; exec apache2 -DFOREGROUND"],
    "api": ["node", "/srv/api/server.js"],
    "database": ["bash", "-c", DATABASE],
    "cache": ["memcached", "-u", "memcache", "-m", "16", "-l", "0.0.0.0"],
    "mail": ["postfix", "start-fg"],
    # As the first process it would crash: it does not expect to adopt others.
    "files": ["bash", "-c", "vsftpd /etc/vsftpd.conf; exit $?"],
    "batch": ["cron", "-f"],
    "login": ["/usr/sbin/sshd", "-D", "-e"],
}
USERS = {"api": "api", "database": "postgres"}
PEOPLE = {"anna": 1000, "bert": 1001, "carla": 1002}
# That of the daemon in which the fleet runs.
SOCKET = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://")
DATA = "ethogram-bench-office-data"


class Fleet(fleet.Fleet):
    network, commands, shell = NETWORK, COMMANDS, "bash"
    strangers = (25, 53, 80, 443, 3333, 4444)
    rogue_image = "ethogram-bench-batch:latest"

    def prepare(self):
        """Configuration and data outlive a container."""
        self.images = Images(self.packages, self.folder, self.tools)
        self.keys = self.folder / "keys"
        self.keys.mkdir()
        for name in (*PEOPLE, "batch", "dora"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", self.keys / name], check=True)
        for name in ("certs", "backups"):
            (self.folder / name).mkdir()
        self.renew_certificate()
        docker("volume", "create", "--label", LABEL, DATA)

    def renew_certificate(self):
        """A new one, as the host's own job would put it there."""
        key, certificate = self.folder / "tls.key", self.folder / "tls.crt"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=office.example",
                        "-keyout", key, "-out", certificate], check=True, capture_output=True)
        (self.folder / "certs/office.pem").write_text(certificate.read_text() + key.read_text())

    def public(self, name):
        return (self.keys / f"{name}.pub").read_text()

    def image(self, name, version, more=()):
        more = list(more)
        if name == "login":
            keys = {person: self.public(person) + (self.public("batch") if person == "anna" else "") for person in PEOPLE}
            more += [(f"home/{person}/.ssh/authorized_keys", keys[person].encode(), 0o600, uid) for person, uid in PEOPLE.items()]
        if name == "batch":
            more.append(("root/.ssh/id_ed25519", (self.keys / "batch").read_bytes(), 0o600, 0))
        return self.images.make(name, version, more)

    def options(self, name):
        mounts = {
            "gateway": [f"{self.folder}/certs:/etc/haproxy/certs"], "database": [f"{DATA}:/var/lib/postgresql"],
            "batch": [f"{self.images.repository}:{REPOSITORY}:ro", f"{SOCKET}:/var/run/docker.sock"],
            "login": [f"{self.images.repository}:{REPOSITORY}:ro"],
        }
        options = [word for mount in mounts.get(name, []) for word in ("--volume", mount)]
        if name in USERS:
            options += ["--user", USERS[name]]
        # Names of no container are asked of nobody.
        return [*options, "--dns", "127.0.0.1", "--network-alias", name, "--hostname", name]

    def exec(self, name, script):
        """An administrator's commands, or a script of the host's; what fails is an error, for it should work."""
        done = super().exec(name, script)
        if done.returncode:
            raise RuntimeError(f"{name}: {script}: {done.stderr.decode(errors='replace').strip()[-300:]}")
        return done

    def deploy_changed(self, name, more):
        """Another version, in which somebody changed files."""
        made = self.image
        self.image = lambda name, version: made(name, version, more)
        try:
            self.deploy(name)
        finally:
            del self.image

    def dump(self):
        """A container that lives for as long as a dump takes."""
        docker("run", "--rm", "--label", LABEL, "--name", "bench-dump", "--network", fleet.DOCKER_NETWORK, "--volume",
               f"{self.folder}/backups:/backups", "--env", "PGPASSWORD=quarterly", "ethogram-bench-batch:latest", "pg_dump", "-h", "database",
               "-U", "reports", "--lock-wait-timeout=5s", "-f", "/backups/office.sql", "office", timeout=fleet.PATIENCE)

    def archive(self):
        """The files of a volume, packed by a container without a network."""
        docker("run", "--rm", "--label", LABEL, "--name", "bench-archive", "--network", "none", "--volume", f"{DATA}:/from:ro", "--volume",
               f"{self.folder}/backups:/backups", "ethogram-bench-batch:latest", "bash", "-c",
               "tar -czf /backups/data.tar.gz --warning=no-file-changed -C /from . || [ $? = 1 ]", timeout=fleet.PATIENCE)

    def __exit__(self, *_):
        super().__exit__()
        docker("volume", "rm", "--force", DATA)
