// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * Who talks to whom on the same machine without a socket: the two ends of pipes, System V's shared memory, semaphores and
 * queues, and POSIX queues. POSIX shared memory and semaphores are files below /dev/shm, which trackers of files report.
 */
#include "record.bpf.h"
#include "sample.bpf.h"
#include "socket.bpf.h"
#include "syscall.bpf.h"

PARAM(bool8, pipes, 1,
      "whether processes that are connected by pipes are listed every interval, which looks at all descriptors");

enum ipc_kind { ipc_kind_shared_memory = 1, ipc_kind_semaphores, ipc_kind_queue, ipc_kind_posix_queue };

enum ipc_option {
	IPC_CREAT = 01000,
	IPC_EXCL = 02000,
	SHM_HUGETLB = 04000,
	SHM_NORESERVE = 010000,
};
typedef enum ipc_option ipc_option_flags;
#define IPC_OPTIONS (IPC_CREAT | IPC_EXCL | SHM_HUGETLB | SHM_NORESERVE)

struct ipc_get {
	struct event_header header;
	enum ipc_kind kind FIELD("ipc.kind", "what was made or found");
	u32 key FIELD("ipc.key", "the key that it was asked for by; 0: a new one of the process's own");
	s32 id FIELD("ipc.id", "its number in the ipc namespace; -1 where it was refused");
	u32 mode FIELD("ipc.mode", "permissions asked for, of a new one");
	ipc_option_flags options FIELD("ipc.options", "options asked for");
	u64 size FIELD("ipc.size", "bytes of shared memory, or semaphores of a set");
	error_number error FIELD("error.type", "why it was refused");
};
EVENT(get, struct ipc_get, 1);

struct ipc_attach {
	struct event_header header;
	s32 id FIELD("ipc.id", "the shared memory's number in the ipc namespace");
	error_number error FIELD("error.type", "why it was refused");
	bool8 readonly FIELD("ipc.readonly", "whether it was attached for reading only");
};
EVENT(attach, struct ipc_attach, 2);

struct ipc_open {
	struct event_header header;
	open_flags flags FIELD("file.open.flags", "flags as asked for");
	error_number error FIELD("error.type", "why it was refused");
	str_ref name FIELD("ipc.queue.name", "the POSIX queue's name");
};
EVENT(open, struct ipc_open, 3);

enum ipc_operation { ipc_operation_send = 1, ipc_operation_receive, ipc_operation_semaphore };

struct use_key {
	u32 process INTERNAL("process");
	enum ipc_operation operation FIELD("ipc.operation", "what was done");
	enum ipc_kind kind FIELD("ipc.kind", "to what");
	u32 padding INTERNAL("padding");
	u64 id FIELD("ipc.id", "its number in the ipc namespace; of a POSIX queue its inode");
};

struct ipc_use {
	struct event_header header;
	u64 count FIELD("ipc.count", "operations of this process since the last row");
	u64 bytes FIELD("ipc.bytes", "bytes sent or received since the last row");
	char name[32] FIELD("ipc.queue.name", "name of a POSIX queue");
};
SAMPLE(use, struct use_key, struct ipc_use, 4, 8192);

struct pipe_key {
	u64 id FIELD("pipe.id", "the pipe's inode");
	u32 device INTERNAL("device");
	u32 writer INTERNAL("writer");
};

struct pipe_use {
	struct event_header header; /* the writer */
	u32 reader FIELD("process.reader.pid", "a process that can read what this one writes");
	char reader_name[16] FIELD("process.reader.executable.name", "name of the reader");
	u32 readers FIELD("pipe.readers", "processes that can read it, this one too if it can");
	bool8 elsewhere FIELD("process.reader.other_cgroup",
			      "whether the reader runs in another cgroup, as in another container");
	path_buf path FIELD("file.path", "where the pipe has a name");
};
SAMPLE(pipe, struct pipe_key, struct pipe_use, 5, 8192);

static __always_inline u32 error_of(const struct call *call)
{
	return call->result < 0 && call->result >= -4095 ? -call->result : 0;
}

