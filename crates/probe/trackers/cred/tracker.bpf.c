// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/* Processes that change what they are allowed to: identities, capabilities, namespaces, roots, keys. */
#include "events.h"
#include "record.bpf.h"

PARAM(bool8, unchanged, 0, "whether calls are reported that change nothing");
PARAM(bool8, names, 0, "whether changes of a thread's name are reported");

static __always_inline u32 current_process(void)
{
	return bpf_get_current_pid_tgid() >> 32;
}

static __always_inline struct task_struct *current_task(void)
{
	return (struct task_struct *)bpf_get_current_task();
}

static __always_inline u32 error_of(const struct call *call)
{
	return call->result < 0 ? -call->result : 0;
}

/* Both kinds of ids change by the same rules; `e` is a user_change or a group_change. */
#define DESCRIBE_IDS(e, kind, call)                                                                                    \
	do {                                                                                                           \
		(e).error = error;                                                                                     \
		(e).call = (call)->which;                                                                              \
		(e).real = now.kind[REAL];                                                                             \
		(e).effective = now.kind[EFFECTIVE];                                                                   \
		(e).saved = now.kind[SAVED];                                                                           \
		(e).filesystem = now.kind[FILESYSTEM] != (e).effective ? now.kind[FILESYSTEM] : NO_ID;                 \
		(e).was_real = before.kind[REAL] != (e).real ? before.kind[REAL] : NO_ID;                              \
		(e).was_effective = before.kind[EFFECTIVE] != (e).effective ? before.kind[EFFECTIVE] : NO_ID;          \
		(e).was_saved = before.kind[SAVED] != (e).saved ? before.kind[SAVED] : NO_ID;                          \
		(e).wanted_real = error && (call)->which != 1 ? argument(call, 0) : NO_ID;                             \
		(e).wanted_effective = !error ? NO_ID : (call)->which == 1 ? argument(call, 0) : argument(call, 1);    \
		(e).wanted_saved = error && (call)->which == 3 ? argument(call, 2) : NO_ID;                            \
	} while (0)

SYSCALLS(user)
{
	struct tracker_counters *c = count();
	u32 error = call->which == SYS_setfsuid ? 0 : error_of(call); /* that one returns the previous id */
	struct identity now, before;
	struct user_change e = {};
	bool known;
	u64 cgroup;

	if (!c || !is_collected(c, &cgroup))
		return;
	identity_of(current_task(), &now);
	known = recall(current_process(), &now, &before);
	if (!error)
		remember(current_process(), &now);
	if (!error && known && same_ids(now.users, before.users) && !unchanged) {
		c->filtered__parameter++;
		return;
	}
	describe_current(&e.header, EVENT_user, cgroup);
	DESCRIBE_IDS(e, users, call);
	submit(c, &e, sizeof(e));
}

SYSCALLS(group)
{
	struct tracker_counters *c = count();
	u32 error = call->which == SYS_setfsgid ? 0 : error_of(call);
	struct identity now, before;
	struct group_change e = {};
	bool known;
	u64 cgroup;

	if (!c || !is_collected(c, &cgroup))
		return;
	identity_of(current_task(), &now);
	known = recall(current_process(), &now, &before);
	if (!error)
		remember(current_process(), &now);
	if (!error && known && same_ids(now.groups, before.groups) && !unchanged) {
		c->filtered__parameter++;
		return;
	}
	describe_current(&e.header, EVENT_group, cgroup);
	DESCRIBE_IDS(e, groups, call);
	submit(c, &e, sizeof(e));
}

enum groups_calls { SYS_setgroups = 1 };
SYSCALLS(groups)
{
	struct tracker_counters *c = count();
	struct groups_change e = {};
	u64 cgroup;

	if (!c || !is_collected(c, &cgroup))
		return;
	describe_current(&e.header, EVENT_groups, cgroup);
	e.error = error_of(call);
	e.groups = argument(call, 0);
	e.first = NO_ID;
	if (e.groups)
		bpf_probe_read_user(&e.first, sizeof(e.first), (void *)argument(call, 1));
	submit(c, &e, sizeof(e));
}

