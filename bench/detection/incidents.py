"""What incidents make of the alerts: whether one is one attack, whole, and how many there are of ordinary life."""

import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from statistics import median

from .attribution import SEVERITIES, attribute, seconds


@dataclass(frozen=True)
class Incident:
    """As it was in the end."""

    uid: str
    severity: str
    title: str
    begin: float
    findings: tuple

    @classmethod
    def of(cls, event):
        story = event["unmapped"]["incident"]
        findings = tuple(uid for part in story["parts"] for uid in part["findings"])
        return cls(story["uid"], event["severity"], event["message"], seconds(event["start_time_dt"]), findings)


def containers(line):
    """The names of the containers that an incident touched."""
    return json.loads(line)["unmapped"]["incident"]["containers"]


def last(lines):
    """The last state of each; those that became part of another are not counted."""
    by_uid = {}
    for line in lines:
        event = json.loads(line)
        story = event["unmapped"]["incident"]
        by_uid.pop(story["uid"], None)
        if not story.get("merged_into"):
            by_uid[story["uid"]] = Incident.of(event)
    return list(by_uid.values())


def first_shown(lines):
    """Of each finding, when an incident first had it: the time of the event by which it came."""
    found = {}
    for line in lines:
        event = json.loads(line)
        for part in event["unmapped"]["incident"]["parts"]:
            for uid in part["findings"]:
                found.setdefault(uid, seconds(event["time_dt"]))
    return found


def times_to_open(shown, owner, truth, delivery=None, opened=None):
    """Of each attack that is in an incident: seconds from its launch until an incident with it was first printed. `opened` says by
    finding when the live agent did so; what only a replay gave is taken to come as late as alerts do at the median."""
    usual = median(delivery.values()) if delivery else 0.0
    begins = {attack["token"]: attack["begin"] for attack in truth["attacks"]}
    came = {}
    for uid, time in shown.items():
        if token := owner.get(uid):
            came[token] = min(came.get(token, float("inf")), (opened or {}).get(uid, time + usual))
    return {token: max(0.0, time - begins[token]) for token, time in came.items()}


def _share(part, whole):
    return part / whole if whole else None


def judged(lines, alerts, truth, processes, delivery=None, opened=None):
    """`lines` are incidents as they are printed, `alerts` the findings. An incident is of the attacks that its findings are about."""
    incidents = last(lines)
    owner = {alert.uid: attribute(alert, truth["attacks"], processes) for alert in alerts}
    floor = SEVERITIES.index("Medium")
    of_attack, ordinary, mixed = defaultdict(list), [], []
    same = parts = 0
    for incident in incidents:
        tokens = Counter(owner.get(uid) for uid in incident.findings)
        attacks = {token: n for token, n in tokens.items() if token}
        for token in attacks:
            of_attack[token].append((incident, attacks[token]))
        if attacks:
            same += max(attacks.values())
            parts += sum(tokens.values())
        if len(attacks) > 1:
            mixed.append({"title": incident.title, "attacks": sorted(attacks)})
        day = int((incident.begin - truth["begin"]) // truth["day_seconds"]) + 1
        if not attacks and day > 1:
            ordinary.append({"day": day, "severity": incident.severity, "title": incident.title})
    delays = times_to_open(first_shown(lines), owner, truth, delivery, opened).values()
    whole = all_of = 0
    for token, found in of_attack.items():
        whole += max(n for _, n in found)
        all_of += sum(n for _, n in found)
    severe = {token for token, found in of_attack.items() if any(SEVERITIES.index(i.severity) >= floor for i, _ in found)}
    with_attack = {i.uid for found in of_attack.values() for i, _ in found if SEVERITIES.index(i.severity) >= floor}
    false = [o for o in ordinary if SEVERITIES.index(o["severity"]) >= floor]
    return {
        "incidents": len(incidents), "attacks": len(truth["attacks"]), "found": len(of_attack), "found_medium": len(severe),
        "per_attack": _share(sum(len(found) for found in of_attack.values()), len(of_attack)), "mixed": mixed,
        "purity": _share(same, parts), "completeness": _share(whole, all_of),
        "precision_medium": _share(len(with_attack), len(with_attack) + len(false)),
        "ordinary_day": sum(o["day"] == 2 for o in ordinary), "ordinary_day_medium": sum(o["day"] == 2 for o in false),
        "ordinary": ordinary,
        "seconds_median": median(delays) if delays else None, "seconds_most": max(delays) if delays else None,
    }
