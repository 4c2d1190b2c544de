"""What is found: services with an ordinary life, attacks on them whose truth is known, and the run's record judged thrice."""

from pathlib import Path

from ..detection import BRIEF_DAY_MINUTES, DAY_MINUTES, fleets, report, run as detection

PAGE = Path("docs/detection.md")


def run(bench, fleet=fleets.NAMES[0]):
    base = bench.work / "detection"
    folder = base if fleet == fleets.NAMES[0] else base / fleet
    folder.mkdir(parents=True, exist_ok=True)
    if bench.kept:
        truth, said = detection.kept(folder)
    else:
        day = bench.amount(BRIEF_DAY_MINUTES, DAY_MINUTES, 4 * DAY_MINUTES)
        truth, said = detection.live(bench, folder, fleets.load(fleet), (folder / "packages").resolve(), day)
    result = {"fleet": fleet, "truth": truth, **said, **detection.judge(bench, folder, truth, said, bench.kept)}
    report.write(folder, result)
    return result


def tables(result):
    return report.tables(result)


def page(result):
    return "\n\n".join([*report.not_attacked(result), report.figures(result)])


def page_of_another(result):
    """With its picture, which is there once it was run."""
    return f"{page(result)}\n\n![The same three days of the second fleet]({report.picture(result)})"


def summary(result):
    return report.summary(result)


def publish(result):
    report.publish(PAGE, result)


def goals(_):
    """None: its figures have a table of their own."""
    return []


class OfFleet:
    """The same of another fleet than the first."""

    PAGE = PAGE

    def __init__(self, fleet):
        self.fleet = fleet
        self.__doc__ = f"The same with another fleet: {fleet}."

    def run(self, bench):
        return run(bench, self.fleet)

    tables, page, summary = staticmethod(tables), staticmethod(page_of_another), staticmethod(summary)
    publish, goals = staticmethod(publish), staticmethod(goals)
