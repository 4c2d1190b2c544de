/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The buffer of a process that a call has just filled, from the iterator that the kernel filled it by. */
#ifndef ETHOGRAM_USER_BUFFER_H
#define ETHOGRAM_USER_BUFFER_H

#include "load.bpf.h"

KERNEL_TYPES
/* Until 6.3 `__iov` was called `iov`. */
struct iov_iter___6_3 {
	const struct iovec *iov;
};

/* Until 5.13 the kind had the direction in its lowest bit. */
struct iov_iter___5_13 {
	u32 type;
};
KERNEL_TYPES_END

enum iter_type {
	ITER_UBUF,
	ITER_IOVEC,
};

static __always_inline bool is_of_kind(const struct iov_iter *iter, u64 kind)
{
	if (bpf_core_field_exists(iter->iter_type))
		return BPF_CORE_READ(iter, iter_type) == kind;
	return (BPF_CORE_READ((const struct iov_iter___5_13 *)iter, type) & ~1u) == kind;
}

/* Where it begins, and how much was put there. Nowhere, where it is not one piece of a process's memory. */
static __always_inline const void *filled_buffer(const struct iov_iter *iter, u32 *size)
{
	const struct iovec *vector;

	*size = BPF_CORE_READ(iter, iov_offset);
	if (bpf_core_enum_value_exists(enum iter_type, ITER_UBUF) &&
	    is_of_kind(iter, bpf_core_enum_value(enum iter_type, ITER_UBUF)))
		return BPF_CORE_READ(iter, ubuf);
	if (is_of_kind(iter, bpf_core_enum_value(enum iter_type, ITER_IOVEC))) {
		if (bpf_core_field_exists(iter->__iov))
			vector = BPF_CORE_READ(iter, __iov);
		else
			vector = BPF_CORE_READ((const struct iov_iter___6_3 *)iter, iov);
		return BPF_CORE_READ(vector, iov_base);
	}
	*size = 0;
	return NULL;
}

#endif
