// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/* Whoever changes what they are allowed to: identities, capabilities, namespaces, roots, keys. */
#include "identity.h"
#include "namespace.h"
#include "record.bpf.h"
#include "syscall.bpf.h"

PARAM(bool8, unchanged, 0, "whether calls are reported that change nothing");
PARAM(bool8, names, 0, "whether changes of a thread's name are reported");

enum user_calls { SYS_setuid = 1, SYS_setreuid, SYS_setresuid, SYS_setfsuid };

struct user_change {
	struct event_header header;
	error_number error FIELD("error.type", "why it was refused");
	enum user_calls call FIELD("process.credentials.call", "the system call");
	optional_id real FIELD("process.real_user.id", "real user id after it");
	optional_id was_real FIELD("process.previous.real_user.id", "real user id before it, where it changed");
	optional_id effective FIELD("process.effective_user.id", "effective user id after it");
	optional_id was_effective FIELD("process.previous.effective_user.id",
					"effective user id before it, where it changed");
	optional_id saved FIELD("process.saved_user.id", "saved user id after it");
	optional_id was_saved FIELD("process.previous.saved_user.id", "saved user id before it, where it changed");
	optional_id filesystem FIELD("process.filesystem_user.id",
				     "user id for access to files after it, where it is not the effective one");
	optional_id wanted_real FIELD("process.requested.real_user.id", "real user id as asked for, where refused");
	optional_id wanted_effective FIELD("process.requested.effective_user.id",
					   "effective user id as asked for, where refused");
	optional_id wanted_saved FIELD("process.requested.saved_user.id", "saved user id as asked for, where refused");
};
EVENT(user, struct user_change, 1);

enum group_calls { SYS_setgid = 1, SYS_setregid, SYS_setresgid, SYS_setfsgid };

struct group_change {
	struct event_header header;
	error_number error FIELD("error.type", "why it was refused");
	enum group_calls call FIELD("process.credentials.call", "the system call");
	optional_id real FIELD("process.real_group.id", "real group id after it");
	optional_id was_real FIELD("process.previous.real_group.id", "real group id before it, where it changed");
	optional_id effective FIELD("process.effective_group.id", "effective group id after it");
	optional_id was_effective FIELD("process.previous.effective_group.id",
					"effective group id before it, where it changed");
	optional_id saved FIELD("process.saved_group.id", "saved group id after it");
	optional_id was_saved FIELD("process.previous.saved_group.id", "saved group id before it, where it changed");
	optional_id filesystem FIELD("process.filesystem_group.id",
				     "group id for access to files after it, where it is not the effective one");
	optional_id wanted_real FIELD("process.requested.real_group.id", "real group id as asked for, where refused");
	optional_id wanted_effective FIELD("process.requested.effective_group.id",
					   "effective group id as asked for, where refused");
	optional_id wanted_saved FIELD("process.requested.saved_group.id",
				       "saved group id as asked for, where refused");
};
EVENT(group, struct group_change, 2);

struct groups_change {
	struct event_header header;
	error_number error FIELD("error.type", "why it was refused");
	u32 groups FIELD("process.supplementary_groups.count", "supplementary groups as asked for");
	optional_id first FIELD("process.supplementary_groups.first.id", "the first of them");
};
EVENT(groups, struct groups_change, 3);

struct capability_change {
	struct event_header header;
	error_number error FIELD("error.type", "why it was refused");
	u32 padding INTERNAL("padding");
	capability_set gained FIELD("process.capabilities.gained", "effective or permitted ones that it has got");
	capability_set lost FIELD("process.capabilities.lost", "effective or permitted ones that it has lost");
	capability_set effective FIELD("process.capabilities.effective", "effective ones after it");
	capability_set permitted FIELD("process.capabilities.permitted", "permitted ones after it");
	capability_set inheritable FIELD("process.capabilities.inheritable", "inheritable ones after it");
};
EVENT(capabilities, struct capability_change, 4);

struct privileged_exec {
	struct event_header header;
	path_ref path FIELD("process.executable.path", "the file that runs");
	optional_id user FIELD("process.effective_user.id", "effective user id from now on");
	optional_id group FIELD("process.effective_group.id", "effective group id from now on");
	optional_id was_user FIELD("process.previous.effective_user.id", "effective user id before, where it changed");
	optional_id was_group FIELD("process.previous.effective_group.id",
				    "effective group id before, where it changed");
	u32 padding INTERNAL("padding");
	capability_set permitted FIELD("process.capabilities.permitted", "permitted capabilities from now on");
};
EVENT(exec, struct privileged_exec, 5);

enum namespace_operation {
	namespace_operation_clone = 1,
	namespace_operation_unshare,
	namespace_operation_setns,
};

struct namespace_change {
	struct event_header header;
	error_number error FIELD("error.type", "why it was refused");
	enum namespace_operation operation FIELD("namespace.operation", "how: into new ones, or into existing ones");
	namespace_flags types FIELD("namespace.types", "kinds of namespaces");
	optional_id id FIELD("namespace.id", "the namespace entered, or the user namespace made: its inode");
	optional_id target FIELD("namespace.target.pid",
				 "the process whose namespaces are entered, or that was made in new ones");
};
EVENT(namespace, struct namespace_change, 6);

