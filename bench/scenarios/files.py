"""Many small files, each written, read and removed."""

from ..comparison import compare, comparison_table

KINDS = ("open", "readwrite")


def run(bench):
    tools = bench.contenders
    others = [
        tools.libbpf("opensnoop"), tools.bpftrace(KINDS), tools.sysdig(KINDS), tools.audit(("open",), 5),
        tools.strace(KINDS, 50),
    ]
    return compare(bench, "files", *bench.amount((2000, 2), (40_000, 5), (50_000, 20)), others)


def tables(result):
    return comparison_table(result, "a file")


def goals(_):
    return []
