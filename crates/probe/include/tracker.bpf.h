/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * What every tracker is made of. A tracker declares
 *
 *   EVENT(exec, struct process_exec, 2)            a record that it sends
 *   SAMPLE(files, struct file_key, struct file_use, 3, 10240)   a table that it counts in
 *   PARAM(u32, max_args, 2048, "...")              what a user may set
 *   FIELD("file.path", "...")                      the meaning of a struct's member
 *
 * and the agent reads all of it from the object's BTF: no type is written twice.
 */
#ifndef ETHOGRAM_TRACKER_H
#define ETHOGRAM_TRACKER_H

#include "capability.h"
#include "subscription.bpf.h"
#include "load.bpf.h"
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* The typedef of a member says how its bytes are read: see FieldKind in the model. */
struct tail_ref {
	u16 offset; /* from the start of the record */
	u16 length; /* 0: absent */
};
typedef struct tail_ref str_ref;
typedef struct tail_ref path_ref;
typedef struct tail_ref args_ref;

struct path_at_refs {
	struct tail_ref base;  /* the directory, leaf first; absent where `asked` is absolute */
	struct tail_ref asked; /* what the caller gave */
};
typedef struct path_at_refs path_at;

struct requested_path_refs {
	struct tail_ref resolved;
	struct path_at_refs asked; /* shown where it is another path than `resolved` */
};
typedef struct requested_path_refs requested_path;

struct ip_bytes {
	u8 bytes[16];
};
typedef struct ip_bytes ip_address;

typedef u8 bool8;
typedef u64 duration_ns;
typedef u32 error_number;
typedef u32 open_flags;
typedef u32 file_type;
typedef u32 file_mode;
typedef u32 signal_number;
typedef u32 optional_id;
typedef u32 syscall_number; /* a call's slot, see syscall.bpf.h */

#define UNKNOWN_DURATION (~0ULL)
#define NO_ID (~0U)
#define NO_MODE (~0U)

#define TAG(text) __attribute__((btf_decl_tag(text)))
#define FIELD(name, doc) TAG("name:" name) TAG("doc:" doc)
/* Behind FIELD: the member is the same in all events of one habit, see habit.bpf.h. */
#define HABIT_KEY TAG("habit key")
/* Only the agent reads it. */
#define INTERNAL(name) TAG("name:_" name)

/* A variable that is never used puts the struct into the object's BTF. */
#define EVENT(NAME, TYPE, CODE)                                                                                        \
	enum { EVENT_##NAME = CODE };                                                                                  \
	const TYPE *__event_##NAME TAG("code:" #CODE) = NULL

/* Declares NAME_set: 64 bits, which `enum NAME` numbers. (Enumerators of more than 32 bits need clang 15.) */
#define SET(NAME)                                                                                                      \
	const enum NAME *__set_##NAME = NULL;                                                                          \
	typedef u64 NAME##_set

SET(capability);

#define PARAM(TYPE, NAME, DEFAULT, DOC) const volatile TYPE NAME TAG("param:" DOC) = DEFAULT

/* The hierarchy that containers are identified in: that of cgroup v2, or of a controller of v1. */
enum cgroup_controller {
	CONTROLLER_NONE,
	CONTROLLER_MEMORY,
	CONTROLLER_PIDS,
	CONTROLLER_CPU,
};

/* The agent sets these when it loads an object; they are no parameters of the tracker's. */
const volatile u32 agent_tgid;		     /* what the agent itself does is not reported */
const volatile u32 agent_filters_containers; /* 1: the container filter decides by cgroup */
const volatile u32 agent_cgroup_controller;  /* enum cgroup_controller */
const volatile u32 agent_page_size;
const volatile u32 agent_wakeup_bytes; /* wake the reader when that much waits; 0: at once */

/* Begins every event: who did it, and when. */
struct event_header {
	u64 time INTERNAL("time");
	u64 cgroup INTERNAL("cgroup");
	u64 process_start INTERNAL("process_start");
	capability_set capabilities_effective INTERNAL("capabilities_effective");
	capability_set capabilities_permitted INTERNAL("capabilities_permitted");
	u64 habit INTERNAL("habit"); /* stands for who does what to what, see habit.bpf.h; 0: for nothing */
	u32 pid FIELD("process.pid", "process id in the host's namespace");
	u32 tid FIELD("thread.id", "thread id in the host's namespace");
	u32 ppid FIELD("process.parent_pid", "parent's process id in the host's namespace");
	u32 uid FIELD("process.user.id", "real user id in the host's namespace") HABIT_KEY;
	u16 event INTERNAL("event");
	u16 reserved0 INTERNAL("reserved0");
	u32 reserved1 INTERNAL("reserved1");
	char comm[16] FIELD("process.executable.name", "name of the thread, by default that of its executable");
};

/*
 * seen = submitted + aggregated + filtered + dropped. Their names are the metrics' labels: `filtered__reason`,
 * `dropped__stage__reason`. What is submitted is split further in user space.
 */
struct tracker_counters {
	u64 seen;
	u64 submitted;
	u64 aggregated;
	u64 filtered__container; /* the container filter leaves this cgroup out */
	u64 filtered__self;	 /* the agent itself did it */
	u64 filtered__parameter; /* a parameter of the tracker excludes it */
	u64 filtered__unwanted;	 /* events of this kind have no subscriber at the moment */
	u64 filtered__ordinary;	 /* events about this object have no subscriber */
	u64 dropped__ring__full;
	u64 dropped__scratch__busy; /* nested deeper than there are scratch buffers */
	u64 dropped__table__full;
	u64 dropped__file__closed;   /* another thread closed it before we could look */
	u64 dropped__packet__unread; /* the kernel would not copy it */
	u64 dropped__owner__unknown; /* nothing says which process it belongs to */
};
const struct tracker_counters *__counters = NULL;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct tracker_counters);
} counters SEC(".maps");

