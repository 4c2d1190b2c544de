"""What each judge said, in figures: recall, precision, alerts in ordinary life, time to an alert."""

from statistics import median

from .attribution import SEVERITIES, attribute

JUDGES = {"behaviour": ("--only", "behaviour"), "rules": ("--only", "rules"), "both": ()}
NAMES = {"behaviour": "behaviour model alone", "rules": "rules alone", "both": "both"}


def _share(part, whole):
    return part / whole if whole else None


def _brief(alert):
    return {"severity": alert.severity, "analytic": alert.analytic, "title": alert.title}


def judged(alerts, truth, processes):
    """By attack, the alerts about it; and the others, each with the day on which it came."""
    by_attack, others = {attack["token"]: [] for attack in truth["attacks"]}, []
    for alert in alerts:
        token = attribute(alert, truth["attacks"], processes)
        if token in by_attack:
            by_attack[token].append(alert)
        else:
            others.append({**_brief(alert), "day": int((alert.time - truth["begin"]) // truth["day_seconds"]) + 1, "time": alert.time})
    return by_attack, others


def figures(by_attack, others, truth, at_least="Informational", delivery=None):
    """Of alerts of at least that severity. Precision is of what came once all was learnt; the second day, on which there is no attack,
    says what ordinary life costs. `delivery` says by uid how long after
    its event the live agent printed an alert; one that only a replay gave is taken to come as late as they do at the median."""
    floor = SEVERITIES.index(at_least)
    false = [other for other in others if SEVERITIES.index(other["severity"]) >= floor]
    raised = {token: [a for a in alerts if a.is_at_least(at_least)] for token, alerts in by_attack.items()}
    begins = {attack["token"]: attack["begin"] for attack in truth["attacks"]}
    usual = median(delivery.values()) if delivery else 0.0
    came = {a: a.time + (delivery or {}).get(a.uid, usual) for alerts in raised.values() for a in alerts}
    delays = [max(0.0, min(came[a] for a in alerts) - begins[token]) for token, alerts in raised.items() if alerts]
    true = sum(len(alerts) for alerts in raised.values())
    after_learning = sum(other["day"] > 1 for other in false)
    return {
        "attacks": len(raised), "found": len(delays), "recall": _share(len(delays), len(raised)),
        "true_alerts": true, "false_alerts": after_learning, "precision": _share(true, true + after_learning),
        "first_day": sum(other["day"] == 1 for other in false), "ordinary_day": sum(other["day"] == 2 for other in false),
        "seconds_median": median(delays) if delays else None, "seconds_most": max(delays) if delays else None,
    }


def findings(by_attack):
    """By attack: its gravest alert, the first of those, and how many there are."""
    def gravest(alerts):
        return max(alerts, key=lambda a: (SEVERITIES.index(a.severity), -a.time))

    return {token: {**_brief(gravest(alerts)), "alerts": len(alerts)} if alerts else None for token, alerts in by_attack.items()}
