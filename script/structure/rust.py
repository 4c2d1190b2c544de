"""Which file of a crate uses which other: read from `mod`, `use` and paths such as `crate::a::B`, re-exports followed to what they name."""

import re
from dataclasses import dataclass, field
from pathlib import Path

NOT_CODE = re.compile(
    r"""//[^\n]* | /\*.*?\*/
      | \bb?r(?P<hashes>\#*)".*?"(?P=hashes) | \bb?"(?:\\.|[^"\\])*" | "(?:\\.|[^"\\])*"
      | b?'(?:\\u\{[^}]*\}|\\x..|\\.|[^'\\\n])'""",
    re.S | re.X,
)
FOR_TESTS = re.compile(r"#\[cfg\(test\)\]\s*(?:#\[[^\]]*\]\s*)*")
USE = re.compile(r"\b(?:pub(?:\([^)]*\))?\s+)?use\s+([^;]+);")
MODULE = re.compile(r'(?:#\[path\s*=\s*"([^"]+)"\]\s*)?(?:pub(?:\([^)]*\))?\s+)?\bmod\s+(\w+)\s*;')
ITEM = re.compile(r"\b(?:fn|struct|enum|trait|type|const|static|union|mod|macro_rules!)\s+(\w+)")
PATH = re.compile(r"(?<![\w:.$])(?:crate|super|self|[a-z_]\w*)(?:\s*::\s*\w+)+")


def code_of(text):
    """The text without comments, without what strings say, and without what is only there for tests."""
    text = NOT_CODE.sub(lambda found: '""' if found[0].endswith('"') else " ", text)
    while found := FOR_TESTS.search(text):
        text = text[: found.start()] + text[end_of_item(text, found.end()) :]
    return text


def end_of_item(text, at):
    """Where the item that begins there ends: behind its semicolon or its closing brace."""
    depth = 0
    for position in range(at, len(text)):
        match text[position]:
            case "{" | "(" | "[":
                depth += 1
            case "}" | ")" | "]":
                depth -= 1
                if depth == 0 and text[position] == "}":
                    return position + 1
            case ";" if depth == 0:
                return position + 1
    return len(text)


def outermost(text):
    """The text without what stands in braces."""
    kept, depth = [], 0
    for character in text:
        depth -= character == "}"
        if depth <= 0:
            kept.append(character)
        depth += character == "{"
    return "".join(kept)


def paths_of(tree):
    """`a::{b, c::*, d as e}` as (name in scope, path): ("b", a b), ("*", a c), ("e", a d)."""
    tree = tree.strip()
    head, brace, rest = tree.partition("{")
    if not brace:
        path, _, name = (part.strip() for part in re.sub(r"\s+as\s+", " as ", tree).partition(" as "))
        segments = [segment.strip() for segment in path.split("::") if segment.strip()]
        if segments and segments[-1] == "*":
            return [("*", segments[:-1])]
        if len(segments) > 1 and segments[-1] == "self":
            segments.pop()
        return [(name or segments[-1], segments)] if segments else []
    before = [segment.strip() for segment in head.split("::") if segment.strip()]
    found, depth, begin = [], 0, 0
    inner = rest[: rest.rindex("}")] + ","
    for position, character in enumerate(inner):
        depth += (character == "{") - (character == "}")
        if character == "," and depth == 0:
            for name, segments in paths_of(inner[begin:position]):
                if segments == ["self"]:
                    name, segments = (before[-1] if name == "self" else name), []
                found.append((name, before + segments))
            begin = position + 1
    return found


@dataclass
class Module:
    """A file, and what is in scope there."""

    name: tuple  # ("server", "judge"), the root being ()
    file: Path
    parent: "Module | None"
    code: str = ""
    children: dict = field(default_factory=dict)
    items: set = field(default_factory=set)
    imports: dict = field(default_factory=dict)
    globs: list = field(default_factory=list)


class Crate:
    """The modules of a crate below its root file, without those that are only there for tests."""

    def __init__(self, root):
        self.modules = []
        self.root = self.read(Path(root), (), None)

    def read(self, file, name, parent):
        text = file.read_text()
        code = code_of(text)
        uses = [imported for tree in USE.findall(code) for imported in paths_of(tree)]
        module = Module(name, file, parent, USE.sub(";", code))
        self.modules.append(module)
        module.imports = {as_name: path for as_name, path in uses if as_name != "*"}
        module.globs = [path for as_name, path in uses if as_name == "*"]
        module.items = set(ITEM.findall(outermost(module.code)))
        folder = file.parent if file.name in ("lib.rs", "main.rs", "mod.rs") else file.with_suffix("")
        for _, child in MODULE.findall(code):
            for candidate in (folder / f"{child}.rs", folder / child / "mod.rs"):
                if candidate.exists():
                    module.children[child] = self.read(candidate, (*name, child), module)
        return module

    def resolve(self, module, path, seen=()):
        """The module that has what the path names; None where that is another crate's, or is a module and nothing of it."""
        if (module.name, tuple(path)) in seen:
            return None
        seen = (*seen, (module.name, tuple(path)))
        first, rest = path[0], path[1:]
        if first == "crate":
            return self.within(self.root, rest, seen)
        if first == "self":
            return self.within(module, rest, seen)
        if first == "super":
            return self.within(module.parent, rest, seen) if module.parent else None
        return self.within(module, path, seen, is_relative=True)

    def within(self, module, path, seen, is_relative=False):
        if not path or module is None:
            return None
        first, rest = path[0], path[1:]
        if first == "super":
            return self.within(module.parent, rest, seen)
        if first in module.children:
            return self.within(module.children[first], rest, seen)
        if first in module.items:
            return module
        # What begins with its own name is a crate's: `use anyhow::anyhow`.
        if first in module.imports and module.imports[first][0] != first:
            return self.resolve(module, module.imports[first] + rest, seen)
        for glob in module.globs:
            if found := self.resolve(module, glob + path, seen):
                return found
        # A name that a macro made, or one of another crate.
        return None if is_relative else module

    def uses(self):
        """Which module uses which: {module: {module, …}}."""
        found = {module: set() for module in self.modules}
        for module in self.modules:
            paths = list(module.imports.values())
            paths += [re.split(r"\s*::\s*", path) for path in PATH.findall(module.code)]
            words = set(re.findall(r"\w+", module.code)) if module.globs else ()
            paths += [glob + [word] for glob in module.globs for word in words if self.has(module, glob, word)]
            for path in paths:
                used = self.resolve(module, path)
                if used is not None and used is not module:
                    found[module].add(used)
        return found

    def has(self, module, glob, word):
        """Whether `use glob::*` brings that word into scope; a child module is no use by itself."""
        place = self.resolve(module, glob + [word])
        return place is not None and (word in place.items or word in place.imports)

    __hash__ = object.__hash__


Module.__hash__ = object.__hash__
Module.__eq__ = object.__eq__
