/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Whose a socket is that is not one of TCP, who began to talk by it, and whom its process sends to for the first time. */
#ifndef ETHOGRAM_NET_PEER_H
#define ETHOGRAM_NET_PEER_H

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
	enum transport transport FIELD("network.transport", "protocol of the socket; raw: all that the socket is for")
		HABIT_KEY;
};
EVENT(peer, struct udp_peer, 2);

#define EEXIST 17

enum { BEGUN_BY_NOBODY, BEGUN_HERE, BEGUN_BY_PEER };

struct owner {
	struct event_header who;
	u64 begun_at; /* 0, unless by a peer: when that was */
	u32 begun;
	u32 padding;
};

/* Datagrams arrive on behalf of no process: theirs is the one that made the socket or sent by it last. That lies in the socket
 * itself, so that nobody else's sockets push it out. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct owner);
} sockets SEC(".maps");

/* Of sockets that were there before the agent; of all on kernels before 5.11: theirs is the one that bound the socket. */
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
	u16 port;
	u16 transport;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct peer_key);
	__type(value, u8);
} peers SEC(".maps");

struct heard_key {
	u64 socket;
	ip_address address;
	u64 port;
};

/* When a socket that a peer began to talk to has heard from whom. What it sends to these is an answer; to any other it has
 * begun to talk itself. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct heard_key);
	__type(value, u64);
} heard SEC(".maps");

#define ANSWER_NS 300000000000ULL /* how long after it was asked something a socket answers */

/* The owner of a socket, which is a pointer that the verifier knows as one. */
static __always_inline struct owner *owner_at(void *sk)
{
	struct owner *owner = NULL;
	u64 id = (u64)sk;

	if (SOCKETS_HAVE_STORAGE)
		owner = bpf_sk_storage_get(&sockets, sk, NULL, 0);
	return owner ?: bpf_map_lookup_elem(&owners, &id);
}

/* The task as the owner of a socket that had another one, or none. */
static __always_inline void describe_owner(struct owner *fresh, const struct owner *before, struct task_struct *task)
{
	if (before) {
		fresh->begun = before->begun;
		fresh->begun_at = before->begun_at;
	}
	describe_task(&fresh->who, EVENT_flow, cgroup_of(task), task);
}

static __always_inline struct owner *own_in_table(void *sk, struct task_struct *task)
{
	u64 id = (u64)sk;
	struct owner *owner = bpf_map_lookup_elem(&owners, &id);
	struct owner fresh = {};

	if (owner && owner->who.pid == LOAD(task, tgid))
		return owner;
	describe_owner(&fresh, owner, task);
	bpf_map_update_elem(&owners, &id, &fresh, BPF_ANY);
	return bpf_map_lookup_elem(&owners, &id);
}

static __always_inline struct owner *own(void *sk, struct task_struct *task)
{
	struct owner fresh = {};
	struct owner *owner;

	if (!SOCKETS_HAVE_STORAGE)
		return own_in_table(sk, task);
	owner = owner_at(sk);
	if (owner && owner->who.pid == LOAD(task, tgid))
		return owner;
	describe_owner(&fresh, owner, task);
	owner = bpf_sk_storage_get(&sockets, sk, &fresh, BPF_SK_STORAGE_GET_F_CREATE);
	if (owner)
		*owner = fresh;
	return owner;
}

/* A new socket may lie where one lay that is gone. */
SEC("cgroup/sock_create")
int socket_made(struct bpf_sock *sk)
{
	u64 id = (u64)sk;

	if (sk->type == SOCK_STREAM)
		return PASS;
	bpf_map_delete_elem(&owners, &id);
	if (SOCKETS_HAVE_STORAGE)
		own(sk, (struct task_struct *)bpf_get_current_task());
	return PASS;
}

/* Who is the first to send by a socket has begun. */
static __always_inline void begin_flows(struct owner *owner, bool sent)
{
	if (owner->begun != BEGUN_BY_NOBODY)
		return;
	if (!sent)
		owner->begun_at = bpf_ktime_get_boot_ns();
	owner->begun = sent ? BEGUN_HERE : BEGUN_BY_PEER;
}

static __always_inline void hear(const struct sock *sk, const ip_address *address, u16 port)
{
	struct heard_key key = { .socket = (u64)sk, .address = *address, .port = port };
	u64 now = bpf_ktime_get_boot_ns(), *known = bpf_map_lookup_elem(&heard, &key);

	if (known)
		*known = now;
	else
		bpf_map_update_elem(&heard, &key, &now, BPF_ANY);
}

/* Whether what is sent to a peer answers it. */
static __always_inline bool answers(const struct owner *owner, const struct sock *sk, const ip_address *address,
				    u16 port)
{
	struct heard_key key = { .socket = (u64)sk, .address = *address, .port = port };
	u64 *known;

	if (owner->begun != BEGUN_BY_PEER)
		return false;
	known = bpf_map_lookup_elem(&heard, &key);
	/* What was heard before that, another socket heard that lay here. */
	return known && *known >= owner->begun_at && bpf_ktime_get_boot_ns() - *known < ANSWER_NS;
}

static __always_inline bool is_datagram(u16 protocol)
{
	return protocol == transport_udp || protocol == transport_udplite;
}

/* The first datagram that a process sends to a peer. */
static __always_inline void report_peer(struct tracker_counters *c, const struct owner *owner,
					const struct flow_key *flow, const struct sock *sk)
{
	u16 transport = LOAD(sk, sk_type) == SOCK_RAW ? transport_raw : LOAD(sk, sk_protocol);
	struct peer_key key = {
		.process_start = owner->who.process_start,
		.process = owner->who.pid,
		.port = flow->port,
		.transport = transport,
		.address = flow->address,
	};
	struct udp_peer e = { .transport = transport };
	u64 workload;
	u8 seen = 1;

	/* Another CPU may be first. Where there is no room it is reported once more. */
	if (bpf_map_lookup_elem(&peers, &key) || (int)bpf_map_update_elem(&peers, &key, &seen, BPF_NOEXIST) == -EEXIST)
		return;
	if (!is_collected_of(c, owner->who.pid, owner->who.cgroup, &workload))
		return;
	e.header = owner->who;
	e.header.event = EVENT_peer;
	e.header.time = bpf_ktime_get_boot_ns();
	e.address = flow->address;
	e.port = flow->port;
	set_local(&e.local_address, sk);
	e.header.habit = habit_of(&e.header, workload,
				  object_between(&e.address, &e.local_address, (u32)transport << 16 | e.port));
	if (is_habitual(c, e.header.habit))
		return;
	e.local_port = local_port(sk);
	submit(c, &e, sizeof(e));
}

#endif
