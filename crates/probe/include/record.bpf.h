/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Records with a tail: a fixed struct followed by texts of any length, put together in a scratch buffer and sent
 * with the length they have, so that opening a file costs 100 bytes and not 4 KiB.
 */
#ifndef ETHOGRAM_RECORD_H
#define ETHOGRAM_RECORD_H

#include "file.bpf.h"

#ifndef RECORD_MAX
#define RECORD_MAX 8192 /* a power of two: offsets are masked with it */
#endif
#define PIECE_MAX 4096	/* the longest text written at once */
#define NAME_SIZE 256	/* a file name and its NUL */
#define WALK_PARTS 16	/* names and mount points that a call follows on the way to the root */
#define WALK_CALLS 135	/* together more than a path of PIECE_MAX bytes has */
#define SCRATCH_SLOTS 3 /* a program can be interrupted by another on its CPU */
#define ENDS_SIZE 32	/* kept free in a record: how each of its paths ends is always said */

/* How a walk to the root ended, as the record says it; WALKING is in none. */
enum walk_ends {
	WALK_NOWHERE = 0, /* the file has no place in the process's tree: a memfd, a pipe, another mount namespace */
	WALK_CUT = 1,
	WALK_ROOT = '/',
	WALKING = 2,
};

/* A walk to the root keeps its place in memory: of what is read from there the verifier knows nothing, so that all ways
 * through the loop look the same to it and it follows one. */
struct walk {
	struct mount *mount;
	struct dentry *mount_root;
	struct dentry *dentry;
	struct mount *root_mount; /* the process's own root */
	struct dentry *root;
	u64 end;   /* enum walk_ends */
	u64 start; /* where in the record it began */
	u64 hash;  /* of a walk to a file's place: of what was met */
	u64 tree;  /* of a walk to a file's real path: the inode at which the host's tree begins, if not the root */
};

struct record {
	u32 busy;
	u32 size;
	u32 slot; /* which of the scratch buffers it is */
	struct walk walk;
	u64 habit; /* likewise */
	u8 data[RECORD_MAX + PIECE_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SCRATCH_SLOTS);
	__type(key, u32);
	__type(value, struct record);
} scratch SEC(".maps");

/* A scratch buffer that is free, its fixed part still to be filled; give it back with discard. A program can be interrupted
 * by another, and on kernels that preempt also go on before that one ends: a buffer is its who was alone in adding to `busy`.
 * (An atomic exchange, which kernels before 5.12 lack, would give it to one of two that come at once; so neither has it.) */
static __always_inline struct record *borrow(u32 fixed)
{
	for (u32 slot = 0; slot < SCRATCH_SLOTS; slot++) {
		u32 index = slot;
		struct record *r = bpf_map_lookup_elem(&scratch, &index);

		if (!r || *(volatile u32 *)&r->busy)
			continue;
		__sync_fetch_and_add(&r->busy, 1);
		if (*(volatile u32 *)&r->busy == 1) {
			r->size = fixed;
			r->slot = slot;
			return r;
		}
		__sync_fetch_and_add(&r->busy, -1);
	}
	return NULL;
}

/* The same for a record that is to be sent; give it back with send or discard. */
static __always_inline struct record *begin(struct tracker_counters *c, u32 fixed)
{
	struct record *r = borrow(fixed);

	if (!r)
		c->dropped__scratch__busy++;
	return r;
}

static __always_inline void discard(struct record *r)
{
	__sync_fetch_and_add(&r->busy, -1);
}

static __always_inline void send(struct tracker_counters *c, struct record *r)
{
	struct event_header *h = (void *)r->data;
	struct relevance *relevant = relevance_of(h->event);
	u64 user = relevant ? *(volatile u64 *)&relevant->user : 0;
	u64 field = relevant ? *(volatile u64 *)&relevant->field : 0;
	u64 flags, size;

	if (!passes(user, h->uid) || !passes(field, *(u32 *)(r->data + tested_at(field)))) {
		c->filtered__unwanted++;
		discard(r);
		return;
	}
	flags = wakeup(r->size);
	size = r->size;

	/* Nothing between that would have it kept on the stack, where older verifiers forget its bound. */
	barrier_var(size);
	if (size > RECORD_MAX)
		size = RECORD_MAX;
	submit_as(c, r->data, size, flags);
	discard(r);
}

