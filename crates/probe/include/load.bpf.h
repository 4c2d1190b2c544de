/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * LOAD(task, real_parent, tgid) reads task->real_parent->tgid from kernel memory. Where the kernel lets a program give
 * a pointer its type (bpf_rdonly_cast, usable from 6.4 on) that is one load an arrow, and zero where it leads nowhere;
 * elsewhere a helper call. Both branches are compiled, the verifier removes the one that this kernel does not need.
 */
#ifndef ETHOGRAM_LOAD_H
#define ETHOGRAM_LOAD_H

#include "kernel.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

extern void *bpf_rdonly_cast(const void *pointer, u32 type) __ksym __weak;

/* Came with 6.4, as did what makes a weak kernel function usable. */
struct bpf_iter_num {
	u64 opaque;
} __attribute__((preserve_access_index));

#define LOADS_ARE_DIRECT bpf_core_type_exists(struct bpf_iter_num)

/* `at` is evaluated once; nested loads each need a name of their own. */
#define LOAD_FROM(pointer, at, a)                                                                                      \
	({                                                                                                             \
		typeof(&*(pointer)) at = (pointer);                                                                    \
		typeof(({ at->a; })) at##_value;                                                                       \
		if (LOADS_ARE_DIRECT)                                                                                  \
			at##_value = ((typeof(at))bpf_rdonly_cast(at, bpf_core_type_id_kernel(typeof(*at))))->a;       \
		else                                                                                                   \
			bpf_core_read(&at##_value, sizeof(at##_value), &at->a);                                        \
		at##_value;                                                                                            \
	})
#define LOAD_1(from, a) LOAD_FROM(from, at1, a)
#define LOAD_2(from, a, b) LOAD_FROM(LOAD_1(from, a), at2, b)
#define LOAD_3(from, a, b, c) LOAD_FROM(LOAD_2(from, a, b), at3, c)
#define LOAD_4(from, a, b, c, d) LOAD_FROM(LOAD_3(from, a, b, c), at4, d)
#define LOAD_5(from, a, b, c, d, e) LOAD_FROM(LOAD_4(from, a, b, c, d), at5, e)
#define LOAD_PICK(_1, _2, _3, _4, _5, N, ...) LOAD_##N
#define LOAD(from, ...) LOAD_PICK(__VA_ARGS__, 5, 4, 3, 2, 1)(from, __VA_ARGS__)

/* The pointer that lies at an address, of whatever type. */
#define LOAD_POINTER(address)                                                                                          \
	({                                                                                                             \
		const void *pointer_at = (address);                                                                    \
		void *pointer = NULL;                                                                                  \
		if (LOADS_ARE_DIRECT)                                                                                  \
			pointer = ((struct hlist_head *)bpf_rdonly_cast(pointer_at,                                    \
									bpf_core_type_id_kernel(struct hlist_head)))   \
					  ->first;                                                                     \
		else                                                                                                   \
			bpf_probe_read_kernel(&pointer, sizeof(pointer), pointer_at);                                  \
		pointer;                                                                                               \
	})

/* The value as it is, of which the verifier knows nothing from here on: where ways meet that differ in a constant, it follows all
 * that comes after only once. `any` is a number that it does not know. */
#define FORGOTTEN(value, any)                                                                                          \
	({                                                                                                             \
		u64 forgotten = (value), masked_by = (any);                                                            \
		asm volatile("%0 ^= %1; %0 ^= %1" : "+r"(forgotten) : "r"(masked_by));                                 \
		(typeof(value))forgotten;                                                                              \
	})

/* LOAD for a pointer that the kernel has given a type, as an argument of a tp_btf or fexit program: one load an arrow on
 * all kernels. */
#define WALK_1(from, a) ((from)->a)
#define WALK_2(from, a, b) ((from)->a->b)
#define WALK_3(from, a, b, c) ((from)->a->b->c)
#define WALK_4(from, a, b, c, d) ((from)->a->b->c->d)
#define WALK_PICK(_1, _2, _3, _4, N, ...) WALK_##N
#define WALK(from, ...) WALK_PICK(__VA_ARGS__, 4, 3, 2, 1)(from, __VA_ARGS__)

#endif
