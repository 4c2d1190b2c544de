/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Which namespaces a process made, left and entered. */
#ifndef ETHOGRAM_NAMESPACE_H
#define ETHOGRAM_NAMESPACE_H

#include "file.bpf.h"

#define NSFS_MAGIC 0x6e736673
#define PIDFS_MAGIC 0x50494446
#define ANON_INODE_FS_MAGIC 0x09041934

enum namespace {
	CLONE_NEWTIME = 0x80,
	CLONE_NEWNS = 0x20000,
	CLONE_NEWCGROUP = 0x2000000,
	CLONE_NEWUTS = 0x4000000,
	CLONE_NEWIPC = 0x8000000,
	CLONE_NEWUSER = 0x10000000,
	CLONE_NEWPID = 0x20000000,
	CLONE_NEWNET = 0x40000000,
};
typedef enum namespace namespace_flags;

#define ALL_NAMESPACES                                                                                                 \
	(CLONE_NEWTIME | CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |  \
	 CLONE_NEWNET)

static __always_inline u32 user_namespace_of(struct task_struct *task)
{
	return LOAD(task, real_cred, user_ns, ns.inum);
}

/* `type` where the two are not the same. Without a branch: with seven of them, one after another, the verifier would
 * follow every combination. So these pointers are read as numbers. */
static __always_inline u32 where_other(const void *one, const void *two, u32 type)
{
	u64 difference = (u64)one ^ (u64)two, negative = -difference;

	barrier_var(negative);
	return (u32)((s64)(difference | negative) >> 63) & type;
}

#define WHERE_OTHER(one, two, member, type)                                                                            \
	where_other((void *)BPF_CORE_READ(one, member), (void *)BPF_CORE_READ(two, member), type)

/* The namespaces that a new process does not share with its parent. */
static __always_inline u32 new_namespaces(struct task_struct *parent, struct task_struct *child)
{
	struct nsproxy *theirs = LOAD(parent, nsproxy), *own = LOAD(child, nsproxy);
	u32 types = 0;

	if (LOAD(parent, real_cred, user_ns) != LOAD(child, real_cred, user_ns))
		types |= CLONE_NEWUSER;
	if (theirs == own)
		return types;
	types |= WHERE_OTHER(theirs, own, uts_ns, CLONE_NEWUTS);
	types |= WHERE_OTHER(theirs, own, ipc_ns, CLONE_NEWIPC);
	types |= WHERE_OTHER(theirs, own, mnt_ns, CLONE_NEWNS);
	types |= WHERE_OTHER(theirs, own, pid_ns_for_children, CLONE_NEWPID);
	types |= WHERE_OTHER(theirs, own, net_ns, CLONE_NEWNET);
	types |= WHERE_OTHER(theirs, own, cgroup_ns, CLONE_NEWCGROUP);
	if (bpf_core_field_exists(theirs->time_ns_for_children))
		types |= WHERE_OTHER(theirs, own, time_ns_for_children, CLONE_NEWTIME);
	return types;
}

/* The type of the namespace that a file of nsfs stands for. */
static __always_inline u32 type_of_namespace(struct ns_common *ns)
{
	if (bpf_core_field_exists(ns->ns_type))
		return LOAD(ns, ns_type);
	return LOAD(ns, ops, type);
}

/* The process that a file is a descriptor of, by its pid in the host's namespace. */
static __always_inline u32 process_of_pidfd(struct file *file)
{
	struct inode *inode = LOAD(file, f_inode);
	u64 magic = LOAD(inode, i_sb, s_magic);
	struct pid *pid = NULL;
	char name[8] = {};

	if (magic == PIDFS_MAGIC) {
		pid = LOAD(inode, i_private);
	} else if (magic == ANON_INODE_FS_MAGIC) {
		bpf_probe_read_kernel_str(name, sizeof(name), LOAD(file, f_path.dentry, d_name.name));
		if (name[0] == '[' && name[1] == 'p' && name[2] == 'i' && name[3] == 'd' && name[4] == 'f')
			pid = LOAD(file, private_data);
	}
	return pid ? LOAD(pid, numbers[0].nr) : NO_ID;
}

#endif
