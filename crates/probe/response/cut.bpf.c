// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/* Attached to a cgroup: lets nothing out of it or into it but by loopback. */
#include "kernel.h"
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* The kernel's interface, with only the member that is read. */
struct __sk_buff {
	u32 unused[10];
	u32 ifindex;
};

#define LOOPBACK 1 /* its number in every network namespace */

static __always_inline int is_local(struct __sk_buff *skb)
{
	return skb->ifindex == LOOPBACK;
}

SEC("cgroup_skb/ingress")
int cut_in(struct __sk_buff *skb)
{
	return is_local(skb);
}

SEC("cgroup_skb/egress")
int cut_out(struct __sk_buff *skb)
{
	return is_local(skb);
}
