// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/* Reads and writes by process and file, counted in the kernel. */
#include "file.bpf.h"
#include "record.bpf.h"
#include "sample.bpf.h"
#include "syscall.bpf.h"

PARAM(bool8, all_types, 0, "whether pipes, sockets, terminals and other files that are not regular count too");

struct file_key {
	u32 process INTERNAL("process");
	u32 device INTERNAL("device");
	u64 inode INTERNAL("inode");
};

struct file_use {
	struct event_header header;
	u64 reads FIELD("file.reads", "read calls since the last row");
	u64 writes FIELD("file.writes", "write calls since the last row");
	u64 read_bytes FIELD("file.read_bytes", "bytes read since the last row");
	u64 write_bytes FIELD("file.write_bytes", "bytes written since the last row");
	file_type type FIELD("file.type", "kind of file");
	path_buf filename FIELD("file.path", "the file, symbolic links resolved");
};
SAMPLE(use, struct file_key, struct file_use, 1, 16384);

/* Built in a scratch buffer: the row is larger than the stack should hold. */
static __always_inline void add_row(struct tracker_counters *c, void *table, struct file_key *key, struct file *file,
				    u32 mode, u64 cgroup)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct record *r = begin(c, sizeof(struct file_use));
	struct file_use *row;

	if (!r)
		return;
	row = (void *)r->data;
	describe_current(&row->header, EVENT_use, cgroup);
	row->reads = row->writes = row->read_bytes = row->write_bytes = 0;
	row->type = mode;
	fill_path(&row->filename, r, sizeof(*row), &file->f_path, task);
	bpf_map_update_elem(table, key, row, BPF_NOEXIST);
	discard(r);
}

/* Counts one use of a file. */
static __always_inline void count_use(struct file *file, u64 bytes, bool is_write)
{
	struct inode *inode = LOAD(file, f_inode);
	u32 mode = LOAD(inode, i_mode) & S_IFMT;
	struct tracker_counters *c;
	struct file_key key = {};
	struct file_use *row;
	void *table;
	u64 cgroup;
	u32 process;

	/* Not ours to see, and by far the most frequent: sockets and pipes. */
	if (mode != S_IFREG && !all_types)
		return;
	c = count();
	process = bpf_get_current_pid_tgid() >> 32;
	cgroup = current_cgroup();
	if (!c || !is_collected_from(c, process, cgroup))
		return;
	key.process = process;
	key.device = LOAD(inode, i_sb, s_dev);
	key.inode = LOAD(inode, i_ino);
	table = table_in(&use_tables);
	if (!table)
		return;
	row = bpf_map_lookup_elem(table, &key);
	if (!row) {
		u64 busy = c->dropped__scratch__busy;

		add_row(c, table, &key, file, mode, cgroup);
		if (busy != c->dropped__scratch__busy)
			return;
		row = bpf_map_lookup_elem(table, &key);
		if (!row) {
			c->dropped__table__full++;
			return;
		}
	}
	if (is_write) {
		__sync_fetch_and_add(&row->writes, 1);
		__sync_fetch_and_add(&row->write_bytes, bytes);
	} else {
		__sync_fetch_and_add(&row->reads, 1);
		__sync_fetch_and_add(&row->read_bytes, bytes);
	}
	c->aggregated++;
	return;
}

/* The functions behind calls that read or write, for regular files no more work than reading their type. */
SEC("fexit/vfs_read")
int BPF_PROG(vfs_read_fexit, struct file *file, char *buffer, u64 size, s64 *position, long result)
{
	if (result >= 0)
		count_use(file, result, false);
	return 0;
}

SEC("fexit/vfs_write")
int BPF_PROG(vfs_write_fexit, struct file *file, const char *buffer, u64 size, s64 *position, long result)
{
	if (result >= 0)
		count_use(file, result, true);
	return 0;
}

SEC("fexit/vfs_readv")
int BPF_PROG(vfs_readv_fexit, struct file *file, void *pieces, u64 count, s64 *position, int flags, long result)
{
	if (result >= 0)
		count_use(file, result, false);
	return 0;
}

SEC("fexit/vfs_writev")
int BPF_PROG(vfs_writev_fexit, struct file *file, void *pieces, u64 count, s64 *position, int flags, long result)
{
	if (result >= 0)
		count_use(file, result, true);
	return 0;
}

/* A call that copies between files is a use of two. */
enum copied_calls { SYS_sendfile = 1, SYS_copy_file_range, SYS_splice };
SYSCALLS(copied)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	u32 first = argument(call, 0), second = argument(call, 1), third = argument(call, 2);
	bool is_reversed = call->which == SYS_sendfile;

	if (call->result < 0)
		return;
#pragma clang loop unroll(disable)
	for (u32 is_write = 0; is_write < 2; is_write++) {
		u32 to = is_reversed ? first : third;
		u32 from = is_reversed ? second : first;
		struct file *file = file_of(task, is_write ? to : from);

		if (file)
			count_use(file, call->result, is_write);
	}
}

/* Without such probes: what reads, and what writes. */
enum used_calls {
	SYS_read = 1,
	SYS_readv,
	SYS_pread64,
	SYS_preadv,
	SYS_preadv2,
	SYS_write,
	SYS_writev,
	SYS_pwrite64,
	SYS_pwritev,
	SYS_pwritev2,
};
SYSCALLS(used)
{
	struct file *file;

	if (call->result < 0)
		return;
	file = file_of((struct task_struct *)bpf_get_current_task(), argument(call, 0));
	if (file)
		count_use(file, call->result, call->which >= SYS_write);
}
