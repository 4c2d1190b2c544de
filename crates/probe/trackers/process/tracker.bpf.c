// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/* Processes as they are forked, run a program and exit. Threads are not processes. */
#include "file.bpf.h"
#include "record.bpf.h"

PARAM(u32, max_args, 2048, "bytes kept of the arguments, at most 4095; what is longer is cut, and marked as cut");

struct process_fork {
	struct event_header header;
	u64 child_start INTERNAL("child_start");
	u32 child FIELD("process.child.pid", "the new process");
};
EVENT(fork, struct process_fork, 1);

struct process_exec {
	struct event_header header;
	path_ref path FIELD("process.executable.path", "the file that runs, resolved: its interpreter for a script");
	args_ref args FIELD("process.command_args", "arguments");
	path_ref cwd FIELD("process.working_directory", "current directory");
	str_ref filename FIELD("process.executable.as_called", "the path as given to exec");
	u32 gid FIELD("process.group.id", "real group id in the host's namespace");
	u32 args_size FIELD("process.command_args_size", "bytes of all arguments, also of those cut off");
	bool8 args_cut FIELD("process.command_args_truncated", "whether arguments were cut off");
	bool8 writable_layer FIELD("process.executable.writable_layer",
				   "whether the file was written in the container and is not from its image");
	bool8 memfd FIELD("process.executable.memfd", "whether the file exists in memory only");
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

SEC("tp_btf/sched_process_fork")
int BPF_PROG(sched_process_fork, struct task_struct *parent, struct task_struct *child)
{
	struct tracker_counters *c = count();
	struct process_fork e = {};
	u64 cgroup;

	if (LOAD(child, tgid) != LOAD(child, pid))
		return 0;
	if (!c || !wanted(c, &cgroup))
		return 0;
	describe_current(&e.header, EVENT_fork, cgroup);
	e.child = LOAD(child, tgid);
	e.child_start = LOAD(child, start_boottime);
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
	if (kept > PIECE_MAX - 1)
		kept = PIECE_MAX - 1;
	e->args_cut = kept < size;
	if (kept && !bpf_probe_read_user(tail(r), kept & (PIECE_MAX - 1), (void *)from))
		r->size += kept;
	e->args = since(r, start);
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(sched_process_exec, struct task_struct *task, int old_pid, struct linux_binprm *bprm)
{
	struct tracker_counters *c = count();
	struct process_exec *e;
	struct record *r;
	struct tty_struct *terminal = LOAD(task, signal, tty);
	struct fs_struct *fs = LOAD(task, fs);
	struct file *file;
	u64 cgroup;

	if (!c || !wanted(c, &cgroup))
		return 0;
	r = begin(c, sizeof(*e));
	if (!r)
		return 0;
	e = (void *)r->data;
	describe_current(&e->header, EVENT_exec, cgroup);
	file = LOAD(bprm, file);
	e->gid = LOAD(task, cred, gid.val);
	e->writable_layer = in_writable_layer(LOAD(file, f_inode));
	e->memfd = is_memfd(file);
	e->tty[0] = 0;
	if (terminal)
		bpf_probe_read_kernel_str(e->tty, sizeof(e->tty), &terminal->name);
	append_args(e, r, task);
	e->path = append_path(r, &file->f_path, task);
	e->cwd = append_path(r, &fs->pwd, task);
	e->filename = append_kernel_string(r, LOAD(bprm, filename));
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
	if (!c || !wanted(c, &cgroup))
		return 0;
	describe_current(&e.header, EVENT_exit, cgroup);
	code = LOAD(task, signal, group_exit_code);
	if (!code)
		code = LOAD(task, exit_code);
	e.code = code >> 8 & 0xff;
	e.signal = code & 0x7f;
	e.duration = e.header.time - e.header.process_start;
	submit(c, &e, sizeof(e));
	return 0;
}
