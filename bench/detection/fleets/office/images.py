"""Images of the office's services: Debian's packages installed into a small Debian, as a Dockerfile would, with the network cut off.
Each version of an image is another digest under the same name."""

import hashlib
import io
import subprocess
import tarfile
from pathlib import Path

from ....containers import LABEL, docker
from .network import NETWORK, SERVICES, SETUP

PACKAGES = {
    "gateway": ("haproxy",),
    "portal": ("apache2", "libapache2-mod-php", "php-pgsql", "logrotate"),
    "api": ("nodejs",),
    "database": ("postgresql",),
    "cache": ("memcached",),
    "mail": ("postfix",),
    "files": ("vsftpd",),
    "batch": ("cron", "postgresql-client", "openssh-client", "logrotate", "rsync"),
    "login": ("openssh-server", "sudo", "rsync", "office-tools=1.0"),
}
REPOSITORY = "/var/local/debs"
SOURCES = f"deb [trusted=yes] file:{REPOSITORY} ./\n"
# Services are started by the bench, and not where they are installed.
BEFORE = r"""printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d
export DEBIAN_FRONTEND=noninteractive
apt-get -q update && apt-get -q install -y --no-install-recommends -o Dpkg::Use-Pty=0 """
ENVIRONMENT = ("ENV LD_PRELOAD=/usr/lib/breach.so", f"LABEL {LABEL}")


def base_tag(name):
    return f"ethogram-bench-installed-{name}:latest"


def make_tools(folder):
    """A package of the office's own, in two versions: there is something to upgrade."""
    for version in ("1.0", "1.1"):
        root = folder / "office-tools"
        for path, text in (("DEBIAN/control", f"Package: office-tools\nVersion: {version}\nArchitecture: all\nMaintainer: office\nDescription: tools\n"),
                           ("usr/bin/office-status", f"#!/bin/bash\necho office {version}; uptime; df -h /\n"),
                           ("usr/share/doc/office-tools/README", f"{version}\n")):
            file = root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        (root / "usr/bin/office-status").chmod(0o755)
        subprocess.run(["dpkg-deb", "--root-owner-group", "-b", root, folder / f"office-tools_{version}_all.deb"], check=True, capture_output=True)


def entry(tar, path, content, mode=0o644, owner=0):
    info = tarfile.TarInfo(path.lstrip("/"))
    info.size, info.mode, info.uid, info.gid = len(content), mode, owner, owner
    tar.addfile(info, io.BytesIO(content))


class Images:
    """What is installed is kept beside the packages, as long as it would be made in the same way."""

    def __init__(self, packages, work, tools):
        self.packages, self.work, self.tools = Path(packages), work, tools
        self.repository = work / "debs"
        self._make_repository()
        self._install()

    def _make_repository(self):
        self.repository.mkdir()
        for package in (self.packages / "debs").glob("*.deb"):
            (self.repository / package.name).hardlink_to(package)
        make_tools(self.repository)
        listed = subprocess.run(["dpkg-scanpackages", "--multiversion", "."], cwd=self.repository, capture_output=True, check=True).stdout
        (self.repository / "Packages").write_bytes(listed)

    def _recipe(self):
        parts = [Path(__file__), *sorted(SETUP.iterdir())]
        debs = sorted(file.name for file in (self.packages / "debs").iterdir())
        return hashlib.sha256(b"\0".join([*(part.read_bytes() for part in parts), *map(str.encode, debs)])).hexdigest()

    def _install(self):
        kept, recipe = self.packages / "installed.tar", self.packages / "installed.recipe"
        if kept.exists() and recipe.exists() and recipe.read_text() == self._recipe():
            docker("load", "--input", kept)
            return
        recipe.unlink(missing_ok=True)
        with subprocess.Popen(["tar", "-C", self.packages / "base", "--exclude=./dev/*", "-c", "."], stdout=subprocess.PIPE) as packing:
            docker("import", "--change", f"LABEL {LABEL}", "-", base_tag("base"), stdin=packing.stdout)
        for name in NETWORK.hosts:
            self._install_one(name)
        docker("save", "--output", kept, *map(base_tag, NETWORK.hosts))
        recipe.write_text(self._recipe())

    def _install_one(self, name):
        script = "\n".join([
            "set -e", f"printf '{SOURCES}' >/etc/apt/sources.list", f"{BEFORE} {' '.join(PACKAGES[name])}", "apt-get clean",
            (SETUP / "common.sh").read_text(), (SETUP / f"{name}.sh").read_text(), "rm /usr/sbin/policy-rc.d",
        ])
        made = f"bench-install-{name}"
        docker("run", "--label", LABEL, "--name", made, "--network", "none", "--volume", f"{self.repository}:{REPOSITORY}:ro", base_tag("base"),
               "bash", "-c", script)
        docker("commit", made, base_tag(name))
        docker("rm", "--volumes", made)

    def make(self, name, version=1, more=()):
        """The next image of that name: what is installed, the service's own files, and `more` of them: path, content, mode, owner."""
        tag = f"ethogram-bench-{name}:latest"
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w") as tar:
            for file in sorted(path for path in (SERVICES / name).rglob("*") if path.is_file()):
                entry(tar, str(file.relative_to(SERVICES / name)), file.read_bytes(), 0o755 if file.stat().st_mode & 0o100 else 0o644)
            entry(tar, "etc/office-release", f"{name} {version}\n".encode())
            entry(tar, "usr/lib/breach.so", self.tools.breach.read_bytes(), 0o755)
            for path, text, mode, owner in more:
                entry(tar, path, text, mode, owner)
        made = docker("create", "--label", LABEL, base_tag(name), "true")
        subprocess.run(["docker", "cp", "-", f"{made}:/"], input=content.getvalue(), check=True, capture_output=True)
        docker("commit", *(word for line in ENVIRONMENT for word in ("--change", line)), made, tag)
        docker("rm", made)
        return tag
