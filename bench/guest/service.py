"""The web service without Docker: six nginx behind an nginx that balances, each in a cgroup named like a container's."""

import os
import subprocess
import time
import urllib.request
from pathlib import Path

from .. import cpu
from ..web import UPSTREAMS
from .runtime import Runtime

CONF = Path("/web")
PORT = 8000
LOOPBACK = Path("/sys/class/net/lo/statistics/rx_packets")


class Service:
    """Runs until it is left. All its packets pass the loopback device, and no others do."""

    url = f"http://127.0.0.1:{PORT}/index.html"

    def __enter__(self):
        ports = range(PORT + 1, PORT + 1 + UPSTREAMS)
        upstream = (CONF / "upstream.conf").read_text()
        for port in ports:
            # Two nginx in one network: each its own port and file of its number.
            (CONF / f"{port}.conf").write_text(upstream.replace("listen 80", f"listen {port}").replace("nginx.pid", f"{port}.pid"))
        servers = "\n        ".join(f"server 127.0.0.1:{port};" for port in ports)
        balancer = (CONF / "balancer.conf").read_text().replace("UPSTREAMS", servers)
        (CONF / f"{PORT}.conf").write_text(balancer.replace("listen 80", f"listen {PORT}"))
        self.processes = []
        containers = [_container(port) for port in (*ports, PORT)]
        self.runtime = Runtime(lambda: containers)
        for port in (*ports, PORT):
            self._start(port)
        self._await()
        return self

    def _start(self, port):
        cgroup = cpu.V2 / f"docker/{_id(port)}"
        cgroup.mkdir(parents=True)
        join = lambda: (cgroup / "cgroup.procs").write_text(str(os.getpid()))
        command = ["/nginx", "-c", CONF / f"{port}.conf"]
        self.processes.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=join))

    def _await(self):
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(self.url, timeout=5).read()
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def packets(self):
        return int(LOOPBACK.read_text())

    def group(self):
        """Their cgroups."""
        return cpu.Group(process.pid for process in self.processes)

    def __exit__(self, *_):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait()
        self.runtime.__exit__()


def _container(port):
    """As Docker describes it."""
    image = "balancer" if port == PORT else "upstream"
    return {"Id": _id(port), "Name": f"/{image}-{int(_id(port), 16)}", "Image": f"sha256:{image}", "Path": "/nginx", "Config": {"Image": image}}


def _id(port):
    return f"{port:064x}"
