/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * What stands for the program that a process runs, with its arguments and all that is above it. Whatever the agent says
 * of one process because of these, it says of all that have the same. The tracker of processes keeps the table; without
 * it nothing in there counts.
 */
#ifndef ETHOGRAM_LINEAGE_H
#define ETHOGRAM_LINEAGE_H

#include "file.bpf.h"
#include "subscription.bpf.h"

/* One that is forked is what its parent is; one that runs a program stands below what forked it. */
struct program {
	u64 lineage;
	u64 above; /* the lineage that it stands below */
	u64 plain; /* as `lineage`, arguments left out */
	u64 above_plain;
	u64 cgroup; /* where it ran the program */
	u64 start;  /* the process's own: a number is used again */
	u64 execs;  /* how many programs its forebears and it had run: one that was missed shows */
	u32 generation;
	u32 is_forked; /* since then */
};

/* Owned by the agent and shared by all trackers: what each process runs, by its pid. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 32768);
	__type(key, u32);
	__type(value, struct program);
} programs SEC(".maps");

static __always_inline struct program *program_of(u32 tgid, u64 start)
{
	struct program *known = bpf_map_lookup_elem(&programs, &tgid);

	return known && known->start == start && known->generation == subscription_at(LINEAGES) ? known : NULL;
}

/* What the current process runs. */
static __always_inline struct program *current_program(struct task_struct *task, u32 tgid)
{
	struct program *known = program_of(tgid, LOAD(task, group_leader, start_boottime));

	return known && known->execs == LOAD(task, self_exec_id) ? known : NULL;
}

/* No other process's, before or after. */
static __always_inline u64 lineage_of_its_own(u64 start, u32 tgid)
{
	return mixed(mixed(mixed(agent_salt, start), tgid), bpf_ktime_get_boot_ns());
}

static __always_inline void lineage_forked(struct task_struct *parent, struct task_struct *child)
{
	struct program *known = current_program(parent, LOAD(parent, tgid));
	u32 tgid = LOAD(child, tgid);
	struct program forked;

	if (!known) {
		bpf_map_delete_elem(&programs, &tgid);
		return;
	}
	forked = *known;
	forked.start = LOAD(child, start_boottime);
	forked.is_forked = 1;
	bpf_map_update_elem(&programs, &tgid, &forked, BPF_ANY);
}

static __always_inline void lineage_ended(struct task_struct *task)
{
	u32 tgid = LOAD(task, tgid);

	bpf_map_delete_elem(&programs, &tgid);
}

/* Whether what was run in that cgroup is not of the same container: of a runtime, whose arguments hold the container's
 * id, the lineage counts by its programs only. */
static __always_inline bool is_outside(u64 cgroup, u64 here)
{
	struct container_verdict *known;

	if (cgroup == here)
		return false;
	known = bpf_map_lookup_elem(&container_filter, &cgroup);
	return !known || !known->workload;
}

/* The current process begins to run this file. Its lineage is its own until more is said. */
static __always_inline void lineage_began(struct program *now, struct task_struct *task, struct file *file, u64 cgroup)
{
	struct inode *inode = LOAD(file, f_inode);
	u32 tgid = bpf_get_current_pid_tgid() >> 32;
	u64 start = LOAD(task, group_leader, start_boottime);
	struct program *before = program_of(tgid, start);
	bool outside = before && is_outside(before->cgroup, cgroup);
	u64 hash = agent_salt, comm[2] = {};

	now->lineage = lineage_of_its_own(start, tgid);
	now->above = now->above_plain = now->lineage;
	if (before) {
		now->above_plain = before->is_forked ? before->plain : before->above_plain;
		now->above = outside ? now->above_plain : before->is_forked ? before->lineage : before->above;
		/* What it replaces in the container started it, where it came in from outside. */
		if (!outside && !before->is_forked)
			hash = mixed(hash, before->plain);
	}
	/* A memfd is another each time, and a runtime may run from one. */
	if (!is_memfd(file)) {
		hash = mixed(hash, LOAD(file, f_path.dentry, d_name.hash));
		hash = mixed(hash, LOAD(inode, i_ino));
		hash = mixed(hash, LOAD(inode, i_sb, s_dev));
		hash = mixed(hash, changed_at(inode));
	}
	bpf_get_current_comm(comm, sizeof(comm));
	hash = mixed(mixed(hash, comm[0]), comm[1]);
	now->plain = mixed(hash, now->above_plain);
	now->cgroup = cgroup;
	now->start = start;
	now->execs = LOAD(task, self_exec_id);
	now->generation = subscription_at(LINEAGES);
	now->is_forked = 0;
}

static __always_inline void lineage_put(const struct program *now)
{
	u32 tgid = bpf_get_current_pid_tgid() >> 32;

	bpf_map_update_elem(&programs, &tgid, now, BPF_ANY);
}

/* One that was there before. */
static __always_inline void lineage_found(struct task_struct *task)
{
	u32 tgid = LOAD(task, tgid);
	u64 start = LOAD(task, start_boottime);
	struct program now = {};

	if (program_of(tgid, start))
		return;
	now.lineage = now.above = now.plain = now.above_plain = lineage_of_its_own(start, tgid);
	now.cgroup = cgroup_of(task);
	now.start = start;
	now.execs = LOAD(task, self_exec_id);
	now.generation = subscription_at(LINEAGES);
	bpf_map_update_elem(&programs, &tgid, &now, BPF_ANY);
}

#endif
