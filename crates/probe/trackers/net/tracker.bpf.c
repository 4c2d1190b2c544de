// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/* UDP flows, sockets that see or forge packets, what is bound, and unix sockets. TCP has a tracker of its own. */
#include "interest.bpf.h"
#include "packet.bpf.h"
#include "record.bpf.h"
#include "sample.bpf.h"
#include "syscall.bpf.h"

#define ENOENT 2
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

/* Begun by this side: a row for each peer and its port. By the other side: one for each peer and the own port, as
 * the ports of clients pass. */
struct flow_key {
	ip_address address FIELD("network.peer.address", "the peer's address");
	u32 process INTERNAL("process");
	u16 port FIELD("network.peer.port", "the peer's port; 0 where the peer began, whose port passes");
	u16 local_port FIELD("network.local.port", "own port; 0 where this side began, whose port passes");
};

struct udp_flow {
	struct event_header header;
	u64 sent FIELD("network.flow.sent_datagrams", "UDP datagrams sent to this peer since the last row");
	u64 sent_bytes FIELD("network.flow.sent_bytes", "bytes sent since the last row, without headers");
	u64 received FIELD("network.flow.received_datagrams", "UDP datagrams received from it since the last row");
	u64 received_bytes FIELD("network.flow.received_bytes", "bytes received since the last row, without headers");
};
SAMPLE(flow, struct flow_key, struct udp_flow, 1, 16384);

struct udp_peer {
	struct event_header header;
	ip_address address FIELD("network.peer.address", "the peer's address");
	ip_address local_address FIELD("network.local.address", "own address");
	u16 port FIELD("network.peer.port", "the peer's port");
	u16 local_port FIELD("network.local.port", "own port");
	enum transport transport FIELD("network.transport", "udp");
};
EVENT(peer, struct udp_peer, 2);

struct net_socket {
	struct event_header header;
	enum socket_family family FIELD("network.socket.family", "address family");
	enum socket_type type FIELD("network.socket.type", "type of socket");
	enum transport transport FIELD("network.transport", "protocol that a raw socket of IPv4 or IPv6 is for");
	enum ether_protocol ether FIELD("network.socket.ether_type", "protocol that a packet socket is for");
	u32 protocol FIELD("network.socket.protocol", "protocol as asked for, a number of the family's own");
	error_number error FIELD("error.type", "why it was refused");
};
EVENT(socket, struct net_socket, 3);

struct net_bind {
	struct event_header header;
	ip_address local_address FIELD("network.local.address", "own address");
	u16 local_port FIELD("network.local.port", "own port");
	u16 asked_port FIELD("network.local.requested_port", "own port as asked for; 0: any");
	enum transport transport FIELD("network.transport", "protocol of the socket; raw: all that the socket is for");
	error_number error FIELD("error.type", "why it was refused");
};
EVENT(bind, struct net_bind, 4);

struct unix_use {
	struct event_header header;
	path_ref path FIELD("file.path", "the socket, as whoever made it named it; absent where it has no file");
	path_at asked FIELD("file.requested_path", "the socket as asked for; with its directory where it was refused");
	str_ref abstract FIELD("network.socket.abstract_name", "name of a socket that has no file, up to its first NUL");
	enum socket_type type FIELD("network.socket.type", "type of socket");
	error_number error FIELD("error.type", "why it was refused");
};
EVENT(unix_bind, struct unix_use, 5);
EVENT(unix_listen, struct unix_use, 6);
EVENT(unix_connect, struct unix_use, 7);

enum { BEGUN_BY_NOBODY, BEGUN_HERE, BEGUN_BY_PEER };

struct owner {
	struct event_header who;
	u32 begun;
	u32 padding;
};

/* Datagrams arrive on behalf of no process: theirs is the one that bound the socket or sent by it last. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, u64);
	__type(value, struct owner);
} owners SEC(".maps");

struct peer_key {
	u64 process_start;
	ip_address address;
	u32 process;
	u32 port;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct peer_key);
	__type(value, u8);
} peers SEC(".maps");

/* A new socket may lie where one lay that is gone. */
SEC("cgroup/sock_create")
int socket_made(struct bpf_sock *sk)
{
	u64 id = (u64)sk;

	if (sk->type == SOCK_DGRAM)
		bpf_map_delete_elem(&owners, &id);
	return PASS;
}

static __always_inline struct owner *own(u64 id, struct task_struct *task)
{
	struct owner *owner = bpf_map_lookup_elem(&owners, &id);
	struct owner fresh = {};

	if (owner && owner->who.pid == LOAD(task, tgid))
		return owner;
	if (owner)
		fresh.begun = owner->begun;
	describe_task(&fresh.who, EVENT_flow, cgroup_of(task), task);
	bpf_map_update_elem(&owners, &id, &fresh, BPF_ANY);
	return bpf_map_lookup_elem(&owners, &id);
}

