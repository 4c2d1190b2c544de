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
static __always_inline u64 place_by_walking(struct record *r, const struct path *path, struct task_struct *task)
{
	struct walk *walk = &r->walk;
	struct inode *inode = LOAD(path, dentry, d_inode);
	u64 hash;

	begin_walk(walk, LOAD(path, mnt), LOAD(path, dentry), task);
	hash = mixed_pair(agent_salt, LOAD(walk->root, d_inode, i_ino), LOAD(walk->root_mount, mnt_id));
	walk->hash = mixed_pair(hash, LOAD(inode, i_ino), LOAD(inode, i_sb, s_dev));
	for (int i = 0; i < PLACE_CALLS && walk->end == WALKING; i++)
		walk_place_on(r->slot);
	barrier();
	return walk->end == WALK_ROOT ? walk->hash | 1 : 0;
}

/* The kernel's lock of renames, which makes a count odd and then even again with each. 0: not known. The agent sets it. */
const volatile u64 agent_rename_lock;

#define KNOWN_PLACES 512 /* by processor, a power of two */

/* What a place follows from. As long as all of it is as it was, so is the place. */
struct origin {
	struct dentry *dentry, *parent;
	struct inode *inode;
	struct mount *mount;
	struct dentry *root;
	struct mount *root_mount;
	u64 mounts;  /* how often those of the namespace had changed */
	u64 number;  /* the inode's */
	u32 renames; /* how many there had been, twice; odd during one */
	u32 name;    /* the kernel's hash of it */
};

struct known_place {
	struct origin of;
	u64 place;
	u64 check; /* a program can be interrupted by another that writes here */
};

/* Where the files lay that were asked about last. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, KNOWN_PLACES);
	__type(key, u32);
	__type(value, struct known_place);
} known_places SEC(".maps");

static __always_inline u32 count_of_renames(void)
{
	return LOAD((struct seqcount *)agent_rename_lock, sequence);
}

/* Returns whether it stands for the place. */
static __always_inline bool find_origin(struct origin *of, const struct path *path, struct task_struct *task)
{
	struct mnt_namespace *namespace;

	if (!agent_rename_lock)
		return false;
	of->renames = count_of_renames();
	of->dentry = LOAD(path, dentry);
	of->mount = mount_of(LOAD(path, mnt));
	namespace = LOAD(of->mount, mnt_ns);
	if (of->renames & 1 || !namespace)
		return false;
	of->mounts = LOAD(namespace, event);
	of->parent = LOAD(of->dentry, d_parent);
	of->inode = LOAD(of->dentry, d_inode);
	of->number = LOAD(of->inode, i_ino);
	of->name = LOAD(of->dentry, d_name.hash);
	of->root = LOAD(task, fs, root.dentry);
	of->root_mount = mount_of(LOAD(task, fs, root.mnt));
	return true;
}

/* Pointers are not computed with: older verifiers refuse that. */
static __always_inline struct known_place *known_place_at(const struct origin *of)
{
	u32 slot = ((of->number ^ (u64)of->name << 32) * 0x9e3779b97f4a7c15) >> 48 & (KNOWN_PLACES - 1);

	return bpf_map_lookup_elem(&known_places, &slot);
}

static __always_inline bool is_same_origin(const struct origin *one, const struct origin *other)
{
	return one->dentry == other->dentry && one->parent == other->parent && one->inode == other->inode &&
	       one->mount == other->mount && one->root == other->root && one->root_mount == other->root_mount &&
	       one->mounts == other->mounts && one->number == other->number && one->renames == other->renames &&
	       one->name == other->name;
}

static __always_inline u64 check_of(const struct origin *of, u64 place)
{
	return place ^ of->number << 40 ^ of->mounts << 20 ^ (u64)of->renames << 32 ^ of->name;
}

/* It is kept behind the record and not on the stack, of which older verifiers allow little. */
static __always_inline struct origin *origin_of(struct record *r)
{
	return (void *)r->data + RECORD_MAX;
}

/* What stands for a file at its place. 0 where the path is too long. */
static __always_inline u64 place_of(struct record *r, const struct path *path, struct task_struct *task)
{
	struct origin *of = origin_of(r);
	struct known_place *known = NULL;
	u64 place;

	if (find_origin(of, path, task)) {
		barrier();
		known = known_place_at(of);
		if (known && is_same_origin(&known->of, of) && known->check == check_of(of, known->place))
			return known->place;
	}
	place = place_by_walking(r, path, task);
	if (known && count_of_renames() == of->renames) {
		__builtin_memcpy(&known->of, of, sizeof(*of));
		known->place = place;
		known->check = check_of(of, place);
	}
	return place;
}

#endif
