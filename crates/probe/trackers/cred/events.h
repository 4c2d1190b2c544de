/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* What is reported of changes of what processes are allowed to. */
#ifndef ETHOGRAM_CRED_EVENTS_H
#define ETHOGRAM_CRED_EVENTS_H

#include "identity.h"
#include "namespace.h"
#include "syscall.bpf.h"

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
	enum process_control option FIELD("process.control.option", "what is set; seccomp(2) counts as PR_SET_SECCOMP");
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

#endif
