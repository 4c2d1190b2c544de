// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * TCP connections from the changes of their state: outside the path of system calls, so a service's requests do not
 * pay for it. A connection's later states change in interrupts, on behalf of no process: who opened it is remembered.
 */
#include "habit.bpf.h"
#include "owner.h"
#include "sample.bpf.h"
#include "socket.bpf.h"

enum { ESTABLISHED = 1, SYN_SENT = 2, SYN_RECV = 3, CLOSE = 7, LISTEN = 10 };
#define SOCK_DONE 1

struct tcp_connect {
	struct event_header header;
	ip_address address FIELD("network.peer.address", "the peer's address") HABIT_KEY;
	ip_address local_address FIELD("network.local.address", "own address") HABIT_KEY;
	u16 port FIELD("network.peer.port", "the peer's port") HABIT_KEY;
	u16 local_port FIELD("network.local.port", "own port");
	error_number error FIELD("error.type", "why the connection failed, if the peer or the network said so")
		HABIT_KEY;
	duration_ns latency FIELD("network.connection.latency",
				  "from the first packet until it was open, or had failed");
	bool8 established FIELD("network.connection.established", "whether it was opened") HABIT_KEY;
};
EVENT(connect, struct tcp_connect, 1);

struct tcp_accept {
	struct event_header header;
	ip_address address FIELD("network.peer.address", "the peer's address");
	ip_address local_address FIELD("network.local.address", "own address") HABIT_KEY;
	u16 port FIELD("network.peer.port", "the peer's port");
	u16 local_port FIELD("network.local.port", "own port") HABIT_KEY;
};
EVENT(accept, struct tcp_accept, 2);

struct tcp_listen {
	struct event_header header;
	ip_address local_address FIELD("network.local.address", "own address") HABIT_KEY;
	u16 local_port FIELD("network.local.port", "own port") HABIT_KEY;
};
EVENT(listen, struct tcp_listen, 3);

struct tcp_close {
	struct event_header header;
	ip_address address FIELD("network.peer.address", "the peer's address");
	ip_address local_address FIELD("network.local.address", "own address");
	u16 port FIELD("network.peer.port", "the peer's port");
	u16 local_port FIELD("network.local.port", "own port");
	bool8 accepted FIELD("network.connection.accepted", "whether the peer had opened it");
	u64 sent FIELD("network.connection.sent_bytes", "bytes sent, repeated ones not counted");
	u64 received FIELD("network.connection.received_bytes", "bytes received");
	duration_ns duration FIELD("network.connection.duration",
				   "from the first packet; absent if the agent came later");
	duration_ns round_trip FIELD("network.connection.round_trip",
				     "usual time to the peer and back; absent if unknown");
	u32 retransmits FIELD("network.connection.retransmits", "segments sent again");
};
EVENT(close, struct tcp_close, 4);

struct tcp_listening {
	struct event_header header;
	ip_address local_address FIELD("network.local.address", "own address");
	u16 local_port FIELD("network.local.port", "own port");
};
EVENT(listening, struct tcp_listening, 5);

enum direction { direction_receive = 1, direction_transmit };

struct tcp_reset {
	struct event_header header;
	ip_address address FIELD("network.peer.address", "the peer's address");
	ip_address local_address FIELD("network.local.address", "own address");
	u16 port FIELD("network.peer.port", "the peer's port");
	u16 local_port FIELD("network.local.port", "own port");
	enum direction direction FIELD("network.io.direction", "transmit: by this side; receive: by the peer");
};
EVENT(reset, struct tcp_reset, 6);

/* Opened here: by peer and its port. Opened by the peer: by peer and the own port, as those of clients pass. */
struct route_key {
	ip_address address FIELD("network.peer.address", "the peer's address");
	u32 process INTERNAL("process");
	u16 port FIELD("network.peer.port", "the peer's port; 0 where it opened the connections");
	u16 local_port FIELD("network.local.port", "own port; 0 where this side opened the connections");
};

