/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The hash by which things are known in the kernel's tables. Attackers choose what goes into it, so it has a secret key, and no
 * difference between two things makes them equal whatever the key: both halves of a product of 128 bits count, of which each
 * factor holds a secret. `src/tables/hash.rs` has the same in Rust, and a test that it is the same.
 */
#ifndef ETHOGRAM_HASH_H
#define ETHOGRAM_HASH_H

#ifdef __bpf__
#include "bpf_types.h"
#include <bpf/bpf_helpers.h>
#endif

/* The agent draws them as it starts. */
const volatile u64 agent_salt;
const volatile u64 agent_secrets[2];

/* The halves of a product of 128 bits, which BPF does not multiply to, as one. */
static __always_inline u64 folded_product(u64 a, u64 b)
{
	u64 a_low = (u32)a, a_high = a >> 32, b_low = (u32)b, b_high = b >> 32;
	u64 low = a_low * b_low, crossed = a_high * b_low, other = a_low * b_high;
	u64 middle = crossed + (low >> 32) + (u32)other;

	return (a * b) ^ (a_high * b_high + (middle >> 32) + (other >> 32));
}

/* No part of its callers: what it needs of the stack would not fit beside theirs, and the verifier follows it once. */
__noinline u64 mixed(u64 hash, u64 word)
{
	return folded_product(hash ^ agent_secrets[0], word ^ agent_secrets[1]);
}

/* Two words at the cost of one: nobody knows the hash that the first one hides behind. */
static __always_inline u64 mixed_pair(u64 hash, u64 first, u64 second)
{
	return mixed(hash ^ first, second);
}

#endif
