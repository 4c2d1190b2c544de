/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Datagrams: who sends to whom, and how much, with whichever hooks this kernel has for them. */
#ifndef ETHOGRAM_NET_FLOW_H
#define ETHOGRAM_NET_FLOW_H

#include "peer.h"
#include "syscall.bpf.h"

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

/* Of datagrams that come by a socket: whose they are, where that is known and wanted. They are counted as seen. */
static __always_inline struct owner *owner_of(struct tracker_counters *c, void *sk, u32 datagrams, bool sent)
{
	struct owner *owner = sent ? own(sk, (struct task_struct *)bpf_get_current_task()) : owner_at(sk);

	if (!owner) {
		c->seen += datagrams;
		c->dropped__owner__unknown += datagrams;
		return NULL;
	}
	if (!is_collected_from(c, owner->who.pid, owner->who.cgroup))
		return NULL;
	c->seen += datagrams - 1;
	begin_flows(owner, sent);
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
	if (!sent && owner->begun == BEGUN_BY_PEER)
		hear(sk, &key->address, key->port);
	if (sent ? answers(owner, sk, &key->address, key->port) : owner->begun == BEGUN_BY_PEER) {
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

/* A packet of a protocol without ports, such as that of a ping. It is counted as seen where it is the first to its peer. */
static __always_inline void report_portless(const struct owner *owner, const struct sock *sk, const struct flow_key *to)
{
	struct tracker_counters *c = count();

	if (!c)
		return;
	if (owner) {
		report_peer(c, owner, to, sk);
	} else {
		c->seen++;
		c->dropped__owner__unknown++;
	}
}

/* Where an IP packet goes to, from its header. */
static __always_inline void set_network_peer(ip_address *to, const u8 *network)
{
	u32 ipv4 = 0;
	u8 version = 0;

	bpf_probe_read_kernel(&version, sizeof(version), network);
	if (version >> 4 == 6) {
		bpf_probe_read_kernel(to, sizeof(*to), network + 24);
	} else {
		bpf_probe_read_kernel(&ipv4, sizeof(ipv4), network + 16);
		set_ipv4(to, ipv4);
	}
}

/* Where a packet goes to, from its header. */
static __always_inline void set_packet_address(ip_address *to, struct __sk_buff *skb, struct packet packet)
{
	u32 ipv4 = 0;

	if (packet.ipv6) {
		bpf_skb_load_bytes(skb, 24, to, sizeof(*to));
	} else {
		bpf_skb_load_bytes(skb, 16, &ipv4, sizeof(ipv4));
		set_ipv4(to, ipv4);
	}
}

static __always_inline void count_packet(struct __sk_buff *skb, bool sent)
{
	struct packet packet = look_at(skb);
	u32 datagrams = skb->gso_segs ?: 1;
	struct flow_key key = {};
	struct bpf_sock *holder;
	struct tracker_counters *c;
	struct owner *owner;
	struct sock *sk;

	if (packet.protocol == transport_tcp || (!sent && !is_datagram(packet.protocol)))
		return;
	holder = skb->sk;
	sk = socket_of(skb);
	c = count();
	if (!holder || !is_of_a_process(sk) || !c)
		return;
	if (!is_datagram(packet.protocol)) {
		set_packet_address(&key.address, skb, packet);
		if (LOAD(sk, sk_type) != SOCK_STREAM)
			report_portless(own(holder, (struct task_struct *)bpf_get_current_task()), sk, &key);
		return;
	}
	owner = owner_of(c, holder, datagrams, sent);
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

	if (!is_of_a_process(sk) || !c)
		return;
	if (!is_datagram(LOAD(sk, sk_protocol))) {
		set_network_peer(&key.address, head + LOAD(skb, network_header));
		report_portless(own(sk, (struct task_struct *)bpf_get_current_task()), sk, &key);
		return;
	}
	owner = owner_of(c, sk, datagrams, sent);
	if (!owner)
		return;
	key.port = set_datagram_peer(&key.address, head + LOAD(skb, network_header), transport, sk, sent);
	count_flow(c, owner, &key, sk, datagrams, bytes, sent);
}

SEC("fentry/ip_send_skb")
int BPF_PROG(ipv4_sent, void *net, struct sk_buff *skb)
{
	count_datagram(WALK(skb, sk), skb, true);
	return 0;
}

SEC("fentry/ip6_send_skb")
int BPF_PROG(ipv6_sent, struct sk_buff *skb)
{
	count_datagram(WALK(skb, sk), skb, true);
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

#if defined(__TARGET_ARCH_x86)
enum sending_calls { SENDTO = 44, SENDMSG = 46, SENDMMSG = 307 };
#elif defined(__TARGET_ARCH_arm64)
enum sending_calls { SENDTO = 206, SENDMSG = 211, SENDMMSG = 269 };
#endif

/* Whom the current call sends to, as its caller says, who can change that meanwhile: the socket does not say it. Nothing is
 * set where it is no call that says it. */
static __always_inline void set_asked_peer(ip_address *to)
{
	struct call call = { .regs = entry_registers() };
	u32 slot = call_slot(call.regs), ipv4 = 0;
	const void *address = NULL;
	u16 family = 0;

	if (slot == SENDTO)
		address = (void *)argument(&call, 4);
	else if (slot == SENDMSG || slot == SENDMMSG)
		/* The first member of both is the address. */
		bpf_probe_read_user(&address, sizeof(address), (void *)argument(&call, 1));
	bpf_probe_read_user(&family, sizeof(family), address);
	if (family == AF_INET6) {
		bpf_probe_read_user(to, sizeof(*to), address + 8);
	} else if (family == AF_INET) {
		bpf_probe_read_user(&ipv4, sizeof(ipv4), address + 4);
		set_ipv4(to, ipv4);
	}
}

/* So these report who sends to whom as long as how much has no subscriber. From 6.3 on. */
SEC("tp_btf/sock_send_length")
int BPF_PROG(datagram_sent, struct sock *sk, int result)
{
	u16 protocol = LOAD(sk, sk_protocol);
	struct flow_key key = {};
	struct tracker_counters *c;
	struct owner *owner;

	if (result < 0 || protocol == transport_tcp || !is_ip(LOAD(sk, __sk_common.skc_family)) || !is_of_a_process(sk))
		return 0;
	if (!is_datagram(protocol)) {
		if (LOAD(sk, sk_type) == SOCK_STREAM)
			return 0;
		set_peer(&key.address, sk);
		set_asked_peer(&key.address);
		report_portless(own(sk, (struct task_struct *)bpf_get_current_task()), sk, &key);
		return 0;
	}
	c = count();
	owner = own(sk, (struct task_struct *)bpf_get_current_task());
	key.port = set_named_peer(&key.address, sk, true);
	if (!c)
		return 0;
	/* While how much has a subscriber, packets are counted, and their programs have reported it. */
	if (owner && !key.port && was_met_as_packet(sk))
		return 0;
	if (!owner || !key.port) {
		c->seen++;
		c->dropped__table__full++;
		return 0;
	}
	begin_flows(owner, true);
	if (!answers(owner, sk, &key.address, key.port))
		report_peer(c, owner, &key, sk);
	return 0;
}

/* A process that is going to answer asks who it was. */
static __always_inline int asked_whose(struct bpf_sock_addr *ctx, const ip_address *from)
{
	void *sk = ctx->sk;
	struct owner *owner = owner_at(sk);

	if (!owner)
		return PASS;
	begin_flows(owner, false);
	if (owner->begun == BEGUN_BY_PEER)
		hear(sk, from, bpf_ntohs(ctx->user_port));
	return PASS;
}

SEC("cgroup/recvmsg4")
int ipv4_received(struct bpf_sock_addr *ctx)
{
	ip_address from;

	set_ipv4(&from, ctx->user_ip4);
	return asked_whose(ctx, &from);
}

SEC("cgroup/recvmsg6")
int ipv6_received(struct bpf_sock_addr *ctx)
{
	u32 words[4] = { ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3] };
	ip_address from;

	__builtin_memcpy(&from, words, sizeof(from));
	return asked_whose(ctx, &from);
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