static __always_inline void report_get(struct tracker_counters *c, u64 cgroup, const struct call *call, u32 kind)
{
	u32 options = argument(call, kind == ipc_kind_queue ? 1 : 2);
	struct ipc_get e = {};

	describe_current(&e.header, EVENT_get, cgroup);
	e.kind = kind;
	e.key = argument(call, 0);
	e.id = call->result < 0 ? -1 : call->result;
	e.mode = options & 0777;
	e.options = options & IPC_OPTIONS;
	e.size = kind == ipc_kind_queue ? 0 : argument(call, 1);
	e.error = error_of(call);
	submit(c, &e, sizeof(e));
}

#define SHM_RDONLY 010000

static __always_inline void report_attach(struct tracker_counters *c, u64 cgroup, const struct call *call)
{
	struct ipc_attach e = {};

	describe_current(&e.header, EVENT_attach, cgroup);
	e.id = argument(call, 0);
	e.error = error_of(call);
	e.readonly = !!(argument(call, 2) & SHM_RDONLY);
	submit(c, &e, sizeof(e));
}

static __always_inline void report_open(struct tracker_counters *c, u64 cgroup, const struct call *call)
{
	struct record *r = begin(c, sizeof(struct ipc_open));
	struct ipc_open *e;

	if (!r)
		return;
	e = (void *)r->data;
	describe_current(&e->header, EVENT_open, cgroup);
	e->flags = argument(call, 1);
	e->error = error_of(call);
	e->name = append_user_string(r, (void *)argument(call, 0));
	send(c, r);
}

static __always_inline void count_use(struct tracker_counters *c, u64 cgroup, struct use_key *key, struct file *queue,
				      u64 bytes)
{
	void *table = table_in(&use_tables);
	struct ipc_use *row;

	key->process = bpf_get_current_pid_tgid() >> 32;
	row = table ? bpf_map_lookup_elem(table, key) : NULL;
	if (!row && table) {
		struct ipc_use first = {};

		describe_current(&first.header, EVENT_use, cgroup);
		if (queue)
			bpf_probe_read_kernel_str(first.name, sizeof(first.name),
						  LOAD(queue, f_path.dentry, d_name.name));
		bpf_map_update_elem(table, key, &first, BPF_NOEXIST);
		row = bpf_map_lookup_elem(table, key);
	}
	if (!row) {
		c->dropped__table__full++;
		return;
	}
	__sync_fetch_and_add(&row->count, 1);
	__sync_fetch_and_add(&row->bytes, bytes);
	c->aggregated++;
}

/* Those that open something come first, then those that use it. */
enum ipc_calls {
	SYS_shmget = 1,
	SYS_semget,
	SYS_msgget,
	SYS_shmat,
	SYS_mq_open,
	SYS_msgsnd,
	SYS_msgrcv,
	SYS_semop,
	SYS_semtimedop,
	SYS_mq_timedsend,
	SYS_mq_timedreceive,
};
SYSCALLS(ipc)
{
	struct tracker_counters *c;
	struct use_key key = {};
	struct file *queue = NULL;
	u64 bytes = 0;
	u64 cgroup;

	/* Failed uses are ordinary: queues run full and empty. */
	if (call->which >= SYS_msgsnd && call->result < 0)
		return;
	c = count();
	if (!c || !is_collected(c, &cgroup))
		return;
	if (call->which <= SYS_msgget) {
		report_get(c, cgroup, call, call->which);
		return;
	}
	if (call->which == SYS_shmat) {
		report_attach(c, cgroup, call);
		return;
	}
	if (call->which == SYS_mq_open) {
		report_open(c, cgroup, call);
		return;
	}
	key.id = argument(call, 0);
	if (call->which == SYS_semop || call->which == SYS_semtimedop) {
		key.kind = ipc_kind_semaphores;
		key.operation = ipc_operation_semaphore;
	} else {
		bool sends = call->which == SYS_msgsnd || call->which == SYS_mq_timedsend;

		key.kind = call->which >= SYS_mq_timedsend ? ipc_kind_posix_queue : ipc_kind_queue;
		key.operation = sends ? ipc_operation_send : ipc_operation_receive;
		bytes = sends ? argument(call, 2) : call->result;
	}
	if (key.kind == ipc_kind_posix_queue) {
		queue = file_of((struct task_struct *)bpf_get_current_task(), key.id);
		key.id = queue ? LOAD(queue, f_inode, i_ino) : 0;
	}
	count_use(c, cgroup, &key, queue, bytes);
}

