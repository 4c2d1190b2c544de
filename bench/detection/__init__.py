"""What Ethogram finds: services that live an ordinary life for some days, and attacks on them whose truth is known."""

from pathlib import Path

# How long a day of the fleet lasts. All times of the run are parts of it; a learning period is one day, as by default.
DAY_MINUTES = 4
BRIEF_DAY_MINUTES = 0.4

HERE = Path(__file__).parent
SERVICES = HERE / "services"

# Of the fleet's own network, which leads nowhere else.
NETWORK = "172.31.77"
ADDRESSES = {"names": 2, "web": 3, "proxy": 4, "app": 5, "store": 6, "broker": 7, "worker": 8, "bastion": 9}


def address(name):
    return f"{NETWORK}.{ADDRESSES[name]}"