enum capset_calls { SYS_capset = 1 };
SYSCALLS(capset)
{
	struct tracker_counters *c = count();
	struct capability_change e = {};
	struct identity now, before;
	u64 cgroup;
	bool known;

	if (!c || !is_collected(c, &cgroup))
		return;
	identity_of(current_task(), &now);
	known = recall(current_process(), &now, &before);
	if (!call->result)
		remember(current_process(), &now);
	if (!call->result && known && same_caps(now.caps, before.caps) && !unchanged) {
		c->filtered__parameter++;
		return;
	}
	describe_current(&e.header, EVENT_capabilities, cgroup);
	e.error = error_of(call);
	e.effective = now.caps[CAPS_EFFECTIVE];
	e.permitted = now.caps[CAPS_PERMITTED];
	e.inheritable = now.caps[CAPS_INHERITABLE];
	e.gained = (e.effective & ~before.caps[CAPS_EFFECTIVE]) | (e.permitted & ~before.caps[CAPS_PERMITTED]);
	e.lost = (before.caps[CAPS_EFFECTIVE] & ~e.effective) | (before.caps[CAPS_PERMITTED] & ~e.permitted);
	submit(c, &e, sizeof(e));
}

/* A file with the set-id bit or with capabilities runs: its caller's user has less than it has now. */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(privileged_exec, struct task_struct *task, int old_pid, struct linux_binprm *bprm)
{
	u32 process = current_process();
	struct identity now, before;
	struct privileged_exec *e;
	struct tracker_counters *c;
	struct record *r;
	u64 cgroup;

	identity_of(task, &now);
	if (!recall(process, &now, &before)) {
		/* Set-id files change no real id, and mostly that is what the effective one was. */
		before.users[EFFECTIVE] = now.users[REAL];
		before.groups[EFFECTIVE] = now.groups[REAL];
	}
	remember(process, &now);
	if (!BPF_CORE_READ_BITFIELD_PROBED(bprm, secureexec))
		return 0;
	c = count();
	if (!c || !is_collected(c, &cgroup))
		return 0;
	r = begin(c, sizeof(*e));
	if (!r)
		return 0;
	e = (void *)r->data;
	describe_current(&e->header, EVENT_exec, cgroup);
	e->user = now.users[EFFECTIVE];
	e->group = now.groups[EFFECTIVE];
	e->was_user = before.users[EFFECTIVE] != e->user ? before.users[EFFECTIVE] : NO_ID;
	e->was_group = before.groups[EFFECTIVE] != e->group ? before.groups[EFFECTIVE] : NO_ID;
	e->padding = 0;
	e->permitted = now.caps[CAPS_PERMITTED];
	e->path = append_path(r, &LOAD(bprm, file)->f_path, task);
	send(c, r);
	return 0;
}

/* Also reports clone's new namespaces, without a hook on a system call. A clone that fails is not seen. */
SEC("tp_btf/sched_process_fork")
int BPF_PROG(forked, struct task_struct *parent, struct task_struct *child)
{
	struct namespace_change e = {};
	struct tracker_counters *c;
	struct identity identity;
	u64 cgroup;
	u32 types;

	if (LOAD(child, tgid) != LOAD(child, pid))
		return 0;
	identity_of(child, &identity);
	remember(LOAD(child, tgid), &identity);
	types = new_namespaces(parent, child);
	if (!types)
		return 0;
	c = count();
	if (!c || !is_collected(c, &cgroup))
		return 0;
	describe_current(&e.header, EVENT_namespace, cgroup);
	e.operation = namespace_operation_clone;
	e.types = types;
	e.id = types & CLONE_NEWUSER ? user_namespace_of(child) : NO_ID;
	e.target = LOAD(child, tgid);
	submit(c, &e, sizeof(e));
	return 0;
}