/* The first datagram that a process sends to a peer. */
static __always_inline void report_peer(struct tracker_counters *c, const struct owner *owner,
					const struct flow_key *flow, const struct sock *sk)
{
	struct peer_key key = {
		.process_start = owner->who.process_start,
		.process = owner->who.pid,
		.port = flow->port,
		.address = flow->address,
	};
	struct udp_peer e = { .transport = transport_udp };
	u8 seen = 1;

	if (bpf_map_lookup_elem(&peers, &key) || bpf_map_update_elem(&peers, &key, &seen, BPF_NOEXIST))
		return;
	if (!wanted_from(c, owner->who.pid, owner->who.cgroup))
		return;
	e.header = owner->who;
	e.header.event = EVENT_peer;
	e.header.time = bpf_ktime_get_boot_ns();
	e.address = flow->address;
	e.port = flow->port;
	set_local(&e.local_address, sk);
	e.local_port = local_port(sk);
	submit(c, &e, sizeof(e));
}

static __always_inline void count_datagrams(struct tracker_counters *c, const struct owner *owner,
					    const struct flow_key *key, u64 datagrams, u64 bytes, bool sent)
{
	void *table = table_in(&flow_tables);
	struct udp_flow *row = table ? bpf_map_lookup_elem(table, key) : NULL;

	if (!row && table) {
		struct udp_flow first = { .header = owner->who };

		first.header.event = EVENT_flow;
		first.header.time = bpf_ktime_get_boot_ns();
		bpf_map_update_elem(table, key, &first, BPF_NOEXIST);
		row = bpf_map_lookup_elem(table, key);
	}
	if (!row) {
		c->dropped__table__full += datagrams;
		return;
	}
	__sync_fetch_and_add(sent ? &row->sent : &row->received, datagrams);
	__sync_fetch_and_add(sent ? &row->sent_bytes : &row->received_bytes, bytes);
	c->aggregated += datagrams;
}

/* Of datagrams that come by: whose they are, where that is known and wanted. They are counted as seen. */
static __always_inline struct owner *owner_of(struct tracker_counters *c, struct sock *sk, u32 datagrams, bool sent)
{
	u64 id = (u64)sk;
	struct owner *owner = sent ? own(id, (struct task_struct *)bpf_get_current_task()) :
				     bpf_map_lookup_elem(&owners, &id);

	if (!owner) {
		c->seen += datagrams;
		c->dropped__owner__unknown += datagrams;
		return NULL;
	}
	if (!wanted_from(c, owner->who.pid, owner->who.cgroup))
		return NULL;
	c->seen += datagrams - 1;
	if (owner->begun == BEGUN_BY_NOBODY)
		owner->begun = sent ? BEGUN_HERE : BEGUN_BY_PEER;
	return owner;
}

static __always_inline bool flows_are_wanted(void)
{
	return !(interest_at(agent_interest) >> EVENT_flow & 1);
}

/* Counts them. The key has the peer already. */
static __always_inline void count_flow(struct tracker_counters *c, struct owner *owner, struct flow_key *key,
				       struct sock *sk, u32 datagrams, u32 bytes, bool sent)
{
	key->process = owner->who.pid;
	if (owner->begun == BEGUN_BY_PEER) {
		key->port = 0;
		key->local_port = local_port(sk);
	} else if (sent) {
		report_peer(c, owner, key, sk);
	}
	if (flows_are_wanted())
		count_datagrams(c, owner, key, datagrams, bytes, sent);
	else
		c->filtered__unwanted += datagrams;
}

/* A tunnel's socket has no file: it is the kernel's own. */
static __always_inline bool is_of_a_process(const struct sock *sk)
{
	return sk && LOAD(sk, sk_socket, file);
}

static __always_inline void count_packet(struct __sk_buff *skb, bool sent)
{
	struct packet packet = look_at(skb);
	u32 datagrams = skb->gso_segs ?: 1;
	struct flow_key key = {};
	struct tracker_counters *c;
	struct owner *owner;
	struct sock *sk;

	if (packet.protocol != transport_udp)
		return;
	sk = socket_of(skb);
	c = count();
	if (!is_of_a_process(sk) || !c)
		return;
	owner = owner_of(c, sk, datagrams, sent);
	if (!owner)
		return;
	key.port = set_packet_peer(&key.address, skb, packet, sk, sent);
	count_flow(c, owner, &key, sk, datagrams, skb->len - packet.at - 8, sent);
}

/* The same where the kernel's functions for datagrams can be attached to, which no packet of TCP passes. */
static __always_inline void count_datagram(struct sock *sk, struct sk_buff *skb, bool sent)
{
	const u8 *head = LOAD(skb, head);
	const u8 *transport = head + LOAD(skb, transport_header);
	const struct skb_shared_info *shared = (const void *)(head + LOAD(skb, end));
	u32 bytes = LOAD(skb, len) - (u32)(transport - LOAD(skb, data)) - 8;
	u32 datagrams = LOAD(shared, gso_segs) ?: 1;
	struct flow_key key = {};
	struct tracker_counters *c = count();
	struct owner *owner;

	if (!is_of_a_process(sk) || LOAD(sk, sk_protocol) != transport_udp || !c)
		return;
	owner = owner_of(c, sk, datagrams, sent);
	if (!owner)
		return;
	key.port = set_datagram_peer(&key.address, head + LOAD(skb, network_header), transport, sk, sent);
	count_flow(c, owner, &key, sk, datagrams, bytes, sent);
}

