"""What uses what: crates by `cargo metadata`, the rooms of a crate by its sources, C files by their includes."""

import json
import re
import subprocess

from graph import circles
from rust import Crate


def crates_of():
    """The packages in crates/ by the name of their folder: {name: (ours that it uses, all that comes in below)}."""
    said = subprocess.run(
        ["cargo", "metadata", "--format-version", "1", "--locked"], check=True, stdout=subprocess.PIPE
    ).stdout
    return crates_of_metadata(json.loads(said))


def crates_of_metadata(metadata):
    """As `crates_of`, of what cargo said."""
    names = {package["id"]: package["name"] for package in metadata["packages"]}
    needs = {node["id"]: node["deps"] for node in metadata["resolve"]["nodes"]}
    ours = {
        package["id"]: package["manifest_path"].split("/")[-2]
        for package in metadata["packages"]
        if package["id"] in metadata["workspace_members"] and package["manifest_path"].split("/")[-3] == "crates"
    }

    def is_in_the_binary(needed):
        # What only tests or the build need is not.
        return any(kind["kind"] is None for kind in needed["dep_kinds"])

    def below(package, seen):
        for needed in needs[package]:
            if needed["pkg"] not in seen and is_in_the_binary(needed):
                seen.add(needed["pkg"])
                below(needed["pkg"], seen)
        return seen

    return {
        folder: (
            {ours[needed["pkg"]] for needed in needs[package] if needed["pkg"] in ours and is_in_the_binary(needed)},
            {names[needed] for needed in below(package, set())},
        )
        for package, folder in ours.items()
    }


def rooms_of(crate):
    """What uses what in a crate, at every level: {(): {"api": {"response"}}, ("api",): {"routes": {"problem"}}}.

    A file and the folder of its name are one room with one door. Between the door and what is in the room, both ways are
    right: what is inside builds on the room's types, and the door hands on what is inside.
    """
    levels = {}
    for module, used in Crate(crate).uses().items():
        for other in used:
            here, there = module.name, other.name
            common = 0
            while common < min(len(here), len(there)) and here[common] == there[common]:
                common += 1
            if common < min(len(here), len(there)):
                level = levels.setdefault(here[:common], {})
                level.setdefault(here[common], {}).setdefault(there[common], set()).add((module, other))
    return levels


def includes_of(files):
    """Which C file includes which: {path: {path}}; headers are known by their names, the nearest first."""
    found = {}
    for file in files:
        for name in re.findall(r'^\s*#\s*include\s+"([^"]+)"', file.read_text(), re.M):
            beside = file.parent / name
            others = [beside] if beside in files else [other for other in files if other.name == name.split("/")[-1]]
            found.setdefault(str(file), set()).update(str(other) for other in others)
    return found


def circles_of_rooms(name, levels):
    """Every circle of a crate: ("agent/src: api response", its arrows, each with a file as an example)."""
    for level, uses in sorted(levels.items()):
        for circle in circles({room: set(others) for room, others in uses.items()}):
            arrows = [
                f"{here.file} uses {there.file}"
                for room in circle
                for other, examples in sorted(uses.get(room, {}).items())
                if other in circle
                for here, there in [min(examples, key=lambda pair: (pair[0].name, pair[1].name))]
            ]
            yield "/".join([name, "src", *level]) + ": " + " ".join(circle), arrows
