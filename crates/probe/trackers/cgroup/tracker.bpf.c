// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/* Cgroups as they come and go, and who enters them: this is how containers are known before their first instruction. */
#include "record.bpf.h"
#include "stray.bpf.h"

struct cgroup_create {
	struct event_header header;
	u64 id FIELD("cgroup.id", "id of the cgroup: the inode of its directory");
	str_ref path FIELD("cgroup.path", "path in its hierarchy");
	u32 owner FIELD("cgroup.owner.id",
			"user that it, or a cgroup above it, was delegated to; 0: root has all of them");
};
EVENT(create, struct cgroup_create, 1);

struct cgroup_remove {
	struct event_header header;
	u64 id FIELD("cgroup.id", "id of the cgroup");
};
EVENT(remove, struct cgroup_remove, 2);

struct cgroup_attach {
	struct event_header header;
	u64 id FIELD("cgroup.id", "id of the cgroup that is entered");
	str_ref path FIELD("cgroup.path", "its path in its hierarchy");
	u32 target FIELD("cgroup.process.pid", "the process that is moved");
	u32 owner FIELD("cgroup.owner.id",
			"user that it, or a cgroup above it, was delegated to; 0: root has all of them");
	bool8 left FIELD("cgroup.process.left", "whether the process leaves its container by this");
	bool8 entered FIELD("cgroup.process.entered", "whether a process of the host moves itself into a container");
	bool8 by_host FIELD("cgroup.process.moved_by_host", "whether a process of the host moves it");
};
EVENT(attach, struct cgroup_attach, 3);

/* Hosts with cgroup v1 have many hierarchies; containers are identified in one. */
const volatile u32 agent_cgroup_hierarchy;

static __always_inline bool is_ours(struct cgroup *cgroup)
{
	return LOAD(cgroup, root, hierarchy_id) == agent_cgroup_hierarchy;
}

/* The user that owns the outermost cgroup of the path that is not root's: what is below can be made by that user alone, as
 * whom they like. Root where there is none, and no user that exists where the path is too deep. */
static __always_inline u32 owner_of(struct cgroup *cgroup)
{
	u32 owner = 0;

	for (int i = 0; i < MAX_ABOVE; i++) {
		struct kernfs_iattrs *attributes = LOAD(cgroup, kn, iattr);
		struct cgroup_subsys_state *above;
		u32 uid = attributes ? LOAD(attributes, ia_uid.val) : 0;

		if (uid)
			owner = uid;
		above = LOAD(cgroup, self.parent);
		if (!above)
			return owner;
		cgroup = LOAD(above, cgroup);
	}
	return owner ?: NO_ID;
}

static __always_inline u64 parent_of(struct cgroup *cgroup)
{
	return LOAD(cgroup, self.parent, cgroup, kn, id);
}

SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(cgroup_mkdir, struct cgroup *cgroup, const char *path)
{
	struct tracker_counters *c = count();
	struct cgroup_create *e;
	struct record *r;

	if (!c || !is_ours(cgroup))
		return 0;
	c->seen++;
	r = begin(c, sizeof(*e));
	if (!r)
		return 0;
	e = (void *)r->data;
	describe_current(&e->header, EVENT_create, current_cgroup());
	e->id = LOAD(cgroup, kn, id);
	e->owner = owner_of(cgroup);
	e->path = append_long_string(r, path);
	if (agent_filters_containers) {
		/* A cgroup within one that is decided shares its verdict: nested containers need no answer. */
		u64 parent = parent_of(cgroup);
		struct container_verdict *verdict = parent ? bpf_map_lookup_elem(&container_filter, &parent) : NULL;

		if (verdict && verdict->container && verdict->verdict != CONTAINER_FILTERED) {
			u64 id = e->id;

			bpf_map_update_elem(&container_filter, &id, verdict, BPF_ANY);
		}
	}
	send(c, r);
	return 0;
}

SEC("tp_btf/cgroup_rmdir")
int BPF_PROG(cgroup_rmdir, struct cgroup *cgroup, const char *path)
{
	struct tracker_counters *c = count();
	struct cgroup_remove e = {};

	if (!c || !is_ours(cgroup))
		return 0;
	c->seen++;
	describe_current(&e.header, EVENT_remove, current_cgroup());
	e.id = LOAD(cgroup, kn, id);
	submit(c, &e, sizeof(e));
	return 0;
}

SEC("tp_btf/cgroup_attach_task")
int BPF_PROG(cgroup_attach_task, struct cgroup *cgroup, const char *path, struct task_struct *task, bool threadgroup)
{
	struct tracker_counters *c = count();
	struct task_struct *mover = (struct task_struct *)bpf_get_current_task();
	u32 tgid = LOAD(task, tgid), mover_tgid = bpf_get_current_pid_tgid() >> 32;
	u64 start = LOAD(task, group_leader, start_boottime), id, from = 0, here;
	struct program *moved = program_of(tgid, start);
	struct cgroup_attach *e;
	bool left, by_host;
	struct record *r;

	if (!c || !is_ours(cgroup))
		return 0;
	id = LOAD(cgroup, kn, id);
	from = container_of_program(moved);
	left = from && !is_within(cgroup, from);
	by_host = !container_of_program(program_of(mover_tgid, LOAD(mover, group_leader, start_boottime)));
	if (left)
		stray_put(c, tgid, start, moved->cgroup);
	else if (from)
		stray_ended(task);
	/* That of the container that is left. */
	here = left ? moved->cgroup : current_cgroup();
	c->seen++;
	r = begin(c, sizeof(*e));
	if (!r)
		return 0;
	e = (void *)r->data;
	describe_current(&e->header, EVENT_attach, here);
	e->id = id;
	e->left = left;
	e->entered = !from && tgid == mover_tgid && container_at(id);
	e->by_host = by_host;
	e->target = LOAD(task, tgid);
	e->owner = owner_of(cgroup);
	e->path = append_long_string(r, path);
	send(c, r);
	return 0;
}