/* The agent sets its size. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} events SEC(".maps");

/* What becomes of a container's events. */
enum container_verdicts {
	CONTAINER_COLLECTED = 1,
	CONTAINER_FILTERED,
	CONTAINER_UNDECIDED, /* as if it were not in the table; it is a container's */
};

struct container_verdict {
	u32 verdict;
	u32 padding;
	u64 workload;  /* 0: not known, or of no workload */
	u64 container; /* the outermost cgroup of the container that it is in; 0: of none */
};

/* Shared by all trackers and owned by the agent: cgroup id to verdict. A cgroup that is not in it passes, and the
 * agent decides: nothing of a container's beginning is lost while its name is still unknown. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, u64);
	__type(value, struct container_verdict);
} container_filter SEC(".maps");

static __always_inline struct tracker_counters *count(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&counters, &zero);
}

/* Which of a task's states is that of the controller of v1. */
static __always_inline u32 controller_index(void)
{
	if (agent_cgroup_controller == CONTROLLER_MEMORY)
		return bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id);
	if (agent_cgroup_controller == CONTROLLER_PIDS)
		return bpf_core_enum_value(enum cgroup_subsys_id, pids_cgrp_id);
	return bpf_core_enum_value(enum cgroup_subsys_id, cpu_cgrp_id);
}

/* A process that has left its container's cgroup, and not by the runtime. It goes on counting as its container's, and so does
 * what it forks. */
struct stray {
	u64 start;  /* the process's own: a number is used again */
	u64 cgroup; /* where it was before */
};

/* Owned by the agent and shared by all trackers, by pid. Those of cgroups and of processes write it. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, u32);
	__type(value, struct stray);
} strays SEC(".maps");

static __always_inline struct stray *stray_of(struct task_struct *task)
{
	struct stray *known;
	u32 tgid;

	if (!subscription_at(STRAYS))
		return NULL;
	tgid = LOAD(task, tgid);
	known = bpf_map_lookup_elem(&strays, &tgid);
	return known && known->start == LOAD(task, group_leader, start_boottime) ? known : NULL;
}

/* The cgroup that the kernel has it in. */
static __always_inline u64 kernels_cgroup_of(struct task_struct *task)
{
	struct css_set *css = LOAD(task, cgroups);
	struct cgroup_subsys_state *state;

	if (agent_cgroup_controller == CONTROLLER_NONE)
		return LOAD(css, dfl_cgrp, kn, id);
	state = LOAD_POINTER((void *)&css->subsys + controller_index() * sizeof(state));
	return LOAD(state, cgroup, kn, id);
}

/* The cgroup that it counts as in. */
static __always_inline u64 cgroup_of(struct task_struct *task)
{
	struct stray *stray = stray_of(task);

	return stray ? stray->cgroup : kernels_cgroup_of(task);
}

static __always_inline u64 current_cgroup(void)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct stray *stray = stray_of(task);

	if (stray)
		return stray->cgroup;
	return agent_cgroup_controller == CONTROLLER_NONE ? bpf_get_current_cgroup_id() : kernels_cgroup_of(task);
}

/* Whether events of that code have a subscriber. Where they have none, one is counted as seen and filtered. */
static __always_inline bool is_subscribed(struct tracker_counters *c, u32 code)
{
	if (has_subscriber(code))
		return true;
	c->seen++;
	c->filtered__unwanted++;
	return false;
}

