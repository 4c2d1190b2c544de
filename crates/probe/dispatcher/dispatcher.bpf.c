// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * One program on the return of every system call, for kernels that offer no hook on a single one. It hands the call to
 * whichever trackers' programs want that number, see SYSCALLS in syscall.bpf.h, and does nothing else.
 */
#include "syscall.bpf.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(dispatch, struct pt_regs *regs, long result)
{
	u32 slot = call_slot(regs);

	if (slot < 2 * SYSCALL_NUMBERS)
		bpf_tail_call(ctx, &calls, slot);
	return 0;
}
