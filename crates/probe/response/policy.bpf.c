// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/* Where the kernel asks policies as something happens: it refuses the operation (LSM), or kills who tries. */
#include "policy.bpf.h"

#define PTRACE_MODE_ATTACH 2

SEC("lsm/bprm_check_security")
int BPF_PROG(deny_exec, struct linux_binprm *bprm)
{
	struct deed deed = {};
	struct file *file;

	if (!concerns(&deed, OP_exec, DENY | KILL))
		return 0;
	file = LOAD(bprm, file);
	match_path(&deed, LOAD(file, f_path.mnt), LOAD(file, f_path.dentry));
	return conclude(&deed);
}

/*
 * Where the kernel takes no LSM programs, a program can still be killed before its first instruction. A script has given way to its
 * interpreter by then.
 */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(kill_exec, struct task_struct *task, int old_pid, struct linux_binprm *bprm)
{
	struct deed deed = {};
	struct file *file;

	if (!concerns(&deed, OP_exec, KILL))
		return 0;
	file = LOAD(bprm, file);
	match_path(&deed, LOAD(file, f_path.mnt), LOAD(file, f_path.dentry));
	conclude(&deed);
	return 0;
}

SEC("lsm/file_open")
int BPF_PROG(deny_open, struct file *file)
{
	struct deed deed = {};

	if (!(LOAD(file, f_mode) & FMODE_WRITE) || !concerns(&deed, OP_write, DENY | KILL))
		return 0;
	match_path(&deed, LOAD(file, f_path.mnt), LOAD(file, f_path.dentry));
	return conclude(&deed);
}

/* When a file that is to be created is opened, it is there already. */
SEC("lsm/path_mknod")
int BPF_PROG(deny_create, const struct path *directory, struct dentry *dentry)
{
	struct deed deed = {};

	if (!concerns(&deed, OP_write, DENY | KILL))
		return 0;
	match_path(&deed, LOAD(directory, mnt), dentry);
	return conclude(&deed);
}

SEC("lsm/path_truncate")
int BPF_PROG(deny_truncate, const struct path *path)
{
	struct deed deed = {};

	if (!concerns(&deed, OP_write, DENY | KILL))
		return 0;
	match_path(&deed, LOAD(path, mnt), LOAD(path, dentry));
	return conclude(&deed);
}

SEC("lsm/socket_connect")
int BPF_PROG(deny_connect, struct socket *socket, void *address)
{
	struct deed deed = {};

	if (!concerns(&deed, OP_connect, DENY | KILL))
		return 0;
	match_peer(&deed, address, false);
	return conclude(&deed);
}

/* An address can be sent to without connecting. */
SEC("lsm/socket_sendmsg")
int BPF_PROG(deny_send, struct socket *socket, struct msghdr *message)
{
	void *address = LOAD(message, msg_name);
	struct deed deed = {};

	if (!address || !concerns(&deed, OP_connect, DENY | KILL))
		return 0;
	match_peer(&deed, address, LOAD(socket, sk, __sk_common.skc_family) == AF_INET);
	return conclude(&deed);
}

/* What is refused whatever it is done to. */
static __always_inline int deny_any(u32 operation)
{
	struct deed deed = {};

	if (!concerns(&deed, operation, DENY | KILL))
		return 0;
	return conclude(&deed);
}

SEC("lsm/sb_mount")
int BPF_PROG(deny_mount)
{
	return deny_any(OP_mount);
}

SEC("lsm/move_mount")
int BPF_PROG(deny_move_mount)
{
	return deny_any(OP_mount);
}

SEC("lsm/ptrace_access_check")
int BPF_PROG(deny_ptrace, struct task_struct *child, unsigned int mode)
{
	/* Reading of others in /proc asks here, too. */
	return mode & PTRACE_MODE_ATTACH ? deny_any(OP_ptrace) : 0;
}

SEC("lsm/ptrace_traceme")
int BPF_PROG(deny_traceme)
{
	return deny_any(OP_ptrace);
}

/* Their numbers are the kernel's: only ever used through bpf_core_enum_value. */
enum kernel_read_file_id { READING_MODULE = 2 };
enum kernel_load_data_id { LOADING_MODULE = 2 };

SEC("lsm/kernel_read_file")
int BPF_PROG(deny_module_file, struct file *file, int what)
{
	return what == bpf_core_enum_value(enum kernel_read_file_id, READING_MODULE) ? deny_any(OP_module) : 0;
}

SEC("lsm/kernel_load_data")
int BPF_PROG(deny_module, int what)
{
	return what == bpf_core_enum_value(enum kernel_load_data_id, LOADING_MODULE) ? deny_any(OP_module) : 0;
}

SEC("lsm/kernel_module_request")
int BPF_PROG(deny_module_request)
{
	return deny_any(OP_module);
}

SEC("lsm/bpf")
int BPF_PROG(deny_bpf)
{
	return deny_any(OP_bpf);
}
