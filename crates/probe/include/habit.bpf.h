/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Habits: who does what to what, as one number. The agent says which of them a workload is known to have, and an event
 * that is one is counted here and not sent. A tracker whose events take part has
 *
 *   e.header.habit = habit_of(&e.header, workload, object);
 *   if (is_habitual(c, e.header.habit))
 *	   return;
 *
 * where `workload` is from `is_collected_of`, and `object` stands for what is done, and to what. Members of the event that are part of
 * it, or follow from it, have the tag HABIT_KEY: a rule that asks for another keeps its events from becoming a habit. Only what a
 * workload repeats all day takes part: never what is severe each time, such as running a program.
 */
#ifndef ETHOGRAM_HABIT_H
#define ETHOGRAM_HABIT_H

#include "lineage.bpf.h"

struct habit {
	u32 generation; /* in which the agent said so: only the current one's count */
	u32 padding;
	u64 count;
};

/* Owned by the agent, who alone adds and removes: so no count is lost. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 32768);
	__type(key, u64);
	__type(value, struct habit);
} habits SEC(".maps");

static __always_inline u64 habit_by(const struct program *program, u32 uid, u32 event, u64 workload, u64 object)
{
	u64 hash = mixed_pair(agent_salt, workload, program->lineage);

	return mixed_pair(hash, (u64)uid << 32 | agent_tracker << 8 | event, object) | 1;
}

/* Stands for what the header's process does to an object; 0 where that can be no habit. */
static __always_inline u64 habit_of(const struct event_header *who, u64 workload, u64 object)
{
	struct program *program = workload && object ? program_of(who->pid, who->process_start) : NULL;

	return program ? habit_by(program, who->uid, who->event, workload, object) : 0;
}

/* The same for the current process, before anything of it is described. */
static __always_inline u64 current_habit(u32 event, u64 workload, u64 object)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct program *program = NULL;

	if (workload && object)
		program = current_program(task, bpf_get_current_pid_tgid() >> 32);
	return program ? habit_by(program, current_user(task), event, workload, object) : 0;
}

/* Whether the agent knows this habit, and no subscriber wants everything. Then it is counted, and that is all. */
static __always_inline bool is_habitual(struct tracker_counters *c, u64 habit)
{
	struct habit *known;

	if (!habit || !verdicts_apply())
		return false;
	known = bpf_map_lookup_elem(&habits, &habit);
	if (!known || known->generation != subscription_at(HABITS))
		return false;
	__sync_fetch_and_add(&known->count, 1);
	c->aggregated++;
	return true;
}

static __always_inline u64 mixed_address(u64 hash, const ip_address *address)
{
	u64 words[2];

	__builtin_memcpy(words, address, sizeof(words));
	return mixed_pair(hash, words[0], words[1]);
}

/* Stands for an own address and what else there is to it. */
static __always_inline u64 object_of_address(const ip_address *address, u64 rest)
{
	return mixed(mixed_address(agent_salt, address), rest) | 1;
}

/* Stands for a peer, and for the own address, of which the port passes. */
static __always_inline u64 object_between(const ip_address *peer, const ip_address *own, u64 rest)
{
	return mixed(mixed_address(mixed_address(agent_salt, peer), own), rest) | 1;
}

#endif
