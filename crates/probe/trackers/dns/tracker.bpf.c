// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * DNS queries and their answers, over UDP and TCP and on any port: what looks like one goes up whole, and is parsed
 * there (hook.rs). An answer is one only where its query was seen: same socket, same id.
 */
#include "datagram.h"
#include "message.h"

#define DNS_PORT 53

static __always_inline void report_packet(struct __sk_buff *skb, struct packet packet, const struct message *m, u32 at,
					  u32 size, bool sent)
{
	struct bytes bytes = { .place = IN_PACKET, .skb = skb, .at = at, .size = size, .there = size };
	struct sock *sk = socket_of(skb);
	struct tracker_counters *c;
	struct peer peer = {};

	if (size < MESSAGE_MIN || !is_plausible(m, sent) || !LOAD(sk, sk_socket, file))
		return;
	if (sent && packet.protocol == transport_tcp && !LOAD(sk, sk_lock.owned)) {
		/* Sent later, when there was room: on behalf of no process. */
		c = count();
		if (c) {
			c->seen++;
			c->dropped__owner__unknown++;
		}
		return;
	}
	peer.port = set_packet_peer(&peer.address, skb, packet, sk, sent);
	if (sent)
		report_query(sk, m, &bytes, &peer, packet.protocol);
	else
		report_answer(sk, m, &bytes, &peer, packet.protocol);
}

/* Whether these are the first bytes that a connection carries in this direction. */
static __always_inline bool is_first(struct __sk_buff *skb, u32 size, bool sent)
{
	struct tcp_sock *tcp = (struct tcp_sock *)socket_of(skb);

	return sent ? LOAD(tcp, bytes_sent) == size : LOAD(tcp, bytes_received) == 0;
}

/*
 * A segment of TCP. It begins with a message where its first two bytes are a length that fits, and it is the first of
 * its connection or the port is that of DNS. Two messages, as resolvers ask for both kinds of addresses at once, are
 * both looked at.
 */
static __always_inline void look_into_segment(struct __sk_buff *skb, struct packet packet, bool sent)
{
	u8 *header = (u8 *)(long)skb->data + packet.at;
	struct message first, second = {};
	u32 at, size, length, rest;
	u16 port;

	if (header + 20 > (u8 *)(long)skb->data_end)
		return;
	at = packet.at + (header[12] >> 4) * 4;
	size = skb->len - at;
	if (skb->len < at + 2 + MESSAGE_MIN)
		return;
	port = sent ? *(u16 *)(header + 2) : *(u16 *)header;
	if (port != bpf_htons(DNS_PORT) && !is_first(skb, size, sent))
		return;
	if (bpf_skb_load_bytes(skb, at, &first, sizeof(first)))
		return;
	length = bpf_ntohs(first.length);
	if (!is_plausible(&first, sent) || length < MESSAGE_MIN)
		return;
	rest = length + 2 < size ? size - length - 2 : 0;
	if (rest && bpf_skb_load_bytes(skb, at + 2 + length, &second, sizeof(second)))
		return;
	if (sent && size != length + 2 && rest != bpf_ntohs(second.length) + 2u)
		return;
	report_packet(skb, packet, &first, at + 2, rest ? length : size - 2, sent);
	if (rest)
		report_packet(skb, packet, &second, at + 4 + length, rest - 2, sent);
}

SEC("cgroup_skb/egress")
int segment_sent(struct __sk_buff *skb)
{
	struct packet packet = look_at(skb);

	if (packet.protocol == transport_tcp)
		look_into_segment(skb, packet, true);
	return PASS;
}

SEC("cgroup_skb/ingress")
int segment_received(struct __sk_buff *skb)
{
	struct packet packet = look_at(skb);

	if (packet.protocol == transport_tcp)
		look_into_segment(skb, packet, false);
	return PASS;
}

static __always_inline void look_into_datagram(struct __sk_buff *skb, bool sent)
{
	struct packet packet = look_at(skb);
	u32 at = packet.at + UDP_HEADER;
	struct message m;

	if (packet.protocol == transport_udp && !bpf_skb_load_bytes(skb, at, &m.id, sizeof(m) - 2))
		report_packet(skb, packet, &m, at, skb->len - at, sent);
}

SEC("cgroup_skb/egress")
int packet_sent(struct __sk_buff *skb)
{
	look_into_datagram(skb, true);
	return PASS;
}

SEC("cgroup_skb/ingress")
int packet_received(struct __sk_buff *skb)
{
	look_into_datagram(skb, false);
	return PASS;
}
