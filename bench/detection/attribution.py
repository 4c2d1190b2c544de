"""Whose an alert is: an attack's, or that of ordinary life. Nothing here asks the agent: processes are identified by the record of
forks and starts, and by the token that the launcher put into an attack's first program."""

import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

TOKEN = re.compile(r"\bstep-\d\d\b")
# Reads and writes are counted for three seconds before they are reported.
LATE = 4.0
SEVERITIES = ("Informational", "Low", "Medium", "High", "Critical")


def seconds(text):
    """Since the epoch, of a time as RFC 3339 has it, with as many digits as it likes."""
    whole, _, rest = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(whole + "+00:00").timestamp() + float(f"0.{rest or 0}")


def is_of_fleet(containers):
    """Whether one of these is the bench's, or none is known: what other containers of the machine do meanwhile is not judged."""
    return not any(containers) or any(name.startswith("bench-") or name == "host" for name in containers)


@dataclass(frozen=True)
class Alert:
    uid: str
    # Of its event.
    time: float
    analytic: str
    severity: str
    title: str
    object: str
    container: str
    pid: int
    # What is searched for an attack's own objects.
    text: str

    @classmethod
    def of(cls, finding):
        """From an OCSF Detection Finding."""
        info, evidence, more = finding["finding_info"], finding["evidences"][0], finding["unmapped"]
        rule = more.get("rule") or {}
        return cls(
            uid=info["uid"], time=seconds(finding["time_dt"]), analytic=info["analytic"]["uid"], severity=finding["severity"], title=info["title"],
            object=more["behaviour"]["object"], container=(evidence.get("container") or {}).get("name", ""),
            pid=(evidence.get("process") or {}).get("pid", 0),
            text=" ".join(map(str, (info["title"], more["behaviour"]["object"], rule.get("name", ""), rule.get("output", "")))),
        )

    def is_at_least(self, severity):
        return SEVERITIES.index(self.severity) >= SEVERITIES.index(severity)


class Processes:
    """Which processes descend from an attack's first, whatever adopted them later. A number is used again after an exit."""

    def __init__(self, events):
        self.lives = defaultdict(list)
        owners = {}
        for event in events:
            time, process = seconds(event["time"]), event["process"]
            pid = process["pid"]
            if event["event"] == "fork":
                child = process["child"]["pid"]
                owners.pop(child, None)
                if pid in owners:
                    self._begin(owners, child, owners[pid][0], time)
            elif event["event"] == "exec":
                token = TOKEN.search(" ".join(process.get("command_args", [])))
                if token and pid not in owners:
                    self._begin(owners, pid, token[0], time)
            elif event["event"] == "exit" and pid in owners:
                owners.pop(pid)[1][2] = time
        self.tokens = {token for lives in self.lives.values() for token, *_ in lives}

    def _begin(self, owners, pid, token, time):
        life = [token, time, float("inf")]
        owners[pid] = (token, life)
        self.lives[pid].append(life)

    def owner(self, pid, time):
        """The token of the attack that a process belonged to at that time."""
        of_it = [token for token, begin, end in self.lives.get(pid, ()) if begin - 0.01 <= time <= end + LATE]
        return of_it[-1] if of_it else None


def attribute(alert, attacks, processes):
    """The token of the attack that the alert is about, or None where it is a false positive."""
    if token := processes.owner(alert.pid, alert.time):
        return token
    for attack in attacks:
        there = attack["container"] == alert.container
        end = float("inf") if attack["lasts"] else attack["end"] + LATE
        if there and attack["begin"] - 0.1 <= alert.time <= end:
            # A container that is the attacker's has no ordinary life.
            if attack["how"] == "container" or any(re.search(pattern, alert.text) for pattern in attack["objects"]):
                return attack["token"]
    return None