enum namespace_calls { SYS_unshare = 1, SYS_setns };
SYSCALLS(namespace)
{
	struct tracker_counters *c = count();
	struct namespace_change e = {};
	struct file *file;
	u64 cgroup;

	/* unshare(2) is for other things, too. */
	if (call->which == SYS_unshare && !(argument(call, 0) & ALL_NAMESPACES))
		return;
	if (!c || !is_collected(c, &cgroup))
		return;
	describe_current(&e.header, EVENT_namespace, cgroup);
	e.error = error_of(call);
	e.id = e.target = NO_ID;
	if (call->which == SYS_unshare) {
		e.operation = namespace_operation_unshare;
		e.types = argument(call, 0) & ALL_NAMESPACES;
		if (!call->result && e.types & CLONE_NEWUSER)
			e.id = user_namespace_of(current_task());
	} else {
		e.operation = namespace_operation_setns;
		e.types = argument(call, 1) & ALL_NAMESPACES;
		file = file_of(current_task(), argument(call, 0));
		if (file && LOAD(file, f_inode, i_sb, s_magic) == NSFS_MAGIC) {
			e.types = type_of_namespace(LOAD(file, f_inode, i_private));
			e.id = LOAD(file, f_inode, i_ino);
		} else if (file) {
			e.target = process_of_pidfd(file);
		}
	}
	submit(c, &e, sizeof(e));
}

enum root_calls { SYS_chroot = 1 };
SYSCALLS(root)
{
	struct tracker_counters *c = count();
	struct task_struct *task = current_task();
	struct root_change *e;
	struct record *r;
	u64 cgroup;

	if (!c || !is_collected(c, &cgroup))
		return;
	r = begin(c, sizeof(*e));
	if (!r)
		return;
	e = (void *)r->data;
	describe_current(&e->header, EVENT_chroot, cgroup);
	e->error = error_of(call);
	e->path = (path_ref){};
	if (!call->result)
		e->path = append_path(r, &LOAD(task, fs)->root, LOAD(task, real_parent));
	e->asked = append_path_at(r, AT_FDCWD, (const char *)argument(call, 0));
	send(c, r);
}

enum control_calls { SYS_prctl = 1, SYS_seccomp };
SYSCALLS(control)
{
	struct tracker_counters *c = count();
	u64 option = argument(call, 0);
	struct prctl_call e = {};
	u64 cgroup;

	if (call->which == SYS_seccomp) {
		/* SECCOMP_SET_MODE_STRICT and SECCOMP_SET_MODE_FILTER; the others only ask. */
		if (option > 1)
			return;
		e.value = option + 1;
		option = PR_SET_SECCOMP;
	} else {
		switch ((u32)option) {
		case PR_SET_NAME:
			if (!names)
				return;
			break;
		case PR_CAP_AMBIENT:
			e.value = argument(call, 1);
			if (e.value == PR_CAP_AMBIENT_IS_SET)
				return;
			if (e.value != PR_CAP_AMBIENT_CLEAR_ALL)
				e.capability = 1ULL << (argument(call, 2) & 63);
			break;
		case PR_SET_DUMPABLE:
		case PR_SET_KEEPCAPS:
		case PR_SET_SECCOMP:
		case PR_SET_SECUREBITS:
		case PR_SET_MM:
		case PR_SET_NO_NEW_PRIVS:
		case PR_SET_PTRACER:
			e.value = argument(call, 1);
			break;
		default:
			return;
		}
	}
	if (!c || !is_collected(c, &cgroup))
		return;
	describe_current(&e.header, EVENT_prctl, cgroup);
	e.error = error_of(call);
	e.option = option;
	submit(c, &e, sizeof(e));
}

enum keyring_calls { SYS_keyctl = 1, SYS_add_key, SYS_request_key };
SYSCALLS(keyring)
{
	struct tracker_counters *c = count();
	const char *type = NULL, *description = NULL;
	struct key_use *e;
	struct record *r;
	u64 cgroup;

	if (!c || !is_collected(c, &cgroup))
		return;
	r = begin(c, sizeof(*e));
	if (!r)
		return;
	e = (void *)r->data;
	describe_current(&e->header, EVENT_key, cgroup);
	e->error = error_of(call);
	if (call->which == SYS_keyctl) {
		e->operation = argument(call, 0);
		e->serial = argument(call, 1);
		if (e->operation == KEYCTL_JOIN_SESSION_KEYRING) {
			description = (const char *)argument(call, 1);
			e->serial = call->result;
		}
	} else {
		e->operation = call->which == SYS_add_key ? key_operation_add_key : key_operation_request_key;
		e->serial = call->result;
		type = (const char *)argument(call, 0);
		description = (const char *)argument(call, 1);
	}
	e->type = append_user_string(r, type);
	e->description = append_user_string(r, description);
	send(c, r);
}
