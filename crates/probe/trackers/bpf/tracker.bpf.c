// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * BPF programs as they are loaded and attached, also where that is refused. Attaching through other interfaces (netlink,
 * socket options, a perf event's ioctl) is not seen here.
 */
#include "file.bpf.h"
#include "record.bpf.h"
#include "syscall.bpf.h"

PARAM(bool8, maps, 0, "whether the making of maps is reported");

enum bpf_cmd {
	BPF_MAP_CREATE = 0,
	BPF_PROG_LOAD = 5,
	BPF_PROG_ATTACH = 8,
	BPF_PROG_DETACH = 9,
	BPF_RAW_TRACEPOINT_OPEN = 17,
	BPF_LINK_CREATE = 28,
};

/* The kernel's, but for the first: zero also stands for none. */
enum attach_type {
	BPF_CGROUP_INET_EGRESS = 1,
	BPF_CGROUP_INET_SOCK_CREATE = 2,
	BPF_CGROUP_SOCK_OPS = 3,
	BPF_SK_SKB_STREAM_PARSER = 4,
	BPF_SK_SKB_STREAM_VERDICT = 5,
	BPF_CGROUP_DEVICE = 6,
	BPF_SK_MSG_VERDICT = 7,
	BPF_CGROUP_INET4_BIND = 8,
	BPF_CGROUP_INET6_BIND = 9,
	BPF_CGROUP_INET4_CONNECT = 10,
	BPF_CGROUP_INET6_CONNECT = 11,
	BPF_CGROUP_INET4_POST_BIND = 12,
	BPF_CGROUP_INET6_POST_BIND = 13,
	BPF_CGROUP_UDP4_SENDMSG = 14,
	BPF_CGROUP_UDP6_SENDMSG = 15,
	BPF_LIRC_MODE2 = 16,
	BPF_FLOW_DISSECTOR = 17,
	BPF_CGROUP_SYSCTL = 18,
	BPF_CGROUP_UDP4_RECVMSG = 19,
	BPF_CGROUP_UDP6_RECVMSG = 20,
	BPF_CGROUP_GETSOCKOPT = 21,
	BPF_CGROUP_SETSOCKOPT = 22,
	BPF_TRACE_RAW_TP = 23,
	BPF_TRACE_FENTRY = 24,
	BPF_TRACE_FEXIT = 25,
	BPF_MODIFY_RETURN = 26,
	BPF_LSM_MAC = 27,
	BPF_TRACE_ITER = 28,
	BPF_CGROUP_INET4_GETPEERNAME = 29,
	BPF_CGROUP_INET6_GETPEERNAME = 30,
	BPF_CGROUP_INET4_GETSOCKNAME = 31,
	BPF_CGROUP_INET6_GETSOCKNAME = 32,
	BPF_XDP_DEVMAP = 33,
	BPF_CGROUP_INET_SOCK_RELEASE = 34,
	BPF_XDP_CPUMAP = 35,
	BPF_SK_LOOKUP = 36,
	BPF_XDP = 37,
	BPF_SK_SKB_VERDICT = 38,
	BPF_SK_REUSEPORT_SELECT = 39,
	BPF_SK_REUSEPORT_SELECT_OR_MIGRATE = 40,
	BPF_PERF_EVENT = 41,
	BPF_TRACE_KPROBE_MULTI = 42,
	BPF_LSM_CGROUP = 43,
	BPF_STRUCT_OPS = 44,
	BPF_NETFILTER = 45,
	BPF_TCX_INGRESS = 46,
	BPF_TCX_EGRESS = 47,
	BPF_TRACE_UPROBE_MULTI = 48,
	BPF_CGROUP_UNIX_CONNECT = 49,
	BPF_CGROUP_UNIX_SENDMSG = 50,
	BPF_CGROUP_UNIX_RECVMSG = 51,
	BPF_CGROUP_UNIX_GETPEERNAME = 52,
	BPF_CGROUP_UNIX_GETSOCKNAME = 53,
	BPF_NETKIT_PRIMARY = 54,
	BPF_NETKIT_PEER = 55,
	BPF_TRACE_KPROBE_SESSION = 56,
	BPF_TRACE_UPROBE_SESSION = 57,
	BPF_CGROUP_INET_INGRESS = 256,
};

#define NAME_BYTES 16 /* of a program's and of a map's name */

