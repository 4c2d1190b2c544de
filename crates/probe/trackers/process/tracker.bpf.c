// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/* Processes as they are forked, run a program and exit. Threads are not processes. */
#define RECORD_MAX 16384 /* arguments, the program's path and the name it was called by may each take 4,096 bytes */
#include "lineage.bpf.h"
#include "stray.bpf.h"
#include "record.bpf.h"
#include "task.bpf.h"

PARAM(bool8, args, 1, "whether arguments are reported");
PARAM(u32, max_args, 4096, "bytes kept of the arguments, at most 4096; what is longer is cut, and marked as cut");
PARAM(bool8, environment, 0, "whether environment variables are reported, 2047 bytes of them");
PARAM(bool8, threads, 0, "whether new threads are reported");

#define ENVIRONMENT_MAX 2048

struct process_fork {
	struct event_header header;
	u64 child_start INTERNAL("child_start");
	u32 child FIELD("process.child.pid", "the new process");
	u32 child_namespace_pid INTERNAL("child_namespace_pid"); /* its own number in its pid namespace */
};
EVENT(fork, struct process_fork, 1);

struct process_exec {
	struct event_header header;
	u64 file_modified INTERNAL("file_modified"); /* the executable's times, nanoseconds since the Unix epoch */
	u64 file_changed INTERNAL("file_changed");
	path_ref path FIELD("process.executable.path", "the file that runs, resolved: its interpreter for a script");
	args_ref args FIELD("process.command_args", "arguments");
	path_ref cwd FIELD("process.working_directory", "current directory");
	str_ref filename FIELD("process.executable.as_called", "the path as given to exec");
	path_at script FIELD("process.script.path",
			     "the script that was called, where what runs is its interpreter; links not resolved");
	args_ref environment FIELD("process.environment_variables", "environment variables, as NAME=value");
	u32 gid FIELD("process.group.id", "real group id in the host's namespace");
	optional_id login_user FIELD("process.login_user.id",
				     "user who logged in, whatever they became since; absent for services");
	optional_id namespace_pid FIELD("process.namespace_pid",
					"process id in its own pid namespace, where that is not the host's");
	u32 session_leader INTERNAL("session_leader");	 /* its pid in the host's namespace */
	u32 mount_namespace INTERNAL("mount_namespace"); /* its inode: a runtime on its way in is still in the host's */
	u32 args_size FIELD("process.command_args_size", "bytes of all arguments, also of those cut off");
	bool8 args_cut FIELD("process.command_args_truncated", "whether arguments were cut off");
	bool8 environment_cut FIELD("process.environment_variables_truncated",
				    "whether environment variables were cut off");
	bool8 writable_layer FIELD("process.executable.writable_layer",
				   "whether the file was written in the container and is not from its image");
	bool8 memfd FIELD("process.executable.memfd", "whether the file exists in memory only");
	bool8 unlinked FIELD("process.executable.unlinked",
			     "whether the file has no name: it was deleted, or made without one, as a memfd is");
	bool8 writable_mount
		FIELD("process.executable.writable_mount",
		      "whether the file lies on a mount that can be written to, other than that of the root "
		      "folder: a volume, a tmpfs");
	enum file_system file_system FIELD("process.executable.file_system",
					   "the file system that the file lies on: overlay, tmpfs, ...");
	bool8 leads_group FIELD("process.leads_group",
				"whether it leads its process group, as a command typed into a shell does");
	char tty[16] FIELD("process.tty.name", "controlling terminal");
};
EVENT(exec, struct process_exec, 2);

struct process_exit {
	struct event_header header;
	u32 code FIELD("process.exit.code", "exit code");
	signal_number signal FIELD("process.exit.signal", "signal that ended it");
	duration_ns duration FIELD("process.duration", "time since it was forked");
};
EVENT(exit, struct process_exit, 3);

struct thread_start {
	struct event_header header;
	u32 thread FIELD("thread.child.id", "the new thread");
};
EVENT(thread, struct thread_start, 4);

