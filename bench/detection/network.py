"""Where the services of a fleet are, in a network that leads nowhere else."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Network:
    """`hosts`: of each service, the last number of its address."""

    prefix: str
    hosts: dict

    @property
    def subnet(self):
        return f"{self.prefix}.0/24"

    def address(self, name):
        return f"{self.prefix}.{self.hosts[name]}"
