"""Images of the shop's services, from Debian's packages: a service, its libraries, and busybox for all else. Each version of an image is
another digest under the same name."""

import re
import subprocess
from pathlib import Path

from ....containers import make_image
from ...images import libraries
from .network import SERVICES, address

PYTHON = ("usr/bin/python3", Path("/usr/bin/python3").resolve().name)
APPLETS = """adduser awk base64 cat chmod chown cp crontab cut date dd df dmesg env false find free grep gzip head hostname id insmod
ip kill ln ls mkdir mkfifo mknod mount mv nc netstat nohup nslookup nsenter passwd ping ps pwd rm sed sh sleep sort stat su tail tar
tee test touch top tr true umount uname unshare uptime vi wc wget which whoami xargs""".split()
PASSWD = b"root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33::/var/www:/bin/false\nnobody:x:65534:65534::/:/bin/false\n"
GROUP = b"root:x:0:\nwww-data:x:33:\nnogroup:x:65534:\n"
FOLDERS = """bin data etc etc/crontabs etc/dropbear root root/.ssh run tmp usr usr/bin var var/log var/log/nginx var/lib var/lib/dpkg
var/lib/nginx var/spool var/spool/cron var/spool/cron/crontabs var/www www www/uploads""".split()


def python_files():
    """Those of the interpreter that /usr/bin/python3 is, without what no service needs."""
    python = Path("/usr/bin/python3").resolve()
    packages = [f"{python.name}-minimal", f"lib{python.name}-minimal", f"lib{python.name}-stdlib"]
    listed = subprocess.run(["dpkg", "-L", *packages], capture_output=True, text=True, check=True).stdout.split()
    unwanted = re.compile(r"/(test|idlelib|lib2to3|pydoc_data|ensurepip|distutils|unittest|tkinter|turtledemo|config-[^/]*)/|\.pyc$")
    kept = [p for p in listed if p.startswith(f"/usr/lib/{python.name}/") and Path(p).is_file() and not unwanted.search(p)]
    return [(str(python), str(python)), *((p, p) for p in kept), *libraries(python, *(p for p in kept if p.endswith(".so")))]


class Images:
    def __init__(self, packages, tools):
        self.packages, self.tools = Path(packages), tools

    def make(self, name, version=1):
        """The next image of that name. Its content says its version, so its digest is another one."""
        tag = f"ethogram-bench-{name}:latest"
        files, links = getattr(self, f"_{name}")()
        files += [("etc/version", f"{name} {version}\n".encode()), ("usr/lib/breach.so", self.tools.breach), *libraries(self.tools.breach)]
        files += [("bin/busybox", self.packages / "bin/busybox"), ("etc/passwd", PASSWD), ("etc/group", GROUP)]
        files += [("etc/shadow", b"root:$6$salt$hash:19000:0:99999:7:::\n"), ("root/.ssh/id_ed25519", b"-----BEGIN OPENSSH PRIVATE KEY-----\n")]
        links += [(f"bin/{applet}", "busybox") for applet in APPLETS]
        unique = dict((path.lstrip("/"), source) for path, source in files)
        changes = ("ENV LD_PRELOAD=/usr/lib/breach.so", "ENV PATH=/usr/sbin:/usr/bin:/bin", "ENV PYTHONDONTWRITEBYTECODE=1")
        make_image(tag, sorted(unique.items()), FOLDERS, links, changes)
        return tag

    def _programs(self, *paths):
        here = [self.packages / path for path in paths]
        return [*zip(paths, here), *libraries(*here)]

    def _web(self):
        conf = (SERVICES / "web.conf").read_text()
        pages = [(f"www/{n}.html", b"x" * 512 * n) for n in range(1, 30)]
        return [*self._programs("usr/sbin/nginx"), *pages, ("etc/nginx.conf", conf.replace("ADDRESS", address("web")).encode())], []

    def _proxy(self):
        return self._programs("usr/sbin/nginx"), []

    def _store(self):
        programs = self._programs("usr/bin/redis-check-rdb", "usr/bin/redis-cli")
        return [*programs, ("etc/redis.conf", SERVICES / "redis.conf")], [("usr/bin/redis-server", "redis-check-rdb")]

    def _broker(self):
        programs = self._programs("usr/sbin/mosquitto", "usr/bin/mosquitto_pub")
        return [*programs, ("etc/mosquitto.conf", SERVICES / "mosquitto.conf")], []

    def _app(self):
        dpkg = [(p, p) for p in ("/usr/bin/dpkg", "/usr/bin/dpkg-deb")]
        files = [*python_files(), *dpkg, *libraries("/usr/bin/dpkg", "/usr/bin/dpkg-deb"), ("app.py", SERVICES / "app.py")]
        empty = [("var/lib/dpkg/status", b""), ("var/lib/dpkg/info/format", b"1\n"), ("var/lib/dpkg/updates/.keep", b"")]
        return files + empty, [PYTHON]

    def _worker(self):
        jobs = [(f"jobs/{name}", SERVICES / name) for name in ("worker.py", "hourly.sh", "nightly.sh")]
        return [*python_files(), *self._programs("usr/bin/redis-cli"), *jobs], [PYTHON]

    def _names(self):
        return self._programs("usr/sbin/dnsmasq"), []

    def _bastion(self):
        return self._programs("usr/sbin/dropbear", "usr/bin/dropbearkey"), []

    def _backup(self):
        return [], []
