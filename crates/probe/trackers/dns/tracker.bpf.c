// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * DNS queries and their answers, over UDP and TCP and on any port: what looks like one goes up whole, and is parsed
 * there (hook.rs). An answer is one only where its query was seen: same socket, same id.
 */
#include "packet.bpf.h"
#include "record.bpf.h"

#define MESSAGE_MIN 17   /* header, root name, type and class */
#define MESSAGE_MAX 4096 /* bytes of it that are looked at, a power of two */
#define DNS_PORT 53

enum dns_type {
	dns_type_A = 1,
	dns_type_NS = 2,
	dns_type_CNAME = 5,
	dns_type_SOA = 6,
	dns_type_NULL = 10,
	dns_type_PTR = 12,
	dns_type_HINFO = 13,
	dns_type_MX = 15,
	dns_type_TXT = 16,
	dns_type_AAAA = 28,
	dns_type_SRV = 33,
	dns_type_NAPTR = 35,
	dns_type_DS = 43,
	dns_type_SSHFP = 44,
	dns_type_RRSIG = 46,
	dns_type_NSEC = 47,
	dns_type_DNSKEY = 48,
	dns_type_TLSA = 52,
	dns_type_SVCB = 64,
	dns_type_HTTPS = 65,
	dns_type_IXFR = 251,
	dns_type_AXFR = 252,
	dns_type_ANY = 255,
	dns_type_CAA = 257,
};

enum dns_class {
	dns_class_IN = 1,
	dns_class_CH = 3,
	dns_class_HS = 4,
	dns_class_ANY = 255,
};

enum dns_response_code {
	dns_response_code_NOERROR = 0,
	dns_response_code_FORMERR = 1,
	dns_response_code_SERVFAIL = 2,
	dns_response_code_NXDOMAIN = 3,
	dns_response_code_NOTIMP = 4,
	dns_response_code_REFUSED = 5,
	dns_response_code_YXDOMAIN = 6,
	dns_response_code_YXRRSET = 7,
	dns_response_code_NXRRSET = 8,
	dns_response_code_NOTAUTH = 9,
	dns_response_code_NOTZONE = 10,
};

/* Where a message went or came from, and its bytes, for the hook that reads the rest from them. */
struct dns_query {
	struct event_header header;
	ip_address address FIELD("network.peer.address", "the server's address");
	u16 port FIELD("network.peer.port", "the server's port");
	u16 id FIELD("dns.id", "number of the query");
	enum transport transport FIELD("network.transport", "udp or tcp");
	enum dns_type type FIELD("dns.question.type", "type of record asked for");
	enum dns_class class FIELD("dns.question.class", "class of record asked for");
	str_ref name FIELD("dns.question.name", "name asked for; bytes that are no letters stand as \\DDD");
	str_ref payload INTERNAL("payload");
	u32 size INTERNAL("size");
};
EVENT(query, struct dns_query, 1);

struct dns_answer {
	struct event_header header;
	ip_address address FIELD("network.peer.address", "the server's address");
	u16 port FIELD("network.peer.port", "the server's port");
	u16 id FIELD("dns.id", "number of the query");
	enum transport transport FIELD("network.transport", "udp or tcp");
	enum dns_type type FIELD("dns.question.type", "type of record asked for");
	enum dns_class class FIELD("dns.question.class", "class of record asked for");
	str_ref name FIELD("dns.question.name", "name asked for; bytes that are no letters stand as \\DDD");
	str_ref payload INTERNAL("payload");
	u32 size INTERNAL("size");
	enum dns_response_code code FIELD("dns.response_code", "how the server answered");
	args_ref addresses FIELD("dns.answers", "addresses in the answer");
	args_ref aliases FIELD("dns.canonical_names", "names that the name asked for stands for");
	duration_ns latency FIELD("dns.lookup.duration", "from the query to its answer");
	u16 count FIELD("dns.answer_count", "records in the answer");
	bool8 truncated FIELD("dns.truncated", "whether the server left out what did not fit");
};
EVENT(answer, struct dns_answer, 2);

struct query_key {
	u64 socket;
	u64 id;
};

/* Queries without an answer yet, and who asked. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct query_key);
	__type(value, struct event_header);
} pending SEC(".maps");

struct message {
	u16 length; /* before a message over TCP */
	u16 id;
	u16 flags;
	u16 questions;
	u16 answers;
	u16 authorities;
	u16 additional;
};

#define RESPONSE 0x8000
#define OPCODE 0x7800
#define RESERVED 0x0040