/* Where the next piece of the tail goes. */
static __always_inline u8 *tail(struct record *r)
{
	return r->data + (r->size & (RECORD_MAX - 1));
}

static __always_inline bool is_full(struct record *r)
{
	return r->size >= RECORD_MAX - NAME_SIZE - ENDS_SIZE;
}

static __always_inline struct tail_ref since(struct record *r, u32 start)
{
	struct tail_ref ref = { .offset = start, .length = r->size - start };

	return ref;
}

static __always_inline void append_name(struct record *r, const void *name)
{
	long n = bpf_probe_read_kernel_str(tail(r), NAME_SIZE, name);

	if (n > 0)
		r->size += n;
}

static __always_inline str_ref append_kernel_string(struct record *r, const void *text)
{
	u32 start = r->size;

	if (!is_full(r))
		append_name(r, text);
	return since(r, start);
}

/* A text that may be longer than a file name, at most PIECE_MAX - 1. */
static __always_inline str_ref append_long_string(struct record *r, const void *text)
{
	u32 start = r->size;
	long n;

	if (start < RECORD_MAX - PIECE_MAX) {
		n = bpf_probe_read_kernel_str(tail(r), PIECE_MAX, text);
		if (n > 0)
			r->size += n;
	}
	return since(r, start);
}

static __always_inline str_ref append_user_string(struct record *r, const void *text)
{
	u32 start = r->size;
	long n;

	if (start < RECORD_MAX - PIECE_MAX) {
		n = bpf_probe_read_user_str(tail(r), PIECE_MAX, text);
		if (n > 0)
			r->size += n;
	}
	return since(r, start);
}

/* One step of a walk to the root. Returns whether it goes on. */
static __always_inline bool walk_step(struct record *r, struct walk *walk)
{
	struct dentry *here, *parent;
	struct mount *mount;

	barrier();
	here = walk->dentry;
	mount = walk->mount;
	if (here == walk->root && mount == walk->root_mount) {
		walk->end = WALK_ROOT;
		return false;
	}
	if (here == walk->mount_root) {
		struct mount *above = LOAD(mount, mnt_parent);

		if (above == mount) {
			/* Another root than the process's own; of a mount that hangs nowhere, the file itself. */
			walk->end = WALK_ROOT;
			if (r->size == walk->start) {
				walk->end = WALK_NOWHERE;
				append_kernel_string(r, LOAD(here, d_name.name));
			}
			return false;
		}
		walk->dentry = LOAD(mount, mnt_mountpoint);
		walk->mount = above;
		walk->mount_root = LOAD(above, mnt.mnt_root);
		return true;
	}
	parent = LOAD(here, d_parent);
	if (is_full(r)) {
		walk->end = WALK_CUT;
		return false;
	}
	append_name(r, LOAD(here, d_name.name));
	if (parent == here) {
		walk->end = WALK_NOWHERE;
		return false;
	}
	walk->dentry = parent;
	return true;
}

/* Goes on with the walk of a record. The verifier follows it once for a program, and not at each call: so a path may be
 * as deep as it likes. */
__noinline int walk_on(u32 slot)
{
	struct record *r = bpf_map_lookup_elem(&scratch, &slot);

	for (int i = 0; r && i < WALK_PARTS; i++)
		if (!walk_step(r, &r->walk))
			break;
	return 0;
}

/* Follows the walk of a record to its end, which it appends, if not nowhere. */
__noinline int walk_to_end(u32 slot)
{
	struct record *r = bpf_map_lookup_elem(&scratch, &slot);

	if (!r)
		return 0;
	for (int i = 0; i < WALK_CALLS && r->walk.end == WALKING; i++)
		walk_on(slot);
	barrier();
	if (r->walk.end == WALKING)
		r->walk.end = WALK_CUT;
	if (r->walk.end != WALK_NOWHERE && r->size < RECORD_MAX - 2) {
		u8 *at = tail(r);

		at[0] = r->walk.end;
		at[1] = 0;
		r->size += 2;
	}
	return 0;
}

