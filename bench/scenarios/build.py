"""A C project compiled from nothing, on two processors: short processes that open many files."""

from ..comparison import compare, comparison_table, loss_goal

KINDS = ("exec", "open")


def run(bench):
    tools = bench.contenders
    others = [tools.bpftrace(KINDS, 2), tools.sysdig(KINDS, 2), tools.audit(KINDS, 4), tools.strace(KINDS, 8)]
    return compare(bench, "compile", *bench.amount((4, 2), (16, 5), (64, 20)), others)


def tables(result):
    return comparison_table(result, "a source file")


def goals(result):
    return [loss_goal("a build: CPU lost, the agent's own included", result, 5)]
