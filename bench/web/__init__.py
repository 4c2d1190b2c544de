"""A web service: six nginx behind an nginx that balances, each in a container, and a client that asks all the time."""

import re
import subprocess
import time
import urllib.request
from pathlib import Path

from .. import cpu
from ..containers import LABEL, Container, docker, make_image

HERE = Path(__file__).parent
IMAGE = "ethogram-bench-web"
UPSTREAMS = 6
LIBRARY = re.compile(r"(/\S+\.so[.\d]*) ")


def _make_image(nginx):
    libraries = set(LIBRARY.findall(subprocess.run(["ldd", nginx], capture_output=True, text=True, check=True).stdout))
    files = [(library, library) for library in libraries]
    files += [
        ("nginx", nginx),
        ("www/index.html", b"x" * 1024),
        ("upstream.conf", HERE / "upstream.conf"),
        ("etc/passwd", b"root:x:0:0:root:/:/bin/sh\n"),
        ("etc/group", b"root:x:0:\n"),
    ]
    folders = ("etc", "tmp", "www", "var", "var/log", "var/log/nginx", "var/lib", "var/lib/nginx")
    make_image(IMAGE, files, folders)


class Service:
    """Runs until it is left. Its network is its own, so its bridge carries its packets alone."""

    def __init__(self, nginx, folder):
        _make_image(nginx)
        network = docker("network", "create", "--driver", "bridge", "--label", LABEL, f"ethogram-bench-{time.time_ns()}")
        self.network = network
        options = ("--network", network, "--stop-signal", "SIGKILL")
        self.containers = []
        try:
            for _ in range(UPSTREAMS):
                self.containers.append(Container(IMAGE, "/nginx", "-c", "/upstream.conf", options=options))
            servers = "\n        ".join(f"server {c.address()}:80;" for c in self.containers)
            conf = Path(folder) / "balancer.conf"
            conf.write_text((HERE / "balancer.conf").read_text().replace("UPSTREAMS", servers))
            options += ("--volume", f"{conf.resolve()}:/balancer.conf:ro")
            self.containers.append(Container(IMAGE, "/nginx", "-c", "/balancer.conf", options=options))
            self.url = f"http://{self.containers[-1].address()}/index.html"
            self._await()
        except BaseException:
            self.__exit__()
            raise
        statistics = Path(f"/sys/class/net/br-{network[:12]}/statistics")
        self.packet_files = [statistics / "rx_packets", statistics / "tx_packets"]

    def _await(self):
        plain = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        deadline = time.monotonic() + 20
        while True:
            try:
                plain.open(self.url, timeout=2).read()
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def packets(self):
        return sum(int(file.read_text()) for file in self.packet_files)

    def group(self):
        """The containers' cgroups."""
        return cpu.Group(c.pid for c in self.containers)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for container in self.containers:
            container.remove()
        docker("network", "rm", self.network)


class Client:
    """wrk, in a cgroup of its own: two threads, 64 connections that stay, or as many that are made anew for each request."""

    def __init__(self, url, seconds, anew=False):
        self.group = cpu.Group.make("client")
        command = ["wrk", "-t2", "-c64", "--latency", f"-d{seconds}s", *(("-H", "Connection: close") if anew else ()), url]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            preexec_fn=self.group.join, start_new_session=True,
        )

    def runs(self):
        return self.process.poll() is None

    def result(self):
        """Requests a second, and the 99th percentile of latency in milliseconds."""
        text = self.process.stdout.read()
        rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
        p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", text)
        if not rate or not p99 or re.search(r"Non-2xx|Socket errors", text):
            raise RuntimeError(f"wrk did not get what it asked for:\n{text}")
        return {"requests_per_second": float(rate[1]), "p99_ms": float(p99[1]) * {"us": 0.001, "ms": 1, "s": 1000}[p99[2]]}

    def end(self):
        if self.runs():
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.group.remove()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()
