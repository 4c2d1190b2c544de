"""The rooms of the house, and what each says of itself: the tree in CONTRIBUTING.md is made of it."""

import re
from dataclasses import dataclass, field
from pathlib import Path

import plan
from rust import Crate

BEGIN = "<!-- house: script/structure/check --update writes it -->\n"
END = "<!-- /house -->"
MOST_WORDS = 106


@dataclass
class Room:
    """A crate, a folder of one, or another folder."""

    path: str  # "crates/agent/src/sink"
    words: str
    rooms: list = field(default_factory=list)

    @property
    def name(self):
        return self.path.rsplit("/", 1)[-1]


def first_sentence(file):
    """Of the doc comment at a module's head; only what is before the colon, where it is long."""
    lines = []
    for line in file.read_text().splitlines():
        if not line.startswith("//!") or line == "//!":
            break
        lines.append(line[3:].strip())
    text = re.sub(r"\[(`[^`]*`)\](\([^)]*\))?", r"\1", " ".join(lines))
    sentence = re.split(r"(?<=[^.])\.(?:\s|$)", text)[0]
    if len(sentence) > MOST_WORDS:
        sentence = re.split(r"[:;] ", sentence)[0]
    return sentence if len(sentence) <= MOST_WORDS else sentence[:MOST_WORDS].rpartition(", ")[0] or sentence


def house(folders):
    """All rooms, and what is wrong with them. `folders` are those of the repository that have files in them."""
    problems, crates = [], []
    for name in plan.CRATES:
        root = Path(f"crates/{name}/src/lib.rs")
        crate = Room(f"crates/{name}", first_sentence(root))
        for module in sorted(Crate(root).root.children.values(), key=lambda module: module.name):
            if module.children or name in plan.ROOMS_ARE_FILES:
                crate.rooms.append(Room(f"crates/{name}/src/{module.name[-1]}", first_sentence(module.file)))
        for folder in sorted(folders):
            if re.fullmatch(f"crates/{name}/[^/]+", folder) and folder.split("/")[-1] not in plan.NO_ROOMS:
                crate.rooms.append(Room(folder, plan.FOLDERS.get(folder, "")))
        crates.append(crate)
    others = [Room(folder, plan.FOLDERS.get(folder, "")) for folder in sorted(folders) if "/" not in folder]
    rooms = [room for crate in crates for room in (crate, *crate.rooms)] + others
    problems += [
        f"{room.path} does not say what it is: "
        + ("its module needs a doc comment" if "/src/" in room.path else "give it a line in script/structure/plan.py")
        for room in rooms
        if not room.words
    ]
    problems += [f"{folder} is no more: remove it from script/structure/plan.py" for folder in plan.FOLDERS if folder not in folders]
    return crates, others, problems


def tree(crates, others):
    """The house as text, one line a room."""
    lines = []
    for room in others:
        lines.append((f"{room.name}/", room.words))
        if room.path == "crates":
            for crate in crates:
                lines.append((f"  {crate.name}/", crate.words))
                lines += [
                    (f"    {'src/' if '/src/' in inner.path else ''}{inner.name}{'' if is_file(inner) else '/'}", inner.words)
                    for inner in crate.rooms
                ]
    width = max(len(name) for name, _ in lines) + 2
    return BEGIN + "```\n" + "".join(f"{name:{width}}{words}\n" for name, words in lines) + "```\n" + END


def is_file(room):
    return "/src/" in room.path and not Path(room.path).is_dir()


def with_tree(text, new):
    """The page with its tree replaced; None where it has no place for one."""
    before, begin, rest = text.partition(BEGIN)
    old, end, after = rest.partition(END)
    return before + new + after if begin and end else None
