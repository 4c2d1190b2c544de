// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * What changes where file systems are. The return of the system call says what was asked for and how it ended; where the
 * functions of the kernel's security hooks can be attached to, they say which place that really was.
 */
#include "resolved.bpf.h"

enum mounting {
	mounting_new = 1,
	mounting_remount,
	mounting_bind,
	mounting_move,
	mounting_propagation,
	mounting_attach,
};

enum mount_bits {
	MS_RDONLY = 1,
	MS_NOSUID = 1 << 1,
	MS_NODEV = 1 << 2,
	MS_NOEXEC = 1 << 3,
	MS_SYNCHRONOUS = 1 << 4,
	MS_REMOUNT = 1 << 5,
	MS_MANDLOCK = 1 << 6,
	MS_DIRSYNC = 1 << 7,
	MS_NOSYMFOLLOW = 1 << 8,
	MS_NOATIME = 1 << 10,
	MS_NODIRATIME = 1 << 11,
	MS_BIND = 1 << 12,
	MS_MOVE = 1 << 13,
	MS_REC = 1 << 14,
	MS_SILENT = 1 << 15,
	MS_UNBINDABLE = 1 << 17,
	MS_PRIVATE = 1 << 18,
	MS_SLAVE = 1 << 19,
	MS_SHARED = 1 << 20,
	MS_RELATIME = 1 << 21,
	MS_STRICTATIME = 1 << 24,
	MS_LAZYTIME = 1 << 25,
};
typedef enum mount_bits mount_flags;
#define MS_PROPAGATION (MS_UNBINDABLE | MS_PRIVATE | MS_SLAVE | MS_SHARED)

enum unmount_bits { MNT_FORCE = 1, MNT_DETACH = 2, MNT_EXPIRE = 4, UMOUNT_NOFOLLOW = 8 };
typedef enum unmount_bits unmount_flags;

enum attribute_bits {
	MOUNT_ATTR_RDONLY = 1,
	MOUNT_ATTR_NOSUID = 2,
	MOUNT_ATTR_NODEV = 4,
	MOUNT_ATTR_NOEXEC = 8,
	MOUNT_ATTR_NOATIME = 0x10,
	MOUNT_ATTR_STRICTATIME = 0x20,
	MOUNT_ATTR_NODIRATIME = 0x80,
	MOUNT_ATTR_IDMAP = 0x100000,
	MOUNT_ATTR_NOSYMFOLLOW = 0x200000,
};
typedef enum attribute_bits attribute_flags;

enum prepare { prepare_fsopen = 1, prepare_fspick, prepare_fsconfig, prepare_fsmount, prepare_open_tree };

#define PLACE                                                                                                          \
	struct event_header header;                                                                                    \
	path_at path FIELD("file.path", "the place; symbolic links are resolved unless file.path_unresolved is true"); \
	requested_path requested FIELD("file.requested_path", "the place as asked for, where that is another path");   \
	requested_path real FIELD("file.real_path", "where it lies in the container's tree or the host's, where a "    \
						    "mount or a changed root gives it another path");                  \
	error_number error FIELD("error.type", "why it failed; absent where it did not");                              \
	bool8 unresolved FIELD("file.path_unresolved", "whether this kernel showed the paths only as asked for");      \
	bool8 host FIELD("file.host", "whether it is in the host's tree, seen from a container; file.real_path is "    \
				      "its path there")

struct mount_place {
	PLACE;
};

struct mount_mount {
	PLACE;
	path_at source_path FIELD("mount.source_path",
				  "what is moved, attached or bound; to bind is always shown as asked for");
	requested_path source_requested FIELD("mount.requested_source_path",
					      "that path as asked for, where it is another");
	enum mounting operation FIELD("mount.operation", "what was asked for: attach is by move_mount");
	mount_flags flags FIELD("mount.flags", "flags of mount");
	str_ref source FIELD("mount.source", "device or other source, as asked for");
	str_ref type FIELD("mount.type", "type of the file system");
};
EVENT(mount, struct mount_mount, 1);

struct mount_unmount {
	PLACE;
	unmount_flags flags FIELD("mount.unmount.flags", "flags of umount");
};
EVENT(unmount, struct mount_unmount, 2);

struct mount_pivot_root {
	PLACE;
	path_at put_old FIELD("mount.old_root_path", "where the old root is put");
	requested_path put_old_requested FIELD("mount.requested_old_root_path",
					       "that path as asked for, where it is another");
};
EVENT(pivot_root, struct mount_pivot_root, 3);

struct mount_setattr {
	PLACE;
	attribute_flags set FIELD("mount.attributes.set", "attributes that are set");
	attribute_flags clear FIELD("mount.attributes.cleared", "attributes that are cleared");
	mount_flags propagation FIELD("mount.propagation", "how mounts below it are shared with other places");
};
EVENT(setattr, struct mount_setattr, 4);

