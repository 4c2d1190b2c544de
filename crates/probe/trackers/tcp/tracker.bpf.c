// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * TCP connections from the changes of their state: outside the path of system calls, so a service's requests do not
 * pay for it. A connection's later states change in interrupts, on behalf of no process: who opened it is remembered.
 */
#include "tracker.bpf.h"
#include <bpf/bpf_endian.h>

enum { ESTABLISHED = 1, SYN_SENT = 2, SYN_RECV = 3, CLOSE = 7, LISTEN = 10 };
enum { INET = 2, INET6 = 10 };
#define PROTOCOL_TCP 6
#define S_IFMT 0170000
#define S_IFSOCK 0140000
#define SOCK_DONE 1

struct tcp_connect {
	struct event_header header;
	ip_address address FIELD("network.peer.address", "the peer's address");
	ip_address local_address FIELD("network.local.address", "own address");
	u16 port FIELD("network.peer.port", "the peer's port");
	u16 local_port FIELD("network.local.port", "own port");
	error_number error FIELD("error.type", "why the connection failed, if the peer or the network said so");
	duration_ns latency FIELD("network.connection.latency", "from the first packet until it was open, or had failed");
	bool8 established FIELD("network.connection.established", "whether it was opened");
};
EVENT(connect, struct tcp_connect, 1);

struct tcp_accept {
	struct event_header header;
	ip_address address FIELD("network.peer.address", "the peer's address");
	ip_address local_address FIELD("network.local.address", "own address");
	u16 port FIELD("network.peer.port", "the peer's port");
	u16 local_port FIELD("network.local.port", "own port");
};
EVENT(accept, struct tcp_accept, 2);

struct tcp_listen {
	struct event_header header;
	ip_address local_address FIELD("network.local.address", "own address");
	u16 local_port FIELD("network.local.port", "own port");
};
EVENT(listen, struct tcp_listen, 3);

struct tcp_close {
	struct event_header header;
	ip_address address FIELD("network.peer.address", "the peer's address");
	ip_address local_address FIELD("network.local.address", "own address");
	u16 port FIELD("network.peer.port", "the peer's port");
	u16 local_port FIELD("network.local.port", "own port");
	bool8 accepted FIELD("network.connection.accepted", "whether the peer had opened it");
	u64 sent FIELD("network.connection.sent_bytes", "bytes sent, repeated ones not counted");
	u64 received FIELD("network.connection.received_bytes", "bytes received");
	duration_ns duration FIELD("network.connection.duration", "from the first packet; absent if the agent came later");
};
EVENT(close, struct tcp_close, 4);

struct tcp_listening {
	struct event_header header;
	ip_address local_address FIELD("network.local.address", "own address");
	u16 local_port FIELD("network.local.port", "own port");
};
EVENT(listening, struct tcp_listening, 5);

PARAM(bool8, existing, 0, "whether ports that were listened on before are told once at the start");

struct connection {
	struct event_header who;
	u64 started; /* 0: before the agent */
	u32 accepted;
	u32 padding;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 32768);
	__type(key, u64);
	__type(value, struct connection);
} connections SEC(".maps");

struct listener_key {
	u64 net;
	u64 port;
};

/* Accepted connections belong to the process that listens. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct listener_key);
	__type(value, struct event_header);
} listeners SEC(".maps");

static __always_inline void set_ipv4(ip_address *to, u32 address)
{
	__builtin_memset(to, 0, sizeof(*to));
	to->bytes[10] = to->bytes[11] = 0xff;
	__builtin_memcpy(to->bytes + 12, &address, 4);
}

static __always_inline void set_peer(ip_address *to, const struct sock *sk)
{
	if (LOAD(sk, __sk_common.skc_family) == INET)
		set_ipv4(to, LOAD(sk, __sk_common.skc_daddr));
	else
		bpf_probe_read_kernel(to, sizeof(*to), &sk->__sk_common.skc_v6_daddr);
}

static __always_inline void set_local(ip_address *to, const struct sock *sk)
{
	if (LOAD(sk, __sk_common.skc_family) == INET)
		set_ipv4(to, LOAD(sk, __sk_common.skc_rcv_saddr));
	else
		bpf_probe_read_kernel(to, sizeof(*to), &sk->__sk_common.skc_v6_rcv_saddr);
}

static __always_inline u16 peer_port(const struct sock *sk)
{
	return bpf_ntohs(LOAD(sk, __sk_common.skc_dport));
}

static __always_inline u16 local_port(const struct sock *sk)
{
	u16 port = LOAD(sk, __sk_common.skc_num);

	/* A socket gives its port back before it is closed. */
	return port ? port : bpf_ntohs(LOAD((const struct inet_sock *)sk, inet_sport));
}

static __always_inline struct listener_key listener_of(const struct sock *sk)
{
	struct listener_key key = { .net = (u64)LOAD(sk, __sk_common.skc_net.net), .port = local_port(sk) };

	return key;
}

static __always_inline void begin_connect(u64 id)
{
	struct connection connection = {};
	u64 cgroup = current_cgroup();

	describe_current(&connection.who, EVENT_connect, cgroup);
	connection.started = connection.who.time;
	bpf_map_update_elem(&connections, &id, &connection, BPF_ANY);
}

static __always_inline void report_connect(struct tracker_counters *c, const struct sock *sk, u64 id, bool established)
{
	struct connection *connection = bpf_map_lookup_elem(&connections, &id);
	struct tcp_connect e = {};

	if (!connection)
		return;
	if (wanted_from(c, connection->who.pid, connection->who.cgroup)) {
		e.header = connection->who;
		e.header.event = EVENT_connect;
		e.header.time = bpf_ktime_get_boot_ns();
		e.latency = e.header.time - connection->started;
		e.established = established;
		set_peer(&e.address, sk);
		set_local(&e.local_address, sk);
		e.port = peer_port(sk);
		e.local_port = local_port(sk);
		e.error = established ? 0 : LOAD(sk, sk_err);
		submit(c, &e, sizeof(e));
	}
	if (!established)
		bpf_map_delete_elem(&connections, &id);
}

