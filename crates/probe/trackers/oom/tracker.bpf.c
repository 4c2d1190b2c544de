// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/* Processes that the kernel kills because memory has run out. */
#include "tracker.bpf.h"

#define CGROUP_DEPTH 16

struct oom_kill {
	struct event_header header; /* of the victim */
	optional_id trigger FIELD("oom.trigger.pid", "the process that asked for memory when there was none");
	s32 score_adjustment FIELD("oom.score_adjustment", "the victim's oom_score_adj");
	u64 anonymous FIELD("oom.anonymous.size", "anonymous memory of the victim, about, in bytes");
	u64 file FIELD("oom.file.size", "memory of the victim that maps files, about, in bytes");
	u64 shared FIELD("oom.shared.size", "shared memory of the victim, about, in bytes");
	u64 virtual FIELD("oom.virtual.size", "address space of the victim, in bytes");
	u64 limit FIELD("oom.limit.size",
			"the memory limit that is used up, in bytes; 0: none is, the host has run out");
	bool8 cgroup_limit FIELD("oom.cgroup_limit",
				 "whether a memory limit of the victim's cgroup, or of one above it, is used up");
	char trigger_name[16] FIELD("oom.trigger.name", "name of that process");
};
EVENT(kill, struct oom_kill, 1);

/* Up to 6.1. */
struct mm_rss_stat {
	atomic_long_t count[4];
} __attribute__((preserve_access_index));

struct mm_struct___old {
	struct mm_rss_stat rss_stat;
} __attribute__((preserve_access_index));

enum { FILE_PAGES, ANONYMOUS_PAGES, SWAPPED, SHARED_PAGES };

/* Pages counted per CPU and not yet added up are missing. */
static __always_inline u64 resident(struct mm_struct *mm, u32 kind)
{
	struct mm_struct___old *old = (void *)mm;
	void *counter;
	s64 pages = 0;

	/* Indexed by hand: the element's size is the kernel's. */
	if (bpf_core_type_exists(struct mm_rss_stat))
		counter = (void *)&old->rss_stat.count + kind * sizeof(atomic_long_t);
	else
		counter = (void *)&mm->rss_stat + kind * bpf_core_type_size(struct percpu_counter) +
			  bpf_core_field_offset(struct percpu_counter, count);
	bpf_probe_read_kernel(&pages, sizeof(pages), counter);
	return pages > 0 ? pages * agent_page_size : 0;
}

/* The first limit, from the victim's cgroup upwards, that leaves no room. */
static __always_inline u64 exhausted_limit(struct task_struct *task)
{
	struct cgroup_subsys_state *state = NULL;
	struct css_set *css = LOAD(task, cgroups);
	struct page_counter *counter;

	if (!bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id))
		return 0;
	bpf_probe_read_kernel(&state, sizeof(state),
			      (void *)&css->subsys +
				      bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id) * sizeof(state));
	if (!state)
		return 0;
	/* The state is a struct mem_cgroup's first member. */
	counter = &((struct mem_cgroup *)state)->memory;
	for (int i = 0; i < CGROUP_DEPTH && counter; i++) {
		u64 used = LOAD(counter, usage.counter), most = LOAD(counter, max);

		/* A charge goes in batches: one that fails leaves less room than that. */
		if (used + 64 > most)
			return most * agent_page_size;
		counter = LOAD(counter, parent);
	}
	return 0;
}

static __always_inline void report(struct task_struct *victim)
{
	struct tracker_counters *c = count();
	struct mm_struct *mm = LOAD(victim, mm);
	u64 cgroup = cgroup_of(victim);
	struct oom_kill e = {};

	if (!c || !is_collected_from(c, LOAD(victim, tgid), cgroup))
		return;
	describe_task(&e.header, EVENT_kill, cgroup, victim);
	e.trigger = bpf_get_current_pid_tgid() >> 32;
	bpf_get_current_comm(e.trigger_name, sizeof(e.trigger_name));
	e.score_adjustment = LOAD(victim, signal, oom_score_adj);
	if (mm) {
		e.anonymous = resident(mm, ANONYMOUS_PAGES);
		e.file = resident(mm, FILE_PAGES);
		e.shared = resident(mm, SHARED_PAGES);
		e.virtual = LOAD(mm, total_vm) * agent_page_size;
	}
	e.limit = exhausted_limit(victim);
	e.cgroup_limit = e.limit != 0;
	submit(c, &e, sizeof(e));
}

/* Of a victim that is not at hand, only its pid is reported. */
static __always_inline void report_unknown(u32 pid)
{
	struct tracker_counters *c = count();
	struct oom_kill e = {};

	if (!c || !is_collected_from(c, pid, 0))
		return;
	e.header.time = bpf_ktime_get_boot_ns();
	e.header.event = EVENT_kill;
	e.header.pid = e.header.tid = pid;
	e.trigger = bpf_get_current_pid_tgid() >> 32;
	bpf_get_current_comm(e.trigger_name, sizeof(e.trigger_name));
	submit(c, &e, sizeof(e));
}

/* Its argument is the victim from 6.10 on, and only its pid before: there the function itself is the better hook. */
struct trace_event_raw_mark_victim {
	unsigned long total_vm;
} __attribute__((preserve_access_index));

SEC("tp_btf/mark_victim")
int mark_victim(u64 *ctx)
{
	struct trace_event_raw_mark_victim *arguments = NULL;
	struct task_struct *current = (struct task_struct *)bpf_get_current_task();

	if (bpf_core_field_exists(arguments->total_vm))
		report((struct task_struct *)ctx[0]);
	else if ((u32)ctx[0] == LOAD(current, tgid))
		report(current);
	else
		report_unknown(ctx[0]);
	return 0;
}

SEC("fentry/mark_oom_victim")
int BPF_PROG(victim_marked, struct task_struct *victim)
{
	report(victim);
	return 0;
}

SEC("kprobe/mark_oom_victim")
int BPF_KPROBE(victim_probed, struct task_struct *victim)
{
	report(victim);
	return 0;
}