static __always_inline void report_thread(struct task_struct *child)
{
	struct tracker_counters *c = count();
	struct thread_start e = {};
	u64 cgroup;

	if (!c || !is_collected(c, &cgroup))
		return;
	describe_current(&e.header, EVENT_thread, cgroup);
	e.thread = LOAD(child, pid);
	submit(c, &e, sizeof(e));
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(sched_process_fork, struct task_struct *parent, struct task_struct *child)
{
	struct tracker_counters *c = count();
	struct process_fork e = {};
	u64 cgroup;

	if (LOAD(child, tgid) != LOAD(child, pid)) {
		if (threads)
			report_thread(child);
		return 0;
	}
	lineage_forked(parent, child);
	stray_forked(c, parent, child);
	if (!c || !is_collected(c, &cgroup))
		return 0;
	describe_current(&e.header, EVENT_fork, cgroup);
	e.child = LOAD(child, tgid);
	e.child_start = LOAD(child, start_boottime);
	e.child_namespace_pid = own_number(child).nr;
	submit(c, &e, sizeof(e));
	return 0;
}

/* At exec the kernel has just written the arguments and no instruction of the program has run: they are what they
 * were when the kernel judged them. */
static __always_inline void append_args(struct process_exec *e, struct record *r, struct task_struct *task)
{
	unsigned long from = LOAD(task, mm, arg_start);
	u64 size = LOAD(task, mm, arg_end) - from;
	u32 start = r->size;
	u32 kept = size;

	e->args_size = size;
	if (kept > max_args)
		kept = max_args;
	if (kept > PIECE_MAX)
		kept = PIECE_MAX;
	if (!args)
		kept = 0;
	e->args_cut = args && kept < size;
	/* At least 1 and at most PIECE_MAX, which the verifier sees so. */
	if (kept && !bpf_probe_read_user(tail(r), ((kept - 1) & (PIECE_MAX - 1)) + 1, (void *)from))
		r->size += kept;
	e->args = since(r, start);
}

/* Comes last: it is what may be left out where a record is full. */
static __always_inline void append_environment(struct process_exec *e, struct record *r, struct task_struct *task)
{
	unsigned long from = LOAD(task, mm, env_start);
	u64 size = LOAD(task, mm, env_end) - from;
	u32 start = r->size;
	u32 kept = size;

	if (kept > ENVIRONMENT_MAX - 1)
		kept = ENVIRONMENT_MAX - 1;
	if (start > RECORD_MAX - ENVIRONMENT_MAX)
		kept = 0;
	e->environment_cut = kept < size;
	if (kept && !bpf_probe_read_user(tail(r), kept & (ENVIRONMENT_MAX - 1), (void *)from))
		r->size += kept;
	e->environment = since(r, start);
}

#define NAMED_MAX 2048 /* bytes of a program and its arguments that count */

/* Of the program that was begun: what of the record says what it is. Where not all is known, it is that of no other. */
static __always_inline void name_lineage(struct program *now, const struct process_exec *e, struct record *r)
{
	u64 hash = mixed(now->plain, now->above);

	if (e->args.length != e->args_size || e->unlinked || is_full(r) || r->size > sizeof(*e) + NAMED_MAX)
		return;
	hash = mixed(hash, e->writable_layer);
	hash = mixed(hash, (u64)e->args.length << 32 | e->path.length << 16 | e->filename.length);
	/* What is left of the last word is an older record's. */
	__builtin_memset(tail(r), 0, 8);
	for (u32 at = sizeof(*e); at < sizeof(*e) + NAMED_MAX && at < r->size; at += 8)
		hash = mixed(hash, *(u64 *)(r->data + at));
	now->lineage = hash;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(sched_process_exec, struct task_struct *task, int old_pid, struct linux_binprm *bprm)
{
	struct tracker_counters *c = count();
	struct program now = {};
	struct process_exec *e;
	struct record *r;
	struct tty_struct *terminal = LOAD(task, signal, tty);
	struct fs_struct *fs = LOAD(task, fs);
	struct inode *inode;
	struct file *file;
	u64 cgroup;

	file = LOAD(bprm, file);
	lineage_began(&now, task, file, current_cgroup());
	lineage_put(&now);
	if (!c || !is_collected(c, &cgroup))
		return 0;
	r = begin(c, sizeof(*e));
	if (!r)
		return 0;
	e = (void *)r->data;
	describe_current(&e->header, EVENT_exec, cgroup);
	inode = LOAD(file, f_inode);
	e->gid = LOAD(task, cred, gid.val);
	e->login_user = bpf_core_field_exists(task->loginuid) ? LOAD(task, loginuid.val) : NO_ID;
	e->namespace_pid = LOAD(task, thread_pid, level) ? own_number(task).nr : NO_ID;
	e->session_leader = leader_of(task, PIDTYPE_SID);
	e->mount_namespace = LOAD(task, nsproxy, mnt_ns, ns.inum);
	e->leads_group = leader_of(task, PIDTYPE_PGID) == e->header.pid;
	e->file_modified = modified_at(inode);
	e->file_changed = changed_at(inode);
	e->writable_layer = is_written(file);
	e->memfd = is_memfd(file);
	e->unlinked = is_unlinked(inode);
	e->writable_mount = is_on_writable_mount(file, task);
	e->file_system = LOAD(inode, i_sb, s_magic);
	e->tty[0] = 0;
	if (terminal)
		bpf_probe_read_kernel_str(e->tty, sizeof(e->tty), &terminal->name);
	/* These two are whole; the path, and then the directory, are cut where a record is full. */
	append_args(e, r, task);
	e->filename = append_long_string(r, LOAD(bprm, filename));
	e->path = append_path(r, &file->f_path, task);
	name_lineage(&now, e, r);
	lineage_put(&now);
	e->cwd = append_path(r, &fs->pwd, task);
	e->script = (path_at){};
	if (LOAD(bprm, interp) != LOAD(bprm, filename)) {
		e->script.base = e->cwd;
		e->script.asked = e->filename;
	}
	e->environment = (args_ref){};
	e->environment_cut = 0;
	if (environment)
		append_environment(e, r, task);
	send(c, r);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(sched_process_exit, struct task_struct *task)
{
	struct tracker_counters *c = count();
	struct process_exit e = {};
	u64 cgroup;
	u32 code;

	/* The last thread to leave ends the process, whichever it is. */
	if (LOAD(task, signal, live.counter) != 0)
		return 0;
	lineage_ended(task);
	if (!c || !is_collected(c, &cgroup)) {
		stray_ended(task);
		return 0;
	}
	describe_current(&e.header, EVENT_exit, cgroup);
	stray_ended(task);
	code = LOAD(task, signal, group_exit_code);
	if (!code)
		code = LOAD(task, exit_code);
	e.code = code >> 8 & 0xff;
	e.signal = code & 0x7f;
	e.duration = e.header.time - e.header.process_start;
	submit(c, &e, sizeof(e));
	return 0;
}

/* Processes that were there before the agent. */
SEC("iter/task")
int known_programs(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;

	if (task && LOAD(task, tgid) == LOAD(task, pid))
		lineage_found(task);
	return 0;
}
