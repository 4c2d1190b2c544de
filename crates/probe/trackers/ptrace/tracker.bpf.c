// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/* Processes that trace others: who, whom, and what for. */
#include "syscall.bpf.h"

PARAM(bool8, all_requests, 0, "whether requests that only read or let the target go on are reported");

#define TRACEES 64 /* processes traced by one thread among which the target is looked for */

enum ptrace_request {
	PTRACE_TRACEME,
	PTRACE_PEEKTEXT,
	PTRACE_PEEKDATA,
	PTRACE_PEEKUSR,
	PTRACE_POKETEXT,
	PTRACE_POKEDATA,
	PTRACE_POKEUSR,
	PTRACE_CONT,
	PTRACE_KILL,
	PTRACE_SINGLESTEP,
	PTRACE_GETREGS = 12,
	PTRACE_SETREGS,
	PTRACE_GETFPREGS,
	PTRACE_SETFPREGS,
	PTRACE_ATTACH,
	PTRACE_DETACH,
	PTRACE_GETFPXREGS,
	PTRACE_SETFPXREGS,
	PTRACE_SYSCALL = 24,
	PTRACE_SETOPTIONS = 0x4200,
	PTRACE_GETEVENTMSG,
	PTRACE_GETSIGINFO,
	PTRACE_SETSIGINFO,
	PTRACE_GETREGSET,
	PTRACE_SETREGSET,
	PTRACE_SEIZE,
	PTRACE_INTERRUPT,
	PTRACE_LISTEN,
	PTRACE_PEEKSIGINFO,
	PTRACE_GETSIGMASK,
	PTRACE_SETSIGMASK,
	PTRACE_SECCOMP_GET_FILTER,
	PTRACE_SECCOMP_GET_METADATA,
	PTRACE_GET_SYSCALL_INFO,
};

struct ptrace_use {
	struct event_header header;
	error_number error FIELD("error.type", "why it was refused");
	enum ptrace_request request FIELD("ptrace.request", "what was asked for");
	optional_id asked FIELD("ptrace.requested.pid", "the target as the caller named it, in the caller's namespace");
	optional_id target
		FIELD("ptrace.target.pid",
		      "process id of the target in the host's namespace; absent where a refusal left it unknown");
	char target_name[16] FIELD("ptrace.target.name", "name of the target");
	u64 address FIELD("ptrace.address", "the address, or the number of the registers, that it is about");
	u64 target_cgroup FIELD("ptrace.target.cgroup.id", "cgroup of the target; 0 where it is unknown");
	bool8 other_cgroup FIELD("ptrace.target.other_cgroup",
				 "whether the target is in another cgroup: in another container, or outside of any");
};
EVENT(trace, struct ptrace_use, 1);

/* Whether a request makes a process traced, or changes what it does. */
static __always_inline bool is_grave(u32 request)
{
	switch (request) {
	case PTRACE_TRACEME:
	case PTRACE_POKETEXT:
	case PTRACE_POKEDATA:
	case PTRACE_POKEUSR:
	case PTRACE_KILL:
	case PTRACE_SETREGS:
	case PTRACE_SETFPREGS:
	case PTRACE_ATTACH:
	case PTRACE_SETFPXREGS:
	case PTRACE_SETSIGINFO:
	case PTRACE_SETREGSET:
	case PTRACE_SEIZE:
	case PTRACE_SETSIGMASK:
		return true;
	default:
		return false;
	}
}

/* A thread's id in the pid namespace at `level`. */
static __always_inline u32 pid_at(struct task_struct *task, u32 level)
{
	struct pid *pid = LOAD(task, thread_pid);
	u32 number = 0;

	if (level <= LOAD(pid, level))
		bpf_probe_read_kernel(&number, sizeof(number),
				      (void *)pid + bpf_core_field_offset(struct pid, numbers) +
					      level * bpf_core_type_size(struct upid));
	return number;
}

/*
 * The target of a request, among those that the current thread traces: no helper finds a process by its id. One that
 * was attached just now is the first.
 */
static __always_inline struct task_struct *tracee(u32 asked)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	u32 level = LOAD(task, thread_pid, level);
	struct list_head *entry = LOAD(task, ptraced.next);

	for (int i = 0; i < TRACEES; i++) {
		struct task_struct *traced = (void *)entry - bpf_core_field_offset(struct task_struct, ptrace_entry);

		if (entry == &task->ptraced || !entry)
			break;
		if (pid_at(traced, level) == asked)
			return traced;
		entry = LOAD(entry, next);
	}
	return NULL;
}

enum trace_calls { SYS_ptrace = 1 };
SYSCALLS(trace)
{
	struct tracker_counters *c = count();
	u32 request = argument(call, 0);
	struct ptrace_use e = {};
	struct task_struct *target;
	u64 cgroup;

	if (!c || !is_collected(c, &cgroup))
		return;
	if (!all_requests && !is_grave(request)) {
		c->filtered__parameter++;
		return;
	}
	describe_current(&e.header, EVENT_trace, cgroup);
	e.error = call->result < 0 ? -call->result : 0;
	e.request = request;
	e.asked = e.target = NO_ID;
	if (request == PTRACE_TRACEME) {
		/* The parent traces the caller. */
		target = (struct task_struct *)bpf_get_current_task();
	} else {
		e.asked = argument(call, 1);
		e.address = argument(call, 2);
		target = tracee(e.asked);
	}
	if (target) {
		e.target = LOAD(target, tgid);
		e.target_cgroup = cgroup_of(target);
		e.other_cgroup = e.target_cgroup != cgroup;
		bpf_probe_read_kernel_str(e.target_name, sizeof(e.target_name), &target->comm);
	}
	submit(c, &e, sizeof(e));
}
