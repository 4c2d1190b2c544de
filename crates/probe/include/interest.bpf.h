/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * What nobody wants at the moment. A program that serves only such events is not even attached (`serves` in
 * tracker.toml); one that serves others too asks here before it does the work of a report.
 */
#ifndef ETHOGRAM_INTEREST_H
#define ETHOGRAM_INTEREST_H

#include "relevance.bpf.h"

enum { OBJECTS = 0, HABITS = 1, LINEAGES = 2, ASLEEP = 3 };

/* Owned by the agent and shared by all trackers. The first entries are generations: of verdicts on objects, of those on
 * habits, and of what is known of lineages; and whether the reader sleeps until it is woken. Each other one is a tracker's:
 * a bit for the code of each event that nobody wants, and the lowest where events about ordinary objects are not wanted. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 256);
	__type(key, u32);
	__type(value, u32);
} interest SEC(".maps");

static __always_inline u32 interest_at(u32 index)
{
	u32 *value = bpf_map_lookup_elem(&interest, &index);

	return value ? *value : 0;
}

/* The agent sets it. Part of what stands for something, so that nobody can choose a thing that stands for another. */
const volatile u64 agent_salt;

static __always_inline u64 mixed(u64 hash, u64 word)
{
	/* Any odd factor of many bits will do: this is 2^64 over the golden ratio. */
	hash = (hash ^ word) * 0x9e3779b97f4a7c15;
	return hash ^ hash >> 32;
}

/* Whether verdicts are taken: nobody wants to see everything. */
static __always_inline bool verdicts_count(void)
{
	return interest_at(agent_interest) & 1;
}

static __always_inline bool is_wanted(u32 code)
{
	return !(interest_at(agent_interest) >> code & 1);
}

/* Whether the reader sleeps, which is only said once: many who come at the same time need not all wake it. */
static __always_inline bool is_reader_asleep(void)
{
	u32 index = ASLEEP, *asleep = bpf_map_lookup_elem(&interest, &index);

	if (!asleep || !*asleep)
		return false;
	*asleep = 0;
	return true;
}

#endif
