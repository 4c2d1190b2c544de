"""What Ethogram finds: services that live an ordinary life for some days, and attacks on them whose truth is known."""

from pathlib import Path

# How long a day of a fleet lasts. All times of the run are parts of it; a learning period is one day, as by default.
DAY_MINUTES = 4
BRIEF_DAY_MINUTES = 0.4

HERE = Path(__file__).parent
SERVICES = HERE / "services"
