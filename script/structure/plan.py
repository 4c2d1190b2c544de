"""How the house is meant to stand: who may know whom. What is here is said, with its reasons, in docs/design.md."""

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
    "agent/src/response: cgroups processes",
    "detect/src/rules: compile patterns plan",
    "detect/src/rules: definitions document prepared sigma",
]
KNOWN_LONG = [
    "crates/agent/src/cli/args.rs",
]
