/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The kernel's types of sockets and packets: see kernel.h. */
#ifndef ETHOGRAM_KERNEL_NET_H
#define ETHOGRAM_KERNEL_NET_H

#include "kernel.h"

KERNEL_TYPES

struct in6_addr {
	u8 bytes[16];
};

typedef struct {
	void *net;
} possible_net_t;

struct sock_common {
	u32 skc_daddr;
	u32 skc_rcv_saddr;
	u16 skc_dport;
	u16 skc_num;
	u16 skc_family;
	u8 skc_state;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
	possible_net_t skc_net;
	unsigned long skc_flags;
};

typedef struct {
	int owned; /* a system call holds the socket */
} socket_lock_t;

struct sock {
	struct sock_common __sk_common;
	socket_lock_t sk_lock;
	u16 sk_protocol;
	unsigned char sk_kern_sock : 1;
	u16 sk_type;
	int sk_err;
	struct socket *sk_socket;
};

struct skb_shared_info {
	u16 gso_segs;
};

struct sk_buff {
	struct sock *sk;
	u32 len;
	u32 data_len;
	u16 transport_header;
	u16 network_header;
	u32 end;
	u8 *head;
	u8 *data;
};

struct socket {
	struct file *file;
	struct sock *sk;
};

struct iovec {
	void *iov_base;
	unsigned long iov_len;
};

struct iov_iter {
	u8 iter_type;
	unsigned long iov_offset;
	const struct iovec *__iov;
	void *ubuf;
};

struct msghdr {
	void *msg_name;
	struct iov_iter msg_iter;
};

struct sockaddr_un {
	u16 sun_family;
	char sun_path[108];
};

struct unix_address {
	int len;
	struct sockaddr_un name[];
};

struct unix_sock {
	struct unix_address *addr;
	struct path path;
	struct sock *peer;
};

struct inet_sock {
	u16 inet_sport;
};

struct tcp_sock {
	u64 bytes_received;
	u64 bytes_sent;
	u64 bytes_retrans;
	u32 srtt_us; /* times eight */
	u32 total_retrans;
};

KERNEL_TYPES_END

#endif