struct mount_prepare {
	PLACE;
	enum prepare operation FIELD("mount.operation", "system call that makes or sets up what is to be mounted");
	str_ref type FIELD("mount.type", "type of the file system, of fsopen");
	str_ref key FIELD("mount.option.name", "what fsconfig sets");
	str_ref value FIELD("mount.option.value", "what fsconfig sets it to, where that is a text");
};
EVENT(prepare, struct mount_prepare, 5);

/* The events that have a second path have it there. */
struct two_places {
	PLACE;
	path_at path2;
	requested_path requested2;
};

struct mount_attr {
	u64 set, clear, propagation;
};

/* What was asked for. */
struct change {
	u16 event;
	u16 size; /* of the event */
	u16 operation;
	u16 paths;
	int directory, directory2; /* what the paths are relative to */
	const char *path, *path2;  /* none: the file of that descriptor */
	const char *text, *text2;
	u64 flags;
	struct mount_attr attributes;
};

#define IS(NAME) (change->event = EVENT_##NAME, change->size = sizeof(struct mount_##NAME))

/* It is kept behind the record that is being made and not on the stack: for the verifier, all changes are then one. */
static __always_inline struct change *change_of(struct record *r)
{
	return (void *)(r->data + RECORD_MAX);
}

enum changes_calls {
	SYS_mount = 1,
	SYS_umount,
	SYS_umount2,
	SYS_pivot_root,
	SYS_move_mount,
	SYS_mount_setattr,
	SYS_open_tree,
	SYS_open_tree_attr,
	SYS_fsopen,
	SYS_fspick,
	SYS_fsconfig,
	SYS_fsmount,
};

#define OPEN_TREE_CLONE 1
#define FSCONFIG_SET_STRING 1
#define FSCONFIG_SET_PATH 3
#define FSCONFIG_SET_PATH_EMPTY 4

static __always_inline void read_mount(const struct call *call, struct change *change)
{
	u32 flags = argument(call, 3);

	/* Old programs write a magic number there. */
	if (flags >> 16 == 0xc0ed)
		flags &= 0xffff;
	IS(mount);
	change->path = (void *)argument(call, 1);
	change->flags = flags;
	change->operation = flags & MS_REMOUNT	   ? mounting_remount :
			    flags & MS_BIND	   ? mounting_bind :
			    flags & MS_PROPAGATION ? mounting_propagation :
			    flags & MS_MOVE	   ? mounting_move :
						     mounting_new;
	if (change->operation == mounting_new) {
		change->text = (void *)argument(call, 0);
		change->text2 = (void *)argument(call, 2);
	} else if (change->operation == mounting_bind || change->operation == mounting_move) {
		change->path2 = (void *)argument(call, 0);
		change->paths = 2;
	}
}

static __always_inline void read_fsconfig(const struct call *call, struct change *change)
{
	u32 command = argument(call, 1);

	change->operation = prepare_fsconfig;
	change->paths = 0;
	change->text = (void *)argument(call, 2);
	if (command == FSCONFIG_SET_STRING || command == FSCONFIG_SET_PATH || command == FSCONFIG_SET_PATH_EMPTY)
		change->text2 = (void *)argument(call, 3);
}

static __always_inline void read_call(const struct call *call, struct change *change)
{
	change->directory = change->directory2 = AT_FDCWD;
	change->path = (void *)argument(call, 0);
	change->paths = 1;
	switch (call->which) {
	case SYS_mount:
		read_mount(call, change);
		return;
	case SYS_umount:
	case SYS_umount2:
		IS(unmount);
		change->flags = call->which == SYS_umount2 ? argument(call, 1) : 0;
		return;
	case SYS_pivot_root:
		IS(pivot_root);
		change->path2 = (void *)argument(call, 1);
		change->paths = 2;
		return;
	case SYS_move_mount:
		IS(mount);
		change->operation = mounting_attach;
		change->directory2 = argument(call, 0);
		change->path2 = (void *)argument(call, 1);
		change->directory = argument(call, 2);
		change->path = (void *)argument(call, 3);
		change->paths = 2;
		return;
	}
	/* These come with a directory's descriptor before the path. */
	change->directory = argument(call, 0);
	change->path = (void *)argument(call, 1);
	if (call->which == SYS_mount_setattr) {
		IS(setattr);
		bpf_probe_read_user(&change->attributes, sizeof(change->attributes), (void *)argument(call, 3));
		return;
	}
	IS(prepare);
	switch (call->which) {
	case SYS_fsopen:
		change->operation = prepare_fsopen;
		change->text = (void *)argument(call, 0);
		change->paths = 0;
		break;
	case SYS_fspick:
		change->operation = prepare_fspick;
		break;
	case SYS_fsconfig:
		read_fsconfig(call, change);
		break;
	case SYS_fsmount:
		change->operation = prepare_fsmount;
		change->paths = 0;
		break;
	default:
		change->operation = prepare_open_tree;
		break;
	}
}