struct tcp_route {
	struct event_header header;
	u64 retransmits FIELD("network.connection.retransmits", "segments sent again since the last row");
	u64 closed FIELD("network.connection.closed",
			 "connections closed since the last row, of which there is a round trip");
	u64 to_16us FIELD("network.connection.round_trip.to_16us", "of these, round trips up to 16 microseconds");
	u64 to_64us FIELD("network.connection.round_trip.to_64us", "up to 64 microseconds");
	u64 to_256us FIELD("network.connection.round_trip.to_256us", "up to 256 microseconds");
	u64 to_1ms FIELD("network.connection.round_trip.to_1ms", "up to 1.024 milliseconds");
	u64 to_4ms FIELD("network.connection.round_trip.to_4ms", "up to 4.096 milliseconds");
	u64 to_16ms FIELD("network.connection.round_trip.to_16ms", "up to 16.384 milliseconds");
	u64 to_65ms FIELD("network.connection.round_trip.to_65ms", "up to 65.536 milliseconds");
	u64 to_262ms FIELD("network.connection.round_trip.to_262ms", "up to 262.144 milliseconds");
	u64 longer FIELD("network.connection.round_trip.longer", "longer ones");
};
SAMPLE(route, struct route_key, struct tcp_route, 7, 8192);

PARAM(bool8, existing, 0, "whether ports that were listened on before are reported once at the start");

static __always_inline void begin_connect(struct tracker_counters *c, const struct sock *sk)
{
	struct connection connection = { .kind = CONNECTED };
	u64 cgroup = current_cgroup();

	describe_current(&connection.who, EVENT_connect, cgroup);
	connection.started = connection.who.time;
	if (!keep(sk, &connection)) {
		c->seen++;
		c->dropped__table__full++;
	}
}

static __always_inline void report_connect(struct tracker_counters *c, const struct sock *sk, bool established)
{
	struct connection *connection = connection_of(sk);
	struct tcp_connect e = {};
	u64 workload;

	if (!connection) {
		count_unknown(c, sk);
		return;
	}
	if (is_collected_of(c, connection->who.pid, connection->who.cgroup, &workload)) {
		e.header = connection->who;
		e.header.event = EVENT_connect;
		e.established = established;
		set_peer(&e.address, sk);
		set_local(&e.local_address, sk);
		e.port = peer_port(sk);
		e.error = established ? 0 : LOAD(sk, sk_err);
		e.header.habit = habit_of(&e.header, workload,
					  object_between(&e.address, &e.local_address,
							 (u64)e.error << 32 | established << 16 | e.port));
		if (!is_habitual(c, e.header.habit)) {
			e.header.time = bpf_ktime_get_boot_ns();
			e.latency = e.header.time - connection->started;
			e.local_port = local_port(sk);
			submit(c, &e, sizeof(e));
		}
	}
	if (!established)
		end(sk, connection);
}

static __always_inline void report_accept(struct tracker_counters *c, const struct sock *sk)
{
	struct connection *connection = accepted(sk);
	struct tcp_accept e = {};
	u64 workload;

	if (!connection) {
		count_unknown(c, sk);
		return;
	}
	if (!is_collected_of(c, connection->who.pid, connection->who.cgroup, &workload))
		return;
	e.header = connection->who;
	e.header.event = EVENT_accept;
	e.header.time = connection->started;
	set_local(&e.local_address, sk);
	e.local_port = local_port(sk);
	e.header.habit = habit_of(&e.header, workload, object_of_address(&e.local_address, e.local_port));
	if (is_habitual(c, e.header.habit))
		return;
	set_peer(&e.address, sk);
	e.port = peer_port(sk);
	submit(c, &e, sizeof(e));
}

