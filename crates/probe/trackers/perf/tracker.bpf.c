// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/* Performance events as they are opened: they count and sample what others do, and put probes into kernel and programs. */
#include "file.bpf.h"
#include "record.bpf.h"
#include "syscall.bpf.h"
#include "task.bpf.h"

enum perf_type {
	perf_type_hardware,
	perf_type_software,
	perf_type_tracepoint,
	perf_type_hardware_cache,
	perf_type_raw,
	perf_type_breakpoint,
};

/* Of hardware and software events: type and configuration in one number. */
#define HARDWARE(config) (0x100 + (config))
#define SOFTWARE(config) (0x200 + (config))

enum perf_counter {
	perf_counter_cpu_cycles = HARDWARE(0),
	perf_counter_instructions,
	perf_counter_cache_references,
	perf_counter_cache_misses,
	perf_counter_branch_instructions,
	perf_counter_branch_misses,
	perf_counter_bus_cycles,
	perf_counter_stalled_cycles_frontend,
	perf_counter_stalled_cycles_backend,
	perf_counter_ref_cpu_cycles,
	perf_counter_cpu_clock = SOFTWARE(0),
	perf_counter_task_clock,
	perf_counter_page_faults,
	perf_counter_context_switches,
	perf_counter_cpu_migrations,
	perf_counter_minor_faults,
	perf_counter_major_faults,
	perf_counter_alignment_faults,
	perf_counter_emulation_faults,
	perf_counter_dummy,
	perf_counter_bpf_output,
	perf_counter_cgroup_switches,
};

struct perf_open {
	struct event_header header;
	enum perf_type type FIELD("perf.type",
				  "kind of event; a number where the kernel gave it out, as to kprobe and uprobe");
	enum perf_counter counter FIELD("perf.counter", "which hardware or software event");
	u64 config FIELD("perf.config", "which event of that kind: for a tracepoint its id");
	u32 target FIELD("process.target.pid", "whom it observes, in the host's namespace; 0: all, or no such process");
	s32 cpu FIELD("perf.cpu", "the CPU that it observes; -1: all");
	error_number error FIELD("error.type", "why it was refused");
	char target_name[16] FIELD("process.target.executable.name", "name of the thread that it observes");
	str_ref unit
		FIELD("perf.unit",
		      "what measures, as the kernel names it: cpu, tracepoint, kprobe; absent where it was refused");
};
EVENT(open, struct perf_open, 1);

/* The beginning of struct perf_event_attr. */
struct perf_attr {
	u32 type;
	u32 size;
	u64 config;
};

enum perf_calls { SYS_perf_event_open = 1 };
SYSCALLS(perf)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct tracker_counters *c = count();
	struct task_struct *target = NULL;
	struct file *file = NULL;
	struct perf_attr attr = {};
	s32 pid = argument(call, 1);
	struct perf_open *e;
	struct record *r;
	u64 cgroup;

	if (!c || !is_collected(c, &cgroup))
		return;
	r = begin(c, sizeof(*e));
	if (!r)
		return;
	bpf_probe_read_user(&attr, sizeof(attr), (void *)argument(call, 0));
	e = (void *)r->data;
	describe_current(&e->header, EVENT_open, cgroup);
	e->type = attr.type;
	e->counter = attr.type <= perf_type_software ? (attr.type + 1) * 0x100 + (u8)attr.config : 0;
	e->config = attr.config;
	e->cpu = argument(call, 2);
	e->error = call->result < 0 ? -call->result : 0;
	e->target = 0;
	__builtin_memset(e->target_name, 0, sizeof(e->target_name));
	if (pid == 0)
		target = task;
	else if (pid > 0)
		target = task_numbered(pid);
	if (target) {
		e->target = LOAD(target, tgid);
		bpf_probe_read_kernel_str(e->target_name, sizeof(e->target_name), &target->comm);
	}
	e->unit = (str_ref){};
	if (call->result >= 0)
		file = file_of(task, call->result);
	if (file)
		e->unit = append_kernel_string(r, LOAD((struct perf_event *)LOAD(file, private_data), pmu, name));
	send(c, r);
}
