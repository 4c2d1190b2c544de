/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * What stands for a file at its place: the file, and every name and mount on its whole path. A folder that is renamed, a
 * mount, or another root make it another place, as what the agent says of a path is about all of it.
 */
#ifndef ETHOGRAM_PLACE_H
#define ETHOGRAM_PLACE_H

#include "record.bpf.h"
#include "subscription.bpf.h"

#define PLACE_CALLS 4 /* WALK_PARTS names and mount points each */

/* Goes on with a walk, and with the hash of what it meets: the kernel's hash of a name is one of its directory too. */
__noinline int walk_place_on(u32 slot)
{
	struct record *r = bpf_map_lookup_elem(&scratch, &slot);

	for (int i = 0; r && i < WALK_PARTS; i++) {
		struct walk *walk = &r->walk;
		struct dentry *here, *parent;

		barrier();
		here = walk->dentry;
		parent = LOAD(here, d_parent);
		if (here == walk->mount_root || here == parent) {
			struct mount *mount = walk->mount, *above = LOAD(mount, mnt_parent);

			walk->hash = mixed(walk->hash, LOAD(mount, mnt_id));
			if (above == mount) {
				walk->end = WALK_ROOT;
				break;
			}
			walk->dentry = LOAD(mount, mnt_mountpoint);
			walk->mount = above;
			walk->mount_root = LOAD(above, mnt.mnt_root);
			continue;
		}
		walk->hash = mixed(walk->hash, LOAD(here, d_name.hash));
		walk->dentry = parent;
	}
	return 0;
}

/* 0 where the path is too long. */
static __always_inline u64 place_of(struct record *r, const struct path *path, struct task_struct *task)
{
	struct walk *walk = &r->walk;
	u64 hash;

	walk->dentry = LOAD(path, dentry);
	walk->mount = mount_of(LOAD(path, mnt));
	walk->mount_root = LOAD(path, mnt, mnt_root);
	hash = mixed_pair(agent_salt, LOAD(task, fs, root.dentry, d_inode, i_ino),
			  LOAD(mount_of(LOAD(task, fs, root.mnt)), mnt_id));
	walk->hash = mixed_pair(hash, LOAD(path, dentry, d_inode, i_ino), LOAD(path, dentry, d_inode, i_sb, s_dev));
	walk->end = WALKING;
	for (int i = 0; i < PLACE_CALLS && walk->end == WALKING; i++)
		walk_place_on(r->slot);
	barrier();
	return walk->end == WALK_ROOT ? walk->hash | 1 : 0;
}

#endif