static __always_inline void report_listen(struct tracker_counters *c, const struct sock *sk)
{
	struct tcp_listen e = {};
	u64 cgroup = current_cgroup(), workload;

	describe_current(&e.header, EVENT_listen, cgroup);
	if (!keep_listener(sk, &e.header)) {
		c->seen++;
		c->dropped__table__full++;
	}
	if (!is_collected_of(c, e.header.pid, cgroup, &workload))
		return;
	set_local(&e.local_address, sk);
	e.local_port = local_port(sk);
	e.header.habit = habit_of(&e.header, workload, object_of_address(&e.local_address, e.local_port));
	if (is_habitual(c, e.header.habit))
		return;
	submit(c, &e, sizeof(e));
}

/* The row of the connection's peer, where there is room for one. Counts what it is asked for as seen. */
static __always_inline struct tcp_route *route_of(struct tracker_counters *c, const struct sock *sk,
						  const struct connection *connection)
{
	struct route_key key = { .process = connection->who.pid };
	void *table = table_in(&route_tables);
	struct tcp_route *row;

	set_peer(&key.address, sk);
	if (connection->kind == ACCEPTED)
		key.local_port = local_port(sk);
	else
		key.port = peer_port(sk);
	row = table ? bpf_map_lookup_elem(table, &key) : NULL;
	if (!row && table) {
		struct tcp_route first = { .header = connection->who };

		first.header.event = EVENT_route;
		first.header.time = bpf_ktime_get_boot_ns();
		bpf_map_update_elem(table, &key, &first, BPF_NOEXIST);
		row = bpf_map_lookup_elem(table, &key);
	}
	if (row)
		c->aggregated++;
	else
		c->dropped__table__full++;
	return row;
}

static __always_inline void count_round_trip(struct tcp_route *row, u32 us)
{
	__sync_fetch_and_add(&row->closed, 1);
	__sync_fetch_and_add(us <= 16	  ? &row->to_16us :
			     us <= 64	  ? &row->to_64us :
			     us <= 256	  ? &row->to_256us :
			     us <= 1024	  ? &row->to_1ms :
			     us <= 4096	  ? &row->to_4ms :
			     us <= 16384  ? &row->to_16ms :
			     us <= 65536  ? &row->to_65ms :
			     us <= 262144 ? &row->to_262ms :
					    &row->longer,
			     1);
}

