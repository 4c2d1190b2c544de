// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * Sockets that become standard input, output or error: what a shell needs to answer to someone elsewhere. Most are put
 * there by a dup; a program that inherits one is seen as it begins.
 */
#include "record.bpf.h"
#include "socket.bpf.h"
#include "syscall.bpf.h"

PARAM(bool8, local_exec, 0,
      "whether programs that begin with a socket other than of IPv4 or IPv6 count, as services with a log daemon do");

enum descriptor_operation {
	descriptor_operation_dup = 1,
	descriptor_operation_dup2,
	descriptor_operation_dup3,
	descriptor_operation_fcntl,
	descriptor_operation_exec,
};

enum standard_stream { standard_stream_stdin = 1, standard_stream_stdout = 2, standard_stream_stderr = 4 };
typedef enum standard_stream standard_stream_flags;
#define STANDARD_STREAMS 3

struct fd_socket {
	struct event_header header;
	standard_stream_flags streams FIELD("process.io.streams", "what became a socket, or was one");
	enum descriptor_operation operation FIELD("file.descriptor.operation",
						  "the system call; exec where a program began with it");
	ip_address address FIELD("network.peer.address", "the peer's address; unspecified where there is no peer");
	ip_address local_address FIELD("network.local.address", "own address");
	u16 port FIELD("network.peer.port", "the peer's port; 0 where there is no peer");
	u16 local_port FIELD("network.local.port", "own port");
	enum transport transport FIELD("network.transport", "protocol of the socket");
};
EVENT(socket, struct fd_socket, 1);

struct fd_local_socket {
	struct event_header header;
	standard_stream_flags streams FIELD("process.io.streams", "what became a socket, or was one");
	enum descriptor_operation operation FIELD("file.descriptor.operation",
						  "the system call; exec where a program began with it");
	enum socket_family family FIELD("network.socket.family", "address family");
	path_ref path FIELD("file.path", "file of the peer's socket, or of the own one; absent where neither has one");
	str_ref abstract FIELD("network.socket.abstract_name", "name where it has no file, up to its first NUL");
};
EVENT(local, struct fd_local_socket, 2);

static __always_inline void report_inet(struct tracker_counters *c, u64 cgroup, const struct sock *sk, u32 operation,
					u32 streams)
{
	struct fd_socket e = {};

	describe_current(&e.header, EVENT_socket, cgroup);
	e.operation = operation;
	e.streams = streams;
	set_peer(&e.address, sk);
	set_local(&e.local_address, sk);
	e.port = peer_port(sk);
	e.local_port = local_port(sk);
	e.transport = LOAD(sk, sk_protocol);
	submit(c, &e, sizeof(e));
}

static __always_inline void report_local(struct tracker_counters *c, u64 cgroup, const struct sock *sk, u32 operation,
					 u32 streams)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	const struct unix_sock *named = (const struct unix_sock *)sk;
	struct record *r = begin(c, sizeof(struct fd_local_socket));
	struct fd_local_socket *e;
	struct unix_address *address;
	struct sock *peer;

	if (!r)
		return;
	e = (void *)r->data;
	describe_current(&e->header, EVENT_local, cgroup);
	e->operation = operation;
	e->streams = streams;
	e->family = LOAD(sk, __sk_common.skc_family);
	e->path = (path_ref){};
	e->abstract = (str_ref){};
	if (e->family == AF_UNIX) {
		peer = LOAD(named, peer);
		if (peer && LOAD((const struct unix_sock *)peer, addr))
			named = (const struct unix_sock *)peer;
		address = LOAD(named, addr);
		if (LOAD(named, path.dentry))
			e->path = append_path(r, &named->path, task);
		else if (address)
			e->abstract = append_kernel_string(r, address->name[0].sun_path + 1);
	}
	send(c, r);
}

static __always_inline void report(struct file *file, u32 operation, u32 streams)
{
	struct sock *sk = sock_of(file);
	struct tracker_counters *c;
	u64 cgroup;

	if (!sk)
		return;
	c = count();
	if (!c || !is_collected(c, &cgroup))
		return;
	if (is_ip(LOAD(sk, __sk_common.skc_family)))
		report_inet(c, cgroup, sk, operation, streams);
	else if (operation == descriptor_operation_exec && !local_exec)
		c->filtered__parameter++;
	else
		report_local(c, cgroup, sk, operation, streams);
}

static __always_inline struct file *own_file(u32 fd)
{
	return file_of((struct task_struct *)bpf_get_current_task(), fd);
}

enum duplicates_calls { SYS_dup = descriptor_operation_dup, SYS_dup2, SYS_dup3 };
SYSCALLS(duplicates)
{
	if (call->result < 0 || call->result >= STANDARD_STREAMS)
		return;
	if ((u32)argument(call, 0) != call->result) /* to where it is already */
		report(own_file(call->result), call->which, 1 << call->result);
}

/* Only what duplicates: fcntl is frequent. */
SEC("fexit/f_dupfd")
int BPF_PROG(duplicated, u32 from, struct file *file, u32 flags, int result)
{
	if (result >= 0 && result < STANDARD_STREAMS)
		report(file, descriptor_operation_fcntl, 1 << result);
	return 0;
}

#define F_DUPFD 0
#define F_DUPFD_CLOEXEC 1030

enum controls_calls { SYS_fcntl = 1 };
SYSCALLS(controls)
{
	u32 command;

	if (call->result < 0 || call->result >= STANDARD_STREAMS)
		return;
	command = argument(call, 1);
	if (command == F_DUPFD || command == F_DUPFD_CLOEXEC)
		report(own_file(call->result), descriptor_operation_fcntl, 1 << call->result);
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(began)
{
	struct file *socket = NULL;
	u32 streams = 0;

	for (u32 fd = 0; fd < STANDARD_STREAMS; fd++) {
		struct file *file = own_file(fd);

		if (!sock_of(file))
			continue;
		streams |= 1 << fd;
		if (!socket)
			socket = file;
	}
	if (socket)
		report(socket, descriptor_operation_exec, streams);
	return 0;
}
