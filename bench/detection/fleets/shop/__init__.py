"""A shop: a proxy, a web server, an app with its store and broker, jobs, names, and a bastion."""

from .attacks import ATTACKS
from .clients import answers, ask
from .fleet import Fleet
from .life import of_day
from .network import NETWORK
from .ways import WAYS

NAME = "shop"
DESCRIPTION = "eight services"
