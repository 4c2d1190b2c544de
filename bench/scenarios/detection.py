"""What is found: services with an ordinary life, attacks on them whose truth is known, and the run's record judged thrice."""

from pathlib import Path

from ..detection import BRIEF_DAY_MINUTES, DAY_MINUTES, report, run as detection

PAGE = Path("docs/detection.md")


def run(bench):
    folder = bench.work / "detection"
    folder.mkdir(parents=True, exist_ok=True)
    if bench.kept:
        truth, said = detection.kept(folder)
    else:
        day = bench.amount(BRIEF_DAY_MINUTES, DAY_MINUTES, 4 * DAY_MINUTES)
        truth, said = detection.live(bench, folder, (folder / "packages").resolve(), day)
    result = {"truth": truth, **said, **detection.judge(bench, folder, truth, said, bench.kept)}
    report.write(folder, result)
    return result


def tables(result):
    return report.tables(result)


def page(result):
    return report.figures(result)


def summary(result):
    return report.summary(result)


def publish(result):
    report.publish(PAGE, result)


def goals(_):
    """None: its figures have a table of their own."""
    return []
