"""System calls that do next to nothing: the worst case for whatever looks at them."""

from ..comparison import compare, comparison_table

KINDS = ("readwrite",)


def run(bench):
    tools = bench.contenders
    others = [tools.bpftrace(KINDS), tools.audit(KINDS, 50), tools.strace(KINDS, 100)]
    return compare(bench, "pipe", *((2_000_000, 20) if bench.long else (500_000, 6)), others)


def tables(result):
    return comparison_table(result, "a byte through the pipe")


def goals(_):
    return []
