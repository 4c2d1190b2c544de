"""An office: whole services of a distribution, which nobody had before them while the product was tuned."""

from .attacks import ATTACKS
from .clients import answers, ask
from .fleet import Fleet
from .life import of_day
from .network import NETWORK
from .ways import WAYS

NAME = "office"
DESCRIPTION = "nine services"
