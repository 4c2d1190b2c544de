// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/* Kernel modules: who asks to load or remove one, and which the kernel has really loaded. */
#include "record.bpf.h"
#include "syscall.bpf.h"

enum request_calls { SYS_init_module = 1, SYS_finit_module, SYS_delete_module };

struct module_request {
	struct event_header header;
	error_number error FIELD("error.type", "why it was refused");
	enum request_calls call FIELD("module.request", "the system call");
	path_ref path FIELD("file.path", "the file of the module");
	str_ref name FIELD("module.name", "name of the module to remove");
	str_ref parameters FIELD("module.parameters", "parameters for it");
	u64 size FIELD("module.size", "size of the module, where it is loaded from memory");
};
EVENT(request, struct module_request, 1);

enum module_taint {
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

struct module_load {
	struct event_header header;
	taint_flags taints FIELD("module.taints", "why the kernel counts as tainted from now on");
	bool8 signature_missing FIELD("module.signature_missing",
				      "whether the kernel knows of signatures, and this module has no valid one");
	char name[56] FIELD("module.name", "name of the module");
};
EVENT(load, struct module_load, 2);

SYSCALLS(request)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	const char *name = NULL, *parameters = NULL;
	struct tracker_counters *c = count();
	struct file *file = NULL;
	struct module_request *e;
	struct record *r;
	u64 cgroup;

	if (!c || !wanted(c, &cgroup))
		return;
	r = begin(c, sizeof(*e));
	if (!r)
		return;
	e = (void *)r->data;
	describe_current(&e->header, EVENT_request, cgroup);
	e->error = call->result < 0 ? -call->result : 0;
	e->call = call->which;
	e->size = 0;
	e->path = (path_ref){};
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
		name = (const char *)argument(call, 0);
	}
	if (file)
		e->path = append_path(r, &file->f_path, task);
	e->name = append_user_string(r, name);
	e->parameters = append_user_string(r, parameters);
	send(c, r);
}

/* Whoever asked: a system call, or the kernel itself through its helper program. */
SEC("tp_btf/module_load")
int BPF_PROG(loaded, struct module *module)
{
	struct tracker_counters *c = count();
	struct module_load e = {};
	u64 cgroup;

	if (!c || !wanted(c, &cgroup))
		return 0;
	describe_current(&e.header, EVENT_load, cgroup);
	e.taints = LOAD(module, taints);
	if (bpf_core_field_exists(module->sig_ok))
		e.signature_missing = !LOAD(module, sig_ok);
	bpf_probe_read_kernel_str(e.name, sizeof(e.name), &module->name);
	submit(c, &e, sizeof(e));
	return 0;
}
