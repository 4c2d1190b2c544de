"""What stands wrong in the house, by plan.py."""

import subprocess
from pathlib import Path

import draw
import plan
import rooms
from edges import circles_of_rooms, crates_of, includes_of, rooms_of
from graph import circles
from prose import prose_problems


def sources(*endings):
    """The files of the repository that end so, or that are scripts where "script" is asked for; None is for all."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    for name in sorted(set(listed.split("\0")) - {""}):
        file = Path(name)
        if not file.is_file():
            continue
        if None in endings or file.suffix in endings or (file.suffix == "" and "script" in endings and file.read_bytes()[:2] == b"#!"):
            yield file


def crate_problems(crates):
    """Uses of one crate by another that must not be."""
    for name, (ours, below) in sorted(crates.items()):
        if name not in plan.CRATES:
            yield f"crates/{name} is not in script/structure/plan.py: say there which crates it may use"
            continue
        for used in sorted(ours - plan.CRATES[name]):
            yield f"crates/{name} uses crates/{used}: it must not know it"
        for used in sorted(below & plan.FORBIDDEN.get(name, set())):
            yield f"crates/{name} brings in {used}: see `cargo tree -p ethogram-{name} -i {used}`"


def room_problems(name, levels):
    """Circles in a crate that are not known, and rooms that must not use each other."""
    for circle, arrows in circles_of_rooms(name, levels):
        yield circle, f"a circle in crates/{circle}\n    " + "\n    ".join(arrows)
    for crate, room, other in plan.FORBIDDEN_ROOMS:
        examples = levels.get((), {}).get(room, {}).get(other, ()) if crate == name else ()
        for here, there in sorted(examples, key=lambda pair: pair[0].name):
            yield None, f"{here.file} uses {there.file}: {room} must not know {other}"


def include_problems(files):
    """Circles of headers, and trackers that use files of another."""
    uses = includes_of(files)
    for circle in circles(uses):
        yield f"headers that include each other: {' '.join(circle)}"
    for file, used in sorted(uses.items()):
        for other in sorted(used):
            if "/trackers/" in other and Path(other).parent != Path(file).parent:
                yield f"{file} includes {other}: what two trackers need belongs in crates/probe/include"


def known(found, listed):
    """What of the found is not listed, and what of the listed is not found: a circle that shrinks is still the known one."""

    def covers(known, circle):
        return known.split(": ")[0] == circle.split(": ")[0] and set(circle.split(": ")[-1].split()) <= set(known.split(": ")[-1].split())

    new = [item for item in found if not any(covers(one, item) for one in listed)]
    gone = [one for one in listed if not any(covers(one, item) for item in found)]
    return new, gone


def generated():
    """The page and the picture that are made of the rooms: ({path: text}, what is wrong)."""
    folders = {str(parent) for file in sources(None) for parent in file.parents if not str(parent).startswith(".")}
    crates, others, problems = rooms.house(folders)
    design, page = Path("docs/design.md").read_text(), Path("CONTRIBUTING.md")
    problems += draw.problems_of(design)
    text = rooms.with_tree(page.read_text(), rooms.tree(crates, others))
    if text is None:
        problems.append(f"{page} has no place for the tree: {rooms.BEGIN.strip()} {rooms.END}")
        text = page.read_text()
    return {page: text, Path("docs/design.svg"): draw.drawing(design, crates)}, problems


def problems():
    """All that is wrong, a line or more each."""
    files, found = generated()
    yield from found
    for file, text in files.items():
        if file.read_text() != text:
            yield f"{file} is not what the house is now: script/structure/check --update writes it"
    yield from crate_problems(crates_of())
    found = {}
    for root in sorted(Path().glob("crates/*/src/lib.rs")):
        for circle, problem in room_problems(root.parts[-3], rooms_of(root)):
            if circle is None:
                yield problem
            else:
                found[circle] = problem
    new, gone = known(found, plan.KNOWN_CIRCLES)
    yield from (found[circle] for circle in new)
    yield from (f'the circle "{circle}" is no more: remove it from script/structure/plan.py' for circle in gone)

    yield from include_problems(list(sources(".c", ".h")))

    lengths = {str(file): file.read_bytes().count(b"\n") for file in sources(".rs", ".c", ".h", ".py", ".bash", "script")}
    new, gone = known([file for file, lines in lengths.items() if lines > plan.MOST_LINES], plan.KNOWN_LONG)
    yield from (f"{file} has {lengths[file]} lines: {plan.MOST_LINES} at most, so cut it where it is about two things" for file in new)
    yield from (f"{file} is no longer too long: remove it from script/structure/plan.py" for file in gone)

    yield from prose_problems(list(sources(".md", ".rs", ".c", ".h", ".py", ".toml", ".yaml", "script")))