SEC("fentry/ip_send_skb")
int BPF_PROG(ipv4_sent, void *net, struct sk_buff *skb)
{
	count_datagram(LOAD(skb, sk), skb, true);
	return 0;
}

SEC("fentry/ip6_send_skb")
int BPF_PROG(ipv6_sent, struct sk_buff *skb)
{
	count_datagram(LOAD(skb, sk), skb, true);
	return 0;
}

SEC("fentry/__udp_enqueue_schedule_skb")
int BPF_PROG(udp_received, struct sock *sk, struct sk_buff *skb)
{
	count_datagram(sk, skb, false);
	return 0;
}

/* Where not: as packets, which is paid for by those of TCP too. */
SEC("cgroup_skb/egress")
int packet_sent(struct __sk_buff *skb)
{
	count_packet(skb, true);
	return PASS;
}

SEC("cgroup_skb/ingress")
int packet_received(struct __sk_buff *skb)
{
	count_packet(skb, false);
	return PASS;
}

/* So these tell who sends to whom as long as nobody wants to know how much. From 6.3 on. */
SEC("tp_btf/sock_send_length")
int BPF_PROG(datagram_sent, struct sock *sk, int result)
{
	struct flow_key key = {};
	struct tracker_counters *c;
	struct owner *owner;

	if (result < 0 || LOAD(sk, sk_protocol) != transport_udp || !is_of_a_process(sk))
		return 0;
	c = count();
	owner = own((u64)sk, (struct task_struct *)bpf_get_current_task());
	key.port = set_named_peer(&key.address, sk, true);
	if (!c || !owner || !key.port)
		return 0;
	if (owner->begun == BEGUN_BY_NOBODY)
		owner->begun = BEGUN_HERE;
	if (owner->begun == BEGUN_HERE)
		report_peer(c, owner, &key, sk);
	return 0;
}

/* Whoever is going to answer asks who it was. */
static __always_inline int asked_whose(struct bpf_sock_addr *ctx)
{
	u64 id = (u64)ctx->sk;
	struct owner *owner = bpf_map_lookup_elem(&owners, &id);

	if (owner && owner->begun == BEGUN_BY_NOBODY)
		owner->begun = BEGUN_BY_PEER;
	return PASS;
}

SEC("cgroup/recvmsg4")
int ipv4_received(struct bpf_sock_addr *ctx)
{
	return asked_whose(ctx);
}

SEC("cgroup/recvmsg6")
int ipv6_received(struct bpf_sock_addr *ctx)
{
	return asked_whose(ctx);
}

/* Without them: whether or not anybody wants to know how much. */
SEC("cgroup_skb/egress")
int every_packet_sent(struct __sk_buff *skb)
{
	count_packet(skb, true);
	return PASS;
}

SEC("cgroup_skb/ingress")
int every_packet_received(struct __sk_buff *skb)
{
	count_packet(skb, false);
	return PASS;
}

static __always_inline void report_socket(const struct call *call)
{
	struct net_socket e = { .family = argument(call, 0), .type = argument(call, 1) & 0xf };
	struct tracker_counters *c;
	u64 cgroup;

	/* What every program uses. */
	if (e.family == AF_UNIX || e.family == AF_NETLINK || (is_ip(e.family) && e.type != SOCK_RAW))
		return;
	c = count();
	if (!c || !wanted(c, &cgroup))
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
	u64 cgroup;

	if (!c || !wanted(c, &cgroup))
		return;
	describe_current(&e.header, EVENT_bind, cgroup);
	bpf_probe_read_user(&e.asked_port, sizeof(e.asked_port), (void *)argument(call, 1) + 2);
	e.asked_port = bpf_ntohs(e.asked_port);
	e.error = call->result < 0 ? -call->result : 0;
	set_local(&e.local_address, sk);
	e.local_port = local_port(sk);
	submit(c, &e, sizeof(e));
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

	if (!c || !wanted(c, &cgroup))
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
	u16 family;

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
	if (!is_ip(family) || LOAD(sk, sk_type) == SOCK_STREAM)
		return;
	if (call->result == 0 && call->which != SYS_listen && LOAD(sk, sk_protocol) == transport_udp)
		own((u64)sk, task);
	if (call->which == SYS_bind)
		report_bind(call, sk);
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
	if (!sk || !is_ip(LOAD(sk, __sk_common.skc_family)) || LOAD(sk, sk_protocol) != transport_udp)
		return 0;
	id = (u64)sk;
	describe_task(&owner.who, EVENT_flow, cgroup_of(task), task);
	bpf_map_update_elem(&owners, &id, &owner, BPF_NOEXIST);
	return 0;
}
