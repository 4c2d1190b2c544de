/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* What an open asks for, and what stands for one, so that the same is known again. */
#ifndef ETHOGRAM_OPEN_REQUEST_H
#define ETHOGRAM_OPEN_REQUEST_H

#include "habit.bpf.h"
#include "place.bpf.h"

#define O_CLOEXEC 02000000
/* The kernel sets it by itself. */
#if defined(__TARGET_ARCH_arm64)
#define O_LARGEFILE 0400000
#else
#define O_LARGEFILE 0100000
#endif

#define AS_FAR_AS_CACHED (1U << 31) /* no flag of open's */

/* What an open asks for. */
struct request {
	const char *path;
	s32 directory; /* what the path is relative to */
	u32 flags;
	u32 mode;
	u32 is_copied; /* whether the path lies in the kernel's memory, and not in the caller's */
};

#define FLAGS_SHOWN(flags) ((flags) & ~(O_CLOEXEC | O_LARGEFILE | AS_FAR_AS_CACHED))

#define FMODE_READ 0x1
#define FMODE_PATH 0x4000 /* only a place: it can be neither read nor written */
#define USE (FMODE_WRITE | FMODE_CREATED | FMODE_PATH)

#define ASKED_SHORT 128 /* bytes of a path as asked for, beyond which an open is no habit */

/* Adds what was asked for to what stands for an open; 0 where that is too long. */
static __always_inline u64 mixed_asked(u64 hash, const struct request *request, struct task_struct *task)
{
	u64 asked[ASKED_SHORT / 8] = {};
	const struct path *base = NULL;
	struct file *file;
	long length;

	if (request->is_copied)
		length = bpf_probe_read_kernel_str(asked, sizeof(asked), request->path);
	else
		length = bpf_probe_read_user_str(asked, sizeof(asked), request->path);
	if (length <= 0 || length >= ASKED_SHORT)
		return 0;
	for (u32 i = 0; i < ASKED_SHORT / 8 && i * 8 < (u32)length; i += 2)
		hash = mixed_pair(hash, asked[i], asked[i + 1]);
	if (((const char *)asked)[0] == '/')
		return hash | 1;
	if (request->directory == AT_FDCWD) {
		base = &LOAD(task, fs)->pwd;
	} else {
		file = file_of(task, request->directory);
		base = file ? &file->f_path : NULL;
	}
	hash = mixed_pair(hash, LOAD(base, dentry, d_name.hash), LOAD(base, dentry, d_inode, i_ino));
	hash = mixed(hash, (u64)LOAD(base, dentry, d_inode, i_sb, s_dev) << 32 |
				   (u32)LOAD(mount_of(LOAD(base, mnt)), mnt_id));
	return hash | 1;
}

/* Stands for all that is reported of an open, and for what is read by it: a file that has changed is another. */
static __always_inline u64 habitual_object(u64 place, struct inode *inode, const struct request *request, u32 mode,
					   struct task_struct *task)
{
	u64 object = place;
	u64 made = mode & FMODE_CREATED ? request->mode & 07777 : NO_MODE;

	if (!object)
		return 0;
	object = mixed_pair(object, (u64)FLAGS_SHOWN(request->flags) << 32 | made,
			    (u64)(mode & USE) << 32 | (u64)in_writable_layer(inode) << 16 | LOAD(inode, i_mode));
	if (!(mode & USE))
		object = mixed(object, changed_at(inode));
	return mixed_asked(object, request, task);
}

#endif
