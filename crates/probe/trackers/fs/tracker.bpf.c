// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * Changes of files' names and attributes. The return of the system call says what was asked for and how it ended. Where
 * the functions of the kernel's security hooks can be attached to, they say which file that really was, and see what
 * was asked for through io_uring too.
 */
#include "events.h"
#include "resolved.bpf.h"

PARAM(bool8, failures, 0, "whether failures are reported that are no refusals (EPERM, EACCES, EROFS) too");

/* The events that have a second path have it there. */
struct two_paths {
	CHANGE_OF_FILE;
	path_at path2;
	requested_path requested2;
	requested_path real2;
};

/* What was asked for. */
struct change {
	u16 event;
	u16 size; /* of the event */
	bool has_second;
	u32 error;
	int directory, directory2; /* what the paths are relative to */
	const char *path, *path2;  /* none: the file of the descriptor `directory` */
	const char *text;	   /* a symbolic link's target, an attribute's name */
	u64 number, number2;	   /* mode, size, owner; group, device */
};

#define IS(NAME, TYPE) (change->event = EVENT_##NAME, change->size = sizeof(TYPE))

/* It is kept behind the record that is being made and not on the stack: for the verifier, all changes are then one. */
static __always_inline struct change *change_of(struct record *r)
{
	return (void *)(r->data + RECORD_MAX);
}

static __always_inline bool is_refusal(u32 error)
{
	return error == 1 || error == 13 || error == 30; /* EPERM, EACCES, EROFS */
}

static __always_inline void append_text(struct record *r, str_ref *to, const struct change *change, bool io_uring)
{
	*to = io_uring ? append_long_string(r, change->text) : append_user_string(r, change->text);
}

/* What is particular to each event. */
static __always_inline void fill(struct record *r, const struct change *change, bool io_uring)
{
	u64 n = change->number;
	void *at = r->data;

	switch (change->event) {
	case EVENT_remove:
		((struct file_remove *)at)->directory = !!n;
		break;
	case EVENT_rename:
		((struct file_rename *)at)->flags = n;
		break;
	case EVENT_symlink:
		append_text(r, &((struct file_symlink *)at)->target, change, io_uring);
		break;
	case EVENT_mkdir:
		((struct file_mkdir *)at)->mode = n & 07777;
		break;
	case EVENT_mknod: {
		struct file_mknod *e = at;
		u32 device = change->number2;

		e->mode = n & 07777;
		e->type = n & S_IFMT ? n & S_IFMT : S_IFREG;
		e->major = device >> 8 & 0xfff;
		e->minor = (device & 0xff) | (device >> 12 & 0xfff00);
		break;
	}
	case EVENT_chmod:
		((struct file_chmod *)at)->mode = n & 07777;
		break;
	case EVENT_chown:
		((struct file_chown *)at)->owner = (u32)n == ~0U ? -1LL : (u32)n;
		((struct file_chown *)at)->group = (u32)change->number2 == ~0U ? -1LL : (u32)change->number2;
		break;
	case EVENT_truncate:
		((struct file_truncate *)at)->size = n;
		break;
	case EVENT_setxattr:
		((struct file_setxattr *)at)->removed = n;
		append_text(r, &((struct file_setxattr *)at)->name, change, io_uring);
		break;
	}
}

static __always_inline bool is_of_new_file(const struct change *change)
{
	return change->event == EVENT_symlink || change->event == EVENT_mkdir || change->event == EVENT_mknod;
}

/* A record for a change, whose event is not chosen yet; none where it is not collected. */
static __always_inline struct record *begin_change(struct tracker_counters *c, u32 error, u64 *cgroup)
{
	struct record *r;

	if (!is_collected(c, cgroup))
		return NULL;
	if (error && !failures && !is_refusal(error)) {
		c->filtered__parameter++;
		return NULL;
	}
	r = begin(c, 0);
	if (r) {
		__builtin_memset(change_of(r), 0, sizeof(struct change));
		change_of(r)->error = error;
	}
	return r;
}

