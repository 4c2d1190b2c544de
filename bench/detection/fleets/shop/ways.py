"""How attacks on the shop begin from outside."""

from . import clients


def ssh(launcher, token, order):
    """In a session of someone with a stolen key."""
    clients.ssh(launcher.fleet, f"{order[0]}; : {token}")


def store(_, __, order):
    """By commands to the store."""
    for words in order:
        clients.store(*words)


WAYS = {"ssh": ssh, "store": store}
