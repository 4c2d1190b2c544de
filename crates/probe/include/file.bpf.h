/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* What can be asked of an open file. */
#ifndef ETHOGRAM_FILE_H
#define ETHOGRAM_FILE_H

#include "tracker.bpf.h"

#define OVERLAYFS_MAGIC 0x794c7630
#define TMPFS_MAGIC 0x01021994
#define RAMFS_MAGIC 0x858458f6
#define HUGETLBFS_MAGIC 0x958458f6

/* By what the kernel calls s_magic. */
enum file_system {
	file_system_overlay = OVERLAYFS_MAGIC,
	file_system_tmpfs = TMPFS_MAGIC,
	file_system_ramfs = RAMFS_MAGIC,
	file_system_hugetlbfs = HUGETLBFS_MAGIC,
	file_system_ext = 0xef53,
	file_system_xfs = 0x58465342,
	file_system_btrfs = 0x9123683e,
	file_system_zfs = 0x2fc12fc1,
	file_system_squashfs = 0x73717368,
	file_system_nfs = 0x6969,
	file_system_9p = 0x01021997,
	file_system_fuse = 0x65735546,
	file_system_proc = 0x9fa0,
};

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

/* Which file it is, whatever it is called: the agent knows by it what is guarded. Part of an event. */
struct file_identity {
	u64 inode INTERNAL("inode"); /* 0: not known */
	u32 device INTERNAL("device");
	u32 generation INTERNAL("generation"); /* another than that of who had the number before; 0: not known */
	u32 names INTERNAL("names");	       /* how many it has */
	path_ref guarded FIELD("file.guarded_path", "the guarded path by which the same file is known, where "
						    "file.path is another; the agent adds it");
};

/* Only of regular files. Overlayfs keeps no generation, and gives a file the number that it has in the layer of its origin: what lies
 * in the image is there as long as the container, what was written in it has the generation that it has in the writable layer. */
static __always_inline void identify(struct file_identity *file, struct inode *inode)
{
	bool is_overlay = LOAD(inode, i_sb, s_magic) == OVERLAYFS_MAGIC;
	struct dentry *upper = NULL;

	if ((LOAD(inode, i_mode) & S_IFMT) != S_IFREG)
		return;
	if (is_overlay)
		upper = LOAD_POINTER((void *)inode + bpf_core_type_size(struct inode));
	file->inode = LOAD(inode, i_ino);
	file->device = LOAD(inode, i_sb, s_dev);
	file->names = LOAD(inode, i_nlink);
	if (!is_overlay)
		file->generation = LOAD(inode, i_generation);
	else if (upper)
		file->generation = LOAD(upper, d_inode, i_generation);
}

static __always_inline bool is_in_memory_file_system(struct inode *inode)
{
	u64 magic = LOAD(inode, i_sb, s_magic);

	return magic == TMPFS_MAGIC || magic == RAMFS_MAGIC || magic == HUGETLBFS_MAGIC;
}

#define MNT_READONLY 0x40
#define MNT_INTERNAL 0x4000 /* of a file system that is mounted nowhere: sockets, pipes */

/* Whether a file lies on a mount that can be written to, other than that of the root folder: a volume, a tmpfs. */
static __always_inline bool is_on_writable_mount(struct file *file, struct task_struct *task)
{
	if (LOAD(file, f_inode, i_sb) == LOAD(task, fs, root.dentry, d_inode, i_sb))
		return false;
	return !(LOAD(file, f_path.mnt, mnt_flags) & MNT_READONLY);
}

/* Whether a file has no name in any folder: it was deleted, or made without one. */
static __always_inline bool is_unlinked(struct inode *inode)
{
	return LOAD(inode, i_nlink) == 0;
}

/* Whether a file has only ever been in memory: no name in any directory, on the kernel's own tmpfs or hugetlbfs. */
static __always_inline bool is_memfd(struct file *file)
{
	char name[8] = {};
	struct inode *inode = LOAD(file, f_inode);

	if (!is_unlinked(inode) || !is_in_memory_file_system(inode))
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

#define COMPARED_NAME 32

static __always_inline bool is_named_alike(struct dentry *one, struct dentry *other)
{
	const unsigned char *name = LOAD(one, d_name.name), *other_name = LOAD(other, d_name.name);
	u32 length = LOAD(one, d_name.len);

	if (length > COMPARED_NAME || length != LOAD(other, d_name.len))
		return false;
	for (u32 at = 0; at < COMPARED_NAME && at < length; at += 8) {
		u64 word = 0, other_word = 0, differ;

		bpf_probe_read_kernel(&word, sizeof(word), name + at);
		bpf_probe_read_kernel(&other_word, sizeof(other_word), other_name + at);
		differ = word ^ other_word;
		/* The name's last bytes, the lowest of a word on little-endian machines. */
		if (length - at < 8)
			differ &= (1ULL << ((length - at) * 8)) - 1;
		if (differ)
			return false;
	}
	return true;
}

/* Whether the file that a lower layer has is what was copied up, with its content, name and folder. */
static __always_inline bool is_copy_of(struct dentry *dentry, struct inode *upper, struct dentry *lower)
{
	struct dentry *parent = LOAD(dentry, d_parent);
	struct inode *inode;

	if (!lower)
		return false;
	inode = LOAD(lower, d_inode);
	if (!inode || inode == upper || (LOAD(inode, i_mode) & S_IFMT) != S_IFREG ||
	    LOAD(inode, i_size) != LOAD(upper, i_size) || modified_at(inode) != modified_at(upper))
		return false;
	/* Of what lies right in the root, the folder's name is the layer's own. */
	return is_named_alike(dentry, lower) &&
	       (LOAD(parent, d_parent) == parent || is_named_alike(parent, LOAD(lower, d_parent)));
}

/*
 * Whether a file's content was written in the container. To change only its owner, mode or times copies it into the
 * writable layer, too, but keeps size and the time of the last change of its content. Where overlayfs keeps the file of
 * the lower layer is behind its inode and the upper dentry: from 6.5 on in an entry (a number, a layer and the dentry),
 * from 5.19 on the layer and the dentry. What is there that is something else is no dentry of such a file. Before 5.19
 * there is no dentry, and what was copied counts as written.
 */
static __always_inline bool is_written(struct file *file)
{
	struct inode *inode = LOAD(file, f_inode);
	void *behind = (void *)inode + bpf_core_type_size(struct inode);
	struct dentry *dentry = LOAD(file, f_path.dentry), *upper_dentry;
	void *entry;
	struct inode *upper;

	if (!in_writable_layer(inode))
		return false;
	upper_dentry = LOAD_POINTER(behind);
	upper = LOAD(upper_dentry, d_inode);
	if (!upper)
		return true;
	entry = LOAD_POINTER(behind + 8);
	return !is_copy_of(dentry, upper, LOAD_POINTER(entry + 16)) &&
	       !is_copy_of(dentry, upper, LOAD_POINTER(behind + 16));
}

#endif
