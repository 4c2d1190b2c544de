// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/* Signals: who sends what to whom. Those of the kernel itself are reported for the process that gets them. */
#include "tracker.bpf.h"

PARAM(bool8, own, 0, "whether signals that a process sends to itself are reported");
PARAM(bool8, kernel, 1, "whether signals that the kernel sends are reported: faults, timers, broken pipes");
PARAM(bool8, children, 0, "whether SIGCHLD, which parents get from their children, is reported");
PARAM(u32, only, 0, "the only signal that is reported, by its number; 0: all");

#define SIGCHLD 17

enum signal_outcome {
	signal_outcome_delivered,
	signal_outcome_ignored,
	signal_outcome_already_pending,
	signal_outcome_queue_full,
	signal_outcome_information_lost,
};

/* Negative ones as the kernel counts them; those of faults and of children depend on the signal. */
enum signal_code {
	SI_USER = 0,
	SI_KERNEL = 0x80,
	SI_QUEUE = -1,
	SI_TIMER = -2,
	SI_MESGQ = -3,
	SI_ASYNCIO = -4,
	SI_SIGIO = -5,
	SI_TKILL = -6,
};

struct signal_sent {
	struct event_header header; /* of the sender; of the target where the kernel sent it */
	signal_number signal FIELD("signal.name", "the signal");
	enum signal_code code FIELD("signal.code", "how it was sent");
	enum signal_outcome outcome FIELD("signal.outcome", "what became of it");
	u32 target FIELD("signal.target.pid", "the process that it was sent to");
	u64 target_cgroup FIELD("signal.target.cgroup.id", "cgroup of that process");
	char target_name[16] FIELD("signal.target.name", "name of that process");
	bool8 by_kernel FIELD("signal.by_kernel", "whether the kernel sent it, of its own accord or by a timer");
	bool8 other_cgroup FIELD("signal.target.other_cgroup", "whether sender and target are in different cgroups");
};
EVENT(sent, struct signal_sent, 1);

/* Instead of a description the kernel passes these: from a process, from the kernel. */
enum { SEND_SIG_NOINFO, SEND_SIG_PRIV };

SEC("tp_btf/signal_generate")
int BPF_PROG(signal_generate, int signal, struct kernel_siginfo *info, struct task_struct *target, int to_process,
	     int outcome)
{
	struct tracker_counters *c = count();
	struct signal_sent e = {};
	u64 cgroup;
	u32 sender;
	int code;

	if (!c)
		return 0;
	if ((u64)info == SEND_SIG_NOINFO)
		code = SI_USER;
	else if ((u64)info == SEND_SIG_PRIV)
		code = SI_KERNEL;
	else
		code = LOAD(info, si_code);
	e.by_kernel = code > 0 || code == SI_TIMER;
	e.target = LOAD(target, tgid);
	e.target_cgroup = cgroup_of(target);
	cgroup = e.by_kernel ? e.target_cgroup : current_cgroup();
	sender = e.by_kernel ? e.target : bpf_get_current_pid_tgid() >> 32;
	if (!is_collected_from(c, sender, cgroup))
		return 0;
	if ((only && signal != only) || (signal == SIGCHLD && !children) || (e.by_kernel && !kernel) ||
	    (!e.by_kernel && sender == e.target && !own)) {
		c->filtered__parameter++;
		return 0;
	}
	if (e.by_kernel)
		describe_task(&e.header, EVENT_sent, cgroup, target);
	else
		describe_current(&e.header, EVENT_sent, cgroup);
	e.signal = signal;
	e.code = code;
	e.outcome = outcome;
	e.other_cgroup = cgroup != e.target_cgroup;
	bpf_probe_read_kernel_str(e.target_name, sizeof(e.target_name), &target->comm);
	submit(c, &e, sizeof(e));
	return 0;
}
