"""docs/design.svg: the journey of an event, by the steps that docs/design.md names, and below it the house, by its rooms."""

import re
import textwrap
from html import escape

WIDTH = 1040

STYLE = """
      .zone { stroke-width: 1.5; }
      .box { fill: #fff; stroke: #7c8a9a; stroke-width: 1.2; }
      .head { font-weight: 600; font-size: 15px; fill: #1f2f3f; }
      .step { font-weight: 600; fill: #1f2f3f; text-anchor: middle; }
      .note { fill: #566573; font-size: 12px; text-anchor: middle; }
      .side { fill: #566573; font-size: 12px; }
      .room { font-weight: 600; font-size: 13px; fill: #1f2f3f; }
      .words { fill: #44525f; font-size: 12px; }
      .way { stroke: #445566; stroke-width: 1.7; fill: none; marker-end: url(#tip); }
      .back { stroke-dasharray: 5 4; }
      .plain { marker-end: none; }
"""

# Where it happens: (title, x, y, width, height, fill, edge); a title further right leaves room for a line.
ZONES = [
    ("in the kernel: programs of probe/trackers", 20, 50, 1000, 196, "#e9f2ec", "#86b096"),
    ("reader: probe/read", 20, 286, 230, 132, "#e9f0f8", "#88a4c8"),
    ("engine thread: no clock, no lock, no I/O", 290, 286, 440, 132, "#fcf4e3", "#cfae68"),
    ("threads: agent", 770, 286, 250, 132, "#f4edf6", "#b592bb"),
    ("each behind a bounded queue of its own: agent", 20, 458, 1000, 118, "#f3f4f6", "#a6adb8"),
]

# What happens: (steps of the journey, what stands in the box, notes, x, y, width, height).
BOXES = [
    (["hook"], "hook", ["the cheapest attach", "point there is"], 40, 84, 140, 66),
    (["gate", "filter"], None, ["subscribed? this container?", "this file?"], 216, 84, 178, 66),
    (["habituate"], "habituate", ["a known habit is", "counted, not sent"], 430, 84, 150, 66),
    (["fill", "submit"], "fill, submit", ["fixed head and", "variable tail"], 616, 84, 150, 66),
    ([], "ring", ["one for each tracker"], 802, 84, 198, 66),
    ([], "tables", ["subscriptions, container filter, ordinary files, habits, policies"], 216, 172, 550, 54),
    ([], "samples", ["counted in place"], 802, 172, 198, 54),
    (["read", "frame"], "read, frame", ["length by the schema, one", "copy, in order of time"], 40, 324, 190, 74),
    (["enrich"], "enrich: engine", ["process and container,", "by start time and cgroup"], 310, 324, 190, 74),
    (["judge"], "judge: detect", ["rules and profiles:", "findings out"], 530, 324, 180, 74),
    ([], "effects", ["applied to", "the tables"], 786, 324, 102, 74),
    ([], "inputs", ["runtimes,", "requests, ticks"], 902, 324, 104, 74),
    (["route", "sink"], "route, sink", ["receivers of alerts"], 40, 494, 170, 62),
    ([], "store", ["profiles, alerts"], 234, 494, 140, 62),
    ([], "api, metrics", ["/v1, streams, Prometheus"], 398, 494, 180, 62),
    ([], "response", ["kill, freeze, cut: by request"], 602, 494, 200, 62),
    ([], "record", ["the engine's inputs"], 826, 494, 174, 62),
]

TITLE_FURTHER = 66

WAYS = [
    ("M180 117H214", ""), ("M394 117H428", ""), ("M580 117H614", ""), ("M766 117H800", ""),
    ("M305 172V152", ""), ("M505 172V152", ""), ("M784 117V199H800", ""),
    ("M1000 117H1010V266H120V284", ""), ("M901 226V266", "plain"),
    ("M230 361H308", ""), ("M500 361H528", ""), ("M710 361H784", ""),
    ("M954 398V438H405V400", "back"), ("M810 324V256H491V228", "back"),
    ("M620 398V456", ""),
]

CRATES = {
    "model": ("#eef0f2", "#9aa4af"),
    "probe": ("#e9f2ec", "#86b096"),
    "detect": ("#fcf4e3", "#cfae68"),
    "engine": ("#fcf4e3", "#cfae68"),
    "agent": ("#f4edf6", "#b592bb"),
}


