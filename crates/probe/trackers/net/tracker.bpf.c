// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/* Datagrams, sockets of other kinds than TCP and UDP, what is bound, and unix sockets. TCP has a tracker of its own. */
#include "flow.h"
#include "record.bpf.h"
#include "syscall.bpf.h"

#define ENOENT 2
#define EINPROGRESS 115
#define SUN_PATH_MAX 108

PARAM(bool8, missing, 0, "whether connects to unix sockets that do not exist are reported");

enum ether_protocol {
	ETH_P_IP = 0x0800,
	ETH_P_ARP = 0x0806,
	ETH_P_8021Q = 0x8100,
	ETH_P_IPV6 = 0x86dd,
	ETH_P_PAE = 0x888e,
	ETH_P_8021AD = 0x88a8,
	ETH_P_LLDP = 0x88cc,
	ETH_P_ALL = 3,
};

struct net_socket {
	struct event_header header;
	enum socket_family family FIELD("network.socket.family", "address family");
	enum socket_type type FIELD("network.socket.type", "type of socket");
	enum transport transport FIELD("network.transport", "protocol that a socket of IPv4 or IPv6 is for");
	enum ether_protocol ether FIELD("network.socket.ether_type", "protocol that a packet socket is for");
	u32 protocol FIELD("network.socket.protocol", "protocol as asked for, a number of the family's own");
	error_number error FIELD("error.type", "why it was refused");
};
EVENT(socket, struct net_socket, 3);

struct net_bind {
	struct event_header header;
	ip_address local_address FIELD("network.local.address", "own address") HABIT_KEY;
	u16 local_port FIELD("network.local.port", "own port") HABIT_KEY;
	u16 asked_port FIELD("network.local.requested_port", "own port as asked for; 0: any") HABIT_KEY;
	enum transport transport FIELD("network.transport", "protocol of the socket; raw: all that the socket is for")
		HABIT_KEY;
	error_number error FIELD("error.type", "why it was refused") HABIT_KEY;
};
EVENT(bind, struct net_bind, 4);

struct unix_use {
	struct event_header header;
	path_ref path FIELD("file.path", "the socket, as its maker named it; absent where it has no file");
	path_at asked FIELD("file.requested_path", "the socket as asked for; with its directory where it was refused");
	str_ref abstract FIELD("network.socket.abstract_name",
			       "name of a socket that has no file, up to its first NUL");
	enum socket_type type FIELD("network.socket.type", "type of socket");
	error_number error FIELD("error.type", "why it was refused");
};
EVENT(unix_bind, struct unix_use, 5);
EVENT(unix_listen, struct unix_use, 6);
EVENT(unix_connect, struct unix_use, 7);

#define NETLINK_USERSOCK 2 /* between processes */
#define MPTCP 262	   /* its connections are ones of TCP */

static __always_inline bool is_tcp(u32 protocol)
{
	return protocol == transport_tcp || protocol == MPTCP;
}

/* What every program uses, and of which it is reported what comes of it. */
static __always_inline bool is_common(u32 family, u32 type, u32 protocol)
{
	if (family == AF_NETLINK)
		return protocol != NETLINK_USERSOCK;
	if (!is_ip(family))
		return family == AF_UNIX;
	return (type == SOCK_STREAM && (!protocol || is_tcp(protocol))) ||
	       (type == SOCK_DGRAM && (!protocol || protocol == transport_udp));
}

static __always_inline void report_socket(const struct call *call)
{
	struct net_socket e = { .family = argument(call, 0), .type = argument(call, 1) & 0xf };
	struct tracker_counters *c;
	u64 cgroup;

	if (is_common(e.family, e.type, argument(call, 2)))
		return;
	c = count();
	if (!c || !is_collected(c, &cgroup))
		return;
	describe_current(&e.header, EVENT_socket, cgroup);
	e.protocol = argument(call, 2);
	if (e.family == AF_PACKET)
		e.ether = bpf_ntohs(e.protocol);
	else if (is_ip(e.family))
		e.transport = e.protocol;
	e.error = call->result < 0 ? -call->result : 0;
	submit(c, &e, sizeof(e));
}

static __always_inline void report_bind(const struct call *call, struct sock *sk)
{
	u32 transport = LOAD(sk, sk_type) == SOCK_RAW ? transport_raw : LOAD(sk, sk_protocol);
	struct net_bind e = { .transport = transport };
	struct tracker_counters *c = count();
	u64 cgroup = current_cgroup(), workload;

	if (!c || !is_collected_of(c, bpf_get_current_pid_tgid() >> 32, cgroup, &workload))
		return;
	describe_current(&e.header, EVENT_bind, cgroup);
	bpf_probe_read_user(&e.asked_port, sizeof(e.asked_port), (void *)argument(call, 1) + 2);
	e.asked_port = bpf_ntohs(e.asked_port);
	e.error = call->result < 0 ? -call->result : 0;
	set_local(&e.local_address, sk);
	e.local_port = local_port(sk);
	e.header.habit = habit_of(&e.header, workload,
				  mixed(object_of_address(&e.local_address, (u64)e.error << 32 | transport),
					(u32)e.asked_port << 16 | e.local_port));
	if (is_habitual(c, e.header.habit))
		return;
	submit(c, &e, sizeof(e));
}