static __always_inline void report(struct tracker_counters *c, struct record *r, u64 cgroup, bool io_uring)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct change *change = change_of(r);
	const struct resolved *found = NULL;
	path_at asked = {}, asked2 = {};
	struct resolved_parts parts;
	struct file_change *e;

	r->size = change->size;
	e = (void *)r->data;
	/* The largest of them. */
	__builtin_memset(e, 0, sizeof(struct file_rename));
	describe_current(&e->header, change->event, cgroup);
	e->error = change->error;
	e->io_uring = io_uring;
	/* First all that walks, then all that asks whether there is anything to find: fewer ways for the verifier. */
	if (!io_uring) {
		asked = append_path_at(r, change->directory, change->path);
		if (change->has_second)
			asked2 = append_path_at(r, change->directory2, change->path2);
	}
	if (change->path || io_uring)
		found = find_resolved();
	parts = parts_of(found);
	if (found) {
		e->host = found->host;
		e->writable_layer = found->writable_layer;
		e->unresolved = !found->first;
		if (!is_of_new_file(change))
			e->file = found->file;
	} else if (change->path) {
		e->unresolved = 1;
	} else {
		struct file *file = file_of(task, change->directory);

		e->writable_layer = file && in_writable_layer(LOAD(file, f_inode));
		if (file && !is_of_new_file(change))
			identify(&e->file, LOAD(file, f_inode));
	}
	set_path(r, &e->path, &e->requested, found, parts.first.from, parts.first.bytes, asked);
	set_real_path(r, &e->real, e->path.base, found, parts.real.from, parts.real.bytes);
	if (change->has_second) {
		struct two_paths *two = (void *)r->data;

		set_path(r, &two->path2, &two->requested2, found, parts.second.from, parts.second.bytes, asked2);
		set_real_path(r, &two->real2, two->path2.base, found, parts.second_real.from, parts.second_real.bytes);
	}
	fill(r, change, io_uring);
	send(c, r);
}

/* In three groups: by path, by path and the directory that it is relative to, by descriptor. */
enum changes_calls {
	SYS_unlink = 1,
	SYS_rmdir,
	SYS_rename,
	SYS_link,
	SYS_symlink,
	SYS_mkdir,
	SYS_mknod,
	SYS_chmod,
	SYS_chown,
	SYS_lchown,
	SYS_truncate,
	SYS_setxattr,
	SYS_lsetxattr,
	SYS_removexattr,
	SYS_lremovexattr,

	SYS_unlinkat,
	SYS_renameat,
	SYS_renameat2,
	SYS_linkat,
	SYS_symlinkat,
	SYS_mkdirat,
	SYS_mknodat,
	SYS_fchmodat,
	SYS_fchmodat2,
	SYS_fchownat,
	SYS_setxattrat,
	SYS_removexattrat,

	SYS_fchmod,
	SYS_fchown,
	SYS_ftruncate,
	SYS_fsetxattr,
	SYS_fremovexattr,
};

#define AT_REMOVEDIR 0x200

static __always_inline void read_call(const struct call *call, struct change *change)
{
	bool at = call->which >= SYS_unlinkat && call->which < SYS_fchmod;
	u64 a0 = argument(call, 0), a1 = argument(call, 1), a2 = argument(call, 2), a3 = argument(call, 3);
	/* What follows the path. */
	u64 next = at ? a2 : a1, second = at ? a3 : a2;

	change->directory = at || call->which >= SYS_fchmod ? (int)a0 : AT_FDCWD;
	change->path = (void *)(at ? a1 : call->which < SYS_unlinkat ? a0 : 0);
	switch (call->which) {
	case SYS_unlink:
	case SYS_rmdir:
	case SYS_unlinkat:
		IS(remove, struct file_remove);
		change->number = at ? next & AT_REMOVEDIR : call->which == SYS_rmdir;
		break;
	case SYS_rename:
	case SYS_renameat:
	case SYS_renameat2:
		IS(rename, struct file_rename);
		change->has_second = true;
		change->directory2 = at ? (int)next : AT_FDCWD;
		change->path2 = (void *)(at ? second : next);
		change->number = call->which == SYS_renameat2 ? argument(call, 4) : 0;
		break;
	case SYS_link:
	case SYS_linkat:
		IS(link, struct file_link);
		change->has_second = true;
		change->directory2 = change->directory;
		change->path2 = change->path;
		change->directory = at ? (int)next : AT_FDCWD;
		change->path = (void *)(at ? second : next);
		break;
	case SYS_symlink:
	case SYS_symlinkat:
		IS(symlink, struct file_symlink);
		change->text = (void *)a0;
		change->directory = at ? (int)a1 : AT_FDCWD;
		change->path = (void *)next;
		break;
	case SYS_mkdir:
	case SYS_mkdirat:
		IS(mkdir, struct file_mkdir);
		change->number = next;
		break;
	case SYS_mknod:
	case SYS_mknodat:
		IS(mknod, struct file_mknod);
		change->number = next;
		change->number2 = second;
		break;
	case SYS_chmod:
	case SYS_fchmodat:
	case SYS_fchmodat2:
	case SYS_fchmod:
		IS(chmod, struct file_chmod);
		change->number = next;
		break;
	case SYS_chown:
	case SYS_lchown:
	case SYS_fchownat:
	case SYS_fchown:
		IS(chown, struct file_chown);
		change->number = next;
		change->number2 = second;
		break;
	case SYS_truncate:
	case SYS_ftruncate:
		IS(truncate, struct file_truncate);
		change->number = next;
		break;
	case SYS_setxattr:
	case SYS_lsetxattr:
	case SYS_setxattrat:
	case SYS_fsetxattr:
		IS(setxattr, struct file_setxattr);
		change->text = (void *)(at ? second : next);
		break;
	case SYS_removexattr:
	case SYS_lremovexattr:
	case SYS_removexattrat:
	case SYS_fremovexattr:
		IS(setxattr, struct file_setxattr);
		change->text = (void *)(at ? second : next);
		change->number = true;
		break;
	}
}

