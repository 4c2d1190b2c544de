// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * io_uring does what system calls do without any, so hooks on those see none of it: who sets rings up, and what is done
 * through them.
 */
#include "sample.bpf.h"
#include "syscall.bpf.h"

enum io_uring_setup {
	IORING_SETUP_IOPOLL = 1 << 0,
	IORING_SETUP_SQPOLL = 1 << 1, /* a thread of the kernel submits: not even one call is made */
	IORING_SETUP_SQ_AFF = 1 << 2,
	IORING_SETUP_CQSIZE = 1 << 3,
	IORING_SETUP_CLAMP = 1 << 4,
	IORING_SETUP_ATTACH_WQ = 1 << 5,
	IORING_SETUP_R_DISABLED = 1 << 6,
	IORING_SETUP_SUBMIT_ALL = 1 << 7,
	IORING_SETUP_COOP_TASKRUN = 1 << 8,
	IORING_SETUP_TASKRUN_FLAG = 1 << 9,
	IORING_SETUP_SQE128 = 1 << 10,
	IORING_SETUP_CQE32 = 1 << 11,
	IORING_SETUP_SINGLE_ISSUER = 1 << 12,
	IORING_SETUP_DEFER_TASKRUN = 1 << 13,
	IORING_SETUP_NO_MMAP = 1 << 14,
	IORING_SETUP_REGISTERED_FD_ONLY = 1 << 15,
	IORING_SETUP_NO_SQARRAY = 1 << 16,
	IORING_SETUP_HYBRID_IOPOLL = 1 << 17,
	IORING_SETUP_CQE_MIXED = 1 << 18,
	IORING_SETUP_SQE_MIXED = 1 << 19,
};
typedef enum io_uring_setup io_uring_setup_flags;

enum io_uring_register {
	IORING_REGISTER_BUFFERS = 0,
	IORING_UNREGISTER_BUFFERS = 1,
	IORING_REGISTER_FILES = 2,
	IORING_UNREGISTER_FILES = 3,
	IORING_REGISTER_EVENTFD = 4,
	IORING_UNREGISTER_EVENTFD = 5,
	IORING_REGISTER_FILES_UPDATE = 6,
	IORING_REGISTER_EVENTFD_ASYNC = 7,
	IORING_REGISTER_PROBE = 8,
	IORING_REGISTER_PERSONALITY = 9,
	IORING_UNREGISTER_PERSONALITY = 10,
	IORING_REGISTER_RESTRICTIONS = 11,
	IORING_REGISTER_ENABLE_RINGS = 12,
	IORING_REGISTER_FILES2 = 13,
	IORING_REGISTER_FILES_UPDATE2 = 14,
	IORING_REGISTER_BUFFERS2 = 15,
	IORING_REGISTER_BUFFERS_UPDATE = 16,
	IORING_REGISTER_IOWQ_AFF = 17,
	IORING_UNREGISTER_IOWQ_AFF = 18,
	IORING_REGISTER_IOWQ_MAX_WORKERS = 19,
	IORING_REGISTER_RING_FDS = 20,
	IORING_UNREGISTER_RING_FDS = 21,
	IORING_REGISTER_PBUF_RING = 22,
	IORING_UNREGISTER_PBUF_RING = 23,
	IORING_REGISTER_SYNC_CANCEL = 24,
	IORING_REGISTER_FILE_ALLOC_RANGE = 25,
	IORING_REGISTER_PBUF_STATUS = 26,
	IORING_REGISTER_NAPI = 27,
	IORING_UNREGISTER_NAPI = 28,
	IORING_REGISTER_CLOCK = 29,
	IORING_REGISTER_CLONE_BUFFERS = 30,
	IORING_REGISTER_SEND_MSG_RING = 31,
	IORING_REGISTER_ZCRX_IFQ = 32,
	IORING_REGISTER_RESIZE_RINGS = 33,
	IORING_REGISTER_MEM_REGION = 34,
	IORING_REGISTER_QUERY = 35,
};

