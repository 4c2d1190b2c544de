/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Messages over UDP where the kernel's functions for datagrams can be attached to, which nothing of TCP passes. */
#ifndef ETHOGRAM_DNS_DATAGRAM_H
#define ETHOGRAM_DNS_DATAGRAM_H

#include "message.h"
#include "user_buffer.bpf.h"
#include <bpf/bpf_tracing.h>

#define UDP_HEADER 8

static __always_inline void look_into_sent(struct sk_buff *skb)
{
	struct sock *sk = LOAD(skb, sk);
	const u8 *head = LOAD(skb, head);
	const u8 *transport = head + LOAD(skb, transport_header);
	u32 before = (u32)(transport - LOAD(skb, data)) + UDP_HEADER;
	u32 size = LOAD(skb, len) - before;
	/* What a program gives in pages to be sent from there is no query. */
	struct bytes bytes = {
		.place = IN_KERNEL,
		.memory = transport,
		.at = UDP_HEADER,
		.size = size,
		.there = size - LOAD(skb, data_len),
	};
	struct peer peer = {};
	struct message m;

	if (!sk || LOAD(sk, sk_protocol) != transport_udp || !LOAD(sk, sk_socket, file))
		return;
	if ((s32)bytes.there < MESSAGE_MIN || read_bytes(&m.id, sizeof(m) - 2, &bytes) || !is_plausible(&m, true))
		return;
	peer.port = set_datagram_peer(&peer.address, head + LOAD(skb, network_header), transport, sk, true);
	report_query(sk, &m, &bytes, &peer, transport_udp);
}

SEC("fentry/ip_send_skb")
int BPF_PROG(ipv4_sent, void *net, struct sk_buff *skb)
{
	look_into_sent(skb);
	return 0;
}

SEC("fentry/ip6_send_skb")
int BPF_PROG(ipv6_sent, struct sk_buff *skb)
{
	look_into_sent(skb);
	return 0;
}

/* Whom a datagram is from, where its receiver asked for that. */
static __always_inline void set_sender(struct peer *peer, const struct msghdr *message)
{
	const u8 *name = LOAD(message, msg_name);
	u16 family = 0;
	u32 ipv4 = 0;

	bpf_probe_read_kernel(&family, sizeof(family), name);
	if (family == AF_INET) {
		bpf_probe_read_kernel(&ipv4, sizeof(ipv4), name + 4);
		set_ipv4(&peer->address, ipv4);
	} else if (family == AF_INET6) {
		bpf_probe_read_kernel(&peer->address, sizeof(peer->address), name + 8);
	} else {
		return;
	}
	bpf_probe_read_kernel(&peer->port, sizeof(peer->port), name + 2);
	peer->port = bpf_ntohs(peer->port);
}

/* Answers are read where the process has them by now: what arrives need not lie in one piece. */
static __always_inline void look_into_received(const struct sock *sk, const struct msghdr *message)
{
	struct bytes bytes = { .place = IN_USER };
	struct peer peer = {};
	struct message m;

	bytes.memory = filled_buffer(&message->msg_iter, &bytes.size);
	bytes.there = bytes.size;
	if (bytes.size < MESSAGE_MIN || read_bytes(&m.id, sizeof(m) - 2, &bytes) || !is_plausible(&m, false))
		return;
	set_sender(&peer, message);
	report_answer(sk, &m, &bytes, &peer, transport_udp);
}

SEC("fexit/udp_recvmsg")
int BPF_PROG(ipv4_received, struct sock *sk, struct msghdr *message)
{
	look_into_received(sk, message);
	return 0;
}

SEC("fexit/udpv6_recvmsg")
int BPF_PROG(ipv6_received, struct sock *sk, struct msghdr *message)
{
	look_into_received(sk, message);
	return 0;
}

#endif
