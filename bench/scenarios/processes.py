"""Short processes, one after the other."""

from ..comparison import compare, comparison_table, loss_goal

KINDS = ("exec",)


def run(bench):
    tools = bench.contenders
    others = [
        tools.libbpf("execsnoop", 8), tools.bpftrace(KINDS, 8), tools.sysdig(KINDS, 8), tools.audit(KINDS, 8),
        tools.strace(KINDS, 40),
    ]
    # 20,000 on each side: in rounds, because the machine is not the same for as long as they take.
    return compare(bench, "processes", *bench.amount((200, 2), (4000, 5), (4000, 20)), others)


def tables(result):
    return comparison_table(result, "a process")


def goals(result):
    total = result["count"] * result["rounds"]
    return [loss_goal(f"{total:,} short processes: CPU lost, the agent's own included", result, 5)]
