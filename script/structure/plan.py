"""How the house is meant to stand: who may know whom. What is here is said, with its reasons, in docs/design.md."""

from pathlib import Path

# crates/NAME: the crates of ours that it may use. A new crate needs a line here, and a line needs a reason to be a crate.
CRATES = {
    "model": set(),
    "probe": {"model"},
    "detect": {"model"},
    "engine": {"model", "detect"},
    "agent": {"model", "probe", "detect", "engine"},
}

# Of other people's crates, what must not come in anywhere below: the kernel, tasks, files and sockets, threads' channels.
KERNEL = {"libbpf-rs", "libbpf-sys", "procfs"}
OUTSIDE = KERNEL | {"axum", "crossbeam-channel", "hyper", "mio", "redb", "rustix", "tokio", "tonic"}
FORBIDDEN = {"model": OUTSIDE, "detect": OUTSIDE, "engine": OUTSIDE}

# Folders of a crate that must not use each other, even one way.
FORBIDDEN_ROOMS = [
    ("agent", "api", "server"),  # the API says what it needs as traits; the server has them
    ("agent", "sink", "pipeline"),  # a sink knows findings and not where they come from
    ("agent", "sink", "server"),
]

# A source is about one thing, and seldom has over 400 lines.
MOST_LINES = 500

# What is known to stand wrong, to be mended and removed here; the check fails where a line is not needed any more.
KNOWN_CIRCLES = [
]
KNOWN_LONG: list[str] = []

# Rooms that have no module to say what they are. Any other folder of the repository or of a crate is an error.
FOLDERS = {
    "bench": "What Ethogram costs and what it finds, measured against no agent and other tools",
    "crates": "What Ethogram is made of",
    "crates/engine/examples": "What the engine costs an event of a recording, measured",
    "crates/probe/dispatcher": "The one program on `sys_exit`, for kernels that hook no single call",
    "crates/probe/include": "What a tracker's C is written with, and the tables that C and Rust share",
    "crates/probe/response": "Programs that refuse, kill, and cut a network",
    "crates/probe/trackers": "A folder for each tracker: its C, its manifest, its tests",
    "docs": "Design, decisions, glossary, guides, and the generated reference",
    "fuzz": "Fuzzers of what reads other people's bytes, with their seeds",
    "rules": "The rules that ship",
    "script": "Bootstrap, server, test, bench, fuzz, requests of the API; other kernels; the check of this structure",
}
# What a crate has beside its sources that is no room: tests and what only the build reads.
NO_ROOMS = {"build", "examples", "src", "tests"}
# Crates that are small enough for each file to be a room.
ROOMS_ARE_FILES = {"engine"}
# Pages. Tables, and what is generated, may be wider.
MOST_COLUMNS = 120
GLOSSARY = Path("docs/glossary.md")
MOST_ENTRIES = 40
# Rooms that docs/design.md speaks of and that are not built yet.
TO_COME = {"crates/agent/src/fleet", "crates/detect/src/incident", "crates/hub", "ui"}

# Files that are about these words.
ABOUT_WORDS = {GLOSSARY, Path("script/structure/plan.py"), Path("script/structure/tests.py")}

# Words for which docs/glossary.md has better ones, as patterns, and names of functions that say nothing: with what to say instead.
WORDS = {
    "whoever": 'say who: "a user", "an attacker", "the caller"',
    "(?:nobody|somebody) wants": 'say "has no subscription", "has a subscription"',
    "graver?": 'say "severe", "of severity high"',
    "false alarms?": 'say "false positive"',
}
NAMES = {
    "told": "say what it makes: to_api, message, render",
    "tell": "say what it does: report, publish, write",
    "says": "say what it asks: is_arguments",
    "look": "say what it does: inspect, search, check_expired",
    "glance": "say what it does: drain_enforcements",
}
# What still has such words or names, to be mended and removed here.
KNOWN_WORDS: set[str] = set()
