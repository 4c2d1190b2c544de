/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Processes by their numbers: in pid namespaces, and those that lead others. */
#ifndef ETHOGRAM_TASK_H
#define ETHOGRAM_TASK_H

#include "tracker.bpf.h"

enum { PIDTYPE_PGID = 2, PIDTYPE_SID = 3 };

/* The number and the pid namespace of a task, in the innermost one that it is in. */
static __always_inline struct upid own_number(struct task_struct *task)
{
	struct pid *pid = LOAD(task, thread_pid);
	u32 level = LOAD(pid, level);
	struct upid upid = {};

	bpf_probe_read_kernel(&upid, sizeof(upid),
			      (void *)pid + bpf_core_field_offset(struct pid, numbers) + level * sizeof(upid));
	return upid;
}

/* The leader of the task's process group (PIDTYPE_PGID) or session (PIDTYPE_SID), by its pid in the host's namespace. */
static __always_inline u32 leader_of(struct task_struct *task, u32 type)
{
	struct pid *leader = NULL;

	bpf_probe_read_kernel(&leader, sizeof(leader),
			      (void *)LOAD(task, signal) + bpf_core_field_offset(struct signal_struct, pids) +
				      type * sizeof(leader));
	return LOAD(leader, numbers[0].nr);
}

#define XA_CHUNK_BITS 6
#define XA_LEVELS 4 /* six bits each: more than the 22 that a process id can have */

/*
 * The task of that number in the current process's own pid namespace, as system calls take it; NULL where there is none
 * (any more). The namespace keeps its tasks in a radix tree, whose inner nodes are marked in the low bits of the pointer.
 */
static __always_inline struct task_struct *task_numbered(u32 number)
{
	struct upid own = own_number((struct task_struct *)bpf_get_current_task());
	struct hlist_node *first;
	void *entry = LOAD(own.ns, idr.idr_rt.xa_head);

	for (int i = 0; i < XA_LEVELS && ((unsigned long)entry & 3) == 2; i++) {
		struct xa_node *node = (struct xa_node *)((unsigned long)entry - 2);
		u8 shift = LOAD(node, shift);
		u32 slot = number >> (shift & 31) & ((1 << XA_CHUNK_BITS) - 1);

		/* The topmost node spans all numbers in use: what lies above it is not in use. */
		if (i == 0 && number >> (shift & 31) >> XA_CHUNK_BITS)
			return NULL;
		entry = NULL;
		bpf_probe_read_kernel(&entry, sizeof(entry),
				      (void *)node + bpf_core_field_offset(struct xa_node, slots) +
					      slot * sizeof(entry));
	}
	if (!entry || (unsigned long)entry & 3)
		return NULL;
	first = LOAD((struct pid *)entry, tasks[0].first);
	return first ? (void *)first - bpf_core_field_offset(struct task_struct, pid_links) : NULL;
}

#endif
