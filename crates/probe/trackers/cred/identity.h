/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * What a process was allowed to before a call that changes it. At the return of the call the old credentials are gone,
 * so those of each process are remembered from its fork or exec on, and again after each change. Of a process that is
 * older than the tracker they are unknown until its first change or exec.
 */
#ifndef ETHOGRAM_IDENTITY_H
#define ETHOGRAM_IDENTITY_H

#include "tracker.bpf.h"

enum { REAL, EFFECTIVE, SAVED, FILESYSTEM, IDS };
enum { CAPS_EFFECTIVE, CAPS_PERMITTED, CAPS_INHERITABLE, CAPS };

struct identity {
	u32 users[IDS];
	u32 groups[IDS];
	u64 caps[CAPS];
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, u32);
	__type(value, struct identity);
} identities SEC(".maps");

static __always_inline void identity_of(struct task_struct *task, struct identity *identity)
{
	const struct cred *cred = LOAD(task, real_cred);

	identity->users[REAL] = LOAD(cred, uid.val);
	identity->users[EFFECTIVE] = LOAD(cred, euid.val);
	identity->users[SAVED] = LOAD(cred, suid.val);
	identity->users[FILESYSTEM] = LOAD(cred, fsuid.val);
	identity->groups[REAL] = LOAD(cred, gid.val);
	identity->groups[EFFECTIVE] = LOAD(cred, egid.val);
	identity->groups[SAVED] = LOAD(cred, sgid.val);
	identity->groups[FILESYSTEM] = LOAD(cred, fsgid.val);
	identity->caps[CAPS_EFFECTIVE] = LOAD(cred, cap_effective).val;
	identity->caps[CAPS_PERMITTED] = LOAD(cred, cap_permitted).val;
	identity->caps[CAPS_INHERITABLE] = LOAD(cred, cap_inheritable).val;
}

static __always_inline void remember(u32 process, const struct identity *identity)
{
	bpf_map_update_elem(&identities, &process, identity, BPF_ANY);
}

/* Whether it is known what the process was before; where it is not, that is taken to be what it is now. */
static __always_inline bool recall(u32 process, const struct identity *now, struct identity *before)
{
	const struct identity *known = bpf_map_lookup_elem(&identities, &process);

	*before = known ? *known : *now;
	return known != NULL;
}

static __always_inline bool same_ids(const u32 *a, const u32 *b)
{
	return a[REAL] == b[REAL] && a[EFFECTIVE] == b[EFFECTIVE] && a[SAVED] == b[SAVED] &&
	       a[FILESYSTEM] == b[FILESYSTEM];
}

static __always_inline bool same_caps(const u64 *a, const u64 *b)
{
	return a[CAPS_EFFECTIVE] == b[CAPS_EFFECTIVE] && a[CAPS_PERMITTED] == b[CAPS_PERMITTED] &&
	       a[CAPS_INHERITABLE] == b[CAPS_INHERITABLE];
}

#endif