SYSCALLS(changes)
{
	struct tracker_counters *c = count();
	struct record *r;
	u64 cgroup;

	if (!c)
		return;
	r = begin_change(c, call->result < 0 ? -call->result : 0, &cgroup);
	if (r) {
		read_call(call, change_of(r));
		report(c, r, cgroup, false);
	}
	forget_resolved();
}

/*
 * The functions of the security hooks: the kernel has found the file and is about to ask whether this is allowed. Creating
 * a file by open, or binding a socket to a path, comes by here too, and is not ours.
 */
static __noinline void found(const struct change *change, const struct path *at, struct dentry *dentry,
			     const struct path *at2, struct dentry *dentry2)
{
	u32 slot = call_slot(entry_registers());
	bool is_call = slot < 2 * SYSCALL_NUMBERS && changes_which[slot];
	struct tracker_counters *c = count();
	struct record *r;
	u64 cgroup;

	if (!c)
		return;
	if (!is_call && !(change->event && is_by_io_uring(slot)))
		return;
	keep_resolved(LOAD(at, mnt), dentry, LOAD(at2, mnt), dentry2);
	if (is_call)
		return;
	r = begin_change(c, 0, &cgroup);
	if (r) {
		*change_of(r) = *change;
		change_of(r)->has_second = dentry2 != NULL;
		report(c, r, cgroup, true);
	}
	forget_resolved();
}

/* One body for both kinds of probes on a function's entry. */
#define ON_ENTRY(NAME)                                                                                                 \
	static __always_inline void NAME##_entered(u64 a, u64 b, u64 c, u64 d, u64 e);                                 \
	SEC("fentry/security_path_" #NAME) int NAME##_fentry(u64 *ctx)                                                 \
	{                                                                                                              \
		NAME##_entered(ctx[0], ctx[1], ctx[2], ctx[3], ctx[4]);                                                \
		return 0;                                                                                              \
	}                                                                                                              \
	SEC("kprobe/security_path_" #NAME) int NAME##_kprobe(struct pt_regs *ctx)                                      \
	{                                                                                                              \
		NAME##_entered(PT_REGS_PARM1(ctx), PT_REGS_PARM2(ctx), PT_REGS_PARM3(ctx), PT_REGS_PARM4(ctx),         \
			       PT_REGS_PARM5(ctx));                                                                    \
		return 0;                                                                                              \
	}                                                                                                              \
	static __always_inline void NAME##_entered(u64 a, u64 b, u64 c, u64 d, u64 e)

ON_ENTRY(unlink) /* directory, dentry */
{
	struct change asked = {}, *change = &asked;

	IS(remove, struct file_remove);
	found(change, (void *)a, (void *)b, NULL, NULL);
}

ON_ENTRY(rmdir) /* directory, dentry */
{
	struct change asked = { .number = true }, *change = &asked;

	IS(remove, struct file_remove);
	found(change, (void *)a, (void *)b, NULL, NULL);
}

ON_ENTRY(rename) /* directory, dentry, new directory, new dentry, flags */
{
	struct change asked = { .number = e }, *change = &asked;

	IS(rename, struct file_rename);
	found(change, (void *)a, (void *)b, (void *)c, (void *)d);
}

ON_ENTRY(link) /* target's dentry, directory, dentry: both are on one mount */
{
	struct change asked = {}, *change = &asked;

	IS(link, struct file_link);
	found(change, (void *)b, (void *)c, (void *)b, (void *)a);
}

ON_ENTRY(symlink) /* directory, dentry, target */
{
	struct change asked = { .text = (void *)c }, *change = &asked;

	IS(symlink, struct file_symlink);
	found(change, (void *)a, (void *)b, NULL, NULL);
}

ON_ENTRY(mkdir) /* directory, dentry, mode */
{
	struct change asked = { .number = c }, *change = &asked;

	IS(mkdir, struct file_mkdir);
	found(change, (void *)a, (void *)b, NULL, NULL);
}

/* What follows io_uring does not do, or without a path. */
ON_ENTRY(mknod) /* directory, dentry */
{
	struct change unasked = {};

	found(&unasked, (void *)a, (void *)b, NULL, NULL);
}

ON_ENTRY(chmod) /* path */
{
	struct change unasked = {};

	found(&unasked, (void *)a, LOAD((struct path *)a, dentry), NULL, NULL);
}

ON_ENTRY(chown) /* path */
{
	struct change unasked = {};

	found(&unasked, (void *)a, LOAD((struct path *)a, dentry), NULL, NULL);
}

ON_ENTRY(truncate) /* path */
{
	struct change unasked = {};

	found(&unasked, (void *)a, LOAD((struct path *)a, dentry), NULL, NULL);
}
