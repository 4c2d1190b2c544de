"""The fleets by name. Each is a package with `DESCRIPTION`, `NETWORK`, `ATTACKS`, `WAYS` (how attacks begin that this fleet alone
has), `Fleet`, `of_day`, and of its clients `ask` and `answers`."""

import importlib

# The first is the one that the product was tuned with.
NAMES = ("shop", "office")


def load(name):
    return importlib.import_module(f".{name}", __package__)