enum IORING_OP {
	IORING_OP_NOP = 0,
	IORING_OP_READV = 1,
	IORING_OP_WRITEV = 2,
	IORING_OP_FSYNC = 3,
	IORING_OP_READ_FIXED = 4,
	IORING_OP_WRITE_FIXED = 5,
	IORING_OP_POLL_ADD = 6,
	IORING_OP_POLL_REMOVE = 7,
	IORING_OP_SYNC_FILE_RANGE = 8,
	IORING_OP_SENDMSG = 9,
	IORING_OP_RECVMSG = 10,
	IORING_OP_TIMEOUT = 11,
	IORING_OP_TIMEOUT_REMOVE = 12,
	IORING_OP_ACCEPT = 13,
	IORING_OP_ASYNC_CANCEL = 14,
	IORING_OP_LINK_TIMEOUT = 15,
	IORING_OP_CONNECT = 16,
	IORING_OP_FALLOCATE = 17,
	IORING_OP_OPENAT = 18,
	IORING_OP_CLOSE = 19,
	IORING_OP_FILES_UPDATE = 20,
	IORING_OP_STATX = 21,
	IORING_OP_READ = 22,
	IORING_OP_WRITE = 23,
	IORING_OP_FADVISE = 24,
	IORING_OP_MADVISE = 25,
	IORING_OP_SEND = 26,
	IORING_OP_RECV = 27,
	IORING_OP_OPENAT2 = 28,
	IORING_OP_EPOLL_CTL = 29,
	IORING_OP_SPLICE = 30,
	IORING_OP_PROVIDE_BUFFERS = 31,
	IORING_OP_REMOVE_BUFFERS = 32,
	IORING_OP_TEE = 33,
	IORING_OP_SHUTDOWN = 34,
	IORING_OP_RENAMEAT = 35,
	IORING_OP_UNLINKAT = 36,
	IORING_OP_MKDIRAT = 37,
	IORING_OP_SYMLINKAT = 38,
	IORING_OP_LINKAT = 39,
	IORING_OP_MSG_RING = 40,
	IORING_OP_FSETXATTR = 41,
	IORING_OP_SETXATTR = 42,
	IORING_OP_FGETXATTR = 43,
	IORING_OP_GETXATTR = 44,
	IORING_OP_SOCKET = 45,
	IORING_OP_URING_CMD = 46,
	IORING_OP_SEND_ZC = 47,
	IORING_OP_SENDMSG_ZC = 48,
	IORING_OP_READ_MULTISHOT = 49,
	IORING_OP_WAITID = 50,
	IORING_OP_FUTEX_WAIT = 51,
	IORING_OP_FUTEX_WAKE = 52,
	IORING_OP_FUTEX_WAITV = 53,
	IORING_OP_FIXED_FD_INSTALL = 54,
	IORING_OP_FTRUNCATE = 55,
	IORING_OP_BIND = 56,
	IORING_OP_LISTEN = 57,
	IORING_OP_RECV_ZC = 58,
	IORING_OP_EPOLL_WAIT = 59,
	IORING_OP_READV_FIXED = 60,
	IORING_OP_WRITEV_FIXED = 61,
	IORING_OP_PIPE = 62,
	IORING_OP_NOP128 = 63,
	IORING_OP_URING_CMD128 = 64,
};

/* What trackers of system calls would have reported. */
#define BIT(opcode) (1ULL << (opcode))
#define HIDDEN                                                                                                         \
	(BIT(IORING_OP_ACCEPT) | BIT(IORING_OP_CONNECT) | BIT(IORING_OP_OPENAT) | BIT(IORING_OP_OPENAT2) |             \
	 BIT(IORING_OP_RENAMEAT) | BIT(IORING_OP_UNLINKAT) | BIT(IORING_OP_MKDIRAT) | BIT(IORING_OP_SYMLINKAT) |       \
	 BIT(IORING_OP_LINKAT) | BIT(IORING_OP_FSETXATTR) | BIT(IORING_OP_SETXATTR) | BIT(IORING_OP_SOCKET) |          \
	 BIT(IORING_OP_FTRUNCATE) | BIT(IORING_OP_BIND) | BIT(IORING_OP_LISTEN))

/* What hands requests to the kernel. */
enum io_uring_submission {
	io_uring_submission_calls = 1,
	io_uring_submission_kernel_thread, /* not even one call is made */
};

struct io_uring_made {
	struct event_header header;
	u32 entries FIELD("io_uring.entries", "requests that it has room for, as asked");
	io_uring_setup_flags flags FIELD("io_uring.setup.flags", "flags asked for");
	enum io_uring_submission submission FIELD("io_uring.submission",
						  "what hands requests to the kernel: calls of the program, or a "
						  "thread of the kernel's own (SQPOLL)");
	error_number error FIELD("error.type", "why it was refused");
};
EVENT(setup, struct io_uring_made, 1);

struct io_uring_registered {
	struct event_header header;
	enum io_uring_register what FIELD("io_uring.register", "what was registered with the ring, or asked of it");
	error_number error FIELD("error.type", "why it was refused");
};
EVENT(register, struct io_uring_registered, 2);

