"""Containers of the bench: made, and removed again whatever happens."""

import io
import json
import subprocess
import tarfile
from pathlib import Path

LABEL = "ethogram.bench=1"


def docker(*args, **options):
    """Its output; what went wrong is the error."""
    command = ["docker", *map(str, args)]
    done = subprocess.run(command, stdin=options.pop("stdin", subprocess.DEVNULL), capture_output=True, **options)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode().strip()


MINE = ("--filter", f"label={LABEL}", "--quiet")


def remove_containers():
    """Removes every container of a bench."""
    containers = docker("ps", "--all", *MINE).split()
    for start in range(0, len(containers), 50):
        docker("rm", "--force", "--volumes", *containers[start : start + 50])


def remove_all():
    """Removes everything of a bench, be it of an earlier one that was killed."""
    remove_containers()
    if networks := docker("network", "ls", *MINE).split():
        docker("network", "rm", *networks)
    if volumes := docker("volume", "ls", *MINE).split():
        docker("volume", "rm", "--force", *volumes)
    # The newest first, as they are listed: others may be made from an older one.
    if images := dict.fromkeys(docker("images", *MINE).split()):
        docker("rmi", "--force", *images)


def make_image(name, files, folders=(), links=(), changes=()):
    """An image of these files alone: pairs of a path in the image and the file's path here. `changes` are lines of a Dockerfile."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for folder in folders:
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        for path, to in links:
            entry = tarfile.TarInfo(path)
            entry.type, entry.linkname = tarfile.SYMTYPE, to
            tar.addfile(entry)
        for path, source in files:
            content = source if isinstance(source, bytes) else Path(source).read_bytes()
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(content), 0o755
            tar.addfile(entry, io.BytesIO(content))
    change = [word for line in (f"LABEL {LABEL}", *changes) for word in ("--change", line)]
    subprocess.run(["docker", "import", *change, "-", name], input=archive.getvalue(), check=True, capture_output=True)


class Container:
    def __init__(self, image, *command, options=()):
        run = ("run", "--detach", "--label", LABEL, "--log-driver", "none", *options, image, *command)
        self.id = docker(*run)
        self.pid = int(self.inspect("{{.State.Pid}}"))

    def inspect(self, format):
        return docker("inspect", "--format", format, self.id)

    def address(self):
        return self.inspect("{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}")

    def run(self, *command):
        """Runs a command in it and gives its output."""
        return docker("exec", self.id, *command)

    def remove(self):
        docker("rm", "--force", self.id)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()


LOAD_IMAGE = "ethogram-bench-load"


def make_load_image(loads):
    """The loads, and room for the host's /usr: compilers and strace are used from there."""
    files = [(f"bench/{load.name}", load) for load in Path(loads).iterdir()]
    files.append(("etc/passwd", b"root:x:0:0:root:/:/bin/sh\n"))
    links = [(name, f"usr/{name}") for name in ("bin", "lib", "lib64", "sbin")]
    make_image(LOAD_IMAGE, files, ("bench", "etc", "tmp", "usr", "scratch"), links)


class LoadContainer(Container):
    """One in which loads are run. Its files lie in memory, where the agent's share is largest."""

    def __init__(self):
        options = (
            "--network", "none", "--tmpfs", "/scratch:exec", "--tmpfs", "/tmp:exec", "--volume", "/usr:/usr:ro",
            "--cap-add", "SYS_PTRACE", "--stop-signal", "SIGKILL", "--env", "PATH=/usr/bin:/bin",
        )
        super().__init__(LOAD_IMAGE, "/bench/tick", options=options)

    def load(self, name, count, under=()):
        """Runs a load: nanoseconds it took, and how much it did."""
        return json.loads(self.run(*under, f"/bench/{name}", count).splitlines()[-1])
