/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Paths as the kernel resolved them. A system call names a path as its caller asked for it: through symbolic links, and
 * in memory that can change meanwhile. Where the kernel lets programs attach to the functions of its security hooks,
 * they keep here what it arrived at, until the call returns and its result is known.
 */
#ifndef ETHOGRAM_RESOLVED_H
#define ETHOGRAM_RESOLVED_H

#include "record.bpf.h"
#include "syscall.bpf.h"

#define RESOLVED_BYTES 2048 /* of both paths together, a power of two */
#define PF_IO_WORKER 0x10
#define NR_IO_URING_ENTER 426 /* on all architectures */

struct resolved {
	u16 first;  /* bytes of the path */
	u16 second; /* bytes of the other one, where there are two */
	bool writable_layer;
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

/* Keeps what a call of this thread resolved its path to, and its other path if it has one. What is too long is not
 * kept: the path as asked for takes its place. */
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
	inode = LOAD(dentry, d_inode);
	kept->writable_layer = inode && in_writable_layer(inode);
	kept->second = 0;
	kept->first = append_place(r, mount, dentry, task).length;
	if (other)
		kept->second = append_place(r, other_mount, other, task).length;
	if (r->size < fixed + RESOLVED_BYTES)
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

/* Whether this thread does what another asked for through io_uring: no system call of its own will return with it. */
static __always_inline bool is_by_io_uring(u32 slot)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

	return LOAD(task, flags) & PF_IO_WORKER || (slot & (SYSCALL_NUMBERS - 1)) == NR_IO_URING_ENTER;
}

#endif
