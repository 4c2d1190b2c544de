"""What all scenarios share: where things are, how long they may take, the container for loads."""

import sys
import time
from contextlib import contextmanager
from pathlib import Path

from . import cpu
from .agent import Agent
from .audit import Auditctl
from .contenders import Contenders
from .containers import LoadContainer, make_load_image


class Bench:
    def __init__(self, binary, tools, work, length, kept=False):
        self.binary, self.tools, self.work, self.length = Path(binary), Path(tools), Path(work), length
        # Whether what an earlier call recorded is judged again.
        self.kept = kept
        self.work.mkdir(parents=True, exist_ok=True)
        Agent.binary = self.binary.resolve()
        self.contenders = Contenders(self.tools, self.work)
        self.nginx = self.tools / "usr/sbin/nginx"
        if not kept:
            Auditctl(self.tools).keep_off()
        self.container = None
        self.begin = time.monotonic()
        self._image_made = False

    def amount(self, brief, default, long):
        """How much is measured."""
        return {"brief": brief, "default": default, "long": long}[self.length]

    def log(self, words):
        print(f"[{time.monotonic() - self.begin:5.0f} s]   {words}", file=sys.stderr, flush=True)

    def make_load_image(self):
        if not self._image_made:
            make_load_image(self.work / "load")
            self._image_made = True

    @contextmanager
    def load_container(self):
        self.make_load_image()
        with LoadContainer() as self.container:
            yield self.container

    def container_group(self):
        return cpu.Group([self.container.pid])
