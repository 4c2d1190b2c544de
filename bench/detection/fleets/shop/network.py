"""Where the services are."""

from pathlib import Path

from ...network import Network

NETWORK = Network("172.31.77", {"names": 2, "web": 3, "proxy": 4, "app": 5, "store": 6, "broker": 7, "worker": 8, "bastion": 9})
SERVICES = Path(__file__).parent / "services"
address = NETWORK.address