/* What is particular to each event. */
static __always_inline void fill(struct record *r, const struct change *change)
{
	void *at = r->data;
	str_ref text = {}, text2 = {};

	if (change->text)
		text = append_user_string(r, change->text);
	if (change->text2)
		text2 = append_user_string(r, change->text2);
	if (change->event == EVENT_mount) {
		struct mount_mount *e = at;

		e->operation = change->operation;
		e->flags = change->flags;
		e->source = text;
		e->type = text2;
	} else if (change->event == EVENT_unmount) {
		((struct mount_unmount *)at)->flags = change->flags;
	} else if (change->event == EVENT_setattr) {
		struct mount_setattr *e = at;

		e->set = change->attributes.set;
		e->clear = change->attributes.clear;
		e->propagation = change->attributes.propagation;
	} else if (change->event == EVENT_prepare) {
		struct mount_prepare *e = at;

		e->operation = change->operation;
		if (change->operation == prepare_fsopen)
			e->type = text;
		else
			e->key = text;
		e->value = text2;
	}
}

static __always_inline void report(struct record *r, const struct call *call, u64 cgroup)
{
	struct change *change = change_of(r);
	const struct resolved *found;
	struct mount_place *e = (void *)r->data;
	path_at asked = {}, asked2 = {};
	struct resolved_parts parts;

	r->size = change->size;
	/* The largest of them. */
	__builtin_memset(e, 0, sizeof(struct mount_mount));
	describe_current(&e->header, change->event, cgroup);
	e->error = call->result < 0 ? -call->result : 0;
	/* First all that walks, then all that asks whether there is anything to find: fewer ways for the verifier. */
	if (change->paths)
		asked = append_path_at(r, change->directory, change->path);
	if (change->paths > 1)
		asked2 = append_path_at(r, change->directory2, change->path2);
	found = find_resolved();
	parts = parts_of(found);
	e->unresolved = change->paths && !parts.first.bytes;
	e->host = found && found->host;
	if (change->paths) {
		set_path(r, &e->path, &e->requested, found, parts.first.from, parts.first.bytes, asked);
		set_real_path(r, &e->real, e->path.base, found, parts.real.from, parts.real.bytes);
	}
	if (change->paths > 1) {
		struct two_places *two = (void *)r->data;

		set_path(r, &two->path2, &two->requested2, found, parts.second.from, parts.second.bytes, asked2);
	}
	fill(r, change);
}

SYSCALLS(changes)
{
	struct tracker_counters *c;
	struct record *r;
	u64 cgroup;

	/* Without this it opens a place as any other file. */
	if (call->which == SYS_open_tree && !(argument(call, 2) & OPEN_TREE_CLONE))
		return;
	c = count();
	if (c && is_collected(c, &cgroup)) {
		r = begin(c, 0);
		if (r) {
			__builtin_memset(change_of(r), 0, sizeof(struct change));
			read_call(call, change_of(r));
			report(r, call, cgroup);
			send(c, r);
		}
	}
	forget_resolved();
}

/* The functions of the security hooks: the kernel has found the place and is about to ask whether this is allowed. */
static __noinline void found(const struct path *at, const struct path *at2)
{
	u32 slot = call_slot(entry_registers());

	/* The kernel mounts things by itself, too. */
	if (slot < 2 * SYSCALL_NUMBERS && changes_which[slot])
		keep_resolved(LOAD(at, mnt), LOAD(at, dentry), LOAD(at2, mnt), LOAD(at2, dentry));
}

/* One body for both kinds of probes on a function's entry. */
#define ON_ENTRY(NAME)                                                                                                 \
	static __always_inline void NAME##_entered(u64 a, u64 b);                                                      \
	SEC("fentry/security_" #NAME) int NAME##_fentry(u64 *ctx)                                                      \
	{                                                                                                              \
		NAME##_entered(ctx[0], ctx[1]);                                                                        \
		return 0;                                                                                              \
	}                                                                                                              \
	SEC("kprobe/security_" #NAME) int NAME##_kprobe(struct pt_regs *ctx)                                           \
	{                                                                                                              \
		NAME##_entered(PT_REGS_PARM1(ctx), PT_REGS_PARM2(ctx));                                                \
		return 0;                                                                                              \
	}                                                                                                              \
	static __always_inline void NAME##_entered(u64 a, u64 b)

ON_ENTRY(sb_mount) /* source, place */
{
	found((void *)b, NULL);
}

ON_ENTRY(move_mount) /* from, to */
{
	found((void *)b, (void *)a);
}

ON_ENTRY(sb_umount) /* mount */
{
	struct vfsmount *mount = (void *)a;
	u32 slot = call_slot(entry_registers());

	if (slot < 2 * SYSCALL_NUMBERS && changes_which[slot])
		keep_resolved(mount, LOAD(mount, mnt_root), NULL, NULL);
}

ON_ENTRY(sb_pivotroot) /* where the old root is put, new root */
{
	found((void *)b, (void *)a);
}
