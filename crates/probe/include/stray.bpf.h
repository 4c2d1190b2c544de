/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Processes that leave their container's cgroup: who does, and that what they fork goes on counting as the container's. */
#ifndef ETHOGRAM_STRAY_H
#define ETHOGRAM_STRAY_H

#include "lineage.bpf.h"

/* How many cgroups are looked at from one upwards. */
#define MAX_ABOVE 32

/* The outermost cgroup of the container that a cgroup belongs to; 0 where it belongs to none, or none that is known. */
static __always_inline u64 container_at(u64 cgroup)
{
	struct container_verdict *known = bpf_map_lookup_elem(&container_filter, &cgroup);

	return known ? known->container : 0;
}

/* The same for where a process ran its program: it had not moved itself anywhere by then. */
static __always_inline u64 container_of_program(struct program *program)
{
	return program ? container_at(program->cgroup) : 0;
}

/* Whether a cgroup is the one of that id, or below it. */
static __always_inline bool is_within(struct cgroup *cgroup, u64 outer)
{
	for (int i = 0; i < MAX_ABOVE; i++) {
		struct cgroup_subsys_state *above;

		if (LOAD(cgroup, kn, id) == outer)
			return true;
		above = LOAD(cgroup, self.parent);
		if (!above)
			return false;
		cgroup = LOAD(above, cgroup);
	}
	return false;
}

static __always_inline void stray_put(struct tracker_counters *c, u32 tgid, u64 start, u64 cgroup)
{
	struct stray stray = { .start = start, .cgroup = cgroup };
	u32 index = STRAYS, *any = bpf_map_lookup_elem(&subscription, &index);

	if (bpf_map_update_elem(&strays, &tgid, &stray, BPF_ANY)) {
		if (c)
			c->dropped__table__full++;
		return;
	}
	if (any)
		*any = 1;
}

static __always_inline void stray_ended(struct task_struct *task)
{
	u32 tgid = LOAD(task, tgid);

	if (subscription_at(STRAYS))
		bpf_map_delete_elem(&strays, &tgid);
}

/* The cgroup in the hierarchy that containers are identified in. */
static __always_inline struct cgroup *kernels_cgroup(struct task_struct *task)
{
	struct css_set *css = LOAD(task, cgroups);
	struct cgroup_subsys_state *state;

	if (agent_cgroup_controller == CONTROLLER_NONE)
		return LOAD(css, dfl_cgrp);
	state = LOAD_POINTER((void *)&css->subsys + controller_index() * sizeof(state));
	return LOAD(state, cgroup);
}

/* What is forked counts as its parent's, also where it is put elsewhere as it begins. */
static __always_inline void stray_forked(struct tracker_counters *c, struct task_struct *parent,
					 struct task_struct *child)
{
	struct stray *known = stray_of(parent);
	u64 here, home;

	if (known) {
		stray_put(c, LOAD(child, tgid), LOAD(child, start_boottime), known->cgroup);
		return;
	}
	here = kernels_cgroup_of(parent);
	if (here == kernels_cgroup_of(child))
		return;
	home = container_at(here);
	if (home && !is_within(kernels_cgroup(child), home))
		stray_put(c, LOAD(child, tgid), LOAD(child, start_boottime), here);
}

#endif