struct io_uring_hidden {
	struct event_header header;
	enum IORING_OP operation FIELD("io_uring.operation", "what a process does through io_uring for the first time");
};
EVENT(hidden, struct io_uring_hidden, 3);

struct operation_key {
	u32 process INTERNAL("process");
	enum IORING_OP operation FIELD("io_uring.operation", "what was asked for");
};

struct io_uring_operations {
	struct event_header header;
	u64 requests FIELD("io_uring.requests", "requests by this process since the last row");
};
SAMPLE(operations, struct operation_key, struct io_uring_operations, 4, 8192);

struct novelty {
	u64 process_start;
	u32 process;
	u32 operation;
};

/* What processes have done so far. What falls out of it is reported once more. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct novelty);
	__type(value, u8);
} novelties SEC(".maps");

static __always_inline void report_hidden(struct tracker_counters *c, u32 operation)
{
	struct novelty novelty = { .operation = operation };
	struct io_uring_hidden e = {};
	u64 cgroup = current_cgroup();
	u8 one = 1;

	describe_current(&e.header, EVENT_hidden, cgroup);
	novelty.process_start = e.header.process_start;
	novelty.process = e.header.pid;
	if (bpf_map_lookup_elem(&novelties, &novelty))
		return;
	bpf_map_update_elem(&novelties, &novelty, &one, BPF_ANY);
	e.operation = operation;
	c->seen++; /* besides the request itself, which is counted */
	submit(c, &e, sizeof(e));
}

static __always_inline void count_operation(u32 operation)
{
	struct tracker_counters *c = count();
	struct operation_key key = { .operation = operation };
	struct io_uring_operations *row;
	void *table;
	u64 cgroup;

	if (!c || !is_collected(c, &cgroup))
		return;
	table = table_in(&operations_tables);
	key.process = bpf_get_current_pid_tgid() >> 32;
	row = table ? bpf_map_lookup_elem(table, &key) : NULL;
	if (!row && table) {
		struct io_uring_operations first = {};

		describe_current(&first.header, EVENT_operations, cgroup);
		bpf_map_update_elem(table, &key, &first, BPF_NOEXIST);
		row = bpf_map_lookup_elem(table, &key);
	}
	if (row) {
		__sync_fetch_and_add(&row->requests, 1);
		c->aggregated++;
	} else {
		c->dropped__table__full++;
	}
	if (operation < 64 && BIT(operation) & HIDDEN)
		report_hidden(c, operation);
}

struct io_kiocb {
	u8 opcode;
} __attribute__((preserve_access_index));

/* From 6.4 on. Needs no tracefs, unlike the other. */
SEC("tp_btf/io_uring_submit_req")
int BPF_PROG(submitted, struct io_kiocb *request)
{
	count_operation(LOAD(request, opcode));
	return 0;
}

/* Its name before, when its arguments changed again and again, and its records kept this name. */
struct trace_event_raw_io_uring_submit_sqe {
	u8 opcode;
} __attribute__((preserve_access_index));

SEC("tracepoint/io_uring/io_uring_submit_sqe")
int submit_sqe(struct trace_event_raw_io_uring_submit_sqe *ctx)
{
	count_operation(ctx->opcode);
	return 0;
}

/* Of struct io_uring_params. */
struct ring_params {
	u32 submissions;
	u32 completions;
	u32 flags;
};

#define REGISTERED_RING (1U << 31)

enum rings_calls { SYS_io_uring_setup = 1, SYS_io_uring_register };
SYSCALLS(rings)
{
	struct tracker_counters *c = count();
	u32 error = call->result < 0 ? -call->result : 0;
	u64 cgroup;

	if (!c || !is_collected(c, &cgroup))
		return;
	if (call->which == SYS_io_uring_setup) {
		struct io_uring_made e = {};
		struct ring_params params = {};

		bpf_probe_read_user(&params, sizeof(params), (void *)argument(call, 1));
		describe_current(&e.header, EVENT_setup, cgroup);
		e.entries = argument(call, 0);
		e.flags = params.flags;
		e.submission = params.flags & IORING_SETUP_SQPOLL ? io_uring_submission_kernel_thread :
								    io_uring_submission_calls;
		e.error = error;
		submit(c, &e, sizeof(e));
	} else {
		struct io_uring_registered e = {};

		describe_current(&e.header, EVENT_register, cgroup);
		e.what = argument(call, 1) & ~REGISTERED_RING;
		e.error = error;
		submit(c, &e, sizeof(e));
	}
}