struct root_change {
	struct event_header header;
	error_number error FIELD("error.type", "why it was refused");
	path_ref path FIELD("file.path", "the new root directory, resolved, as the parent process sees it");
	path_at asked FIELD("file.requested_path", "the directory as asked for");
};
EVENT(chroot, struct root_change, 7);

enum process_control {
	PR_SET_DUMPABLE = 4,
	PR_SET_KEEPCAPS = 8,
	PR_SET_NAME = 15,
	PR_SET_SECCOMP = 22,
	PR_SET_SECUREBITS = 28,
	PR_SET_MM = 35,
	PR_SET_NO_NEW_PRIVS = 38,
	PR_CAP_AMBIENT = 47,
	PR_SET_PTRACER = 0x59616d61,
};
enum { PR_CAP_AMBIENT_IS_SET = 1, PR_CAP_AMBIENT_CLEAR_ALL = 4 };

struct prctl_call {
	struct event_header header;
	error_number error FIELD("error.type", "why it was refused");
	enum process_control option FIELD("process.control.option",
					  "what is set; seccomp(2) counts as PR_SET_SECCOMP");
	u64 value FIELD("process.control.value", "first argument: what it is set to");
	capability_set capability FIELD("process.control.capability",
					"the capability that becomes ambient or ceases to be");
};
EVENT(prctl, struct prctl_call, 8);

enum key_operation {
	KEYCTL_GET_KEYRING_ID,
	KEYCTL_JOIN_SESSION_KEYRING,
	KEYCTL_UPDATE,
	KEYCTL_REVOKE,
	KEYCTL_CHOWN,
	KEYCTL_SETPERM,
	KEYCTL_DESCRIBE,
	KEYCTL_CLEAR,
	KEYCTL_LINK,
	KEYCTL_UNLINK,
	KEYCTL_SEARCH,
	KEYCTL_READ,
	KEYCTL_INSTANTIATE,
	KEYCTL_NEGATE,
	KEYCTL_SET_REQKEY_KEYRING,
	KEYCTL_SET_TIMEOUT,
	KEYCTL_ASSUME_AUTHORITY,
	KEYCTL_GET_SECURITY,
	KEYCTL_SESSION_TO_PARENT,
	KEYCTL_REJECT,
	KEYCTL_INSTANTIATE_IOV,
	KEYCTL_INVALIDATE,
	KEYCTL_GET_PERSISTENT,
	KEYCTL_RESTRICT_KEYRING = 29,
	KEYCTL_MOVE,
	key_operation_add_key = 0x10000,
	key_operation_request_key,
};

struct key_use {
	struct event_header header;
	error_number error FIELD("error.type", "why it was refused");
	enum key_operation operation FIELD("key.operation", "what is done with a key or a keyring");
	s32 serial FIELD("key.id", "serial number of the key; negative for the caller's own keyrings");
	str_ref type FIELD("key.type", "type of the key as asked for");
	str_ref description FIELD("key.description", "its description as asked for, or the name of a keyring");
};
EVENT(key, struct key_use, 9);

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
#define DESCRIBE_IDS(e, kind, call)										       \
	do {													       \
		(e).error = error;										       \
		(e).call = (call)->which;									       \
		(e).real = now.kind[REAL];									       \
		(e).effective = now.kind[EFFECTIVE];								       \
		(e).saved = now.kind[SAVED];									       \
		(e).filesystem = now.kind[FILESYSTEM] != (e).effective ? now.kind[FILESYSTEM] : NO_ID;		       \
		(e).was_real = before.kind[REAL] != (e).real ? before.kind[REAL] : NO_ID;			       \
		(e).was_effective = before.kind[EFFECTIVE] != (e).effective ? before.kind[EFFECTIVE] : NO_ID;	       \
		(e).was_saved = before.kind[SAVED] != (e).saved ? before.kind[SAVED] : NO_ID;			       \
		(e).wanted_real = error && (call)->which != 1 ? argument(call, 0) : NO_ID;			       \
		(e).wanted_effective = !error ? NO_ID : (call)->which == 1 ? argument(call, 0) : argument(call, 1);    \
		(e).wanted_saved = error && (call)->which == 3 ? argument(call, 2) : NO_ID;			       \
	} while (0)

SYSCALLS(user)
{
	struct tracker_counters *c = count();
	u32 error = call->which == SYS_setfsuid ? 0 : error_of(call); /* that one tells the previous id */
	struct identity now, before;
	struct user_change e = {};
	bool known;
	u64 cgroup;

	if (!c || !wanted(c, &cgroup))
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

	if (!c || !wanted(c, &cgroup))
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

	if (!c || !wanted(c, &cgroup))
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

	if (!c || !wanted(c, &cgroup))
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
	if (!c || !wanted(c, &cgroup))
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

/* Also tells clone's new namespaces, without a hook on a system call. A clone that fails is not seen. */
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
	if (!c || !wanted(c, &cgroup))
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
	if (!c || !wanted(c, &cgroup))
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

	if (!c || !wanted(c, &cgroup))
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
	if (!c || !wanted(c, &cgroup))
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

	if (!c || !wanted(c, &cgroup))
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
