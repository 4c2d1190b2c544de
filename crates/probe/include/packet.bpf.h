/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Packets as they leave and reach sockets: what cgroup programs see, once for each packet and outside the path of
 * system calls. Whatever sent them, a call, io_uring or the kernel itself, comes by here.
 */
#ifndef ETHOGRAM_PACKET_H
#define ETHOGRAM_PACKET_H

#include "socket.bpf.h"

/* The kernel's interface, with only the members that are read. */
struct __sk_buff {
	u32 len;
	u32 unused0[18];
	u32 data;
	u32 data_end;
	u32 unused1[20];
	u32 gso_segs;
	struct bpf_sock *sk;
};

struct bpf_sock {
	u32 unused0[2];
	u32 type;
};

struct bpf_sock_addr {
	u32 unused0;
	u32 user_ip4;
	u32 user_ip6[4];
	u32 user_port;
	u32 unused1[9];
	struct bpf_sock *sk;
};

#define PASS 1 /* what a program on packets has to return */

struct packet {
	u32 at; /* where the transport's header begins */
	u8 protocol;
	bool ipv6;
};

/* What a packet is, from its first bytes. Headers between IPv6 and its transport are not followed. */
static __always_inline struct packet look_at(struct __sk_buff *skb)
{
	u8 *data = (u8 *)(long)skb->data;
	struct packet packet = {};

	if (data + 20 > (u8 *)(long)skb->data_end)
		return packet;
	packet.ipv6 = data[0] >> 4 == 6;
	packet.at = packet.ipv6 ? 40 : (data[0] & 0xf) * 4;
	packet.protocol = packet.ipv6 ? data[6] : data[9];
	return packet;
}

/* The packet's socket, as something that may be read freely. */
static __always_inline struct sock *socket_of(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;
	struct sock *socket = NULL;

	if (LOADS_ARE_DIRECT)
		return bpf_rdonly_cast(sk, bpf_core_type_id_kernel(struct sock));
	bpf_probe_read_kernel(&socket, sizeof(socket), &sk);
	return socket;
}

struct destination {
	u64 socket; /* 0 once it was taken, */
	u64 taken;  /* and by which socket that was then */
	ip_address address;
	u32 port;
	u32 padding;
};

/* Where a thread last sent to by a socket that is not connected, in its own words: what leaves may be translated. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, u32);
	__type(value, struct destination);
} destinations SEC(".maps");

static __always_inline u32 current_thread(void)
{
	return LOAD((struct task_struct *)bpf_get_current_task(), pid);
}

static __always_inline void remember(struct destination *destination, u32 port)
{
	u32 thread = current_thread();
	struct destination *known = bpf_map_lookup_elem(&destinations, &thread);

	destination->port = bpf_ntohs(port);
	if (known)
		*known = *destination; /* only this thread reads it, and in place it costs a third */
	else
		bpf_map_update_elem(&destinations, &thread, destination, BPF_ANY);
}

SEC("cgroup/sendmsg4")
int destination_of_ipv4(struct bpf_sock_addr *ctx)
{
	struct destination destination = { .socket = (u64)ctx->sk };

	set_ipv4(&destination.address, ctx->user_ip4);
	remember(&destination, ctx->user_port);
	return PASS;
}

SEC("cgroup/sendmsg6")
int destination_of_ipv6(struct bpf_sock_addr *ctx)
{
	struct destination destination = { .socket = (u64)ctx->sk };
	u32 *words = (u32 *)&destination.address;

	words[0] = ctx->user_ip6[0];
	words[1] = ctx->user_ip6[1];
	words[2] = ctx->user_ip6[2];
	words[3] = ctx->user_ip6[3];
	remember(&destination, ctx->user_port);
	return PASS;
}

/* Where the current thread sends a packet to, if it said so for this one: a connected socket can send elsewhere too. It
 * says so once, and may not the next time. "Any address" is this machine. */
static __always_inline u16 take_destination(ip_address *to, const struct sock *sk)
{
	u32 thread = current_thread();
	struct destination *destination = bpf_map_lookup_elem(&destinations, &thread);
	u32 *last;

	if (!destination || destination->socket != (u64)sk)
		return 0;
	destination->taken = destination->socket;
	destination->socket = 0;
	*to = destination->address;
	last = (u32 *)&to->bytes[12];
	if (!*last && to->bytes[10])
		*last = bpf_htonl(0x7f000001);
	else if (!*last && !*(u64 *)&to->bytes[0] && !*(u32 *)&to->bytes[8])
		to->bytes[15] = 1;
	return destination->port;
}

/* Whether what the current thread sends by a socket was met as a packet already, which took the destination. */
static __always_inline bool was_met_as_packet(const struct sock *sk)
{
	u32 thread = current_thread();
	struct destination *destination = bpf_map_lookup_elem(&destinations, &thread);

	if (!destination || destination->taken != (u64)sk)
		return false;
	destination->taken = 0;
	return true;
}

/* The other side of a packet, where its sender or its socket names it: before any address is translated. 0 where neither does. */
static __always_inline u16 set_named_peer(ip_address *to, const struct sock *sk, bool sent)
{
	u16 port = sent ? take_destination(to, sk) : 0;

	if (port)
		return port;
	port = LOAD(sk, __sk_common.skc_dport);
	if (port)
		set_peer(to, sk);
	return bpf_ntohs(port);
}

/* The other side of a packet. */
static __always_inline u16 set_packet_peer(ip_address *to, struct __sk_buff *skb, struct packet packet,
					   const struct sock *sk, bool sent)
{
	u16 port = set_named_peer(to, sk, sent);
	u32 ipv4 = 0;

	if (port)
		return port;
	if (packet.ipv6) {
		bpf_skb_load_bytes(skb, sent ? 24 : 8, to, sizeof(*to));
	} else {
		bpf_skb_load_bytes(skb, sent ? 16 : 12, &ipv4, sizeof(ipv4));
		set_ipv4(to, ipv4);
	}
	bpf_skb_load_bytes(skb, packet.at + (sent ? 2 : 0), &port, sizeof(port));
	return bpf_ntohs(port);
}

/* The same, from the headers as they lie in the kernel's memory. */
static __always_inline u16 set_datagram_peer(ip_address *to, const u8 *network, const u8 *transport,
					     const struct sock *sk, bool sent)
{
	u16 port = set_named_peer(to, sk, sent);
	u32 ipv4 = 0;
	u8 version = 0;

	if (port)
		return port;
	bpf_probe_read_kernel(&version, sizeof(version), network);
	if (version >> 4 == 6) {
		bpf_probe_read_kernel(to, sizeof(*to), network + (sent ? 24 : 8));
	} else {
		bpf_probe_read_kernel(&ipv4, sizeof(ipv4), network + (sent ? 16 : 12));
		set_ipv4(to, ipv4);
	}
	bpf_probe_read_kernel(&port, sizeof(port), transport + (sent ? 2 : 0));
	return bpf_ntohs(port);
}

#endif
