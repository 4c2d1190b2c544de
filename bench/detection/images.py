"""What images of all fleets are made of."""

import re
import subprocess

from . import SERVICES

LIBRARY = re.compile(r"(/\S+\.so[.\d]*) ")


def libraries(*programs):
    """What they are linked with."""
    found = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=True).stdout
    return {(library, library) for library in LIBRARY.findall(found)}


class Tools:
    """What the bench adds: the library by which an attack begins inside a service, and what an attacker brings along."""

    def __init__(self, work):
        self.breach = work / "breach.so"
        compiler = ["cc", "-O2", "-Wall", "-Wno-unused-result", "-shared", "-fPIC", "-o", self.breach, SERVICES / "breach.c"]
        subprocess.run(compiler, check=True)
        self.payload = work / "payload"
        subprocess.run(["cc", "-Os", "-static", "-o", self.payload, SERVICES / "payload.c"], check=True)
