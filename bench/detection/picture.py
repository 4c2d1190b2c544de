"""The run as a picture: what was done to which service when, which attacks were found by whom, and false positives."""

from xml.sax.saxutils import escape

from . import fleets

LEFT, WIDTH, ROW, TOP = 92, 1060, 34, 46
DAYS = ("learnt", "an ordinary day", "attacked")
# By who found it: words, fill, stroke.
MARKS = {
    ("behaviour", "rules"): ("found by both", "#2b8a3e", "#2b8a3e"),
    ("behaviour",): ("by the behaviour model alone", "#1c7ed6", "#1c7ed6"),
    ("rules",): ("by the rules alone", "#f08c00", "#f08c00"),
    (): ("missed", "#ffffff", "#e03131"),
}


def finders(result, token):
    return tuple(judge for judge in ("behaviour", "rules") if result["judges"][judge]["found"][token])


def svg(result):
    truth = result["truth"]
    span = len(DAYS) * truth["day_seconds"]
    rows = ["ordinary life", *fleets.load(result.get("fleet", fleets.NAMES[0])).NETWORK.hosts]
    rows += sorted({attack["service"] for attack in truth["attacks"]} - set(rows))
    height = TOP + ROW * len(rows) + 46
    x = lambda time: LEFT + (WIDTH - LEFT - 20) * min(1, max(0, (time - truth["begin"]) / span))
    y = lambda row: TOP + ROW * rows.index(row) + ROW / 2
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12" fill="#343a40">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        '<style>.a{stroke-width:2}.f{fill:#495057}</style>',
    ]
    for number, words in enumerate(DAYS):
        begin, end = x(truth["begin"] + number * truth["day_seconds"]), x(truth["begin"] + (number + 1) * truth["day_seconds"])
        shade = "#f1f3f5" if number % 2 else "#f8f9fa"
        out.append(f'<rect x="{begin:.1f}" y="{TOP - 20}" width="{end - begin:.1f}" height="{ROW * len(rows) + 20}" fill="{shade}"/>')
        out.append(f'<text x="{(begin + end) / 2:.1f}" y="{TOP - 28}" text-anchor="middle">day {number + 1}: {words}</text>')
    for row in rows:
        out.append(f'<text x="{LEFT - 8}" y="{y(row) + 4:.1f}" text-anchor="end">{row}</text>')
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - 20}" y1="{y(row):.1f}" y2="{y(row):.1f}" stroke="#dee2e6"/>')
    for done in truth["life"]:
        at = x(done["begin"])
        out.append(_deed(at, y("ordinary life"), done["what"]))
    for other in result["judges"]["both"]["others"]:
        row = other["title"].split(":")[0].removeprefix("bench-")
        out.append(_triangle(x(other["time"]), y(row if row in rows else "ordinary life") + 9, other["title"]))
    for attack in truth["attacks"]:
        _, fill, stroke = MARKS[finders(result, attack["token"])]
        out.append(f'<circle class="a" cx="{x(attack["begin"]):.1f}" cy="{y(attack["service"]) - 3:.1f}" r="6" fill="{fill}" stroke="{stroke}">'
                   f'<title>{escape(attack["name"])}</title></circle>')
    return "\n".join([*out, *_legend(height - 18), "</svg>\n"])


def _deed(at, middle, title):
    line = f'x1="{at:.1f}" x2="{at:.1f}" y1="{middle - 8:.1f}" y2="{middle + 8:.1f}" stroke="#868e96" stroke-width="2"'
    return f"<line {line}><title>{escape(title)}</title></line>"


def _triangle(at, foot, title):
    return f'<path class="f" d="M{at - 4:.1f} {foot:.1f}h8l-4 -7z"><title>{escape(title)}</title></path>'


def _legend(y):
    out, at = [], LEFT
    for words, fill, stroke in MARKS.values():
        out.append(f'<circle class="a" cx="{at}" cy="{y - 4}" r="6" fill="{fill}" stroke="{stroke}"/><text x="{at + 12}" y="{y}">{words}</text>')
        at += 30 + 7 * len(words)
    out.append(_triangle(at, y, "") + f'<text x="{at + 12}" y="{y}">false positive</text>')
    out.append(_deed(at + 112, y - 4, "") + f'<text x="{at + 120}" y="{y}">ordinary deed</text>')
    return out
