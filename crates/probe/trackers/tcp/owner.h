/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Whose a connection is: its state changes in interrupts, on behalf of no process. That lies in the socket itself, so that nobody
 * else's sockets push it out, and a socket that was accepted has that of the one that listens. Only sockets that were there before
 * the agent are in tables, and all are on kernels before 5.11.
 */
#ifndef ETHOGRAM_TCP_OWNER_H
#define ETHOGRAM_TCP_OWNER_H

#include "socket.bpf.h"

enum connection_kinds { CONNECTED, ACCEPTED, LISTENS, ENDED };

struct connection {
	struct event_header who;
	u64 started; /* 0: before the agent */
	u32 kind;    /* enum connection_kinds */
	u32 padding;
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct connection);
} sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 32768);
	__type(key, u64);
	__type(value, struct connection);
} connections SEC(".maps");

struct listener_key {
	u64 net;
	ip_address address;
	u64 port;
};

/* Accepted connections belong to the process that listens. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct listener_key);
	__type(value, struct event_header);
} listeners SEC(".maps");

static __always_inline struct listener_key listener_of(const struct sock *sk)
{
	struct listener_key key = { .net = (u64)LOAD(sk, __sk_common.skc_net.net), .port = local_port(sk) };

	set_local(&key.address, sk);
	return key;
}

static __always_inline struct connection *connection_of(const struct sock *sk)
{
	struct connection *connection = NULL;
	u64 id = (u64)sk;

	if (SOCKETS_HAVE_STORAGE)
		connection = bpf_sk_storage_get(&sockets, (void *)sk, NULL, 0);
	if (!connection)
		connection = bpf_map_lookup_elem(&connections, &id);
	return connection && connection->kind <= ACCEPTED ? connection : NULL;
}

/* Whose the socket is from now on. Whether there was room. */
static __always_inline bool keep(const struct sock *sk, struct connection *connection)
{
	struct connection *kept;
	u64 id = (u64)sk;

	if (!SOCKETS_HAVE_STORAGE)
		return !bpf_map_update_elem(&connections, &id, connection, BPF_ANY);
	kept = bpf_sk_storage_get(&sockets, (void *)sk, connection, BPF_SK_STORAGE_GET_F_CREATE);
	if (kept)
		*kept = *connection;
	return kept;
}

static __always_inline void end(const struct sock *sk, struct connection *connection)
{
	u64 id = (u64)sk;

	connection->kind = ENDED;
	bpf_map_delete_elem(&connections, &id);
}

/* Who listens where the socket was accepted: at its address, or at any. */
static __always_inline struct event_header *listener_at(const struct sock *sk)
{
	struct listener_key key = listener_of(sk);
	struct event_header *who = bpf_map_lookup_elem(&listeners, &key);

	if (who)
		return who;
	set_ipv4(&key.address, 0);
	who = bpf_map_lookup_elem(&listeners, &key);
	if (who)
		return who;
	__builtin_memset(&key.address, 0, sizeof(key.address));
	return bpf_map_lookup_elem(&listeners, &key);
}

/* The connection of a socket that was accepted just now; none where it is not known who listens. */
static __always_inline struct connection *accepted(const struct sock *sk)
{
	struct connection fresh = { .kind = ACCEPTED }, *cloned;
	struct event_header *listener;

	if (SOCKETS_HAVE_STORAGE) {
		cloned = bpf_sk_storage_get(&sockets, (void *)sk, NULL, 0);
		if (cloned && cloned->kind == LISTENS) {
			cloned->kind = ACCEPTED;
			cloned->started = bpf_ktime_get_boot_ns();
			return cloned;
		}
	}
	listener = listener_at(sk);
	if (!listener)
		return NULL;
	fresh.who = *listener;
	fresh.started = bpf_ktime_get_boot_ns();
	return keep(sk, &fresh) ? connection_of(sk) : NULL;
}

/* The socket listens, on behalf of a process. Whether there was room. */
static __always_inline bool keep_listener(const struct sock *sk, const struct event_header *who)
{
	struct connection connection = { .who = *who, .kind = LISTENS };
	struct listener_key key;

	if (SOCKETS_HAVE_STORAGE)
		return keep(sk, &connection);
	key = listener_of(sk);
	return !bpf_map_update_elem(&listeners, &key, who, BPF_ANY);
}

/* Who reaches a socket of the kernel's own is nobody's process. */
static __always_inline bool is_of_the_kernel(const struct sock *sk)
{
	return BPF_CORE_READ_BITFIELD_PROBED(sk, sk_kern_sock);
}

/* What of a socket is not known, is counted: of nobody's, nothing is to be known. */
static __always_inline void count_unknown(struct tracker_counters *c, const struct sock *sk)
{
	if (is_of_the_kernel(sk))
		return;
	c->seen++;
	c->dropped__owner__unknown++;
}

#endif
