"""The command line."""

import argparse
import fcntl
import importlib
import signal
import sys
import time
import traceback
from pathlib import Path

from . import containers, cpu
from .bench import Bench
from .detection import fleets
from .results import Results

# In the order of the table.
SCENARIOS = ("start", "rules", "model", "web", "learning", "kernels", "processes", "build", "files", "pipe", "flood", "event", "growth",
             "soak", "detection")
# Not measured where no scenario is named.
ON_REQUEST = ("kernels", "soak", "detection")
TARGET = Path("target/bench")
LOCK = "/run/lock/ethogram-bench"


def arguments():
    parser = argparse.ArgumentParser(prog="script/bench", description="Measures what Ethogram costs, and what it finds.")
    parser.add_argument("scenario", nargs="*", help=f"what to measure, of {', '.join(SCENARIOS)}; without it, all but {', '.join(ON_REQUEST)}")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--long", action="store_true", help="more rounds, and 500 containers: about an hour")
    length.add_argument("--brief", action="store_true", help="only whether the bench itself works: its figures say nothing")
    parser.add_argument("--fleet", choices=fleets.NAMES, default=fleets.NAMES[0], help="detection: which services live and are attacked")
    parser.add_argument("--judge", action="store_true", help="detection: judge the kept run again, and make no new one")
    parser.add_argument("--json", type=Path, metavar="FILE", help=f"where figures go; the Markdown goes beside it ({TARGET}/results.json)")
    parser.add_argument("--update-docs", "--update-readme", action="store_true",
                        help="put the tables into docs/costs.md and docs/detection.md, and a sentence of each into README.md")
    parser.add_argument("--binary", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--tools", type=Path, required=True, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if unknown := [name for name in given.scenario if name not in SCENARIOS]:
        parser.error(f"there is no scenario {unknown[0]!r}: there are {', '.join(SCENARIOS)}")
    if given.judge and given.scenario != ["detection"]:
        parser.error("--judge is for detection alone")
    if given.fleet != fleets.NAMES[0]:
        if given.scenario != ["detection"]:
            parser.error("--fleet is for detection alone")
        given.scenario = [f"detection-{given.fleet}"]
    if given.brief and given.update_docs:
        parser.error("figures of --brief are not for the documentation")
    # Figures that say nothing are not put beside those that do.
    given.json = given.json or TARGET / ("brief.json" if given.brief else "results.json")
    given.length = "long" if given.long else "brief" if given.brief else "default"
    return given


def main():
    given = arguments()
    # Ended from outside, what was started is ended as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    modules = {name: importlib.import_module(f".scenarios.{name}", __package__) for name in SCENARIOS}
    modules |= {f"detection-{name}": modules["detection"].OfFleet(name) for name in fleets.NAMES[1:]}
    # Until this process ends. Two at a time would measure, and remove, each other.
    alone = open(LOCK, "w")
    try:
        fcntl.flock(alone, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"error: another bench is running ({LOCK} is locked): wait for its end")
    results = Results(given.json, given.binary)
    failed = []
    # What is judged again needs no container, and leaves those of others alone.
    remove_all = (lambda: None) if given.judge else containers.remove_all
    remove_all()
    cpu.remove_left_over()
    try:
        for name in given.scenario or [name for name in SCENARIOS if name not in ON_REQUEST]:
            if not measure(name, modules[name], given, results):
                failed.append(name)
    finally:
        remove_all()
    markdown = given.json.with_suffix(".md")
    markdown.write_text(results.markdown(modules))
    print(markdown.read_text())
    if given.update_docs:
        results.update_docs(modules, given.scenario or None)
    if failed:
        sys.exit(f"error: not measured: {', '.join(failed)}; the reasons are above")


def measure(name, module, given, results):
    bench = Bench(given.binary, given.tools, TARGET, given.length, given.judge)
    print(f"==> {name}: {module.__doc__.splitlines()[0]}", file=sys.stderr, flush=True)
    begin = time.monotonic()
    try:
        figures = module.run(bench)
    except Exception:  # One that fails must not cost the others.
        traceback.print_exc()
        return False
    finally:
        if not given.judge:
            containers.remove_containers()
    seconds = round(time.monotonic() - begin)
    print(f"==> {name}: {seconds} s", file=sys.stderr, flush=True)
    scenarios = ["detection", "--fleet", given.fleet] if given.fleet != fleets.NAMES[0] else given.scenario
    words = ["script/bench", *scenarios, *([] if given.length == "default" else [f"--{given.length}"]), *(["--judge"] if given.judge else [])]
    entry = {"command": " ".join(words), "seconds": seconds, "figures": figures, "left_out": bench.contenders.left_out}
    results.put(name, entry)
    return True


try:
    main()
except KeyboardInterrupt:
    sys.exit(130)
