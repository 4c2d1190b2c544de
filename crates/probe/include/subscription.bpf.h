/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Collection is demand-driven: which events have no subscriber at the moment. A program that serves only such events is not even
 * attached (`serves` in tracker.toml); one that serves others too asks here before it does the work of a report.
 */
#ifndef ETHOGRAM_SUBSCRIPTION_H
#define ETHOGRAM_SUBSCRIPTION_H

#include "hash.bpf.h"
#include "relevance.bpf.h"

/* The first entries of the table. */
enum subscription_entries {
	OBJECTS,  /* the generation of verdicts on objects */
	HABITS,	  /* that of habits */
	LINEAGES, /* that of what is known of lineages */
	STRAYS,	  /* whether there may be processes that have left their container's cgroup */
	ASLEEP,	  /* whether the reader sleeps until it is woken */
};

/* Owned by the agent and shared by all trackers. Each entry behind the first ones is a tracker's: a bit for the code of each event
 * without a subscriber, and the lowest where events about ordinary objects have none. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 256);
	__type(key, u32);
	__type(value, u32);
} subscription SEC(".maps");

static __always_inline u32 subscription_at(u32 index)
{
	u32 *value = bpf_map_lookup_elem(&subscription, &index);

	return value ? *value : 0;
}

/* Whether verdicts on objects and habits apply: no subscription is to everything. */
static __always_inline bool verdicts_apply(void)
{
	return subscription_at(agent_tracker) & 1;
}

static __always_inline bool has_subscriber(u32 code)
{
	return !(subscription_at(agent_tracker) >> code & 1);
}

/* Whether the reader sleeps, which is only said once: many who come at the same time need not all wake it. */
static __always_inline bool is_reader_asleep(void)
{
	u32 index = ASLEEP, *asleep = bpf_map_lookup_elem(&subscription, &index);

	if (!asleep || !*asleep)
		return false;
	*asleep = 0;
	return true;
}

#endif
