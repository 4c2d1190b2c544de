// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/* Where the kernel asks policies as something happens: it refuses the operation (LSM), or kills who tries. */
#include "policy.bpf.h"

#define PTRACE_MODE_ATTACH 2
#define PROT_EXEC 4
#define SYN_SENT 2

/*
 * Whether what is to run will be what runs. A script gives way to its interpreter, and a program for another machine to the
 * one that understands it: rules are about those.
 */
static __always_inline bool runs_itself(struct linux_binprm *bprm)
{
	struct {
		u8 magic[16];
		u16 type;
		u16 machine;
	} head = {};

	bpf_probe_read_kernel(&head, sizeof(head), &bprm->buf);
	if (head.magic[0] != 0x7f || head.magic[1] != 'E' || head.magic[2] != 'L' || head.magic[3] != 'F')
		return false;
#if defined(__TARGET_ARCH_x86)
	return head.machine == 62 || head.machine == 3;
#else
	return head.machine == 183 || head.machine == 40;
#endif
}

/* Policies hold from then on. The one that decides about this very program goes by its root, and needs no order between the two. */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(begin_container, struct task_struct *task)
{
	note_beginning(task);
	return 0;
}

SEC("lsm/bprm_check_security")
int BPF_PROG(deny_exec, struct linux_binprm *bprm)
{
	struct file *file = LOAD(bprm, file);
	struct deed deed = {};

	if (!concerns(&deed, OP_exec, DENY | KILL | EXECUTES | (runs_itself(bprm) ? EXACT : 0), file))
		return 0;
	match_path(&deed, LOAD(file, f_path.mnt), LOAD(file, f_path.dentry));
	return conclude(&deed);
}

/*
 * What stands for a rule is decided where the rule's event comes from: a program is killed before its first instruction. Where the
 * kernel takes no LSM programs, so is any. A script has given way to its interpreter by then.
 */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(kill_exec, struct task_struct *task, int old_pid, struct linux_binprm *bprm)
{
	struct file *file = LOAD(bprm, file);
	struct deed deed = {};

	if (!concerns(&deed, OP_exec, AFTER | EXECUTES | EXACT, file))
		return 0;
	match_path(&deed, LOAD(file, f_path.mnt), LOAD(file, f_path.dentry));
	conclude(&deed);
	return 0;
}

/* For what is changed without being opened. Rules have no events of that, and are not asked. */
static __always_inline int deny_change(u32 operation, const struct path *mount, struct dentry *dentry,
				       enum extent extent)
{
	struct deed deed = { .extent = extent };

	if (!concerns(&deed, operation, DENY | KILL, NULL))
		return 0;
	match_path(&deed, LOAD(mount, mnt), dentry);
	return conclude(&deed);
}

SEC("lsm/file_open")
int BPF_PROG(deny_open, struct file *file)
{
	struct deed deed = {};

	if (!(LOAD(file, f_mode) & FMODE_WRITE))
		return 0;
	if (!concerns(&deed, OP_write, DENY | KILL | (is_of_here(file) ? EXACT : 0), current_executable()))
		return 0;
	match_path(&deed, LOAD(file, f_path.mnt), LOAD(file, f_path.dentry));
	return conclude(&deed);
}

/*
 * When a file that is to be created is opened, it is there already. Whether it is to be opened for writing is not known here, so that
 * rules are not asked.
 */
SEC("lsm/path_mknod")
int BPF_PROG(deny_create, const struct path *directory, struct dentry *dentry)
{
	return deny_change(OP_write, directory, dentry, CHANGES_IT);
}

SEC("lsm/path_truncate")
int BPF_PROG(deny_truncate, const struct path *path)
{
	return deny_change(OP_write, path, LOAD(path, dentry), CHANGES_IT);
}

/* What has a name, makes one, or takes it away, in as many programs as there are names: each follows one path to the root. */
SEC("lsm/path_rename")
int BPF_PROG(deny_rename_from, const struct path *from_directory, struct dentry *from)
{
	return deny_change(OP_write, from_directory, from, CHANGES_BELOW);
}

SEC("lsm/path_rename")
int BPF_PROG(deny_rename_to, const struct path *from_directory, struct dentry *from, const struct path *directory,
	     struct dentry *to)
{
	return deny_change(OP_write, directory, to, CHANGES_BELOW);
}

/* Both names are on one mount. What has another name can be written by that. */
SEC("lsm/path_link")
int BPF_PROG(deny_link_from, struct dentry *from, const struct path *directory)
{
	return deny_change(OP_write, directory, from, CHANGES_IT);
}

SEC("lsm/path_link")
int BPF_PROG(deny_link_to, struct dentry *from, const struct path *directory, struct dentry *to)
{
	return deny_change(OP_write, directory, to, CHANGES_IT);
}

/* What is above a path may not be another directory either. */
SEC("lsm/path_symlink")
int BPF_PROG(deny_symlink, const struct path *directory, struct dentry *dentry)
{
	return deny_change(OP_write, directory, dentry, CHANGES_BELOW);
}

SEC("lsm/path_mkdir")
int BPF_PROG(deny_mkdir, const struct path *directory, struct dentry *dentry)
{
	return deny_change(OP_write, directory, dentry, CHANGES_IT);
}

SEC("lsm/path_unlink")
int BPF_PROG(deny_unlink, const struct path *directory, struct dentry *dentry)
{
	return deny_change(OP_write, directory, dentry, CHANGES_IT);
}

SEC("lsm/path_rmdir")
int BPF_PROG(deny_rmdir, const struct path *directory, struct dentry *dentry)
{
	return deny_change(OP_write, directory, dentry, CHANGES_IT);
}

