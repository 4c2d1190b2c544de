"""Goals, and whether they are met."""

from dataclasses import dataclass


@dataclass
class Goal:
    """`measured` is compared with `limit`; both are in `unit`. What is nearer to the limit than the error, where that is known, is undecided."""

    what: str
    limit: float
    measured: float
    unit: str
    error: float = 0.0
    spread: str = ""
    at_least: bool = False

    def verdict(self):
        past = (self.limit - self.measured) if self.at_least else (self.measured - self.limit)
        if abs(past) < self.error:
            return "undecided: within the error"
        return "met" if past <= 0 else f"missed by {number(past)}{self.unit}"

    def row(self):
        bound = "at least" if self.at_least else "at most"
        error = f" ± {number(self.error)}" if self.error else ""
        return (
            f"| {self.what} | {bound} {number(self.limit)}{self.unit} | {number(self.measured)}{error}{self.unit} "
            f"| {self.spread} | {self.verdict()} |"
        )

    def json(self):
        return {**vars(self), "verdict": self.verdict()}


def number(value):
    """As people write it: three digits that say something."""
    if value is None:
        return "-"
    if value == 0 or abs(value) >= 100 or isinstance(value, int):
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def table(columns, rows):
    """A Markdown table; the first column is text, the others are numbers."""
    lines = [columns, ["---"] + ["---:"] * (len(columns) - 1), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def percent(ratio):
    if ratio is None:
        return "-"
    error = f"{ratio['error']:.1f}" if ratio["pairs"] > 1 else "?"
    return f"{ratio['percent']:+.1f} % ± {error}"


def between(values):
    return f"{number(values['least'])} to {number(values['most'])}"
