// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/* Cgroups as they come and go, and who enters them: this is how containers are known before their first instruction. */
#include "record.bpf.h"

struct cgroup_create {
	struct event_header header;
	u64 id FIELD("cgroup.id", "id of the cgroup: the inode of its directory");
	str_ref path FIELD("cgroup.path", "path in its hierarchy");
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
};
EVENT(attach, struct cgroup_attach, 3);

/* Hosts with cgroup v1 have many hierarchies; containers are identified in one. */
const volatile u32 agent_cgroup_hierarchy;

static __always_inline bool is_ours(struct cgroup *cgroup)
{
	return LOAD(cgroup, root, hierarchy_id) == agent_cgroup_hierarchy;
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
	e->path = append_long_string(r, path);
	if (agent_filters_containers) {
		/* A cgroup within one that is decided shares its verdict: nested containers need no answer. */
		u64 parent = parent_of(cgroup);
		u32 *verdict = parent ? bpf_map_lookup_elem(&container_filter, &parent) : NULL;

		if (verdict && *verdict == CONTAINER_COLLECTED) {
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
	struct cgroup_attach *e;
	struct record *r;

	if (!c || !is_ours(cgroup))
		return 0;
	c->seen++;
	r = begin(c, sizeof(*e));
	if (!r)
		return 0;
	e = (void *)r->data;
	describe_current(&e->header, EVENT_attach, current_cgroup());
	e->id = LOAD(cgroup, kn, id);
	e->target = LOAD(task, tgid);
	e->path = append_long_string(r, path);
	send(c, r);
	return 0;
}