/* Whether events of this process and cgroup are collected, and of which workload they are. Counts one as seen, and as filtered
 * where they are not. */
static __always_inline bool is_collected_of(struct tracker_counters *c, u32 tgid, u64 cgroup, u64 *workload)
{
	*workload = 0;
	c->seen++;
	if (tgid == agent_tgid) {
		c->filtered__self++;
		return false;
	}
	if (agent_filters_containers) {
		struct container_verdict *known = bpf_map_lookup_elem(&container_filter, &cgroup);

		if (known && known->verdict == CONTAINER_FILTERED) {
			c->filtered__container++;
			return false;
		}
		if (known)
			*workload = known->workload;
	}
	return true;
}

static __always_inline bool is_collected_from(struct tracker_counters *c, u32 tgid, u64 cgroup)
{
	u64 workload;

	return is_collected_of(c, tgid, cgroup, &workload);
}

/* The same for the current process, whose cgroup it returns. */
static __always_inline bool is_collected(struct tracker_counters *c, u64 *cgroup)
{
	*cgroup = current_cgroup();
	return is_collected_from(c, bpf_get_current_pid_tgid() >> 32, *cgroup);
}

/* The capabilities of a task itself: not those that the kernel borrows for it, as overlayfs does. */
static __always_inline void describe_capabilities(struct event_header *h, struct task_struct *task)
{
	const struct cred *cred = LOAD(task, real_cred);

	h->capabilities_effective = LOAD(cred, cap_effective).val;
	h->capabilities_permitted = LOAD(cred, cap_permitted).val;
}

/* The task that an event is about, where that is not the current one. */
static __always_inline void describe_task(struct event_header *h, u16 event, u64 cgroup, struct task_struct *task)
{
	h->time = bpf_ktime_get_boot_ns();
	h->cgroup = cgroup;
	h->process_start = LOAD(task, group_leader, start_boottime);
	describe_capabilities(h, task);
	h->habit = 0;
	h->pid = LOAD(task, tgid);
	h->tid = LOAD(task, pid);
	h->ppid = LOAD(task, real_parent, tgid);
	h->uid = LOAD(task, real_cred, uid.val);
	h->event = event;
	h->reserved0 = 0;
	h->reserved1 = 0;
	bpf_probe_read_kernel_str(h->comm, sizeof(h->comm), &task->comm);
}

/* As it asks the kernel for things: where that borrows another's capabilities for it, its user is still its own. */
static __always_inline u32 current_user(struct task_struct *task)
{
	return LOAD(task, cred, uid.val);
}

static __always_inline void describe_current(struct event_header *h, u16 event, u64 cgroup)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	u64 pid_tgid = bpf_get_current_pid_tgid();

	h->time = bpf_ktime_get_boot_ns();
	h->cgroup = cgroup;
	h->process_start = LOAD(task, group_leader, start_boottime);
	describe_capabilities(h, task);
	h->habit = 0;
	h->pid = pid_tgid >> 32;
	h->tid = (u32)pid_tgid;
	h->ppid = LOAD(task, real_parent, tgid);
	h->uid = current_user(task);
	h->event = event;
	h->reserved0 = 0;
	h->reserved1 = 0;
	bpf_get_current_comm(h->comm, sizeof(h->comm));
}

/* Waking the reader costs the process that is observed: once for many records, unless the tracker is urgent. While it is
 * awake the reader looks by itself now and then. */
static __always_inline u64 wakeup(u64 size)
{
	u64 waiting;

	if (agent_wakeup_bytes == 0)
		return 0;
	if (is_reader_asleep())
		return BPF_RB_FORCE_WAKEUP;
	waiting = bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA);
	return waiting < agent_wakeup_bytes && waiting + size >= agent_wakeup_bytes ? BPF_RB_FORCE_WAKEUP :
										      BPF_RB_NO_WAKEUP;
}

static __always_inline void submit_as(struct tracker_counters *c, void *record, u64 size, u64 flags)
{
	if (bpf_ringbuf_output(&events, record, size, flags))
		c->dropped__ring__full++;
	else
		c->submitted++;
}

/* Sends what begins with an event's header. */
static __always_inline void submit(struct tracker_counters *c, void *record, u64 size)
{
	struct event_header *h = record;
	struct relevance *relevant = relevance_of(h->event);

	if (relevant && !passes(*(volatile u64 *)&relevant->user, h->uid)) {
		c->filtered__unwanted++;
		return;
	}
	submit_as(c, record, size, wakeup(size));
}

#endif