#define S_IFIFO 0010000
#define FMODE_READ 1

/* Who can read a pipe: the first two processes found, so that a writer that could read itself finds another. */
struct reader {
	u32 pid;
	u32 padding;
	u64 cgroup;
	char name[16];
};

struct readers {
	u64 walk;
	u32 count;
	u32 padding;
	struct reader first;
	struct reader second;
};

/* By inode. What falls out of it is a connection that is not reported this time. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, u64);
	__type(value, struct readers);
} pipe_readers SEC(".maps");

u64 walk; /* the one that is under way */

static __always_inline struct inode *pipe_behind(struct file *file)
{
	struct inode *inode = LOAD(file, f_inode);

	return (LOAD(inode, i_mode) & S_IFMT) == S_IFIFO ? inode : NULL;
}

static __always_inline void set_reader(struct reader *reader, struct task_struct *task)
{
	reader->pid = LOAD(task, tgid);
	reader->cgroup = cgroup_of(task);
	bpf_probe_read_kernel_str(reader->name, sizeof(reader->name), &task->comm);
}

/* Two walks over the descriptors of all processes: this one finds the readers. */
SEC("iter/task_file")
int pipes_read(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct readers *readers;
	struct inode *inode;
	u64 key;

	if (ctx->meta->seq_num == 0)
		walk++;
	if (!pipes || !task || !file || !(LOAD(file, f_mode) & FMODE_READ))
		return 0;
	inode = pipe_behind(file);
	if (!inode)
		return 0;
	key = (u64)inode;
	readers = bpf_map_lookup_elem(&pipe_readers, &key);
	if (!readers || readers->walk != walk) {
		struct readers found = { .walk = walk, .count = 1 };

		set_reader(&found.first, task);
		bpf_map_update_elem(&pipe_readers, &key, &found, BPF_ANY);
	} else if (LOAD(task, tgid) != readers->first.pid && LOAD(task, tgid) != readers->second.pid) {
		readers->count++;
		if (!readers->second.pid)
			set_reader(&readers->second, task);
	}
	return 0;
}

static __always_inline void add_pipe(struct tracker_counters *c, struct pipe_key *key, struct task_struct *task,
				     struct file *file, struct readers *readers, struct reader *reader)
{
	void *table = table_in(&pipe_tables);
	struct record *r = begin(c, sizeof(struct pipe_use));
	struct pipe_use *row;

	if (!r)
		return;
	row = (void *)r->data;
	describe_task(&row->header, EVENT_pipe, cgroup_of(task), task);
	row->reader = reader->pid;
	row->readers = readers->count;
	row->elsewhere = reader->cgroup != row->header.cgroup;
	__builtin_memcpy(row->reader_name, reader->name, sizeof(row->reader_name));
	fill_path(&row->path, r, sizeof(*row), &file->f_path, task);
	if (table && !bpf_map_update_elem(table, key, row, BPF_ANY))
		c->aggregated++;
	else
		c->dropped__table__full++;
	discard(r);
}

/* And this one the writers. */
SEC("iter/task_file")
int pipes_written(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct tracker_counters *c;
	struct readers *readers;
	struct pipe_key key = {};
	struct reader *reader;
	struct inode *inode;
	u64 pipe;

	if (!pipes || !task || !file || !(LOAD(file, f_mode) & FMODE_WRITE))
		return 0;
	inode = pipe_behind(file);
	if (!inode)
		return 0;
	pipe = (u64)inode;
	readers = bpf_map_lookup_elem(&pipe_readers, &pipe);
	if (!readers || readers->walk != walk)
		return 0;
	key.writer = LOAD(task, tgid);
	reader = readers->first.pid == key.writer ? &readers->second : &readers->first;
	c = count();
	if (!reader->pid || !c || !is_collected_from(c, key.writer, cgroup_of(task)))
		return 0;
	key.id = LOAD(inode, i_ino);
	key.device = LOAD(inode, i_sb, s_dev);
	add_pipe(c, &key, task, file, readers, reader);
	return 0;
}
