/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* System calls by name, whatever the architecture and whether the caller is a 32-bit program. */
#ifndef ETHOGRAM_SYSCALL_H
#define ETHOGRAM_SYSCALL_H

#include "tracker.bpf.h"

enum {
	CALL_OTHER,
	CALL_OPEN,
	CALL_OPENAT,
	CALL_OPENAT2,
	CALL_CREAT,
	CALL_READ,
	CALL_WRITE,
	CALL_SENDFILE,
	CALL_COPY_FILE_RANGE,
};

#if defined(__TARGET_ARCH_x86)

#define TS_COMPAT 2

static __always_inline bool is_compat(void)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

	return BPF_CORE_READ(task, thread_info.status) & TS_COMPAT;
}

static __always_inline u32 syscall_of(struct pt_regs *regs)
{
	switch ((u32)regs->orig_ax) {
	case 0: /* read */
	case 17: /* pread64 */
	case 19: /* readv */
	case 295: /* preadv; i386 openat */
	case 327: /* preadv2 */
		if (is_compat())
			return (u32)regs->orig_ax == 295 ? CALL_OPENAT : CALL_OTHER;
		return CALL_READ;
	case 1: /* write */
	case 18: /* pwrite64 */
	case 20: /* writev; i386 getpid */
	case 296: /* pwritev */
	case 328: /* pwritev2 */
		return is_compat() ? CALL_OTHER : CALL_WRITE;
	case 40: /* sendfile */
		return is_compat() ? CALL_OTHER : CALL_SENDFILE;
	case 326: /* copy_file_range */
		return is_compat() ? CALL_OTHER : CALL_COPY_FILE_RANGE;
	case 187: /* i386 sendfile */
	case 239: /* i386 sendfile64 */
		return is_compat() ? CALL_SENDFILE : CALL_OTHER;
	case 377: /* i386 copy_file_range */
		return is_compat() ? CALL_COPY_FILE_RANGE : CALL_OTHER;
	case 2: /* open */
		return is_compat() ? CALL_OTHER : CALL_OPEN;
	case 85: /* creat */
		return is_compat() ? CALL_OTHER : CALL_CREAT;
	case 257: /* openat */
		return is_compat() ? CALL_OTHER : CALL_OPENAT;
	case 437: /* openat2, everywhere */
		return CALL_OPENAT2;
	case 3: /* i386 read; close */
	case 145: /* i386 readv */
	case 180: /* i386 pread64 */
		return is_compat() ? CALL_READ : CALL_OTHER;
	case 4: /* i386 write; stat */
	case 146: /* i386 writev */
	case 181: /* i386 pwrite64 */
		return is_compat() ? CALL_WRITE : CALL_OTHER;
	case 5: /* i386 open; fstat */
		return is_compat() ? CALL_OPEN : CALL_OTHER;
	case 8: /* i386 creat; lseek */
		return is_compat() ? CALL_CREAT : CALL_OTHER;
	default:
		return CALL_OTHER;
	}
}

static __always_inline u64 syscall_argument(struct pt_regs *regs, u32 index)
{
	if (is_compat()) {
		/* ebx, ecx, edx: in the 64-bit frame they are bx, cx, dx. */
		return index == 0 ? (u32)regs->bx : index == 1 ? (u32)regs->cx : (u32)regs->dx;
	}
	return index == 0 ? regs->di : index == 1 ? regs->si : regs->dx;
}

#elif defined(__TARGET_ARCH_arm64)

static __always_inline u32 syscall_of(struct pt_regs *regs)
{
	switch (regs->syscallno) {
	case 56:
		return CALL_OPENAT;
	case 437:
		return CALL_OPENAT2;
	case 71:
		return CALL_SENDFILE;
	case 285:
		return CALL_COPY_FILE_RANGE;
	case 63: /* read */
	case 65: /* readv */
	case 67: /* pread64 */
	case 69: /* preadv */
	case 286: /* preadv2 */
		return CALL_READ;
	case 64: /* write */
	case 66: /* writev */
	case 68: /* pwrite64 */
	case 70: /* pwritev */
	case 287: /* pwritev2 */
		return CALL_WRITE;
	default:
		return CALL_OTHER;
	}
}

/* The first argument's register holds the result by now; orig_x0 keeps it. */
static __always_inline u64 syscall_argument(struct pt_regs *regs, u32 index)
{
	return index == 0 ? regs->orig_x0 : regs->regs[index];
}

#endif

#endif
