"""What is wrong in the pages: lines that are too long, links and paths that lead nowhere, words that must not come back."""

import re
from pathlib import Path

import plan

LINK = re.compile(r"\]\(([^)\s]+)\)")
PATH = re.compile(r"`((?:crates|docs|rules|script|bench|fuzz|ui)/[\w./-]*)`")
HEADING = re.compile(r"^#+ +(.*)$", re.M)
ENTRY = re.compile(r"^\*\*", re.M)
ROW = re.compile(r"\| .+? \||\*\*.+?\*\*|- .+\.$")
LONG = 40  # columns of a line that is no two lines' by chance
FUNCTION = re.compile(r"\bfn (\w+)|\b__always_inline \w+ \*?(\w+)\(|^\s*def (\w+)", re.M)


def outside_of_code(text):
    """The lines with their numbers, those of fenced code left out."""
    fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced:
            yield number, line


def anchors(text):
    """What GitHub calls the headings of a page."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in HEADING.findall(text)}


def page_problems(file, text, exists=Path.exists):
    """Lines, links and paths of one page, and what a merge left of it."""
    if not HEADING.search(text):
        yield f"{file} has no heading: is it empty?"
    seen = set()
    for number, line in outside_of_code(text):
        # The first cell of a row says what it is about, and so does what is bold of a paragraph.
        what = (ROW.match(line) or [""])[0]
        if len(what) > LONG and what in seen:
            yield f"{file}:{number} says again: {what}"
        seen.add(what)
    for number, line in outside_of_code(text):
        if len(line) > plan.MOST_COLUMNS and not line.startswith("|"):
            yield f"{file}:{number} has {len(line)} columns: {plan.MOST_COLUMNS} at most"
    for number, line in outside_of_code(text):
        for target in LINK.findall(line):
            path, _, anchor = target.partition("#")
            if "://" in path:
                continue
            page = file.parent / path if path else file
            if path and not exists(page):
                yield f"{file}:{number} links to {path}, which is not there"
            elif anchor and page.suffix == ".md" and anchor not in anchors(text if page == file else page.read_text()):
                yield f"{file}:{number} links to #{anchor}, which {page} does not have"
        for path in PATH.findall(line):
            if not re.search("[A-Z]{4}", path) and not exists(Path(path)) and path.rstrip("/") not in plan.TO_COME:
                yield f"{file}:{number} names {path}, which is not there"


def word_problems(file, text):
    """Words for which there is a better one."""
    lines = outside_of_code(text) if file.suffix == ".md" else enumerate(text.splitlines(), 1)
    for number, line in lines:
        for word, instead in plan.WORDS.items():
            if found := re.search(rf"\b(?:{word})\b", line, re.I):
                yield f'{file}:{number} says "{found[0]}": {instead}, see docs/glossary.md'


def name_problems(file, text):
    """Names of functions that say nothing."""
    for names in FUNCTION.findall(text):
        for name in names:
            if name in plan.NAMES:
                yield f"{file}: a function called {name}: {plan.NAMES[name]}"


def glossary_problems(text):
    """More entries than one reads."""
    if (entries := len(ENTRY.findall(text))) > plan.MOST_ENTRIES:
        yield f"docs/glossary.md has {entries} entries: {plan.MOST_ENTRIES} at most"


def prose_problems(files):
    """All of it, for these files, but for those that are known."""
    for file in files:
        text = file.read_text()
        if any(file.is_relative_to(known) for known in plan.KNOWN_WORDS):
            continue
        if file.suffix == ".md" and file.parts[:2] != ("docs", "reference"):
            yield from page_problems(file, text)
        if file not in plan.ABOUT_WORDS:
            yield from word_problems(file, text)
            yield from name_problems(file, text)
    yield from glossary_problems(plan.GLOSSARY.read_text())
