"""What the run found, as tables for people, and as the README's."""

import json
from collections import Counter
from pathlib import Path

from ..goals import number, table
from ..results import put
from .judges import NAMES
from .picture import svg

GRADES = {"Informational": "all", "Medium": "medium and graver", "High": "high and graver"}


def _percent(share):
    return "-" if share is None else f"{100 * share:.0f} %"


def _seconds(value):
    return "-" if value is None else f"{value:.2f} s"


def summary(result):
    """By judge, and by how grave the alerts are that one looks at."""
    rows = []
    for grade, words in GRADES.items():
        for judge, name in NAMES.items():
            f = result["judges"][judge]["figures"][grade]
            rows.append((
                f"{name}, {words}", f"{f['found']} of {f['attacks']}, {_percent(f['recall'])}", _percent(f["precision"]), f["ordinary_day"],
                f"{_seconds(f['seconds_median'])}, {_seconds(f['seconds_most'])}",
            ))
    return table(("alerts", "attacks found", "precision", "alerts on the ordinary day", "time to alert: median, longest"), rows)


def _cell(found):
    if not found:
        return "missed"
    title = found["title"].split(": ", 1)[-1].replace("|", "\\|").replace("`", "'")
    return f"**{found['severity']}**: {title[:90]}"


def attacks(result):
    rows = []
    for attack in result["truth"]["attacks"]:
        cells = [_cell(result["judges"][judge]["found"][attack["token"]]) for judge in ("behaviour", "rules")]
        rows.append((attack["name"], attack["service"], *cells))
    return table(("attack", "where", "behaviour model alone", "rules alone"), rows).replace("---:", "---")


def false_alarms(result, judge="both"):
    """What was told of ordinary life after learning, the most frequent first, and on which days."""
    later = [other for other in result["judges"][judge]["others"] if other["day"] > 1]
    counted = Counter((o["severity"], o["analytic"], o["title"]) for o in later)
    rows = [(title.replace("|", "\\|"), analytic, severity, n) for (severity, analytic, title), n in counted.most_common()]
    return table(("alert", "by", "severity", "times"), rows) if rows else "None."


def tables(result):
    truth = result["truth"]
    failed = [done for done in truth["life"] if done["failed"]]
    delivery = sorted(result["delivery"].values())
    words = {True: "The replay prints what the server printed.", False: "THE REPLAY DIFFERS FROM WHAT THE SERVER PRINTED.", None: ""}
    same = words[result["replay_is_the_same"]]
    took = ""
    if delivery:
        middle = delivery[len(delivery) // 2]
        took = f"An alert was printed {_seconds(middle)} after its event (median), {_seconds(delivery[-1])} at most. "
    return "\n\n".join([
        f"A day lasts {number(result['day_minutes'])} minutes. {number(result['events'])} events, {number(result['lost'])} of them lost; "
        f"{number(truth['asked'])} requests of clients, {number(truth['failed'])} failed; {len(truth['life'])} deeds of ordinary life, "
        f"{len(failed)} failed. {took}{same}",
        summary(result), attacks(result), "False alarms of both after learning:", false_alarms(result),
    ])


def write(folder, result):
    (folder / "result.json").write_text(json.dumps(result, indent=1) + "\n")
    (folder / "run.svg").write_text(svg(result))


def publish(result):
    """The page about it shows the run that the README's figures are from."""
    page = Path("docs/detection.md")
    page.with_suffix(".svg").write_text(svg(result))
    text = put(page.read_text(), "attacks", attacks(result), page)
    page.write_text(put(text, "false alarms", false_alarms(result), page))
