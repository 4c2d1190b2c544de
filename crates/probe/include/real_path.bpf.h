/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Where a file lies, where a mount or a changed root gives it another path: in the tree that the container's root is of, or
 * in the host's. A folder of either can be mounted anywhere, and any folder can be made a process's root.
 */
#ifndef ETHOGRAM_REAL_PATH_H
#define ETHOGRAM_REAL_PATH_H

#include "record.bpf.h"

#define HOST_TREE_PLACE 32  /* bytes of the place of a file system in the host's tree */
#define MOUNTS_ABOVE_ROOT 8 /* mounts followed from a process's root up to that of its namespace */

/* A file system of the host's. */
struct host_tree {
	u64 root;		     /* the inode that is mounted there; 0: the file system's root */
	char place[HOST_TREE_PLACE]; /* where, without the first slash; empty: it is the host's root */
};

/* Owned by the agent: by the device, as the kernel numbers it. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 64);
	__type(key, u32);
	__type(value, struct host_tree);
} host_trees SEC(".maps");

/* The root of the namespace's tree, as far as the process's own root is in it. The last mount has another one above, that
 * of the kernel's first root. */
static __always_inline struct dentry *top_of(struct mount *mount)
{
	for (int i = 0; i < MOUNTS_ABOVE_ROOT; i++) {
		struct mount *above = LOAD(mount, mnt_parent);

		if (above == LOAD(above, mnt_parent))
			break;
		mount = above;
	}
	return LOAD(mount, mnt.mnt_root);
}

/* Appends that path; nothing where the file is in neither tree, or nothing can have given it another path. */
static __always_inline path_ref append_real_path(struct record *r, const struct path *path, struct task_struct *task,
						 bool8 *host)
{
	struct vfsmount *own = LOAD(path, mnt), *root_mount = LOAD(task, fs, root.mnt);
	struct dentry *dentry = LOAD(path, dentry), *root = LOAD(task, fs, root.dentry);
	struct super_block *sb = LOAD(dentry, d_inode, i_sb);
	struct dentry *top = LOAD(own, mnt_root);
	struct walk *walk = &r->walk;
	struct host_tree *tree;
	u32 start = r->size, device;

	*host = 0;
	/* Of a whole file system, and where the process's root is. */
	if (own == root_mount && root == top && top == LOAD(sb, s_root))
		return since(r, start);
	device = LOAD(sb, s_dev);
	tree = bpf_map_lookup_elem(&host_trees, &device);
	top = top_of(mount_of(root_mount));
	if (!tree && LOAD(top, d_inode, i_sb) != sb)
		return since(r, start);
	walk->dentry = dentry;
	walk->end = 1;
	for (int i = 0; i < PATH_PARTS; i++) {
		struct dentry *here, *parent;

		barrier();
		here = walk->dentry;
		if (here == top) {
			walk->end = '/';
			break;
		}
		parent = LOAD(here, d_parent);
		if (parent == here || (tree && tree->root && tree->root == LOAD(here, d_inode, i_ino))) {
			walk->end = 2;
			break;
		}
		if (is_full(r))
			break;
		append_name(r, LOAD(here, d_name.name));
		walk->dentry = parent;
	}
	barrier();
	if (walk->end == 2 && tree && !is_full(r)) {
		*host = 1;
		if (tree->place[0])
			append_name(r, tree->place);
		walk->end = '/';
	}
	barrier();
	if (walk->end == 2) {
		/* In a part of the file system that neither tree has. */
		r->size = start;
	} else if (!is_full(r)) {
		u8 *at = tail(r);

		at[0] = walk->end;
		at[1] = 0;
		r->size += 2;
	}
	return since(r, start);
}

#endif
