// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/* Files opened, by the path of what was really opened; failures are counted, and reported one by one on request. */
#include "ordinary.bpf.h"
#include "real_path.bpf.h"
#include "request.h"
#include "sample.bpf.h"
#include "syscall.bpf.h"

PARAM(bool8, failures, 1, "whether opens that fail are counted and reported");
PARAM(bool8, reads, 1, "whether opens for reading only are reported");

struct file_open {
	struct event_header header;
	u64 object INTERNAL("object"); /* stands for the file where it lies, see ordinary.bpf.h */
	path_ref path FIELD("file.path", "the file that was opened, symbolic links resolved") HABIT_KEY;
	requested_path requested FIELD("file.requested_path", "the path as asked for, where it is another") HABIT_KEY;
	requested_path
		real FIELD("file.real_path",
			   "where it lies in the container's tree or the host's, where a mount or a changed root "
			   "gives it another path") HABIT_KEY;
	open_flags flags FIELD("file.open.flags", "flags as asked for, but O_CLOEXEC, which is the descriptor's")
		HABIT_KEY;
	file_mode mode FIELD("file.mode", "permissions asked for of the file that it created, the process's umask not "
					  "taken off") HABIT_KEY;
	bool8 created FIELD("file.created", "whether this open created the file") HABIT_KEY;
	bool8 write FIELD("file.open.write", "whether it was opened for writing") HABIT_KEY;
	bool8 read FIELD("file.open.read", "whether it was opened for reading; only as a place (O_PATH) it was not")
		HABIT_KEY;
	bool8 host FIELD("file.host", "whether it is in the host's tree, seen from a container; file.real_path is "
				      "its path there") HABIT_KEY;
	bool8 writable_layer FIELD("file.writable_layer",
				   "whether it was written in the container and is not from its image") HABIT_KEY;
	file_type type FIELD("file.type", "kind of file") HABIT_KEY;
	struct file_identity file;
};
EVENT(open, struct file_open, 1);

struct failed_open {
	struct event_header header;
	u64 object INTERNAL("object"); /* stands for the path as asked for: there is no file */
	path_at path FIELD("file.path", "the file as asked for; symbolic links are not resolved");
	open_flags flags FIELD("file.open.flags", "flags as asked for, but O_CLOEXEC, which is the descriptor's");
	error_number error FIELD("error.type", "why the open failed");
};
EVENT(failed, struct failed_open, 3);

static __always_inline path_at append_asked(struct record *r, const struct request *request)
{
	return request->is_copied ? append_copied_path_at(r, request->directory, request->path) :
				    append_path_at(r, request->directory, request->path);
}

/* By program and not by process: a server that forks for each request would fill the table. */
struct failure_key {
	u64 in_cgroup INTERNAL("in_cgroup");
	char program[16] INTERNAL("program");
	error_number error FIELD("error.type", "why the open failed");
	u32 padding INTERNAL("padding");
};

struct open_failures {
	struct event_header header;
	u64 failures FIELD("file.open.failures",
			   "opens by this program in this cgroup that failed so since the last row");
};
SAMPLE(failure, struct failure_key, struct open_failures, 2, 4096);

