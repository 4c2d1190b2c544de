"""What was measured, as JSON and as Markdown, and the tables of the documentation from it."""

import hashlib
import json
import os
import platform
import textwrap
from pathlib import Path

from .goals import number

README = Path("README.md")
COSTS = Path("docs/costs.md")
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

    def update_docs(self, modules, measured=None):
        """Puts the table of goals into its page, other tables into the pages of their scenarios, and of each a sentence of result
        into the README, all between marks."""
        names = modules if measured is None else measured
        own = [name for name in names if hasattr(modules[name], "PAGE") and name in self.scenarios]
        if set(names) - set(own):
            others = [name for name in modules if not hasattr(modules[name], "PAGE")]
            replace(COSTS, "bench", f"{self._where()}; made by {self._commands(others)}:\n\n{self.goals(modules)}")
            parts = [modules[name].summary(entry["figures"]) for name, entry in self._ordered(others) if hasattr(modules[name], "summary")]
            replace(README, "bench", sentence(parts))
        for name in own:
            entry, module = self.scenarios[name], modules[name]
            made = textwrap.fill(f"{self._where()}; made by {_made(entry['command'])}:", 120, break_on_hyphens=False)
            replace(module.PAGE, name, f"{made}\n\n{module.page(entry['figures'])}")
            replace(README, name, sentence([module.summary(entry["figures"])]))
            module.publish(entry["figures"])


def _made(command):
    run = command.removesuffix(" --judge")
    return f"`{run}`" + (f", and judged again by `{command}`" if run != command else "")


def sentence(parts):
    """One sentence of several parts, wrapped as the README is."""
    text = "; ".join(parts) + "."
    return textwrap.fill(text[0].upper() + text[1:], 120, break_on_hyphens=False)


def replace(file, mark, content):
    """Writes other content between the two marks of that name."""
    text = file.read_text()
    begin, end = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        raise SystemExit(f"error: {file} has no place for '{mark}': it needs {begin} and {end}, each on a line of its own")
    head, rest = text.split(begin)
    file.write_text(f"{head}{begin}\n{content}\n{end}{rest.split(end)[1]}")
