/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * What an event has to be like for anybody to have a use for it, as far as a test of a field tells: what all rules that
 * wait for it ask of its user, and of one other field.
 */
#ifndef ETHOGRAM_RELEVANCE_H
#define ETHOGRAM_RELEVANCE_H

#include "kernel.h"
#include <bpf/bpf_helpers.h>

#define TESTED_TRACKERS 64
#define TESTED_EVENTS 32
#define TESTED_BYTES 256 /* of a record, the first */

/* A test of four bytes of a record: from its lowest bit on where they lie, from bit 16 on whether nothing or something has to be
 * left of them under the mask, which are the upper 32. One word, so that a test changes at once. */
struct relevance {
	u64 user;
	u64 field;
};

/* Owned by the agent and shared by all trackers: an entry for the code of each event of each tracker. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TESTED_TRACKERS *TESTED_EVENTS);
	__type(key, u32);
	__type(value, struct relevance);
} relevance SEC(".maps");

/* The agent sets it: the tracker's entry in its tables. */
const volatile u32 agent_interest;

static __always_inline struct relevance *relevance_of(u32 code)
{
	u32 index = agent_interest * TESTED_EVENTS + (code & (TESTED_EVENTS - 1));

	return bpf_map_lookup_elem(&relevance, &index);
}

static __always_inline u32 tested_at(u64 test)
{
	return test & (TESTED_BYTES - 1);
}

static __always_inline bool passes(u64 test, u32 word)
{
	u32 mask = test >> 32;

	return !mask || ((word & mask) == 0) == (test >> 16 & 1);
}

#endif