static __always_inline void count_failure(struct tracker_counters *c, u32 error)
{
	struct failure_key key = { .error = error };
	void *table = table_in(&failure_tables);
	struct open_failures *row;
	u64 cgroup;

	if (!is_subscribed(c, EVENT_failure) || !is_collected(c, &cgroup))
		return;
	key.in_cgroup = cgroup;
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

#define ASKED_MAX 512 /* bytes of a path that a failure may be of no interest for, of its directory and as asked for */

/* Stands for all that is known of what was asked for; 0 where there are no verdicts on such. */
static __always_inline u64 object_asked_for(struct record *r, u32 start)
{
	u64 hash = agent_salt;

	if (!verdicts_apply() || r->size > start + ASKED_MAX)
		return 0;
	/* What is left of the last word is an older record's. */
	__builtin_memset(tail(r), 0, 8);
	for (u32 at = start; at < start + ASKED_MAX && at < r->size; at += 8)
		hash = mixed(hash, *(u64 *)(r->data + at));
	return hash | 1;
}

/* Where it has no subscriber, count_failure alone counts the open as seen. */
static __always_inline void report_failure(struct tracker_counters *c, u32 error, const struct request *request)
{
	struct failed_open *e;
	struct record *r;
	u64 cgroup;

	if (!has_subscriber(EVENT_failed) || !is_collected(c, &cgroup))
		return;
	if (!failures) {
		c->filtered__parameter++;
		return;
	}
	r = begin(c, sizeof(*e));
	if (!r)
		return;
	e = (void *)r->data;
	describe_current(&e->header, EVENT_failed, cgroup);
	e->flags = FLAGS_SHOWN(request->flags);
	e->error = error;
	e->path = append_asked(r, request);
	e->object = object_asked_for(r, sizeof(*e));
	if (is_ordinary(e->object)) {
		c->filtered__ordinary++;
		discard(r);
		return;
	}
	send(c, r);
}

static __always_inline void report_open(struct tracker_counters *c, struct file *file, const struct request *request,
					u32 mode)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct inode *inode = LOAD(file, f_inode);
	u64 cgroup = current_cgroup(), workload, place, object;
	struct file_open *e;
	struct record *r;

	if (!is_collected_of(c, bpf_get_current_pid_tgid() >> 32, cgroup, &workload))
		return;
	if (!reads && !(mode & (FMODE_WRITE | FMODE_CREATED))) {
		c->filtered__parameter++;
		return;
	}
	r = begin(c, sizeof(*e));
	if (!r)
		return;
	place = place_of(r, &file->f_path, task);
	object = object_at(place, mode & USE);
	/* Asked first: there are many. */
	if (is_ordinary(object)) {
		c->filtered__ordinary++;
		discard(r);
		return;
	}
	r->habit = 0;
	if (workload)
		r->habit = current_habit(EVENT_open, workload, habitual_object(place, inode, request, mode, task));
	barrier();
	if (is_habitual(c, r->habit)) {
		discard(r);
		return;
	}
	e = (void *)r->data;
	describe_current(&e->header, EVENT_open, cgroup);
	e->header.habit = r->habit;
	e->flags = FLAGS_SHOWN(request->flags);
	e->mode = mode & FMODE_CREATED ? request->mode & 07777 : NO_MODE;
	e->object = object;
	e->created = !!(mode & FMODE_CREATED);
	e->write = !!(mode & FMODE_WRITE);
	e->read = !!(mode & FMODE_READ);
	e->writable_layer = in_writable_layer(inode);
	e->type = LOAD(inode, i_mode) & S_IFMT;
	e->file = (struct file_identity){};
	identify(&e->file, inode);
	e->path = append_path(r, &file->f_path, task);
	e->requested.resolved = e->path;
	e->requested.asked = request->path ? append_asked(r, request) : (path_at){};
	e->real.resolved = e->path;
	e->real.asked = (path_at){};
	e->real.asked.base = append_real_path(r, &file->f_path, task, &e->host);
	send(c, r);
}

static __always_inline void opened_file(struct tracker_counters *c, struct file *file, const struct request *request)
{
	report_open(c, file, request, LOAD(file, f_mode));
}

#define FMODE_EXEC 0x20
#define PF_KTHREAD 0x200000
#define LOOKUP_CACHED 0x200000
#define O_NONBLOCK 04000
#define EAGAIN 11
#define MAX_ERRNO 4095

/* The flags of an open, and whether it is the first try of io_uring: as far as it gets without waiting. */
static __always_inline u32 flags_of(const struct open_flags *how)
{
	u32 flags = LOAD(how, open_flag);

	if (LOAD(how, lookup_flags) & LOOKUP_CACHED)
		flags = (flags & ~O_NONBLOCK) | AS_FAR_AS_CACHED;
	return flags;
}

/* Whether a process asked for it: not the kernel for itself, nor to run a program. */
static __always_inline bool is_asked_for(u32 flags)
{
	return !(flags & FMODE_EXEC) && !(LOAD((struct task_struct *)bpf_get_current_task(), flags) & PF_KTHREAD);
}

static __always_inline bool is_error(long result)
{
	return (unsigned long)result >= (unsigned long)-MAX_ERRNO;
}

/* As the function behind every open gets it. Opens by io_uring come by there too. */
static __always_inline struct request requested(int directory, struct filename *name, const struct open_flags *how,
						u32 flags)
{
	struct request request = {
		.path = LOAD(name, name),
		.directory = directory,
		.flags = flags,
		.mode = LOAD(how, mode),
		.is_copied = true,
	};

	return request;
}

static __always_inline void open_failed(struct tracker_counters *c, long result, const struct request *request)
{
	/* It is tried again, and allowed to wait. */
	if (result == -EAGAIN && request->flags & AS_FAR_AS_CACHED)
		return;
	report_failure(c, -result, request);
	count_failure(c, -result);
}

/* Where the kernel has given the file its type, what decides is read without a helper. */
static __always_inline void opened_typed_file(int directory, struct filename *name, const struct open_flags *how,
					      struct file *file)
{
	struct tracker_counters *c = count();
	u32 flags = flags_of(how);
	struct request request;

	if (!c || !is_asked_for(flags))
		return;
	request = requested(directory, name, how, flags);
	if (is_error((long)file))
		open_failed(c, (long)file, &request);
	else
		report_open(c, file, &request, file->f_mode);
}

SEC("fexit/do_filp_open")
int BPF_PROG(filp_open_fexit, int directory, struct filename *name, const struct open_flags *how, struct file *file)
{
	opened_typed_file(directory, name, how, file);
	return 0;
}

