"""The few statistics that the bench needs."""

import math
import random
from statistics import mean, median


def trimmed_mean(values, share=0.2):
    """The mean without the lowest and the highest `share` / 2 each, which is where other people's work ends up."""
    cut = int(len(values) * share / 2)
    return mean(sorted(values)[cut : len(values) - cut])


def ratio(logs, middle=trimmed_mean, resamples=1000):
    """From log ratios: how much more, in percent, with its bootstrapped standard error in percent points."""
    if not logs:
        return None
    chance = random.Random(1)  # The same data give the same error.
    resampled = [middle(chance.choices(logs, k=len(logs))) for _ in range(resamples)]
    centre = mean(resampled)
    error = math.sqrt(mean((r - centre) ** 2 for r in resampled))
    more = math.expm1(middle(logs))
    return {"percent": 100 * more, "error": 100 * (1 + more) * error, "pairs": len(logs)}


def spread(values):
    """Median, least and most."""
    return {"median": median(values), "least": min(values), "most": max(values), "runs": len(values)}
