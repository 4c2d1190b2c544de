/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Ordinary files: no rule and no profile asks for them where they lie. The agent says so of each that it has met, as long as no
 * subscription is to everything; what stands for a file here depends on its place, as the agent judges by the path.
 */
#ifndef ETHOGRAM_ORDINARY_H
#define ETHOGRAM_ORDINARY_H

#include "file.bpf.h"
#include "subscription.bpf.h"

/* Owned by the agent. The value is the generation that the verdict was given in: only the current one's count. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, u64);
	__type(value, u32);
} ordinary SEC(".maps");

/* Stands for a file at its place, and for how it is used; 0 where there are no verdicts on such. */
static __always_inline u64 object_at(u64 place, u32 use)
{
	return place && verdicts_apply() ? mixed(place, use) | 1 : 0;
}

static __always_inline bool is_ordinary(u64 object)
{
	u32 *verdict = object ? bpf_map_lookup_elem(&ordinary, &object) : NULL;

	return verdict && *verdict == subscription_at(OBJECTS);
}

#endif
