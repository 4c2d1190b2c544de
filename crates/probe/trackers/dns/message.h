/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* What is reported of a message, wherever its bytes lie, and which answer belongs to which query. */
#ifndef ETHOGRAM_DNS_MESSAGE_H
#define ETHOGRAM_DNS_MESSAGE_H

#include "packet.bpf.h"
#include "record.bpf.h"

#define MESSAGE_MIN 17	 /* header, root name, type and class */
#define MESSAGE_MAX 4096 /* bytes of it that are read, a power of two */

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

struct peer {
	ip_address address;
	u16 port;
	u16 padding[3];
};

struct question {
	struct event_header who;
	struct peer whom;
};

/* Queries without an answer yet, who asked, and whom. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct query_key);
	__type(value, struct question);
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

/* Where the bytes of a message lie. Each program has one place, so what another would need is not in it. */
struct bytes {
	enum { IN_PACKET, IN_KERNEL, IN_USER } place;
	union {
		struct __sk_buff *skb;
		const void *memory;
	};
	u32 at;
	u32 size;  /* of the message */
	u32 there; /* how many of them can be read there */
};

static __always_inline long read_bytes(void *to, u32 size, const struct bytes *from)
{
	if (from->place == IN_PACKET)
		return bpf_skb_load_bytes(from->skb, from->at, to, size);
	if (from->place == IN_KERNEL)
		return bpf_probe_read_kernel(to, size, from->memory + from->at);
	return bpf_probe_read_user(to, size, from->memory + from->at);
}

/* Sends up a message of which the common part is filled in; the members up to `size` are the same in both events. */
static __always_inline void send_message(struct tracker_counters *c, struct record *r, const struct bytes *bytes,
					 const struct peer *peer, enum transport transport)
{
	struct dns_query *e = (void *)r->data;
	u32 taken = bytes->there > MESSAGE_MAX ? MESSAGE_MAX : bytes->there;

	e->address = peer->address;
	e->port = peer->port;
	e->transport = transport;
	e->size = bytes->size;
	/* So that older verifiers see that it is from 1 to MESSAGE_MAX. */
	barrier_var(taken);
	taken = ((taken - 1) & (MESSAGE_MAX - 1)) + 1;
	e->payload.offset = r->size;
	e->payload.length = taken;
	if (read_bytes(tail(r), taken, bytes)) {
		discard(r);
		c->dropped__packet__unread++;
		return;
	}
	r->size += taken;
	send(c, r);
}

/* Of a socket that belongs to a process, from which the current one has sent it. */
static __always_inline void report_query(const struct sock *sk, const struct message *m, const struct bytes *bytes,
					 const struct peer *peer, enum transport transport)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct query_key key = { .socket = (u64)sk, .id = m->id };
	struct question question = { .whom = *peer };
	struct tracker_counters *c = count();
	struct dns_query *e;
	struct record *r;

	if (!c)
		return;
	describe_task(&question.who, EVENT_query, cgroup_of(task), task);
	if (!is_collected_from(c, question.who.pid, question.who.cgroup))
		return;
	bpf_map_update_elem(&pending, &key, &question, BPF_ANY);
	r = begin(c, sizeof(*e));
	if (!r)
		return;
	e = (void *)r->data;
	__builtin_memset(e, 0, sizeof(*e));
	e->header = question.who;
	e->id = bpf_ntohs(m->id);
	send_message(c, r, bytes, peer, transport);
}

/* Where `peer` has no address, it is the one that was asked. */
static __always_inline void report_answer(const struct sock *sk, const struct message *m, const struct bytes *bytes,
					  const struct peer *peer, enum transport transport)
{
	struct query_key key = { .socket = (u64)sk, .id = m->id };
	struct question *question = bpf_map_lookup_elem(&pending, &key);
	struct tracker_counters *c = count();
	struct peer whom;
	struct dns_answer *e;
	struct record *r;

	if (!question || !c || !is_collected_from(c, question->who.pid, question->who.cgroup))
		return;
	r = begin(c, sizeof(*e));
	if (!r)
		return;
	e = (void *)r->data;
	__builtin_memset(e, 0, sizeof(*e));
	e->header = question->who;
	e->header.event = EVENT_answer;
	e->header.time = bpf_ktime_get_boot_ns();
	e->latency = e->header.time - question->who.time;
	e->id = bpf_ntohs(m->id);
	whom = peer->port ? *peer : question->whom;
	bpf_map_delete_elem(&pending, &key);
	send_message(c, r, bytes, &whom, transport);
}

#endif
