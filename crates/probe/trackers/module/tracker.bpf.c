// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * Kernel modules: who asks to load or remove one, and what becomes of it. One that the kernel itself needs is loaded by a
 * helper program, with the same system calls.
 */
#include "record.bpf.h"
#include "syscall.bpf.h"

enum request_calls { SYS_init_module = 1, SYS_finit_module, SYS_delete_module };

enum module_taint {
	none,
	PROPRIETARY = 1 << 0,
	FORCED = 1 << 1,
	FORCED_REMOVAL = 1 << 3,
	STAGING = 1 << 10,
	OUT_OF_TREE = 1 << 12,
	UNSIGNED = 1 << 13,
	LIVE_PATCH = 1 << 15,
	TEST = 1 << 18,
};
typedef enum module_taint taint_flags;

struct module_request {
	struct event_header header;
	error_number error FIELD("error.type", "why it was refused");
	enum request_calls call FIELD("module.request", "the system call");
	path_ref path FIELD("file.path", "the file of the module");
	str_ref parameters FIELD("module.parameters", "parameters for it");
	u64 size FIELD("module.size", "size of the module, where it comes from memory");
	taint_flags taints FIELD("module.taints", "for what the kernel counts as tainted because of it");
	bool8 signature_missing
		FIELD("module.signature_missing",
		      "whether the kernel checks signatures, and the one that was loaded has no valid one");
	char name[56] FIELD("module.name", "name of the module that was loaded, or is to be removed");
};
EVENT(request, struct module_request, 1);

/* What the kernel has learnt of a module that a thread is loading just now, by the thread's id. */
struct loading {
	u32 taints;
	u32 signature_missing;
	char name[56];
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 256);
	__type(key, u32);
	__type(value, struct loading);
} loadings SEC(".maps");

SEC("tp_btf/module_load")
int BPF_PROG(loaded, struct module *module)
{
	u32 thread = bpf_get_current_pid_tgid();
	struct loading loading = {};

	loading.taints = LOAD(module, taints);
	if (bpf_core_field_exists(module->sig_ok))
		loading.signature_missing = !LOAD(module, sig_ok);
	bpf_probe_read_kernel_str(loading.name, sizeof(loading.name), &module->name);
	bpf_map_update_elem(&loadings, &thread, &loading, BPF_ANY);
	return 0;
}

SYSCALLS(request)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	const char *parameters = NULL;
	u32 thread = bpf_get_current_pid_tgid();
	struct loading *loading;
	struct tracker_counters *c = count();
	struct file *file = NULL;
	struct module_request *e;
	struct record *r;
	u64 cgroup;

	if (!c || !is_collected(c, &cgroup))
		return;
	r = begin(c, sizeof(*e));
	if (!r)
		return;
	e = (void *)r->data;
	describe_current(&e->header, EVENT_request, cgroup);
	e->error = call->result < 0 ? -call->result : 0;
	e->call = call->which;
	e->size = 0;
	e->taints = 0;
	e->signature_missing = 0;
	e->path = (path_ref){};
	__builtin_memset(e->name, 0, sizeof(e->name));
	switch (call->which) {
	case SYS_init_module:
		e->size = argument(call, 1);
		parameters = (const char *)argument(call, 2);
		break;
	case SYS_finit_module:
		file = file_of(task, argument(call, 0));
		parameters = (const char *)argument(call, 1);
		break;
	default:
		bpf_probe_read_user_str(e->name, sizeof(e->name), (const char *)argument(call, 0));
	}
	loading = bpf_map_lookup_elem(&loadings, &thread);
	if (loading) {
		e->taints = loading->taints;
		e->signature_missing = loading->signature_missing;
		__builtin_memcpy(e->name, loading->name, sizeof(e->name));
		bpf_map_delete_elem(&loadings, &thread);
	}
	if (file)
		e->path = append_path(r, &file->f_path, task);
	e->parameters = append_user_string(r, parameters);
	send(c, r);
}
