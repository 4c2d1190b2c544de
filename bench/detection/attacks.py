"""An attack: what it is, where it begins, and what is its own, so that alerts about it can be distinguished from others."""

from dataclasses import dataclass

OUTSIDE = "203.0.113.66"
METADATA = "169.254.169.254"


@dataclass(frozen=True)
class Attack:
    """`how` it begins: in the service itself (`breach`: a verb and what follows), with a new version (`deploy`), with a container of
    the attacker's (`container`), or in one of the fleet's own ways, such as a session of someone with a stolen key (`ssh`).
    `objects` are patterns of what only this attack is about; where it `lasts`, also later. It `starts` a program, or all is done by
    processes that were there. By a way of the fleet's own, the attacker's machine is `reached` from the networks of these services."""

    name: str
    service: str
    how: str
    order: tuple
    objects: tuple = ()
    lasts: bool = False
    worker: bool = False
    starts: bool = False
    reached: tuple = ()


def run(name, service, script, objects=(), apart=False, **more):
    """The service's process starts a shell; `apart` from its own children, where it would not bear one more."""
    return Attack(name, service, "breach", ("apart" if apart else "run", script), tuple(objects), starts=True, **more)


def itself(name, service, *order, objects, **more):
    """The service's process does it itself: no program is started."""
    return Attack(name, service, "breach", order, tuple(objects), **more)
