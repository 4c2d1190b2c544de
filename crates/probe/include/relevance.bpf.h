/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Field filters: what all rules that subscribe to an event require of its user, and of one other field. An event that does not meet
 * it is not sent.
 */
#ifndef ETHOGRAM_RELEVANCE_H
#define ETHOGRAM_RELEVANCE_H

#include "kernel.h"
#include <bpf/bpf_helpers.h>

#define TESTED_TRACKERS 64
#define TESTED_EVENTS 32
#define TESTED_BYTES 256 /* of a record, the first */

/* A test of four bytes of a record is one word, so that it changes at once. Its lowest bits are where they lie; then there is a bit for
 * whether nothing or something has to be left of them under the mask, and the mask. */
#define TESTED_ZERO_BIT 16
#define TESTED_MASK_BIT 32

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

/* The agent sets it: the tracker's place in the tables. */
const volatile u32 agent_tracker;

static __always_inline struct relevance *relevance_of(u32 code)
{
	u32 index = agent_tracker * TESTED_EVENTS + (code & (TESTED_EVENTS - 1));

	return bpf_map_lookup_elem(&relevance, &index);
}

static __always_inline u32 tested_at(u64 test)
{
	return test & (TESTED_BYTES - 1);
}

static __always_inline bool passes(u64 test, u32 word)
{
	u32 mask = test >> TESTED_MASK_BIT;

	return !mask || ((word & mask) == 0) == (test >> TESTED_ZERO_BIT & 1);
}

#endif
