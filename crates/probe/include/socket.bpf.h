/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* What can be asked of a socket. */
#ifndef ETHOGRAM_SOCKET_H
#define ETHOGRAM_SOCKET_H

#include "file.bpf.h"
#include "kernel_net.h"
#include <bpf/bpf_endian.h>

#define S_IFSOCK 0140000

enum socket_family {
	AF_UNIX = 1,
	AF_INET = 2,
	AF_AX25 = 3,
	AF_IPX = 4,
	AF_APPLETALK = 5,
	AF_NETROM = 6,
	AF_X25 = 9,
	AF_INET6 = 10,
	AF_ROSE = 11,
	AF_KEY = 15,
	AF_NETLINK = 16,
	AF_PACKET = 17,
	AF_RDS = 21,
	AF_PPPOX = 24,
	AF_IB = 27,
	AF_CAN = 29,
	AF_TIPC = 30,
	AF_BLUETOOTH = 31,
	AF_RXRPC = 33,
	AF_PHONET = 35,
	AF_ALG = 38,
	AF_NFC = 39,
	AF_VSOCK = 40,
	AF_KCM = 41,
	AF_QIPCRTR = 42,
	AF_SMC = 43,
	AF_XDP = 44,
	AF_MCTP = 45,
};

enum socket_type {
	SOCK_STREAM = 1,
	SOCK_DGRAM = 2,
	SOCK_RAW = 3,
	SOCK_RDM = 4,
	SOCK_SEQPACKET = 5,
	SOCK_DCCP = 6,
	SOCK_PACKET = 10,
};

enum transport {
	transport_icmp = 1,
	transport_tcp = 6,
	transport_udp = 17,
	transport_dccp = 33,
	transport_icmpv6 = 58,
	transport_sctp = 132,
	transport_udplite = 136,
	transport_raw = 255,
};

/* What is known of a socket lies in the socket itself, from the version on with which all programs that need it may use that. */
#define SOCKETS_HAVE_STORAGE bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_sock_from_file)

static __always_inline bool is_ip(u16 family)
{
	return family == AF_INET || family == AF_INET6;
}

static __always_inline void set_ipv4(ip_address *to, u32 address)
{
	__builtin_memset(to, 0, sizeof(*to));
	to->bytes[10] = to->bytes[11] = 0xff;
	__builtin_memcpy(to->bytes + 12, &address, 4);
}

static __always_inline void set_peer(ip_address *to, const struct sock *sk)
{
	if (LOAD(sk, __sk_common.skc_family) == AF_INET)
		set_ipv4(to, LOAD(sk, __sk_common.skc_daddr));
	else
		bpf_probe_read_kernel(to, sizeof(*to), &sk->__sk_common.skc_v6_daddr);
}

static __always_inline void set_local(ip_address *to, const struct sock *sk)
{
	if (LOAD(sk, __sk_common.skc_family) == AF_INET)
		set_ipv4(to, LOAD(sk, __sk_common.skc_rcv_saddr));
	else
		bpf_probe_read_kernel(to, sizeof(*to), &sk->__sk_common.skc_v6_rcv_saddr);
}

static __always_inline u16 peer_port(const struct sock *sk)
{
	return bpf_ntohs(LOAD(sk, __sk_common.skc_dport));
}

static __always_inline u16 local_port(const struct sock *sk)
{
	u16 port = LOAD(sk, __sk_common.skc_num);

	/* A socket gives its port back before it is closed. */
	return port ? port : bpf_ntohs(LOAD((const struct inet_sock *)sk, inet_sport));
}

/* The socket behind an open file; nothing where it is no socket. */
static __always_inline struct sock *sock_of(struct file *file)
{
	struct socket *socket;

	if (!file || (LOAD(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return NULL;
	socket = LOAD(file, private_data);
	return LOAD(socket, sk);
}

#endif
