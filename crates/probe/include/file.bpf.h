/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* What can be asked of an open file. */
#ifndef ETHOGRAM_FILE_H
#define ETHOGRAM_FILE_H

#include "tracker.bpf.h"

#define OVERLAYFS_MAGIC 0x794c7630
#define TMPFS_MAGIC 0x01021994
#define S_IFMT 0170000
#define S_IFREG 0100000
#define S_IFDIR 0040000
#define FMODE_WRITE 0x2
#define FMODE_CREATED (1 << 20)

/* The file behind a descriptor of the current process. */
static __always_inline struct file *file_of(struct task_struct *task, u32 fd)
{
	struct fdtable *table = LOAD(task, files, fdt);
	struct file **files = LOAD(table, fd);

	return fd < LOAD(table, max_fds) ? LOAD_POINTER(files + fd) : NULL;
}

static __always_inline struct mount *mount_of(struct vfsmount *mnt)
{
	return (struct mount *)((void *)mnt - bpf_core_field_offset(struct mount, mnt));
}

/*
 * Whether a file lies in the writable layer of an overlay, that is, not in the image. Overlayfs keeps the upper
 * dentry right after the inode that it embeds, from 4.19 on; where overlayfs is a module its own types are not at hand.
 */
static __always_inline bool in_writable_layer(struct inode *inode)
{
	if (LOAD(inode, i_sb, s_magic) != OVERLAYFS_MAGIC)
		return false;
	return LOAD_POINTER((void *)inode + bpf_core_type_size(struct inode)) != NULL;
}

/* Whether a file has only ever been in memory: no name in any directory, on the kernel's own tmpfs. */
static __always_inline bool is_memfd(struct file *file)
{
	char name[8] = {};
	struct inode *inode = LOAD(file, f_inode);

	if (LOAD(inode, i_nlink) != 0 || LOAD(inode, i_sb, s_magic) != TMPFS_MAGIC)
		return false;
	bpf_probe_read_kernel_str(name, 7, LOAD(file, f_path.dentry, d_name.name));
	return name[0] == 'm' && name[1] == 'e' && name[2] == 'm' && name[3] == 'f' && name[4] == 'd' && name[5] == ':';
}

#define CTIME_QUERIED (1U << 31) /* from 6.13 on, a mark in the nanoseconds of i_ctime */

#define TIME_OF(inode, which)                                                                                          \
	(bpf_core_field_exists((inode)->i_##which##_sec) ?                                                             \
		 LOAD(inode, i_##which##_sec) * 1000000000ULL + (LOAD(inode, i_##which##_nsec) & ~CTIME_QUERIED) :     \
	 bpf_core_field_exists((inode)->__i_##which) ?                                                                 \
		 LOAD(inode, __i_##which.tv_sec) * 1000000000ULL + LOAD(inode, __i_##which.tv_nsec) :                  \
		 LOAD(inode, i_##which.tv_sec) * 1000000000ULL + LOAD(inode, i_##which.tv_nsec))

/* When a file's content changed last, nanoseconds since the Unix epoch. */
static __always_inline u64 modified_at(struct inode *inode)
{
	return TIME_OF(inode, mtime);
}

/* When its content or attributes changed last. */
static __always_inline u64 changed_at(struct inode *inode)
{
	return TIME_OF(inode, ctime);
}

#endif