static __always_inline void report_close(struct tracker_counters *c, const struct sock *sk)
{
	struct connection *connection = connection_of(sk);
	const struct tcp_sock *tcp = (const struct tcp_sock *)sk;
	u32 round_trip = LOAD(tcp, srtt_us) >> 3;
	struct tcp_close e = {};
	struct tcp_route *row;

	if (!connection)
		return;
	if (is_subscribed(c, EVENT_close) && is_collected_from(c, connection->who.pid, connection->who.cgroup)) {
		e.header = connection->who;
		e.header.event = EVENT_close;
		e.header.time = bpf_ktime_get_boot_ns();
		e.accepted = connection->kind == ACCEPTED;
		e.duration = connection->started ? e.header.time - connection->started : UNKNOWN_DURATION;
		set_peer(&e.address, sk);
		set_local(&e.local_address, sk);
		e.port = peer_port(sk);
		e.local_port = local_port(sk);
		e.sent = LOAD(tcp, bytes_sent) - LOAD(tcp, bytes_retrans);
		e.received = LOAD(tcp, bytes_received);
		/* The kernel counts the peer's FIN as a byte. */
		if (e.received && LOAD(sk, __sk_common.skc_flags) & 1 << SOCK_DONE)
			e.received--;
		e.round_trip = round_trip ? round_trip * 1000ULL : UNKNOWN_DURATION;
		e.retransmits = LOAD(tcp, total_retrans);
		submit(c, &e, sizeof(e));
	}
	if (round_trip && is_subscribed(c, EVENT_route) &&
	    is_collected_from(c, connection->who.pid, connection->who.cgroup)) {
		row = route_of(c, sk, connection);
		if (row)
			count_round_trip(row, round_trip);
	}
	end(sk, connection);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(inet_sock_set_state, const struct sock *sk, int from, int to)
{
	struct tracker_counters *c = count();

	if (!c || LOAD(sk, sk_protocol) != transport_tcp)
		return 0;
	if (to == SYN_SENT)
		begin_connect(c, sk);
	else if (to == ESTABLISHED && from == SYN_SENT)
		report_connect(c, sk, true);
	else if (to == CLOSE && from == SYN_SENT)
		report_connect(c, sk, false);
	else if (to == ESTABLISHED && from == SYN_RECV)
		report_accept(c, sk);
	else if (to == LISTEN)
		report_listen(c, sk);
	else if (to == CLOSE && from != LISTEN)
		report_close(c, sk);
	return 0;
}

SEC("tp_btf/tcp_retransmit_skb")
int BPF_PROG(tcp_retransmit_skb, const struct sock *sk)
{
	struct tracker_counters *c = count();
	struct connection *connection = connection_of(sk);
	struct tcp_route *row;

	if (!c || !connection || !is_collected_from(c, connection->who.pid, connection->who.cgroup))
		return 0;
	row = route_of(c, sk, connection);
	if (row)
		__sync_fetch_and_add(&row->retransmits, 1);
	return 0;
}

static __always_inline void report_reset(const struct sock *sk, enum direction direction)
{
	struct tracker_counters *c = count();
	u32 state = LOAD(sk, __sk_common.skc_state);
	struct connection *connection = connection_of(sk);
	struct tcp_reset e = { .direction = direction };

	/* A connection that is refused says so itself. */
	if (!c || state == SYN_SENT)
		return;
	if (connection)
		e.header = connection->who;
	else if (direction == direction_transmit && state == CLOSE)
		/* Closed with data unread, or in haste: the reset follows in the same call. */
		describe_current(&e.header, EVENT_reset, current_cgroup());
	else
		return;
	if (!is_collected_from(c, e.header.pid, e.header.cgroup))
		return;
	e.header.event = EVENT_reset;
	e.header.time = bpf_ktime_get_boot_ns();
	set_peer(&e.address, sk);
	set_local(&e.local_address, sk);
	e.port = peer_port(sk);
	e.local_port = local_port(sk);
	submit(c, &e, sizeof(e));
}

SEC("tp_btf/tcp_send_reset")
int BPF_PROG(tcp_send_reset, const struct sock *sk)
{
	/* Where no socket was addressed there is none. */
	if (sk)
		report_reset(sk, direction_transmit);
	return 0;
}

SEC("tp_btf/tcp_receive_reset")
int BPF_PROG(tcp_receive_reset, const struct sock *sk)
{
	report_reset(sk, direction_receive);
	return 0;
}

static __always_inline void report_listening(const struct sock *sk, struct event_header *who)
{
	struct tracker_counters *c = count();
	struct tcp_listening e = {};

	if (!c || !is_collected_from(c, who->pid, who->cgroup))
		return;
	e.header = *who;
	set_local(&e.local_address, sk);
	e.local_port = local_port(sk);
	submit(c, &e, sizeof(e));
}

/* Sockets that were there before the agent. */
SEC("iter/task_file")
int known_sockets(struct bpf_iter__task_file *ctx)
{
	struct connection connection = {};
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct event_header *who = &connection.who;
	struct listener_key key;
	struct sock *sk;
	u64 id;

	if (!task || !file)
		return 0;
	sk = sock_of(file);
	if (!sk || !is_ip(LOAD(sk, __sk_common.skc_family)) || LOAD(sk, sk_protocol) != transport_tcp)
		return 0;
	describe_task(who, EVENT_listening, cgroup_of(task), task);
	id = (u64)sk;
	key = listener_of(sk);
	if (LOAD(sk, __sk_common.skc_state) != LISTEN)
		bpf_map_update_elem(&connections, &id, &connection, BPF_NOEXIST);
	/* Once, whichever processes share the socket. */
	else if (!bpf_map_update_elem(&listeners, &key, who, BPF_NOEXIST) && existing)
		report_listening(sk, who);
	return 0;
}
