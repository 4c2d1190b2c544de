// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * System calls counted by process or by container, and which ones a container has used at all. Both ends of every call
 * of every process are hooked for it: it costs what it costs, so it is for looking, not for leaving on.
 */
#include "record.bpf.h"
#include "sample.bpf.h"
#include "syscall.bpf.h"

PARAM(bool8, by_container, 0,
      "whether calls are counted by control group, as of a container, and not by process; a row then names the process that was first");

#define CALLS (2 * SYSCALL_NUMBERS) /* native ones, and those of 32-bit programs */

/* A byte for each call, as bits cannot be set atomically before 5.12. */
struct call_bytes {
	u8 used[CALLS];
};
typedef struct call_bytes syscall_set;

struct call_key {
	u64 in_cgroup INTERNAL("in_cgroup");
	u32 process INTERNAL("process");
	syscall_number call FIELD("system_call.name", "the system call");
};

struct call_use {
	struct event_header header;
	u64 calls FIELD("system_call.count",
			"calls since the last row; those that a seccomp filter refused do not count");
	u64 errors FIELD("system_call.errors", "of the calls that returned since the last row, those that failed");
	u64 total FIELD("system_call.duration.sum", "nanoseconds that the calls took that returned since the last row");
	u64 longest FIELD("system_call.duration.max", "nanoseconds that the longest of them took");
};
SAMPLE(calls, struct call_key, struct call_use, 1, 65536);

struct profile_key {
	u64 in_cgroup INTERNAL("in_cgroup");
};

struct call_profile {
	struct event_header header;
	syscall_set used FIELD("system_call.names",
			       "all calls used there since the tracker began; a row whenever there is a new one");
};
SAMPLE(profile, struct profile_key, struct call_profile, 2, 4096);

/* What has been used by cgroup. Nothing is ever evicted: where there is no room, that is counted as dropped. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4096);
	__type(key, u64);
	__type(value, struct call_bytes);
} used SEC(".maps");

/* Calls on their way, by thread. A thread that has not called for long falls out, and its next call is not timed. */
struct running {
	u64 since; /* 0: in no call */
	u64 cgroup;
	u32 number;
	u32 padding;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 32768);
	__type(key, u32);
	__type(value, struct running);
} threads SEC(".maps");

static __always_inline struct call_use *use_of(u64 cgroup, u32 number)
{
	struct call_key key = { .in_cgroup = cgroup, .call = number };
	void *table = table_in(&calls_tables);
	struct call_use *row;

	if (!by_container)
		key.process = bpf_get_current_pid_tgid() >> 32;
	row = table ? bpf_map_lookup_elem(table, &key) : NULL;
	if (!row && table) {
		struct call_use first = {};

		describe_current(&first.header, EVENT_calls, cgroup);
		bpf_map_update_elem(table, &key, &first, BPF_NOEXIST);
		row = bpf_map_lookup_elem(table, &key);
	}
	return row;
}

static __always_inline struct call_bytes *used_in(struct tracker_counters *c, u64 cgroup)
{
	struct call_bytes *bytes = bpf_map_lookup_elem(&used, &cgroup);
	struct record *r;

	if (bytes)
		return bytes;
	/* Built in a scratch buffer: more than the stack holds. */
	r = begin(c, 0);
	if (!r)
		return NULL;
	__builtin_memset(r->data, 0, sizeof(*bytes));
	bpf_map_update_elem(&used, &cgroup, r->data, BPF_NOEXIST);
	discard(r);
	bytes = bpf_map_lookup_elem(&used, &cgroup);
	if (!bytes)
		c->dropped__table__full++;
	return bytes;
}

static __always_inline struct call_profile *profile_of(struct tracker_counters *c, u64 cgroup, struct call_bytes *bytes)
{
	struct profile_key key = { .in_cgroup = cgroup };
	void *table = table_in(&profile_tables);
	struct call_profile *row = table ? bpf_map_lookup_elem(table, &key) : NULL;
	struct record *r;

	if (row)
		return row;
	r = begin(c, sizeof(*row));
	if (!r)
		return NULL;
	row = (void *)r->data;
	describe_current(&row->header, EVENT_profile, cgroup);
	bpf_probe_read_kernel(&row->used, sizeof(row->used), bytes);
	if (table)
		bpf_map_update_elem(table, &key, row, BPF_NOEXIST);
	discard(r);
	row = table ? bpf_map_lookup_elem(table, &key) : NULL;
	if (!row)
		c->dropped__table__full++;
	return row;
}

/*
 * Remembers that the call is used here. It counts as seen besides the call itself when it is new, and is new until it
 * stands in a row.
 */
static __always_inline void note_used(struct tracker_counters *c, u64 cgroup, u32 number)
{
	struct call_bytes *bytes = bpf_map_lookup_elem(&used, &cgroup);
	struct call_profile *row;

	number &= CALLS - 1;
	if (bytes && bytes->used[number])
		return;
	c->seen++;
	bytes = used_in(c, cgroup);
	if (!bytes)
		return;
	row = profile_of(c, cgroup, bytes);
	if (!row)
		return;
	row->used.used[number] = 1;
	bytes->used[number] = 1;
	c->aggregated++;
}

SEC("tp_btf/sys_enter")
int BPF_PROG(entered, struct pt_regs *regs, long unused)
{
	struct tracker_counters *c = count();
	u32 thread = bpf_get_current_pid_tgid();
	u32 number = call_slot(regs);
	struct running *running;
	struct call_use *row;
	u64 cgroup;

	if (!c || number >= CALLS || !is_collected(c, &cgroup))
		return 0;
	row = use_of(cgroup, number);
	if (row) {
		__sync_fetch_and_add(&row->calls, 1);
		c->aggregated++;
	} else {
		c->dropped__table__full++;
	}
	note_used(c, cgroup, number);
	running = bpf_map_lookup_elem(&threads, &thread);
	if (running) {
		running->cgroup = cgroup;
		running->number = number;
		running->since = bpf_ktime_get_ns();
	} else {
		struct running first = { .since = bpf_ktime_get_ns(), .cgroup = cgroup, .number = number };

		bpf_map_update_elem(&threads, &thread, &first, BPF_ANY);
	}
	return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(returned, struct pt_regs *regs, long result)
{
	u32 thread = bpf_get_current_pid_tgid();
	struct running *running = bpf_map_lookup_elem(&threads, &thread);
	struct call_use *row;
	u64 took;

	if (!running || !running->since)
		return 0;
	took = bpf_ktime_get_ns() - running->since;
	running->since = 0;
	row = use_of(running->cgroup, running->number);
	if (!row)
		return 0;
	__sync_fetch_and_add(&row->total, took);
	if (took > row->longest)
		row->longest = took;
	if (result < 0 && result >= -4095)
		__sync_fetch_and_add(&row->errors, 1);
	return 0;
}
