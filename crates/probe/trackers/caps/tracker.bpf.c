// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/* The capabilities that programs are asked for, and whether they had them; counted in the kernel. */
#include "sample.bpf.h"

PARAM(bool8, granted, 1, "whether checks that succeed are counted, or only those that fail");

/* By program and not by process: short-lived ones would fill the table. */
struct check_key {
	u64 in_cgroup INTERNAL("in_cgroup");
	char program[16] INTERNAL("program");
	enum capability capability FIELD("capability.name", "the capability");
	error_number error FIELD("error.type", "why the check failed");
	u32 level FIELD("capability.user_namespace_level",
			"how deep the user namespace is nested that it was needed in; 0: the host's");
	u32 padding INTERNAL("padding");
};

struct check_use {
	struct event_header header;
	u64 checks FIELD("capability.checks", "checks of this program in this cgroup that ended so since the last row");
};
SAMPLE(check, struct check_key, struct check_use, 1, 4096);

static __always_inline void count_check(struct user_namespace *where, int capability, int result)
{
	struct tracker_counters *c = count();
	struct check_key key = {};
	struct check_use *row;
	void *table;
	u64 cgroup;

	if (!c || !is_collected(c, &cgroup))
		return;
	if (!result && !granted) {
		c->filtered__parameter++;
		return;
	}
	key.in_cgroup = cgroup;
	key.capability = capability;
	key.error = -result;
	key.level = LOAD(where, level);
	bpf_get_current_comm(key.program, sizeof(key.program));
	table = table_in(&check_tables);
	row = table ? bpf_map_lookup_elem(table, &key) : NULL;
	if (!row && table) {
		struct check_use first = {};

		describe_current(&first.header, EVENT_check, cgroup);
		bpf_map_update_elem(table, &key, &first, BPF_NOEXIST);
		row = bpf_map_lookup_elem(table, &key);
	}
	if (!row) {
		c->dropped__table__full++;
		return;
	}
	__sync_fetch_and_add(&row->checks, 1);
	c->aggregated++;
}

/* From 6.14 on. */
SEC("tp_btf/cap_capable")
int BPF_PROG(cap_capable, const struct cred *cred, struct user_namespace *where, struct user_namespace *granted_in,
	     int capability, int result)
{
	count_check(where, capability, result);
	return 0;
}

SEC("fexit/cap_capable")
int BPF_PROG(checked, const struct cred *cred, struct user_namespace *where, int capability, unsigned int options,
	     int result)
{
	count_check(where, capability, result);
	return 0;
}

/* What a thread is asked for just now, by its id. */
struct check_begun {
	struct user_namespace *where;
	int capability;
	u32 padding;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, u32);
	__type(value, struct check_begun);
} begun SEC(".maps");

SEC("kprobe/cap_capable")
int BPF_KPROBE(check_entered, const struct cred *cred, struct user_namespace *where, int capability)
{
	struct check_begun check = { .where = where, .capability = capability };
	u32 thread = bpf_get_current_pid_tgid();

	bpf_map_update_elem(&begun, &thread, &check, BPF_ANY);
	return 0;
}

SEC("kretprobe/cap_capable")
int BPF_KRETPROBE(check_returned, int result)
{
	u32 thread = bpf_get_current_pid_tgid();
	struct check_begun *check = bpf_map_lookup_elem(&begun, &thread);

	if (check)
		count_check(check->where, check->capability, result);
	return 0;
}
