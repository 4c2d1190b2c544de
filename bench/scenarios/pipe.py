"""System calls that do next to nothing: the worst case for whatever looks at them."""

from ..comparison import compare, comparison_table

KINDS = ("readwrite",)


def run(bench):
    tools = bench.contenders
    others = [tools.bpftrace(KINDS), tools.sysdig(KINDS), tools.audit(KINDS, 50), tools.strace(KINDS, 100)]
    return compare(bench, "pipe", *bench.amount((20_000, 2), (500_000, 5), (500_000, 20)), others)


def tables(result):
    return comparison_table(result, "a byte through the pipe")


def goals(_):
    return []
