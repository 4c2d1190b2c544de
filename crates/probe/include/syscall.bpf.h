/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * System calls as they return, on any architecture and from 32-bit programs too. A tracker lists those it hooks, by
 * their names and counted from 1, and says what it does with one:
 *
 *   enum removals_calls { SYS_unlink = 1, SYS_unlinkat, SYS_rmdir };
 *   SYSCALLS(removals)
 *   {
 *           if (call->result == 0 && call->which == SYS_rmdir) ... argument(call, 0) ...
 *   }
 *
 * The agent reads the list from BTF and attaches to just those calls: by return probes where the kernel has them,
 * else through the dispatcher that all trackers share, because a hook on the return of every call is paid for by every
 * call of every process. A call that an architecture lacks is left out.
 */
#ifndef ETHOGRAM_SYSCALL_H
#define ETHOGRAM_SYSCALL_H

#include "tracker.bpf.h"

#define SYSCALL_NUMBERS 512 /* per architecture, a power of two; the table of the 32-bit ones follows */
#define SYSCALL_LEVELS 4    /* trackers that can share one system call */

struct call {
	u32 which;   /* the enumerator */
	bool compat; /* a 32-bit program made it */
	long result; /* negative errno where it failed */
	struct pt_regs *regs;
};

/* The programs that want a call: the first one, for the dispatcher, and then each at its level, native numbers before
 * 32-bit ones. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, (1 + SYSCALL_LEVELS) * 2 * SYSCALL_NUMBERS);
	__type(key, u32);
	__type(value, u32);
} calls SEC(".maps");

/* The agent sets it: the level at which this object's programs stand. */
const volatile u32 agent_level;

#if defined(__TARGET_ARCH_x86)

#define TS_COMPAT 2
#define X32_BIT 0x40000000
#define CALL_NUMBER(regs) ((u32)(regs)->orig_ax & ~X32_BIT)

/* Number of the call, plus SYSCALL_NUMBERS for one of i386; more than any table holds where it is none. */
static __always_inline u32 call_slot(struct pt_regs *regs)
{
	u32 number = LOAD(regs, orig_ax) & ~X32_BIT;

	if (number >= SYSCALL_NUMBERS)
		return 2 * SYSCALL_NUMBERS;
	if (LOAD((struct task_struct *)bpf_get_current_task(), thread_info.status) & TS_COMPAT)
		number += SYSCALL_NUMBERS;
	return number;
}

/* `index` has to be a constant. */
static __always_inline u64 argument(const struct call *call, u32 index)
{
	struct pt_regs *regs = call->regs;

	if (call->compat) {
		return (u32)(index == 0 ? LOAD(regs, bx) :
			     index == 1 ? LOAD(regs, cx) :
			     index == 2 ? LOAD(regs, dx) :
			     index == 3 ? LOAD(regs, si) :
			     index == 4 ? LOAD(regs, di) :
					  LOAD(regs, bp));
	}
	return index == 0 ? LOAD(regs, di) :
	       index == 1 ? LOAD(regs, si) :
	       index == 2 ? LOAD(regs, dx) :
	       index == 3 ? LOAD(regs, r10) :
	       index == 4 ? LOAD(regs, r8) :
			    LOAD(regs, r9);
}

#elif defined(__TARGET_ARCH_arm64)

#define TIF_32BIT 22
#define CALL_NUMBER(regs) ((u32)(regs)->syscallno)

static __always_inline u32 call_slot(struct pt_regs *regs)
{
	u32 number = LOAD(regs, syscallno);

	if (number >= SYSCALL_NUMBERS)
		return 2 * SYSCALL_NUMBERS;
	if (LOAD((struct task_struct *)bpf_get_current_task(), thread_info.flags) >> TIF_32BIT & 1)
		number += SYSCALL_NUMBERS;
	return number;
}

/* The first argument's register holds the result by now; orig_x0 keeps it. */
static __always_inline u64 argument(const struct call *call, u32 index)
{
	struct pt_regs *regs = call->regs;
	u64 value = index == 0 ? LOAD(regs, orig_x0) :
		    index == 1 ? LOAD(regs, regs[1]) :
		    index == 2 ? LOAD(regs, regs[2]) :
		    index == 3 ? LOAD(regs, regs[3]) :
		    index == 4 ? LOAD(regs, regs[4]) :
				 LOAD(regs, regs[5]);

	return call->compat ? (u32)value : value;
}

#endif

/* The registers with which the current task entered the kernel. */
static __always_inline struct pt_regs *entry_registers(void)
{
	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs))
		return (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());
	/* Before 5.15: they lie at the top of the kernel's stack, which is 16 KiB on both architectures. */
	return LOAD((struct task_struct *)bpf_get_current_task(), stack) + 16384 - bpf_core_type_size(struct pt_regs);
}

/* Passes the call on to the next program that hooks it. Does not come back if there is one. */
static __always_inline void pass_on(void *ctx, u32 slot)
{
	if (agent_level < 1)
		bpf_tail_call(ctx, &calls, 4 * SYSCALL_NUMBERS + slot);
	if (agent_level < 2)
		bpf_tail_call(ctx, &calls, 6 * SYSCALL_NUMBERS + slot);
	if (agent_level < 3)
		bpf_tail_call(ctx, &calls, 8 * SYSCALL_NUMBERS + slot);
}

#define SYSCALLS(NAME)                                                                                                 \
	const enum NAME##_calls *__syscalls_##NAME = NULL;                                                             \
	/* The agent fills it: slot to enumerator. */                                                                  \
	const volatile u8 NAME##_which[2 * SYSCALL_NUMBERS];                                                           \
	static __always_inline void NAME##_call(const struct call *call);                                              \
                                                                                                                       \
	SEC("tp_btf/sys_exit")                                                                                         \
	int NAME##_dispatched(u64 *ctx)                                                                                \
	{                                                                                                              \
		struct call call = { .regs = (struct pt_regs *)ctx[0], .result = ctx[1] };                             \
		u32 slot = call_slot(call.regs) & (2 * SYSCALL_NUMBERS - 1);                                           \
                                                                                                                       \
		call.which = NAME##_which[slot];                                                                       \
		call.compat = slot >= SYSCALL_NUMBERS;                                                                 \
		if (call.which)                                                                                        \
			NAME##_call(&call);                                                                            \
		pass_on(ctx, slot);                                                                                    \
		return 0;                                                                                              \
	}                                                                                                              \
                                                                                                                       \
	SEC("kretprobe")                                                                                               \
	int NAME##_returned(struct pt_regs *ctx)                                                                       \
	{                                                                                                              \
		struct call call = { .regs = entry_registers(), .result = PT_REGS_RC(ctx) };                           \
		u32 slot = call_slot(call.regs);                                                                       \
                                                                                                                       \
		if (slot >= 2 * SYSCALL_NUMBERS)                                                                       \
			return 0;                                                                                      \
		call.which = NAME##_which[slot];                                                                       \
		call.compat = slot >= SYSCALL_NUMBERS;                                                                 \
		if (call.which)                                                                                        \
			NAME##_call(&call);                                                                            \
		return 0;                                                                                              \
	}                                                                                                              \
                                                                                                                       \
	static __always_inline void NAME##_call(const struct call *call)

#endif
