/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Paths as the kernel resolved them. A system call names a path as its caller asked for it: through symbolic links, and
 * in memory that can change meanwhile. Where the kernel lets programs attach to the functions of its security hooks,
 * they keep here what it arrived at, until the call returns and its result is known.
 */
#ifndef ETHOGRAM_RESOLVED_H
#define ETHOGRAM_RESOLVED_H

#include "real_path.bpf.h"
#include "syscall.bpf.h"

#define RESOLVED_BYTES 2048 /* of all paths together, a power of two */
#define PF_IO_WORKER 0x10
#define NR_IO_URING_ENTER 426 /* on all architectures */

struct resolved {
	struct file_identity file; /* the one that is there, the first of two */
	/* Bytes of each, in this order; zero of what is not known. */
	u16 second_real; /* where the other one of two lies, where that is elsewhere */
	u16 real;	 /* the same of the first */
	u16 first;	 /* its path */
	u16 second;
	bool8 host; /* whether that is in the host's tree */
	bool8 writable_layer;
	u8 paths[RESOLVED_BYTES];
};

/* By thread. Takes memory only for calls that are on their way. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1024);
	__type(key, u64);
	__type(value, struct resolved);
} resolutions SEC(".maps");

/* Keeps what a call of this thread resolved its path to, and its other path if it has one, both on one mount or alike. What is too long
 * is not kept: the path as asked for takes its place. Where they lie comes first, as a caller can make the other ones long. */
static __always_inline void keep_resolved(struct vfsmount *mount, struct dentry *dentry, struct vfsmount *other_mount,
					  struct dentry *other)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	u32 fixed = __builtin_offsetof(struct resolved, paths);
	struct record *r = borrow(fixed);
	u64 thread = bpf_get_current_pid_tgid();
	struct resolved *kept;
	struct inode *inode;

	if (!r)
		return;
	kept = (void *)r->data;
	__builtin_memset(kept, 0, fixed);
	inode = LOAD(dentry, d_inode);
	kept->writable_layer = inode && in_writable_layer(inode);
	/* What gets another name is the other one. */
	if (!inode && other)
		inode = LOAD(other, d_inode);
	if (inode)
		identify(&kept->file, inode);
	if (other)
		kept->second_real = append_real_place(r, other_mount, other, task, &kept->host).length;
	kept->real = append_real_place(r, mount, dentry, task, &kept->host).length;
	kept->first = append_place(r, mount, dentry, task).length;
	if (other)
		kept->second = append_place(r, other_mount, other, task).length;
	if (r->size >= fixed + RESOLVED_BYTES)
		kept->first = kept->second = 0;
	if (kept->real + kept->second_real < RESOLVED_BYTES)
		bpf_map_update_elem(&resolutions, &thread, kept, BPF_ANY);
	discard(r);
}

/* What this thread's call resolved, if that is known. Forget it afterwards. */
static __always_inline struct resolved *find_resolved(void)
{
	u64 thread = bpf_get_current_pid_tgid();

	return bpf_map_lookup_elem(&resolutions, &thread);
}

static __always_inline void forget_resolved(void)
{
	u64 thread = bpf_get_current_pid_tgid();

	bpf_map_delete_elem(&resolutions, &thread);
}

/*
 * A path of a record: as resolved, and then also as asked for, or as asked for only. `bytes` at `from` of what was
 * resolved are that path; none where it was not.
 */
static __always_inline void set_path(struct record *r, path_at *path, requested_path *requested,
				     const struct resolved *found, u32 from, u32 bytes, path_at asked)
{
	struct tail_ref none = {};
	u32 start = r->size;

	path->base = none;
	path->asked = none;
	requested->resolved = none;
	requested->asked = *path;
	if (found && bytes && start < RECORD_MAX - RESOLVED_BYTES &&
	    !bpf_probe_read_kernel(tail(r), bytes & (RESOLVED_BYTES - 1),
				   found->paths + (from & (RESOLVED_BYTES - 1)))) {
		r->size += bytes & (RESOLVED_BYTES - 1);
		path->base = since(r, start);
		requested->resolved = path->base;
		requested->asked = asked;
	} else {
		*path = asked;
	}
}

/* Where such a path lies: `bytes` at `from` of what was resolved; nothing where that is not elsewhere. */
static __always_inline void set_real_path(struct record *r, requested_path *real, path_ref path,
					  const struct resolved *found, u32 from, u32 bytes)
{
	u32 start = r->size;

	real->resolved = path;
	real->asked = (path_at){};
	if (found && bytes && start < RECORD_MAX - RESOLVED_BYTES &&
	    !bpf_probe_read_kernel(tail(r), bytes & (RESOLVED_BYTES - 1),
				   found->paths + (from & (RESOLVED_BYTES - 1)))) {
		r->size += bytes & (RESOLVED_BYTES - 1);
		real->asked.base = since(r, start);
	}
}

/* Where in what was resolved a path begins, and how long it is. */
struct resolved_part {
	u32 from, bytes;
};

struct resolved_parts {
	struct resolved_part second_real, real, first, second;
};

/* All of them; none where nothing was resolved. */
static __always_inline struct resolved_parts parts_of(const struct resolved *found)
{
	struct resolved_parts parts = {};

	if (!found)
		return parts;
	parts.second_real = (struct resolved_part){ 0, found->second_real };
	parts.real = (struct resolved_part){ found->second_real, found->real };
	parts.first = (struct resolved_part){ parts.real.from + found->real, found->first };
	parts.second = (struct resolved_part){ parts.first.from + found->first, found->second };
	return parts;
}

/* Whether this thread does what another asked for through io_uring: no system call of its own will return with it. */
static __always_inline bool is_by_io_uring(u32 slot)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

	return LOAD(task, flags) & PF_IO_WORKER || (slot & (SYSCALL_NUMBERS - 1)) == NR_IO_URING_ENTER;
}

#endif
