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

/* The other side of a packet: as the socket names it where it is connected, so before any address translation. */
static __always_inline u16 set_packet_peer(ip_address *to, struct __sk_buff *skb, struct packet packet,
					   const struct sock *sk, bool sent)
{
	u16 port = LOAD(sk, __sk_common.skc_dport);
	u32 ipv4 = 0;

	if (port) {
		set_peer(to, sk);
		return bpf_ntohs(port);
	}
	if (packet.ipv6) {
		bpf_skb_load_bytes(skb, sent ? 24 : 8, to, sizeof(*to));
	} else {
		bpf_skb_load_bytes(skb, sent ? 16 : 12, &ipv4, sizeof(ipv4));
		set_ipv4(to, ipv4);
	}
	bpf_skb_load_bytes(skb, packet.at + (sent ? 2 : 0), &port, sizeof(port));
	return bpf_ntohs(port);
}

#endif