def steps_of(design):
    """The steps of the journey, as docs/design.md has them: `hook → … → sink`."""
    found = re.search(r"^`(hook(?: → [a-z]+)+)`$", design, re.M)
    return found[1].split(" → ") if found else []


def problems_of(design):
    """Steps that are not drawn, and drawn ones that are no more."""
    steps = steps_of(design)
    drawn = [step for names, *_ in BOXES for step in names]
    if not steps:
        yield "docs/design.md does not name the steps of the journey: a line `hook → … → sink`"
    yield from (f"the step '{step}' of docs/design.md is not drawn: script/structure/draw.py" for step in steps if step not in drawn)
    yield from (
        f"'{' or '.join(names)}' is drawn, and is no step of docs/design.md: script/structure/draw.py"
        for names, *_ in BOXES
        if steps and names and not set(names) & set(steps)
    )


def text(kind, x, y, words):
    return f'<text class="{kind}" x="{x}" y="{y}">{escape(words.replace("`", ""), quote=False)}</text>'


def journey(steps):
    yield text("head", 20, 34, "The journey of an event")
    for title, x, y, width, height, fill, edge in ZONES:
        yield f'<rect class="zone" x="{x}" y="{y}" width="{width}" height="{height}" rx="12" fill="{fill}" stroke="{edge}"/>'
        yield text("head", x + (TITLE_FURTHER if title.startswith("threads") else 16), y + 24, title)
    for path, kind in WAYS:
        yield f'<path class="way {kind}" d="{path}"/>' if kind else f'<path class="way" d="{path}"/>'
    for names, title, notes, x, y, width, height in BOXES:
        title = title or next((step for step in steps if step in names), names[0])
        yield f'<rect class="box" x="{x}" y="{y}" width="{width}" height="{height}" rx="7"/>'
        top = y + (height - 16 * len(notes) - 18) // 2 + 15
        yield text("step", x + width // 2, top, title)
        for line, note in enumerate(notes):
            yield text("note", x + width // 2, top + 17 + 15 * line, note)


def crate_lines(crate, letters):
    """A crate's lines of text: (class, x, y, words), and its height."""
    lines, y = [], 24
    lines.append(("head", 16, y, f"crates/{crate.name}"))
    for line in textwrap.wrap(crate.words, letters + 18):
        y += 17
        lines.append(("side", 16, y, line))
    for room in crate.rooms:
        y += 20
        lines.append(("room", 16, y, room.name))
        for number, line in enumerate(textwrap.wrap(room.words, letters)):
            y += 15 * (number > 0)
            lines.append(("words", 124, y, line))
    return lines, y + 16


def rooms(crates, top):
    """The house in two columns, each crate with its rooms; the height that it takes is last."""
    yield text("head", 20, top + 14, "The house")
    columns = [top + 30, top + 30]
    by_name = {crate.name: crate for crate in crates}
    width = (WIDTH - 60) // 2
    for column, names in enumerate((["model", "probe", "detect"], [name for name in by_name if name not in ("model", "probe", "detect")])):
        for name in names:
            lines, height = crate_lines(by_name[name], 54)
            x, y = 20 + column * (width + 20), columns[column]
            fill, edge = CRATES.get(name, ("#ffffff", "#9aa4af"))
            yield f'<rect class="zone" x="{x}" y="{y}" width="{width}" height="{height}" rx="12" fill="{fill}" stroke="{edge}"/>'
            yield from (text(kind, x + dx, y + dy, words) for kind, dx, dy, words in lines)
            columns[column] += height + 14
    yield max(columns)


def drawing(design, crates):
    """The whole picture."""
    *house, bottom = rooms(crates, 610)
    body = "\n  ".join([*journey(steps_of(design)), *house])
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 6}" font-family="ui-sans-serif, system-ui, Helvetica, Arial, sans-serif" font-size="14">
  <!-- Drawn by script/structure/check. -->
  <title>The journey of an event through Ethogram, and the rooms that it passes</title>
  <defs>
    <marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">
      <path d="M0 0 8 4 0 8z" fill="#445566"/>
    </marker>
    <style>{STYLE}    </style>
  </defs>
  <rect width="{WIDTH}" height="{bottom + 6}" fill="#fff"/>
  {body}
</svg>
"""
