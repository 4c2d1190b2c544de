/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Counting in the kernel. A sample has two tables, one of which sits in an array of one map: every interval the agent
 * puts the other one, empty, in its place, which returns when no program uses the old one any more, and reads that at leisure. So no count is
 * lost or seen twice. A row is the value, which begins with an event_header, followed by the key.
 */
#ifndef ETHOGRAM_SAMPLE_H
#define ETHOGRAM_SAMPLE_H

#include "tracker.bpf.h"

#define SAMPLE(NAME, KEY, VALUE, CODE, ROWS)                                                                           \
	enum { EVENT_##NAME = CODE };                                                                                  \
	const VALUE *__sample_##NAME TAG("code:" #CODE) = NULL;                                                        \
	const KEY *__key_##NAME = NULL;                                                                                \
	struct NAME##_table {                                                                                          \
		__uint(type, BPF_MAP_TYPE_HASH);                                                                       \
		__uint(map_flags, BPF_F_NO_PREALLOC);                                                                  \
		__uint(max_entries, ROWS);                                                                             \
		__type(key, KEY);                                                                                      \
		__type(value, VALUE);                                                                                  \
	} NAME##_first SEC(".maps"), NAME##_second SEC(".maps");                                                       \
	struct {                                                                                                       \
		__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);                                                              \
		__uint(max_entries, 1);                                                                                \
		__type(key, u32);                                                                                      \
		__array(values, struct NAME##_table);                                                                  \
	} NAME##_tables SEC(".maps") = { .values = { &NAME##_first } }

static __always_inline void *table_in(void *tables)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(tables, &zero);
}

#endif
