"""Many small files, each written, read and removed."""

from ..comparison import compare, comparison_table

KINDS = ("open", "readwrite")


def run(bench):
    tools = bench.contenders
    others = [tools.libbpf("opensnoop"), tools.bpftrace(KINDS), tools.audit(("open",), 5), tools.strace(KINDS, 50)]
    return compare(bench, "files", *((100_000, 20) if bench.long else (50_000, 6)), others)


def tables(result):
    return comparison_table(result, "a file")


def goals(_):
    return []