struct bpf_program_load {
	struct event_header header;
	char name[NAME_BYTES] FIELD("bpf.program.name", "its name, chosen by its author");
	enum bpf_prog_type type FIELD("bpf.program.type", "kind of program");
	enum attach_type attach_type FIELD("bpf.program.attach_type",
					   "what it can be attached to, where its kind leaves a choice");
	u32 id FIELD("bpf.program.id", "the kernel's number for it; 0 where it was refused");
	u32 instructions FIELD("bpf.program.instructions", "instructions given to the kernel");
	error_number error FIELD("error.type", "why it was refused");
	str_ref function FIELD("bpf.program.attach_function", "the kernel's function that it is for");
	str_ref license FIELD("bpf.program.license", "the license that it claims");
};
EVENT(load, struct bpf_program_load, 1);

struct bpf_attach {
	struct event_header header;
	char name[NAME_BYTES] FIELD("bpf.program.name", "the program's name");
	enum bpf_cmd command FIELD("bpf.command", "how it was attached, or that it was detached");
	enum bpf_prog_type type FIELD("bpf.program.type", "kind of program");
	enum attach_type attach_type FIELD("bpf.program.attach_type", "what it was attached to");
	u32 id FIELD("bpf.program.id", "the kernel's number for the program; 0 where it was refused");
	u32 interface FIELD("network.interface.index", "the network interface that it was attached to; 0: none");
	error_number error FIELD("error.type", "why it was refused");
	str_ref function FIELD("bpf.program.attach_function", "the kernel's function that it is for");
	str_ref tracepoint FIELD("bpf.attach.tracepoint", "the raw tracepoint that it was attached to");
	path_ref cgroup FIELD("bpf.attach.cgroup.path", "directory of the cgroup that it was attached to");
};
EVENT(attach, struct bpf_attach, 2);

struct bpf_map_create {
	struct event_header header;
	char name[NAME_BYTES] FIELD("bpf.map.name", "its name, chosen by its author");
	enum bpf_map_type type FIELD("bpf.map.type", "kind of map");
	u32 key_size FIELD("bpf.map.key_size", "bytes of a key");
	u32 value_size FIELD("bpf.map.value_size", "bytes of a value");
	u32 entries FIELD("bpf.map.max_entries", "entries at most, or bytes of a ring buffer");
	error_number error FIELD("error.type", "why it was refused");
};
EVENT(map, struct bpf_map_create, 3);

/* The beginnings of union bpf_attr, each as its command sees it. */
struct load_attr {
	u32 type;
	u32 instruction_count;
	u64 instructions;
	u64 license;
	u32 log_level;
	u32 log_size;
	u64 log;
	u32 kernel_version;
	u32 flags;
	char name[NAME_BYTES];
	u32 interface;
	u32 attach_type;
};

struct map_attr {
	u32 type;
	u32 key_size;
	u32 value_size;
	u32 entries;
	u32 flags;
	u32 inner_map;
	u32 numa_node;
	char name[NAME_BYTES];
};

struct link_attr {
	u32 program;
	u32 target;
	u32 attach_type;
	u32 flags;
};

struct attach_attr {
	u32 target;
	u32 program;
	u32 attach_type;
	u32 flags;
};

struct tracepoint_attr {
	u64 name;
	u32 program;
	u32 padding;
};

/* In assembly, as a comparison that the compiler moves away is none to the verifier. */
static __always_inline u64 at_most(u64 size, u64 limit)
{
	asm volatile("if %0 <= %1 goto +1\n%0 = %1" : "+r"(size) : "r"(limit));
	return size;
}

/* What lies beyond the size given is zero, as for the kernel. */
#define READ_ATTR(call, attr)                                                                                          \
	bpf_probe_read_user(&(attr), at_most(argument(call, 2), sizeof(attr)), (void *)argument(call, 1))

static __always_inline u32 known_attach_type(u32 type, bool some)
{
	return type || !some ? type : BPF_CGROUP_INET_INGRESS;
}

static __always_inline void *behind(u32 fd)
{
	struct file *file = file_of((struct task_struct *)bpf_get_current_task(), fd);

	return file ? LOAD(file, private_data) : NULL;
}

static __always_inline str_ref append_function(struct record *r, struct bpf_prog *program)
{
	const char *function = program ? LOAD(program, aux, attach_func_name) : NULL;

	return function ? append_kernel_string(r, function) : (str_ref){};
}

