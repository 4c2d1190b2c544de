"""What the run found, as tables for people, and as those of the documentation."""

import json
from collections import Counter

from ..goals import number, table
from ..results import replace
from .judges import NAMES
from .picture import svg

GRADES = {"Informational": "all", "Medium": "medium and above", "High": "high and above"}


def _percent(share):
    return "-" if share is None else f"{100 * share:.0f} %"


def _seconds(value):
    return "-" if value is None else f"{value:.2f} s"


def figures(result):
    """By judge, and by the lowest severity that one looks at."""
    rows = []
    for grade, words in GRADES.items():
        for judge, name in NAMES.items():
            f = result["judges"][judge]["figures"][grade]
            rows.append((
                f"{name}, {words}", f"{f['found']} of {f['attacks']}, {_percent(f['recall'])}", _percent(f["precision"]), f["ordinary_day"],
                f"{_seconds(f['seconds_median'])}, {_seconds(f['seconds_most'])}",
            ))
    return table(("alerts", "attacks found", "precision", "alerts on the ordinary day", "time to alert: median, longest"), rows)


def incidents(result):
    """What a person reads: how many there are, and how well each is one attack."""
    i = result["incidents"]
    number_of = lambda share: "-" if share is None else f"{share:.2f}"
    return table(
        ("incidents", "attacks found", "medium and above", "for each attack found", "that mix attacks", "purity", "completeness",
         "precision, medium and above", "on the ordinary day", "of these medium and above"),
        [(i["incidents"], f"{i['found']} of {i['attacks']}", f"{i['found_medium']} of {i['attacks']}", number_of(i["per_attack"]), len(i["mixed"]),
          number_of(i["purity"]), number_of(i["completeness"]), _percent(i["precision_medium"]), i["ordinary_day"], i["ordinary_day_medium"])],
    )


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


def false_positives(result, judge="both"):
    """Alerts about ordinary life after learning, the most frequent first, and on which days."""
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
        figures(result), "Incidents of both:", incidents(result), attacks(result), "False positives of both after learning:", false_positives(result),
    ])


def write(folder, result):
    (folder / "result.json").write_text(json.dumps(result, indent=1) + "\n")
    (folder / "run.svg").write_text(svg(result))


def summary(result):
    """What both find together, in one sentence."""
    f, i = result["judges"]["both"]["figures"]["Informational"], result["incidents"]
    return (
        f"in the benchmark, rules and behaviour model together find {f['found']} of {f['attacks']} attacks, in {number(i['per_attack'])} incidents "
        f"each, and raise an alert {_seconds(f['seconds_median'])} after the attack began (median); an ordinary day of eight services has "
        f"{i['ordinary_day']} incidents, {i['ordinary_day_medium']} of them of medium severity and above"
    )


def publish(page, result):
    """The rest of the page about it shows the same run."""
    page.with_suffix(".svg").write_text(svg(result))
    replace(page, "attacks", attacks(result))
    replace(page, "incidents", incidents(result))
    replace(page, "false positives", false_positives(result))
