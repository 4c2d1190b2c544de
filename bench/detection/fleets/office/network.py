"""Where the services are."""

from pathlib import Path

from ...network import Network

NETWORK = Network("172.31.78", {"gateway": 2, "portal": 3, "api": 4, "database": 5, "cache": 6, "mail": 7, "files": 8, "batch": 9, "login": 10})
SERVICES = Path(__file__).parent / "services"
SETUP = Path(__file__).parent / "setup"
address = NETWORK.address
