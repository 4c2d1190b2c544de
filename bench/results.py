"""What was measured, as JSON and as Markdown, and the README's table from it."""

import hashlib
import json
import os
import platform
from pathlib import Path

from .goals import number

README = Path("README.md")
GOALS = "| goal | | measured | spread | |\n|---|---|---:|---|---|\n"


class Results:
    """One entry a scenario. Those of earlier calls stay as long as binary and kernel are the same."""

    def __init__(self, file, binary):
        self.file = Path(file)
        self.machine = {
            "binary_sha256": hashlib.sha256(Path(binary).read_bytes()).hexdigest(),
            "kernel": platform.release(),
            "processors": os.cpu_count(),
            "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20,
        }
        self.scenarios = {}
        try:
            found = json.loads(self.file.read_text())
            if found["machine"] == self.machine:
                self.scenarios = found["scenarios"]
        except (OSError, ValueError, KeyError):
            pass  # There is none, or it is of another form: this call makes a new one.

    def put(self, name, entry):
        self.scenarios[name] = entry
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_text(json.dumps({"machine": self.machine, "scenarios": self.scenarios}, indent=1) + "\n")

    def _ordered(self, names):
        return [(name, self.scenarios[name]) for name in names if name in self.scenarios]

    def goals(self, modules):
        lines = [goal.row() for name, entry in self._ordered(modules) for goal in modules[name].goals(entry["figures"])]
        return GOALS + "\n".join(lines)

    def _where(self):
        m = self.machine
        return f"Linux {m['kernel']}, {m['processors']} processors, {number(m['memory_mib'] / 1024)} GiB"

    def _commands(self, names):
        return ", ".join(sorted({f"`{entry['command']}`" for _, entry in self._ordered(names)}))

    def markdown(self, modules):
        parts = ["# What Ethogram costs, and what it finds", f"{self._where()}. Made by {self._commands(modules)}.", self.goals(modules)]
        for name, entry in self._ordered(modules):
            module = modules[name]
            parts += [f"## {name}", module.__doc__.strip(), module.tables(entry["figures"])]
            if entry["left_out"]:
                left_out = "; ".join(f"{tool}: {reason}" for tool, reason in entry["left_out"].items())
                parts.append(f"Not measured here: {left_out}")
        return "\n\n".join(parts) + "\n"

    def update_readme(self, modules, measured=None):
        """What was measured gets its place: where it is more than goals, a table of its own between marks with its name, and pages
        beside."""
        text = README.read_text()
        names = modules if measured is None else measured
        own = [name for name in names if hasattr(modules[name], "readme") and name in self.scenarios]
        if set(names) - set(own):
            others = [name for name in modules if not hasattr(modules[name], "readme")]
            text = put(text, "bench", f"{self._where()}; made by {self._commands(others)}:\n\n{self.goals(modules)}")
        for name in own:
            entry = self.scenarios[name]
            made = f"{self._where()}; made by {_made(entry['command'])}:\n\n{modules[name].readme(entry['figures'])}"
            text = put(text, name, made)
        README.write_text(text)
        for name in own:
            modules[name].publish(self.scenarios[name]["figures"])


def _made(command):
    run = command.removesuffix(" --judge")
    return f"`{run}`" + (f", and judged again by `{command}`" if run != command else "")


def put(text, mark, content, file=README):
    """A text with other content between the two marks of that name."""
    begin, end = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        raise SystemExit(f"error: {file} has no place for the table: {begin} and {end}, each on a line of its own")
    head, rest = text.split(begin)
    return f"{head}{begin}\n{content}\n{end}{rest.split(end)[1]}"