static __always_inline void report_load(struct tracker_counters *c, u64 cgroup, const struct call *call)
{
	struct record *r = begin(c, sizeof(struct bpf_program_load));
	struct bpf_prog *program = call->result < 0 ? NULL : behind(call->result);
	struct load_attr attr = {};
	struct bpf_program_load *e;

	if (!r)
		return;
	READ_ATTR(call, attr);
	e = (void *)r->data;
	describe_current(&e->header, EVENT_load, cgroup);
	e->type = program ? LOAD(program, type) : attr.type;
	e->attach_type = known_attach_type(attr.attach_type, e->type == BPF_PROG_TYPE_CGROUP_SKB);
	e->id = program ? LOAD(program, aux, id) : 0;
	e->instructions = attr.instruction_count;
	e->error = call->result < 0 ? -call->result : 0;
	__builtin_memcpy(e->name, attr.name, sizeof(e->name));
	e->function = append_function(r, program);
	e->license = append_user_string(r, (void *)attr.license);
	send(c, r);
}

static __always_inline void report_map(struct tracker_counters *c, u64 cgroup, const struct call *call)
{
	struct bpf_map_create e = {};
	struct map_attr attr = {};

	READ_ATTR(call, attr);
	describe_current(&e.header, EVENT_map, cgroup);
	e.type = attr.type;
	e.key_size = attr.key_size;
	e.value_size = attr.value_size;
	e.entries = attr.entries;
	e.error = call->result < 0 ? -call->result : 0;
	__builtin_memcpy(e.name, attr.name, sizeof(e.name));
	submit(c, &e, sizeof(e));
}

static __always_inline bool is_of_interface(u32 type)
{
	return type == BPF_XDP || type == BPF_TCX_INGRESS || type == BPF_TCX_EGRESS || type == BPF_NETKIT_PRIMARY ||
	       type == BPF_NETKIT_PEER;
}

static __always_inline void report_attach(struct tracker_counters *c, u64 cgroup, const struct call *call, u32 command)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct record *r = begin(c, sizeof(struct bpf_attach));
	struct bpf_prog *program = NULL;
	struct file *file = NULL;
	struct bpf_attach *e;
	u64 tracepoint = 0;
	u32 target = 0, type = 0;

	if (!r)
		return;
	e = (void *)r->data;
	describe_current(&e->header, EVENT_attach, cgroup);
	if (command == BPF_RAW_TRACEPOINT_OPEN) {
		struct tracepoint_attr attr = {};

		READ_ATTR(call, attr);
		tracepoint = attr.name;
	} else if (command == BPF_LINK_CREATE) {
		struct link_attr attr = {};

		READ_ATTR(call, attr);
		target = attr.target;
		type = attr.attach_type;
	} else {
		struct attach_attr attr = {};

		READ_ATTR(call, attr);
		target = attr.target;
		type = attr.attach_type;
		if (call->result == 0 && attr.program)
			program = behind(attr.program);
	}
	if (call->result >= 0 && (command == BPF_LINK_CREATE || command == BPF_RAW_TRACEPOINT_OPEN)) {
		struct bpf_link *link = behind(call->result);

		if (link)
			program = LOAD(link, prog);
	}
	e->command = command;
	e->type = program ? LOAD(program, type) : 0;
	e->attach_type = known_attach_type(type, e->type == BPF_PROG_TYPE_CGROUP_SKB);
	e->id = program ? LOAD(program, aux, id) : 0;
	e->interface = is_of_interface(type) ? target : 0;
	e->error = call->result < 0 ? -call->result : 0;
	__builtin_memset(e->name, 0, sizeof(e->name));
	if (program)
		bpf_probe_read_kernel_str(e->name, sizeof(e->name), LOAD(program, aux)->name);
	e->function = append_function(r, program);
	e->tracepoint = tracepoint ? append_user_string(r, (void *)tracepoint) : (str_ref){};
	e->cgroup = (path_ref){};
	if (target && !e->interface)
		file = file_of(task, target);
	if (file && (LOAD(file, f_inode, i_mode) & S_IFMT) == S_IFDIR)
		e->cgroup = append_path(r, &file->f_path, task);
	send(c, r);
}

enum bpf_calls { SYS_bpf = 1 };
SYSCALLS(bpf)
{
	u32 command = argument(call, 0);
	struct tracker_counters *c;
	u64 cgroup;

	switch (command) {
	case BPF_MAP_CREATE:
	case BPF_PROG_LOAD:
	case BPF_PROG_ATTACH:
	case BPF_PROG_DETACH:
	case BPF_RAW_TRACEPOINT_OPEN:
	case BPF_LINK_CREATE:
		break;
	default:
		return; /* lookups, queries and the like */
	}
	c = count();
	if (!c || !is_collected(c, &cgroup))
		return;
	if (command == BPF_PROG_LOAD)
		report_load(c, cgroup, call);
	else if (command != BPF_MAP_CREATE)
		report_attach(c, cgroup, call, command);
	else if (maps)
		report_map(c, cgroup, call);
	else
		c->filtered__parameter++;
}