SEC("lsm/path_chmod")
int BPF_PROG(deny_chmod, const struct path *path)
{
	return deny_change(OP_write, path, LOAD(path, dentry), CHANGES_IT);
}

/* Whose arguments kernels before 6.1 do not pass on: there it is not attached. */
SEC("lsm/path_chown")
int BPF_PROG(deny_chown, const struct path *path)
{
	return deny_change(OP_write, path, LOAD(path, dentry), CHANGES_IT);
}

/* A program that may not run gets no other name by which it might, nor does a directory in which none may. What is in such a
 * directory can be copied elsewhere, and so moved. */
SEC("lsm/path_link")
int BPF_PROG(deny_link_of_program, struct dentry *from, const struct path *directory)
{
	return deny_change(OP_exec, directory, from, MOVES_IT);
}

SEC("lsm/path_rename")
int BPF_PROG(deny_rename_of_program, const struct path *directory, struct dentry *from)
{
	return deny_change(OP_exec, directory, from, MOVES_IT);
}

/* Nor is it mapped as code, as loaders do: `ld.so PROGRAM` executes none. */
static __always_inline int deny_code(struct file *file)
{
	struct file *program = current_executable();

	/* Whether a program may run was decided before it is mapped itself. */
	if (!file || (program && LOAD(file, f_inode) == LOAD(program, f_inode)))
		return 0;
	return deny_change(OP_exec, &file->f_path, LOAD(file, f_path.dentry), CHANGES_IT);
}

SEC("lsm/mmap_file")
int BPF_PROG(deny_map, struct file *file, unsigned long asked, unsigned long protection)
{
	return protection & PROT_EXEC ? deny_code(file) : 0;
}

SEC("lsm/file_mprotect")
int BPF_PROG(deny_protect, struct vm_area_struct *area, unsigned long asked, unsigned long protection)
{
	return protection & PROT_EXEC ? deny_code(LOAD(area, vm_file)) : 0;
}

static __always_inline bool is_tcp(const struct sock *sk)
{
	return LOAD(sk, sk_protocol) == transport_tcp && is_ip(LOAD(sk, __sk_common.skc_family));
}

/* Who connects is killed as the first packet is sent: that is where the event comes from that rules are about. */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(kill_connect, const struct sock *sk, int from, int to)
{
	struct deed deed = {};
	ip_address peer;

	if (to != SYN_SENT || !is_tcp(sk) || !concerns(&deed, OP_connect, AFTER | EXACT, current_executable()))
		return 0;
	set_peer(&peer, sk);
	match_peer(&deed, &peer, peer_port(sk));
	conclude(&deed);
	return 0;
}

SEC("lsm/socket_connect")
int BPF_PROG(deny_connect, struct socket *socket, void *address)
{
	struct sock *sk = LOAD(socket, sk);
	struct deed deed = {};

	if (!concerns(&deed, OP_connect, DENY | KILL | (is_tcp(sk) ? EXACT : 0), current_executable()))
		return 0;
	match_address(&deed, address, false);
	return conclude(&deed);
}

/* An address can be sent to without connecting. */
SEC("lsm/socket_sendmsg")
int BPF_PROG(deny_send, struct socket *socket, struct msghdr *message)
{
	void *address = LOAD(message, msg_name);
	struct deed deed = {};

	if (!address || !concerns(&deed, OP_connect, DENY | KILL, NULL))
		return 0;
	match_address(&deed, address, LOAD(socket, sk, __sk_common.skc_family) == AF_INET);
	return conclude(&deed);
}

/* What is refused whatever it is done to. */
static __always_inline int deny_any(u32 operation, enum verdicts exact)
{
	struct deed deed = {};

	if (!concerns(&deed, operation, DENY | KILL | exact, current_executable()))
		return 0;
	return conclude(&deed);
}

SEC("lsm/sb_mount")
int BPF_PROG(deny_mount)
{
	return deny_any(OP_mount, EXACT);
}

SEC("lsm/move_mount")
int BPF_PROG(deny_move_mount)
{
	return deny_any(OP_mount, EXACT);
}

SEC("lsm/ptrace_access_check")
int BPF_PROG(deny_ptrace, struct task_struct *child, unsigned int mode)
{
	/* Reading of others in /proc asks here, too. */
	return mode & PTRACE_MODE_ATTACH ? deny_any(OP_ptrace, 0) : 0;
}

SEC("lsm/ptrace_traceme")
int BPF_PROG(deny_traceme)
{
	return deny_any(OP_ptrace, 0);
}

/* Their numbers are the kernel's: only ever used through bpf_core_enum_value. */
enum kernel_read_file_id { READING_MODULE = 2 };
enum kernel_load_data_id { LOADING_MODULE = 2 };

SEC("lsm/kernel_read_file")
int BPF_PROG(deny_module_file, struct file *file, int what)
{
	return what == bpf_core_enum_value(enum kernel_read_file_id, READING_MODULE) ? deny_any(OP_module, EXACT) : 0;
}

SEC("lsm/kernel_load_data")
int BPF_PROG(deny_module, int what)
{
	return what == bpf_core_enum_value(enum kernel_load_data_id, LOADING_MODULE) ? deny_any(OP_module, EXACT) : 0;
}

SEC("lsm/kernel_module_request")
int BPF_PROG(deny_module_request)
{
	return deny_any(OP_module, 0);
}

SEC("lsm/bpf")
int BPF_PROG(deny_bpf)
{
	return deny_any(OP_bpf, 0);
}