/* A walk from a file to the root of that task. */
static __always_inline void begin_walk(struct walk *walk, struct vfsmount *vfsmount, struct dentry *dentry,
				       struct task_struct *task)
{
	walk->mount = mount_of(vfsmount);
	walk->mount_root = LOAD(vfsmount, mnt_root);
	walk->dentry = dentry;
	walk->root = LOAD(task, fs, root.dentry);
	walk->root_mount = mount_of(LOAD(task, fs, root.mnt));
	walk->end = WALKING;
}

/*
 * Appends a path as its names from the leaf to the root, each ended by NUL, and then how the walk ended, if not
 * nowhere. Leaf first because that is how the kernel links them: no second pass here.
 */
static __always_inline path_ref append_place(struct record *r, struct vfsmount *vfsmount, struct dentry *dentry,
					     struct task_struct *task)
{
	u32 start = r->size;

	begin_walk(&r->walk, vfsmount, dentry, task);
	r->walk.start = start;
	walk_to_end(r->slot);
	barrier();
	return since(r, start);
}

static __always_inline path_ref append_path(struct record *r, const struct path *path, struct task_struct *task)
{
	return append_place(r, LOAD(path, mnt), LOAD(path, dentry), task);
}

#define PATH_BYTES 256

/* A path in the fixed part, as samples have it: written as append_path writes it. */
struct path_bytes {
	u8 bytes[PATH_BYTES];
};
typedef struct path_bytes path_buf;

/* Puts a path into a sample's row, which is the head of the record, of `size` bytes, and nothing is behind it yet. */
static __always_inline void fill_path(struct path_bytes *to, struct record *r, u32 size, const struct path *path,
				      struct task_struct *task)
{
	u32 length;

	append_path(r, path, task);
	length = r->size - size;
	__builtin_memset(to, 0, sizeof(*to));
	if (length > PATH_BYTES) {
		bpf_probe_read_kernel(to->bytes, PATH_BYTES - 3, r->data + size);
		to->bytes[PATH_BYTES - 2] = WALK_CUT;
	} else if (length) {
		bpf_probe_read_kernel(to->bytes, length, r->data + size);
	}
}

#define AT_FDCWD (-100)

/* Stands for a text for which the record has no room. */
#define LEFT_OUT ((str_ref){ .offset = 0xffff, .length = 0xffff })

/* The directory that a path which begins so is relative to; nothing where it is relative to none. */
static __always_inline path_ref append_base(struct record *r, int directory, char first)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	const struct path *base = NULL;

	if (first != '/') {
		if (directory == AT_FDCWD) {
			base = &LOAD(task, fs)->pwd;
		} else {
			struct file *file = file_of(task, directory);

			if (file)
				base = &file->f_path;
		}
	}
	return base ? append_path(r, base, task) : (path_ref){};
}

/*
 * A path as the current process gave it to a system call, and the directory it is relative to. The caller can change
 * its memory meanwhile: this is what it says at the end of the call, where hooks on the operation itself are refused.
 * Without a path it is what the descriptor stands for.
 */
static __always_inline path_at append_path_at(struct record *r, int directory, const char *asked)
{
	path_at at = {};
	char first = 0;

	bpf_probe_read_user(&first, 1, asked);
	at.base = append_base(r, directory, first);
	at.asked = r->size < RECORD_MAX - PIECE_MAX ? append_user_string(r, asked) : LEFT_OUT;
	return at;
}

/* The same for a path that the kernel has copied from the caller's memory. */
static __always_inline path_at append_copied_path_at(struct record *r, int directory, const char *copy)
{
	path_at at = {};
	char first = 0;

	bpf_probe_read_kernel(&first, 1, copy);
	at.base = append_base(r, directory, first);
	at.asked = r->size < RECORD_MAX - PIECE_MAX ? append_long_string(r, copy) : LEFT_OUT;
	return at;
}

#endif