/* Whether a message's header is that of a query, where one is sent, or of an answer, where one arrives. */
static __always_inline bool is_plausible(const struct message *m, bool sent)
{
	u16 flags = bpf_ntohs(m->flags);

	if (m->questions != bpf_htons(1) || flags & (OPCODE | RESERVED))
		return false;
	if (sent)
		return !(flags & RESPONSE) && !(flags & 0xf) && !m->answers && !m->authorities;
	return flags & RESPONSE;
}

/* Sends up a message of which the common part is filled in; the members up to `size` are the same in both events. */
static __always_inline void send_message(struct tracker_counters *c, struct record *r, struct __sk_buff *skb,
					 struct packet packet, const struct sock *sk, u32 at, u32 size, bool sent)
{
	struct dns_query *e = (void *)r->data;
	u32 taken = size > MESSAGE_MAX ? MESSAGE_MAX : size;

	e->port = set_packet_peer(&e->address, skb, packet, sk, sent);
	e->transport = packet.protocol;
	e->size = size;
	/* So that older verifiers see that it is from 1 to MESSAGE_MAX. */
	barrier_var(taken);
	taken = ((taken - 1) & (MESSAGE_MAX - 1)) + 1;
	e->payload.offset = r->size;
	e->payload.length = taken;
	if (bpf_skb_load_bytes(skb, at, tail(r), taken)) {
		discard(r);
		c->dropped__packet__unread++;
		return;
	}
	r->size += taken;
	send(c, r);
}

static __always_inline void report_query(struct __sk_buff *skb, struct packet packet, const struct message *m, u32 at,
					 u32 size)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct sock *sk = socket_of(skb);
	struct query_key key = { .socket = (u64)sk, .id = m->id };
	struct tracker_counters *c = count();
	struct event_header who;
	struct dns_query *e;
	struct record *r;

	if (!c || !LOAD(sk, sk_socket, file))
		return;
	if (packet.protocol == transport_tcp && !LOAD(sk, sk_lock.owned)) {
		/* Sent later, when there was room: on behalf of no process. */
		c->seen++;
		c->dropped__owner__unknown++;
		return;
	}
	describe_task(&who, EVENT_query, cgroup_of(task), task);
	if (!wanted_from(c, who.pid, who.cgroup))
		return;
	bpf_map_update_elem(&pending, &key, &who, BPF_ANY);
	r = begin(c, sizeof(*e));
	if (!r)
		return;
	e = (void *)r->data;
	__builtin_memset(e, 0, sizeof(*e));
	e->header = who;
	e->id = bpf_ntohs(m->id);
	send_message(c, r, skb, packet, sk, at, size, true);
}

static __always_inline void report_answer(struct __sk_buff *skb, struct packet packet, const struct message *m, u32 at,
					  u32 size)
{
	struct sock *sk = socket_of(skb);
	struct query_key key = { .socket = (u64)sk, .id = m->id };
	struct event_header *who = bpf_map_lookup_elem(&pending, &key);
	struct tracker_counters *c = count();
	struct dns_answer *e;
	struct record *r;

	if (!who || !c || !wanted_from(c, who->pid, who->cgroup))
		return;
	r = begin(c, sizeof(*e));
	if (!r)
		return;
	e = (void *)r->data;
	__builtin_memset(e, 0, sizeof(*e));
	e->header = *who;
	e->header.event = EVENT_answer;
	e->header.time = bpf_ktime_get_boot_ns();
	e->latency = e->header.time - who->time;
	e->id = bpf_ntohs(m->id);
	bpf_map_delete_elem(&pending, &key);
	send_message(c, r, skb, packet, sk, at, size, false);
}

static __always_inline void look_into(struct __sk_buff *skb, struct packet packet, const struct message *m, u32 at,
				      u32 size, bool sent)
{
	if (size < MESSAGE_MIN || !is_plausible(m, sent))
		return;
	if (sent)
		report_query(skb, packet, m, at, size);
	else
		report_answer(skb, packet, m, at, size);
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
	look_into(skb, packet, &first, at + 2, rest ? length : size - 2, sent);
	if (rest)
		look_into(skb, packet, &second, at + 4 + length, rest - 2, sent);
}

static __always_inline void look_into_packet(struct __sk_buff *skb, bool sent)
{
	struct packet packet = look_at(skb);
	struct message m;
	u32 at = packet.at + 8;

	if (packet.protocol == transport_tcp)
		look_into_segment(skb, packet, sent);
	else if (packet.protocol == transport_udp && !bpf_skb_load_bytes(skb, at, &m.id, sizeof(m) - 2))
		look_into(skb, packet, &m, at, skb->len - at, sent);
}

SEC("cgroup_skb/egress")
int message_sent(struct __sk_buff *skb)
{
	look_into_packet(skb, true);
	return PASS;
}

SEC("cgroup_skb/ingress")
int message_received(struct __sk_buff *skb)
{
	look_into_packet(skb, false);
	return PASS;
}
