/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * What stands for a file at its place: the file, and every name and mount on its whole path. A folder that is renamed, a
 * mount, or another root make it another place, as what the agent says of a path is about all of it.
 */
#ifndef ETHOGRAM_PLACE_H
#define ETHOGRAM_PLACE_H

#include "record.bpf.h"
#include "subscription.bpf.h"

#define PLACE_PARTS 32 /* names and mount points followed on the way to the root */

/* 0 where the path is too long. The kernel's hash of a name is one of its directory too. The walk lies in memory for the
 * reason that append_place's does. */
static __always_inline u64 place_of(struct walk *walk, const struct path *path, struct task_struct *task)
{
	u64 hash;

	walk->dentry = LOAD(path, dentry);
	walk->mount = mount_of(LOAD(path, mnt));
	walk->mount_root = LOAD(path, mnt, mnt_root);
	hash = mixed_pair(agent_salt, LOAD(task, fs, root.dentry, d_inode, i_ino),
			  LOAD(mount_of(LOAD(task, fs, root.mnt)), mnt_id));
	hash = mixed_pair(hash, LOAD(path, dentry, d_inode, i_ino), LOAD(path, dentry, d_inode, i_sb, s_dev));
	for (int i = 0; i < PLACE_PARTS; i++) {
		struct dentry *here, *parent;

		barrier();
		here = walk->dentry;
		parent = LOAD(here, d_parent);
		if (here == walk->mount_root || here == parent) {
			struct mount *mount = walk->mount, *above = LOAD(mount, mnt_parent);

			hash = mixed(hash, LOAD(mount, mnt_id));
			if (above == mount)
				return hash | 1;
			walk->dentry = LOAD(mount, mnt_mountpoint);
			walk->mount = above;
			walk->mount_root = LOAD(above, mnt.mnt_root);
			continue;
		}
		hash = mixed(hash, LOAD(here, d_name.hash));
		walk->dentry = parent;
	}
	return 0;
}

#endif