/* The name of the same from 7.0 on. */
SEC("fexit/do_file_open")
int BPF_PROG(file_open_fexit, int directory, struct filename *name, const struct open_flags *how, struct file *file)
{
	opened_typed_file(directory, name, how, file);
	return 0;
}

/* The opens that are on their way, by thread. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, u64);
	__type(value, struct request);
} opening SEC(".maps");

static __always_inline int open_entered(struct pt_regs *ctx)
{
	const struct open_flags *how = (const struct open_flags *)PT_REGS_PARM3(ctx);
	u64 thread = bpf_get_current_pid_tgid();
	struct request request;
	u32 flags = flags_of(how);

	if (!is_asked_for(flags))
		return 0;
	request = requested(PT_REGS_PARM1(ctx), (struct filename *)PT_REGS_PARM2(ctx), how, flags);
	bpf_map_update_elem(&opening, &thread, &request, BPF_ANY);
	return 0;
}

static __always_inline int open_left(struct pt_regs *ctx)
{
	u64 thread = bpf_get_current_pid_tgid();
	struct request *known = bpf_map_lookup_elem(&opening, &thread);
	struct tracker_counters *c = count();
	struct request request;
	long result = PT_REGS_RC(ctx);

	if (!known || !c)
		return 0;
	request = *known;
	request.is_copied = true; /* said here, the other way is not even compiled */
	bpf_map_delete_elem(&opening, &thread);
	if (is_error(result))
		open_failed(c, result, &request);
	else
		opened_file(c, (struct file *)result, &request);
	return 0;
}

SEC("kprobe/do_filp_open")
int filp_open_kprobe(struct pt_regs *ctx)
{
	return open_entered(ctx);
}

SEC("kretprobe/do_filp_open")
int filp_open_kretprobe(struct pt_regs *ctx)
{
	return open_left(ctx);
}

SEC("kprobe/do_file_open")
int file_open_kprobe(struct pt_regs *ctx)
{
	return open_entered(ctx);
}

SEC("kretprobe/do_file_open")
int file_open_kretprobe(struct pt_regs *ctx)
{
	return open_left(ctx);
}

/* No path leads to what a handle stands for, or to what another process has open: other functions give these out. */
enum without_path_calls { SYS_open_by_handle_at = 1, SYS_pidfd_getfd };
SYSCALLS(without_path)
{
	struct request request = { .directory = AT_FDCWD };
	struct tracker_counters *c;
	struct file *file;
	u64 cgroup;

	if (call->result < 0)
		return;
	file = file_of((struct task_struct *)bpf_get_current_task(), call->result);
	/* A socket or a pipe is nothing that could have been opened. */
	if (file && call->which == SYS_pidfd_getfd && LOAD(file, f_path.mnt, mnt_flags) & MNT_INTERNAL)
		return;
	c = count();
	if (!c)
		return;
	if (!file) {
		if (is_collected(c, &cgroup))
			c->dropped__file__closed++;
		return;
	}
	request.flags = call->which == SYS_pidfd_getfd ? LOAD(file, f_flags) : argument(call, 2);
	opened_file(c, file, &request);
}

/*
 * Without such probes: the end of the system call has the descriptor in hand. The file is taken from the descriptor table: what was opened,
 * not what the caller's memory says by now.
 */
enum opened_calls { SYS_open = 1, SYS_openat, SYS_openat2, SYS_creat };
SYSCALLS(opened)
{
	struct request request = { .directory = AT_FDCWD, .path = (const char *)argument(call, 0) };
	struct tracker_counters *c = count();
	u64 how[2] = {}; /* the begin of struct open_how */
	struct file *file;
	u64 cgroup;

	if (!c)
		return;
	switch (call->which) {
	case SYS_open:
		request.flags = argument(call, 1);
		request.mode = argument(call, 2);
		break;
	case SYS_creat:
		request.flags = 01101; /* O_CREAT|O_WRONLY|O_TRUNC, says creat(2) */
		request.mode = argument(call, 1);
		break;
	default:
		request.directory = argument(call, 0);
		request.path = (const char *)argument(call, 1);
		request.flags = argument(call, 2);
		request.mode = argument(call, 3);
		if (call->which == SYS_openat2) {
			bpf_probe_read_user(how, sizeof(how), (void *)argument(call, 2));
			request.flags = how[0];
			request.mode = how[1];
		}
		break;
	}
	request.directory = FORGOTTEN(request.directory, call->result);
	request.flags = FORGOTTEN(request.flags, call->result);
	request.mode = FORGOTTEN(request.mode, call->result);
	if (call->result < 0) {
		open_failed(c, call->result, &request);
		return;
	}
	file = file_of((struct task_struct *)bpf_get_current_task(), call->result);
	if (!file) {
		if (is_collected(c, &cgroup))
			c->dropped__file__closed++;
		return;
	}
	opened_file(c, file, &request);
}
