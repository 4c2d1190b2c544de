// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/* Files opened, by the path of what was really opened; failures are counted. */
#include "file.bpf.h"
#include "record.bpf.h"
#include "sample.bpf.h"
#include "syscall.bpf.h"

PARAM(bool8, failures, 1, "whether opens that fail are counted");
PARAM(bool8, reads, 1, "whether opens for reading only are reported");

struct file_open {
	struct event_header header;
	path_ref path FIELD("file.path", "the file that was opened, symbolic links resolved");
	open_flags flags FIELD("file.open.flags", "flags as asked for");
	u32 mode INTERNAL("mode");
	bool8 created FIELD("file.created", "whether this open created the file");
	bool8 write FIELD("file.open.write", "whether it was opened for writing");
	bool8 writable_layer FIELD("file.writable_layer",
				   "whether it was written in the container and is not from its image");
	file_type type FIELD("file.type", "kind of file");
};
EVENT(open, struct file_open, 1);

/* By program and not by process: a server that forks for each request would fill the table. */
struct failure_key {
	u64 in_cgroup INTERNAL("in_cgroup");
	char program[16] INTERNAL("program");
	error_number error FIELD("error.type", "why the open failed");
	u32 padding INTERNAL("padding");
};

struct open_failures {
	struct event_header header;
	u64 failures FIELD("file.open.failures", "opens by this program in this cgroup that failed so since the last row");
};
SAMPLE(failure, struct failure_key, struct open_failures, 2, 4096);

static __always_inline void count_failure(struct tracker_counters *c, u64 cgroup, u32 error)
{
	struct failure_key key = { .in_cgroup = cgroup, .error = error };
	void *table = table_in(&failure_tables);
	struct open_failures *row;

	if (!failures) {
		c->filtered__parameter++;
		return;
	}
	bpf_get_current_comm(key.program, sizeof(key.program));
	row = table ? bpf_map_lookup_elem(table, &key) : NULL;
	if (!row && table) {
		struct open_failures first = {};

		describe_current(&first.header, EVENT_failure, cgroup);
		bpf_map_update_elem(table, &key, &first, BPF_NOEXIST);
		row = bpf_map_lookup_elem(table, &key);
	}
	if (!row) {
		c->dropped__table__full++;
		return;
	}
	__sync_fetch_and_add(&row->failures, 1);
	c->aggregated++;
}

static __always_inline void report_open(struct tracker_counters *c, u64 cgroup, struct file *file, u32 flags)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	u32 mode = BPF_CORE_READ(file, f_mode);
	struct file_open *e;
	struct record *r;

	if (!reads && !(mode & (FMODE_WRITE | FMODE_CREATED))) {
		c->filtered__parameter++;
		return;
	}
	r = begin(c, sizeof(*e));
	if (!r)
		return;
	e = (void *)r->data;
	describe_current(&e->header, EVENT_open, cgroup);
	e->flags = flags;
	e->mode = mode;
	e->created = !!(mode & FMODE_CREATED);
	e->write = !!(mode & FMODE_WRITE);
	e->writable_layer = in_writable_layer(inode);
	e->type = BPF_CORE_READ(inode, i_mode) & S_IFMT;
	e->path = append_path(r, &file->f_path, task);
	send(c, r);
}

/*
 * Where the kernel offers no hook on opening itself, the end of the system call has the descriptor in hand. The file
 * is taken from the descriptor table: what was opened, not what the caller's memory says by now.
 */
SEC("tp_btf/sys_exit")
int BPF_PROG(sys_exit, struct pt_regs *regs, long result)
{
	struct task_struct *task;
	struct tracker_counters *c;
	struct file *file;
	u32 flags;
	u64 cgroup;

	switch (syscall_of(regs)) {
	case CALL_OPEN:
		flags = (u32)syscall_argument(regs, 1);
		break;
	case CALL_OPENAT:
		flags = (u32)syscall_argument(regs, 2);
		break;
	case CALL_CREAT:
		flags = 01101; /* O_CREAT|O_WRONLY|O_TRUNC, says creat(2) */
		break;
	case CALL_OPENAT2:
		/* The first eight bytes of struct open_how. */
		flags = 0;
		bpf_probe_read_user(&flags, sizeof(flags), (void *)syscall_argument(regs, 2));
		break;
	default:
		return 0;
	}
	c = count();
	if (!c || !wanted(c, &cgroup))
		return 0;
	if (result < 0) {
		count_failure(c, cgroup, -result);
		return 0;
	}
	task = (struct task_struct *)bpf_get_current_task();
	file = file_of(task, result);
	if (file)
		report_open(c, cgroup, file, flags);
	else
		c->dropped__file__closed++;
	return 0;
}
