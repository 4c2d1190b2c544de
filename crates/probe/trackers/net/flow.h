/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Datagrams: who sends to whom, and how much, with whichever hooks this kernel has for them. */
#ifndef ETHOGRAM_NET_FLOW_H
#define ETHOGRAM_NET_FLOW_H

#include "habit.bpf.h"
#include "packet.bpf.h"
#include "sample.bpf.h"

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
	ip_address address FIELD("network.peer.address", "the peer's address") HABIT_KEY;
	ip_address local_address FIELD("network.local.address", "own address") HABIT_KEY;
	u16 port FIELD("network.peer.port", "the peer's port") HABIT_KEY;
	u16 local_port FIELD("network.local.port", "own port");
	enum transport transport FIELD("network.transport", "udp") HABIT_KEY;
};
EVENT(peer, struct udp_peer, 2);

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
	u64 workload;
	u8 seen = 1;

	if (bpf_map_lookup_elem(&peers, &key) || bpf_map_update_elem(&peers, &key, &seen, BPF_NOEXIST))
		return;
	if (!is_collected_of(c, owner->who.pid, owner->who.cgroup, &workload))
		return;
	e.header = owner->who;
	e.header.event = EVENT_peer;
	e.header.time = bpf_ktime_get_boot_ns();
	e.address = flow->address;
	e.port = flow->port;
	set_local(&e.local_address, sk);
	e.header.habit = habit_of(&e.header, workload, object_between(&e.address, &e.local_address, e.port));
	if (is_habitual(c, e.header.habit))
		return;
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
	if (!is_collected_from(c, owner->who.pid, owner->who.cgroup))
		return NULL;
	c->seen += datagrams - 1;
	if (owner->begun == BEGUN_BY_NOBODY)
		owner->begun = sent ? BEGUN_HERE : BEGUN_BY_PEER;
	return owner;
}

static __always_inline bool flows_are_subscribed(void)
{
	return !(subscription_at(agent_tracker) >> EVENT_flow & 1);
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
	if (flows_are_subscribed())
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

/* So these report who sends to whom as long as how much has no subscriber. From 6.3 on. */
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

/* A process that is going to answer asks who it was. */
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

/* Without them: whether or not how much has a subscriber. */
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

#endif
