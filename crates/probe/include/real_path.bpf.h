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

/* The root of the namespace's tree, as far as the process's own root is in it. Mostly the last mount covers another one, that of the
 * kernel's first root; a system that runs from its initial file system has nothing above that. */
static __always_inline struct dentry *top_of(struct mount *mount)
{
	for (int i = 0; i < MOUNTS_ABOVE_ROOT; i++) {
		struct mount *above = LOAD(mount, mnt_parent);

		if (above == mount)
			break;
		if (above == LOAD(above, mnt_parent) && LOAD(mount, mnt_mountpoint) == LOAD(above, mnt.mnt_root))
			break;
		mount = above;
	}
	return LOAD(mount, mnt.mnt_root);
}

/* Where such a walk may end, too: at the root of the file system, or of the part of it that is in the host's tree. */
#define WALK_OF_HOST 3

/* Goes on with such a walk of a record, as walk_on does with the other. */
__noinline int walk_really_on(u32 slot)
{
	struct record *r = bpf_map_lookup_elem(&scratch, &slot);

	for (int i = 0; r && i < WALK_PARTS; i++) {
		struct walk *walk = &r->walk;
		struct dentry *here, *parent;

		barrier();
		here = walk->dentry;
		if (here == walk->root) {
			walk->end = WALK_ROOT;
			break;
		}
		parent = LOAD(here, d_parent);
		if (parent == here || (walk->tree && walk->tree == LOAD(here, d_inode, i_ino))) {
			walk->end = WALK_OF_HOST;
			break;
		}
		if (is_full(r)) {
			walk->end = WALK_CUT;
			break;
		}
		append_name(r, LOAD(here, d_name.name));
		walk->dentry = parent;
	}
	return 0;
}

/* Begins such a walk of a record, which is at the file, and follows it to its end. Returns whether the file is in the host's tree. */
__noinline int walk_really(u32 slot)
{
	struct record *r = bpf_map_lookup_elem(&scratch, &slot);
	struct host_tree *tree;
	struct super_block *sb;
	struct walk *walk;
	struct dentry *top;
	u32 start, device;
	int host = 0;

	if (!r)
		return 0;
	walk = &r->walk;
	start = r->size;
	top = walk->mount_root;
	sb = LOAD(top, d_inode, i_sb);
	/* Of a whole file system, and where the process's root is. */
	if (walk->mount == walk->root_mount && walk->root == top && top == LOAD(sb, s_root))
		return 0;
	device = LOAD(sb, s_dev);
	tree = bpf_map_lookup_elem(&host_trees, &device);
	top = top_of(walk->root_mount);
	if (!tree && LOAD(top, d_inode, i_sb) != sb)
		return 0;
	walk->root = top;
	walk->tree = tree ? tree->root : 0;
	for (int i = 0; i < WALK_CALLS && walk->end == WALKING; i++)
		walk_really_on(slot);
	barrier();
	if (walk->end == WALKING)
		walk->end = WALK_CUT;
	if (walk->end == WALK_OF_HOST && tree && !is_full(r)) {
		host = 1;
		if (tree->place[0])
			append_name(r, tree->place);
		walk->end = WALK_ROOT;
	}
	barrier();
	if (walk->end == WALK_OF_HOST) {
		/* In a part of the file system that neither tree has. */
		r->size = start;
	} else if (!is_full(r)) {
		u8 *at = tail(r);

		at[0] = walk->end;
		at[1] = 0;
		r->size += 2;
	}
	return host;
}

/* Appends that path of a file, which need not be there yet; nothing where it is in neither tree, or nothing can have given it another
 * path. */
static __always_inline path_ref append_real_place(struct record *r, struct vfsmount *own, struct dentry *dentry,
						  struct task_struct *task, bool8 *host)
{
	u32 start = r->size;

	begin_walk(&r->walk, own, dentry, task);
	*host = walk_really(r->slot);
	barrier();
	return since(r, start);
}

static __always_inline path_ref append_real_path(struct record *r, const struct path *path, struct task_struct *task,
						 bool8 *host)
{
	return append_real_place(r, LOAD(path, mnt), LOAD(path, dentry), task, host);
}

#endif
