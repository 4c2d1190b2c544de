// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/* Who puts another kernel in this one's place, or stops it. */
#include "record.bpf.h"
#include "syscall.bpf.h"

#define KEXEC_FILE_NO_INITRAMFS 4

enum kexec_calls { SYS_kexec_load = 1, SYS_kexec_file_load };

struct kexec_load {
	struct event_header header;
	error_number error FIELD("error.type", "why it was refused");
	enum kexec_calls call FIELD("kexec.call", "the system call");
	path_ref path FIELD("file.path", "the kernel to be started, where it is a file");
	path_ref initramfs FIELD("kexec.initramfs.path", "its initial file system, where that is a file");
	str_ref command_line FIELD("kexec.command_line", "its command line");
	u32 padding INTERNAL("padding");
	u64 flags FIELD("kexec.flags", "flags as asked for");
	u64 segments FIELD("kexec.segments", "pieces of memory that are handed over; 0 where it is a file");
};
EVENT(load, struct kexec_load, 1);

enum reboot_command {
	LINUX_REBOOT_CMD_RESTART = 0x1234567,
	LINUX_REBOOT_CMD_RESTART2 = 0xa1b2c3d4,
	LINUX_REBOOT_CMD_HALT = 0xcdef0123,
	LINUX_REBOOT_CMD_POWER_OFF = 0x4321fedc,
	LINUX_REBOOT_CMD_SW_SUSPEND = 0xd000fce2,
	LINUX_REBOOT_CMD_KEXEC = 0x45584543,
};

struct kernel_stop {
	struct event_header header;
	error_number error FIELD("error.type", "why it was refused");
	enum reboot_command command FIELD("kexec.reboot.command", "what was asked for");
};
EVENT(reboot, struct kernel_stop, 2);

SYSCALLS(kexec)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct file *file = NULL, *initramfs = NULL;
	struct tracker_counters *c = count();
	const char *command_line = NULL;
	struct kexec_load *e;
	struct record *r;
	u64 cgroup;

	if (!c || !is_collected(c, &cgroup))
		return;
	r = begin(c, sizeof(*e));
	if (!r)
		return;
	e = (void *)r->data;
	describe_current(&e->header, EVENT_load, cgroup);
	e->error = call->result < 0 ? -call->result : 0;
	e->call = call->which;
	e->padding = 0;
	e->path = e->initramfs = (path_ref){};
	if (call->which == SYS_kexec_load) {
		e->segments = argument(call, 1);
		e->flags = argument(call, 3);
	} else {
		e->segments = 0;
		e->flags = argument(call, 4);
		file = file_of(task, argument(call, 0));
		if (!(e->flags & KEXEC_FILE_NO_INITRAMFS))
			initramfs = file_of(task, argument(call, 1));
		command_line = (const char *)argument(call, 3);
	}
	if (file)
		e->path = append_path(r, &file->f_path, task);
	if (initramfs)
		e->initramfs = append_path(r, &initramfs->f_path, task);
	e->command_line = append_user_string(r, command_line);
	send(c, r);
}

static __always_inline void report_stop(u32 command, u32 error)
{
	struct tracker_counters *c = count();
	struct kernel_stop e = {};
	u64 cgroup;

	switch (command) {
	case LINUX_REBOOT_CMD_RESTART:
	case LINUX_REBOOT_CMD_RESTART2:
	case LINUX_REBOOT_CMD_HALT:
	case LINUX_REBOOT_CMD_POWER_OFF:
	case LINUX_REBOOT_CMD_SW_SUSPEND:
	case LINUX_REBOOT_CMD_KEXEC:
		break;
	default: /* what the keyboard may do, or nothing at all */
		return;
	}
	if (!c || !is_collected(c, &cgroup))
		return;
	describe_current(&e.header, EVENT_reboot, cgroup);
	e.error = error;
	e.command = command;
	submit(c, &e, sizeof(e));
}

/* One that succeeds does not return. */
enum stop_calls { SYS_reboot = 1 };
SYSCALLS(stop)
{
	report_stop(argument(call, 2), call->result < 0 ? -call->result : 0);
}
