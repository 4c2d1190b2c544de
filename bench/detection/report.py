"""What the run found, as tables for people, and as those of the documentation."""

import json
from collections import Counter

from ..goals import number, table
from ..results import replace
from . import fleets
from .judges import NAMES
from .picture import svg

GRADES = {"Informational": "all", "Medium": "medium and above", "High": "high and above"}


def _percent(share):
    return "-" if share is None else f"{100 * share:.0f} %"


def _seconds(value):
    return "-" if value is None else f"{value:.2f} s"


def fleet_of(result):
    return result.get("fleet", fleets.NAMES[0])


def is_first(result):
    """Of the first fleet: what it says has no name of a fleet in it."""
    return fleet_of(result) == fleets.NAMES[0]


def figures(result):
    """By judge, and by the lowest severity that one looks at."""
    rows, whose = [], "" if is_first(result) else f"{fleet_of(result)}: "
    for grade, words in GRADES.items():
        for judge, name in NAMES.items():
            f = result["judges"][judge]["figures"][grade]
            rows.append((
                f"{whose}{name}, {words}", f"{f['found']} of {f['attacks']}, {_percent(f['recall'])}", _percent(f["precision"]), f["ordinary_day"],
                f"{_seconds(f['seconds_median'])}, {_seconds(f['seconds_most'])}",
            ))
    return table(("alerts", "attacks found", "precision", "alerts on the ordinary day", "time to alert: median, longest"), rows)


def incidents(result):
    """What a person reads: how many there are, and how well each is one attack."""
    i = result["incidents"]
    number_of = lambda share: "-" if share is None else f"{share:.2f}"
    return table(
        ("incidents", "attacks found", "medium and above", "for each attack found", "that mix attacks", "purity", "completeness",
         "precision, medium and above", "on the ordinary day", "of these medium and above", "time to open: median, longest"),
        [(i["incidents"], f"{i['found']} of {i['attacks']}", f"{i['found_medium']} of {i['attacks']}", number_of(i["per_attack"]), len(i["mixed"]),
          number_of(i["purity"]), number_of(i["completeness"]), _percent(i["precision_medium"]), i["ordinary_day"], i["ordinary_day_medium"],
          f"{_seconds(i.get('seconds_median'))}, {_seconds(i.get('seconds_most'))}")],
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


def _named(failed):
    names = sorted({f"{done['what']}: {done['failed']}" for done in failed})
    return f" ({'; '.join(names)})" if names else ""


def not_attacked(result):
    """What is wrong with the bench: attacks that did not begin, or of which the record has nothing."""
    truth = result["truth"]
    names = {attack["token"]: attack["name"] for attack in truth["attacks"]}
    wrong = {
        "ATTACKS THAT DID NOT BEGIN": [f"{a['name']}: {a['error']}" for a in truth.get("not_launched", ())],
        "ATTACKS THAT LEFT NO TRACE IN THE RECORD": [names[token] for token in result["without_trace"]],
    }
    return [f"{words}: {'; '.join(of_them)}." for words, of_them in wrong.items() if of_them]


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
        f"{len(failed)} failed{_named(failed)}. {took}{same}",
        *not_attacked(result), figures(result), "Incidents of both:", incidents(result), attacks(result), "False positives of both after learning:", false_positives(result),
    ])


def write(folder, result):
    (folder / "result.json").write_text(json.dumps(result, indent=1) + "\n")
    (folder / "run.svg").write_text(svg(result))


def summary(result):
    """What both find together, in one sentence."""
    f, i = result["judges"]["both"]["figures"]["Informational"], result["incidents"]
    fleet = fleets.load(fleet_of(result))
    where = "in the benchmark" if is_first(result) else "with a second fleet that was never used for tuning"
    return (
        f"{where}, rules and behaviour model together find {f['found']} of {f['attacks']} attacks, in {number(i['per_attack'])} incidents "
        f"each, and raise an alert {_seconds(f['seconds_median'])} after the attack began (median); an ordinary day of {fleet.DESCRIPTION} has "
        f"{i['ordinary_day']} incidents, {i['ordinary_day_medium']} of them of medium severity and above"
    )


def picture(result):
    """The file of the picture, beside the page."""
    return "detection.svg" if is_first(result) else f"detection-{fleet_of(result)}.svg"


def publish(page, result):
    """The rest of the page about it shows the same run; what is of a further fleet has its name."""
    page.with_name(picture(result)).write_text(svg(result))
    mark = "" if is_first(result) else f"{fleet_of(result)}: "
    replace(page, f"{mark}attacks", attacks(result))
    replace(page, f"{mark}incidents", incidents(result))
    replace(page, f"{mark}false positives", false_positives(result))