/* Whom a socket is for from now on that is neither one of TCP nor of datagrams: these say themselves whom they reach. */
static __always_inline void report_connected(const struct call *call, struct sock *sk)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	u32 protocol = LOAD(sk, sk_protocol);
	struct owner caller = {};
	struct flow_key to = {};

	if (call->result != 0 && call->result != -EINPROGRESS)
		return;
	describe_task(&caller.who, EVENT_flow, cgroup_of(task), task);
	set_peer(&to.address, sk);
	if (protocol == transport_sctp || protocol == transport_dccp)
		to.port = peer_port(sk);
	report_portless(&caller, sk, &to);
}

/* The name of a socket that has no file. The kernel's copy ends with its length, not with NUL. */
static __always_inline void append_abstract_name(struct record *r, struct unix_use *e, struct unix_sock *named)
{
	struct unix_address *address = LOAD(named, addr);
	u32 length = LOAD(address, len) - 2;
	char name[128] = {};

	if (!address || length > SUN_PATH_MAX)
		return;
	barrier_var(length);
	bpf_probe_read_kernel(name, length & 127, &address->name[0].sun_path);
	if (!name[0] && length)
		e->abstract = append_kernel_string(r, name + 1);
}

/* The address as the caller gave it, which need not end with NUL. Returns whether it is relative. */
static __always_inline bool append_asked(struct record *r, struct unix_use *e, const struct call *call)
{
	u32 length = (u32)argument(call, 2) - 2;
	char path[128] = {};

	if (length == 0 || length > SUN_PATH_MAX)
		return false;
	barrier_var(length);
	bpf_probe_read_user(path, length & 127, (void *)argument(call, 1) + 2);
	if (path[0])
		e->asked.asked = append_kernel_string(r, path);
	else if (!e->abstract.length)
		e->abstract = append_kernel_string(r, path + 1);
	return path[0] && path[0] != '/';
}

static __always_inline void report_unix(const struct call *call, struct sock *sk, u16 event)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct unix_sock *named = (struct unix_sock *)sk;
	struct tracker_counters *c = count();
	const struct path *path = NULL;
	struct tail_ref walked;
	bool is_relative = false;
	struct unix_use *e;
	struct record *r;
	u64 cgroup;

	if (!c || !is_collected(c, &cgroup))
		return;
	if (event == EVENT_unix_connect && call->result == -ENOENT && !missing) {
		c->filtered__parameter++;
		return;
	}
	r = begin(c, sizeof(*e));
	if (!r)
		return;
	e = (void *)r->data;
	__builtin_memset(e, 0, sizeof(*e));
	describe_current(&e->header, event, cgroup);
	e->type = LOAD(sk, sk_type);
	e->error = call->result < 0 ? -call->result : 0;
	if (event == EVENT_unix_connect)
		named = (struct unix_sock *)LOAD(named, peer);
	if (!e->error)
		append_abstract_name(r, e, named);
	if (event != EVENT_unix_listen)
		is_relative = append_asked(r, e, call);
	/* One walk for both, as the verifier goes every way there is: to the socket, or where there is none to the
	 * directory that it was looked for in. */
	if (e->error)
		path = is_relative ? &LOAD(task, fs)->pwd : NULL;
	else if (LOAD(named, path.dentry))
		path = &named->path;
	if (path) {
		walked = append_path(r, path, task);
		if (e->error)
			e->asked.base = walked;
		else
			e->path = walked;
	}
	send(c, r);
}

enum socket_calls_calls { SYS_socket = 1, SYS_bind, SYS_listen, SYS_connect };
SYSCALLS(socket_calls)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct sock *sk;
	u16 family, protocol;

	if (call->which == SYS_socket) {
		report_socket(call);
		return;
	}
	sk = sock_of(file_of(task, argument(call, 0)));
	if (!sk)
		return;
	family = LOAD(sk, __sk_common.skc_family);
	if (family == AF_UNIX) {
		report_unix(call, sk,
			    call->which == SYS_bind   ? EVENT_unix_bind :
			    call->which == SYS_listen ? EVENT_unix_listen :
							EVENT_unix_connect);
		return;
	}
	protocol = LOAD(sk, sk_protocol);
	if (!is_ip(family) || is_tcp(protocol))
		return;
	if (!SOCKETS_HAVE_STORAGE && call->result == 0 && call->which != SYS_listen && is_datagram(protocol))
		own_in_table(sk, task);
	if (call->which == SYS_bind)
		report_bind(call, sk);
	else if (call->which == SYS_connect && !is_datagram(protocol))
		report_connected(call, sk);
}

/* Sockets that were there before the agent. */
SEC("iter/task_file")
int known_sockets(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct owner owner = {};
	struct sock *sk;
	u64 id;

	if (!task || !file)
		return 0;
	sk = sock_of(file);
	if (!sk || !is_ip(LOAD(sk, __sk_common.skc_family)) || !is_datagram(LOAD(sk, sk_protocol)))
		return 0;
	id = (u64)sk;
	describe_task(&owner.who, EVENT_flow, cgroup_of(task), task);
	bpf_map_update_elem(&owners, &id, &owner, BPF_NOEXIST);
	return 0;
}