static __always_inline void report_accept(struct tracker_counters *c, const struct sock *sk, u64 id)
{
	struct listener_key key = listener_of(sk);
	struct event_header *listener = bpf_map_lookup_elem(&listeners, &key);
	struct connection connection = { .accepted = 1 };
	struct tcp_accept e = {};

	if (!listener)
		return;
	connection.who = *listener;
	connection.started = bpf_ktime_get_boot_ns();
	bpf_map_update_elem(&connections, &id, &connection, BPF_ANY);
	if (!wanted_from(c, connection.who.pid, connection.who.cgroup))
		return;
	e.header = connection.who;
	e.header.event = EVENT_accept;
	e.header.time = connection.started;
	set_peer(&e.address, sk);
	set_local(&e.local_address, sk);
	e.port = peer_port(sk);
	e.local_port = local_port(sk);
	submit(c, &e, sizeof(e));
}

static __always_inline void report_listen(struct tracker_counters *c, const struct sock *sk)
{
	struct listener_key key = listener_of(sk);
	struct tcp_listen e = {};
	u64 cgroup = current_cgroup();

	describe_current(&e.header, EVENT_listen, cgroup);
	bpf_map_update_elem(&listeners, &key, &e.header, BPF_ANY);
	if (!wanted_from(c, e.header.pid, cgroup))
		return;
	set_local(&e.local_address, sk);
	e.local_port = local_port(sk);
	submit(c, &e, sizeof(e));
}

static __always_inline void report_close(struct tracker_counters *c, const struct sock *sk, u64 id)
{
	struct connection *connection = bpf_map_lookup_elem(&connections, &id);
	const struct tcp_sock *tcp = (const struct tcp_sock *)sk;
	struct tcp_close e = {};

	if (!connection)
		return;
	if (wanted_from(c, connection->who.pid, connection->who.cgroup)) {
		e.header = connection->who;
		e.header.event = EVENT_close;
		e.header.time = bpf_ktime_get_boot_ns();
		e.accepted = connection->accepted;
		e.duration = connection->started ? e.header.time - connection->started : UNKNOWN_DURATION;
		set_peer(&e.address, sk);
		set_local(&e.local_address, sk);
		e.port = peer_port(sk);
		e.local_port = local_port(sk);
		e.sent = LOAD(tcp, bytes_sent) - LOAD(tcp, bytes_retrans);
		e.received = LOAD(tcp, bytes_received);
		/* The kernel counts the peer's FIN as a byte. */
		if (e.received && LOAD(sk, __sk_common.skc_flags) & 1 << SOCK_DONE)
			e.received--;
		submit(c, &e, sizeof(e));
	}
	bpf_map_delete_elem(&connections, &id);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(inet_sock_set_state, const struct sock *sk, int from, int to)
{
	struct tracker_counters *c = count();
	u64 id = (u64)sk;

	if (!c || LOAD(sk, sk_protocol) != PROTOCOL_TCP)
		return 0;
	if (to == SYN_SENT)
		begin_connect(id);
	else if (to == ESTABLISHED && from == SYN_SENT)
		report_connect(c, sk, id, true);
	else if (to == CLOSE && from == SYN_SENT)
		report_connect(c, sk, id, false);
	else if (to == ESTABLISHED && from == SYN_RECV)
		report_accept(c, sk, id);
	else if (to == LISTEN)
		report_listen(c, sk);
	else if (to == CLOSE && from != LISTEN)
		report_close(c, sk, id);
	return 0;
}

static __always_inline void report_listening(const struct sock *sk, struct event_header *who)
{
	struct tracker_counters *c = count();
	struct tcp_listening e = {};

	if (!c || !wanted_from(c, who->pid, who->cgroup))
		return;
	e.header = *who;
	e.header.event = EVENT_listening;
	e.header.time = bpf_ktime_get_boot_ns();
	set_local(&e.local_address, sk);
	e.local_port = local_port(sk);
	submit(c, &e, sizeof(e));
}

/* Sockets that were there before the agent. */
SEC("iter/task_file")
int known_sockets(struct bpf_iter__task_file *ctx)
{
	struct connection connection = {};
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct event_header *who = &connection.who;
	struct listener_key key;
	struct socket *socket;
	struct sock *sk;
	u16 family;
	u64 id;

	if (!task || !file || (LOAD(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return 0;
	socket = LOAD(file, private_data);
	sk = LOAD(socket, sk);
	family = LOAD(sk, __sk_common.skc_family);
	if ((family != INET && family != INET6) || LOAD(sk, sk_protocol) != PROTOCOL_TCP)
		return 0;
	who->cgroup = cgroup_of(task);
	who->process_start = LOAD(task, group_leader, start_boottime);
	who->pid = LOAD(task, tgid);
	who->tid = LOAD(task, pid);
	who->ppid = LOAD(task, real_parent, tgid);
	who->uid = LOAD(task, cred, uid.val);
	bpf_probe_read_kernel_str(who->comm, sizeof(who->comm), &task->comm);
	id = (u64)sk;
	key = listener_of(sk);
	if (LOAD(sk, __sk_common.skc_state) != LISTEN)
		bpf_map_update_elem(&connections, &id, &connection, BPF_NOEXIST);
	/* Once, whichever processes share the socket. */
	else if (!bpf_map_update_elem(&listeners, &key, who, BPF_NOEXIST) && existing)
		report_listening(sk, who);
	return 0;
}
