// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * One program on the return of every system call, for kernels that offer no hook on a single one. It hands the call to
 * the trackers' programs that have subscribed to that number, see SYSCALLS in syscall.bpf.h, and does nothing else. Most calls
 * have no subscriber: they end after one byte is read.
 */
#include "syscall.bpf.h"

/* For each number, whether it has a subscriber, as a native call or as a 32-bit one. The agent sets it. */
u8 subscribed_numbers[SYSCALL_NUMBERS] SEC(".data.subscribed");

SEC("tp_btf/sys_exit")
int BPF_PROG(dispatch, struct pt_regs *regs, long result)
{
	/* A pointer that the kernel has given a type can be read from as it is. */
	u32 number = CALL_NUMBER(regs), slot;

	if (number >= SYSCALL_NUMBERS || !subscribed_numbers[number])
		return 0;
	slot = call_slot(regs);
	if (slot < 2 * SYSCALL_NUMBERS)
		bpf_tail_call(ctx, &calls, slot);
	return 0;
}
