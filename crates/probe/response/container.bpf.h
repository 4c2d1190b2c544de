/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * What the kernel itself shows of containers, before the agent knows them: whether a process is in one, and whether the container has
 * begun or its runtime still sets it up.
 */
#ifndef ETHOGRAM_CONTAINER_H
#define ETHOGRAM_CONTAINER_H

#include "record.bpf.h"

#define ANCESTORS 32 /* cgroups above a process in which a container is looked for */

/* Cgroups in which something was executed from another root than the host's: what runs there is no longer only the runtime's. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, u64);
	__type(value, u32);
} begun SEC(".maps");

/* Where the walk from the current process's cgroup to the root begins. */
static __always_inline struct cgroup_subsys_state *current_state(void)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct css_set *css = LOAD(task, cgroups);
	struct cgroup_subsys_state *state = NULL;

	if (agent_cgroup_controller == CONTROLLER_NONE)
		return (void *)LOAD(css, dfl_cgrp) + bpf_core_field_offset(struct cgroup, self);
	bpf_probe_read_kernel(&state, sizeof(state), (void *)&css->subsys + controller_index() * sizeof(state));
	return state;
}

/*
 * Whether a file is of the mount namespace that the current process is in. A program that a runtime brings along into a container is
 * not, nor is what lies below an overlay.
 */
static __always_inline bool is_of_here(struct file *file)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

	return file && LOAD(mount_of(LOAD(file, f_path.mnt)), mnt_ns) == LOAD(task, nsproxy, mnt_ns);
}

static __always_inline struct file *current_executable(void)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct mm_struct *mm = LOAD(task, mm);

	return mm ? LOAD(mm, exe_file) : NULL;
}

/* The host's first process. */
static __always_inline struct task_struct *first_of_host(struct task_struct *task)
{
	return LOAD(task, thread_pid, numbers[0].ns, child_reaper);
}

static __always_inline bool has_mounts_of_host(struct task_struct *task)
{
	return LOAD(task, nsproxy, mnt_ns) == LOAD(first_of_host(task), nsproxy, mnt_ns);
}

/* Whether its root directory is the host's, be it in a mount namespace of its own. */
static __always_inline bool has_root_of_host(struct task_struct *task)
{
	return LOAD(task, fs, root.dentry) == LOAD(first_of_host(task), fs, root.dentry);
}

/* What follows is called, and not part of its callers: the verifier follows each once for a program. */

__noinline int has_begun_cgroup(u64 cgroup)
{
	return bpf_map_lookup_elem(&begun, &cgroup) != NULL;
}

/* Whether the container that the current process is in has begun. */
__noinline int has_begun(void)
{
	struct cgroup_subsys_state *state = current_state();

	for (int level = 0; level < ANCESTORS; level++) {
		if (!state)
			return 0;
		if (has_begun_cgroup(LOAD(state, cgroup, kn, id)))
			return 1;
		state = LOAD(state, parent);
	}
	/* No runtime nests so deep. */
	return 1;
}

/*
 * Whether the current process is in a container by what the kernel alone shows: it has a pid and a mount namespace that are not the
 * host's, and another root, or the root that it has once was another. A service with a mount namespace of its own has the host's pids.
 */
__noinline int is_contained(void)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

	if (!LOAD(task, thread_pid, level) || has_mounts_of_host(task))
		return 0;
	return !has_root_of_host(task) || has_begun();
}

/*
 * Whether what the current process does is its runtime's work on a container that has not begun. What is executed is, as long as the
 * root is the host's: hooks. All else is also where the root is the container's already, but the program is none that lies there.
 */
__noinline int sets_up(u32 executes)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

	if (!has_root_of_host(task) && (executes || is_of_here(current_executable())))
		return 0;
	return !has_begun();
}

/* The current process has executed something. */
static __always_inline void note_beginning(struct task_struct *task)
{
	u64 id = LOAD(current_state(), cgroup, kn, id);
	u32 yes = 1;

	if (has_mounts_of_host(task) || has_root_of_host(task))
		return;
	/* Once for a container: cgroups that it makes itself push out none of another. */
	if (!has_begun())
		bpf_map_update_elem(&begun, &id, &yes, BPF_ANY);
}

#endif
