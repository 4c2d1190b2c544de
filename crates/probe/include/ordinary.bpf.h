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

/*
 * Stands for a file at its place as the current process sees it, and for how it is used; 0 where there are no verdicts on
 * such. The kernel's hash of a name is one of its directory too.
 */
#define OBJECT_OF(READ, file, root, use)                                                                               \
	({                                                                                                             \
		u64 hash = agent_salt;                                                                                 \
                                                                                                                       \
		hash = mixed(hash, READ(file, f_path.dentry, d_name.hash));                                            \
		hash = mixed(hash, READ(file, f_inode, i_ino));                                                        \
		hash = mixed(hash, (u64)READ(file, f_inode, i_sb, s_dev) << 32 |                                       \
					   (u32)LOAD(mount_of(READ(file, f_path.mnt)), mnt_id));                       \
		hash = mixed(hash, root);                                                                              \
		hash = mixed(hash, use);                                                                               \
		hash | 1;                                                                                              \
	})

static __always_inline u64 object_of(struct file *file, u32 use)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

	if (!verdicts_apply())
		return 0;
	return OBJECT_OF(LOAD, file, LOAD(task, fs, root.dentry, d_inode, i_ino), use);
}

/* The same for a pointer that the kernel has given a type. */
static __always_inline u64 object_of_typed(struct file *file, u32 use)
{
	u64 root;

	if (!verdicts_apply())
		return 0;
	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf))
		root = WALK(bpf_get_current_task_btf(), fs, root.dentry, d_inode, i_ino);
	else
		root = LOAD((struct task_struct *)bpf_get_current_task(), fs, root.dentry, d_inode, i_ino);
	return OBJECT_OF(WALK, file, root, use);
}

static __always_inline bool is_ordinary(u64 object)
{
	u32 *verdict = object ? bpf_map_lookup_elem(&ordinary, &object) : NULL;

	return verdict && *verdict == subscription_at(OBJECTS);
}

#endif
