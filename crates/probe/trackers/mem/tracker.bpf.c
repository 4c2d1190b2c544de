// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * What injected and unpacked code needs: memory that is executable and was or is writable, files that exist in memory
 * only, other processes' memory, and page faults handled in user space.
 */
#include "record.bpf.h"
#include "syscall.bpf.h"
#include "task.bpf.h"

PARAM(bool8, repeats, 0,
      "whether a process that makes memory executable again and again, as just-in-time compilers do, is reported each time");

enum memory_operation {
	memory_operation_mmap = 1,
	memory_operation_mprotect,
	memory_operation_memfd_create,
	memory_operation_memfd_secret,
	memory_operation_process_vm_readv,
	memory_operation_process_vm_writev,
};

enum memory_kind {
	memory_kind_writable_executable = 1, /* both at once */
	memory_kind_made_executable,	     /* was mapped without */
	memory_kind_executable_memfd,	     /* of a file that exists in memory only */
};

enum protection { PROT_READ = 1, PROT_WRITE = 2, PROT_EXEC = 4, PROT_SEM = 8, PROT_BTI = 16, PROT_MTE = 32 };
typedef enum protection protection_flags;
#define MAP_ANONYMOUS 0x20
#define VM_EXEC 4

struct memory_executable {
	struct event_header header;
	enum memory_kind kind FIELD("memory.kind", "what is unusual about it");
	protection_flags protection FIELD("memory.protection", "protection asked for");
	enum memory_operation operation FIELD("memory.operation",
					      "the system call: mmap, or mprotect and pkey_mprotect");
	error_number error FIELD("error.type", "why it was refused");
	u64 address FIELD("memory.address", "where it begins");
	u64 size FIELD("memory.size", "bytes");
	path_ref path FIELD("file.path",
			    "the file mapped there; absent for anonymous memory, and for mprotect where only "
			    "the system call can be observed");
};
EVENT(executable, struct memory_executable, 1);

enum memfd {
	MFD_CLOEXEC = 1,
	MFD_ALLOW_SEALING = 2,
	MFD_HUGETLB = 4,
	MFD_NOEXEC_SEAL = 8,
	MFD_EXEC = 16,
	MFD_SECRET_CLOEXEC = 02000000, /* memfd_secret knows this one only */
};
typedef enum memfd memfd_flags;

struct memory_file {
	struct event_header header;
	str_ref name FIELD("file.name", "the name given to it, which need not be unique");
	enum memory_operation operation FIELD("memory.operation", "the system call: memfd_create or memfd_secret");
	memfd_flags flags FIELD("file.memfd.flags", "flags asked for");
	error_number error FIELD("error.type", "why it was refused");
	u32 descriptor FIELD("file.descriptor", "its descriptor; the largest number where it was refused");
};
EVENT(memfd, struct memory_file, 2);

struct memory_access {
	struct event_header header;
	enum memory_operation operation FIELD("memory.operation",
					      "the system call: process_vm_readv or process_vm_writev");
	u32 target FIELD("process.target.pid",
			 "whose memory it was, in the host's namespace; 0 where there is no such process");
	char target_name[16] FIELD("process.target.executable.name", "name of the target's thread");
	u64 size FIELD("memory.size", "bytes copied");
	error_number error FIELD("error.type", "why it was refused");
	bool8 elsewhere FIELD("process.target.other_cgroup",
			      "whether the target runs in another cgroup, as in another container");
};
EVENT(access, struct memory_access, 3);

enum userfault { UFFD_USER_MODE_ONLY = 1, O_NONBLOCK = 04000, O_CLOEXEC = 02000000 };
typedef enum userfault userfault_flags;

struct memory_userfault {
	struct event_header header;
	userfault_flags flags FIELD("memory.userfault.flags", "flags asked for");
	error_number error FIELD("error.type", "why it was refused");
};
EVENT(userfault, struct memory_userfault, 4);

struct memory_library {
	struct event_header header;
	path_ref path FIELD("file.path", "the file that the code was loaded from");
	enum file_system file_system FIELD("file.file_system", "the file system that it lies on: overlay, tmpfs, ...");
	bool8 writable_layer FIELD("file.writable_layer",
				   "whether it was written in the container and is not from its image");
	bool8 unlinked FIELD("file.unlinked", "whether it has no name: it was deleted, or made without one");
};
EVENT(library, struct memory_library, 5);

/* What a process has been reported for. Another program in the same process counts anew. */
struct reported_key {
	u64 process_start;
	u64 program;
	u64 inode;
	u32 device;
	u32 pid;
	u32 kind;
	u32 refused;
};

/* What falls out of it is reported once more. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct reported_key);
	__type(value, u8);
} reported SEC(".maps");

#define EEXIST 17

static __always_inline bool was_reported(u32 kind, struct file *file, u32 error)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct reported_key key = { .kind = kind, .refused = error };
	struct inode *inode;
	u8 one = 1;

	if (repeats)
		return false;
	key.process_start = LOAD(task, group_leader, start_boottime);
	key.program = LOAD(task, group_leader, self_exec_id);
	key.pid = bpf_get_current_pid_tgid() >> 32;
	if (file && kind != memory_kind_executable_memfd) {
		inode = LOAD(file, f_inode);
		key.inode = LOAD(inode, i_ino);
		key.device = LOAD(inode, i_sb, s_dev);
	}
	/* Before 6.4 this returns an int, whatever its type says. */
	return (int)bpf_map_update_elem(&reported, &key, &one, BPF_NOEXIST) == -EEXIST;
}

static __always_inline void report_executable(u32 operation, u32 kind, u32 protection, u64 address, u64 size,
					      struct file *file, long result)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct tracker_counters *c = count();
	u32 error = result < 0 && result >= -4095 ? -result : 0;
	struct memory_executable *e;
	struct record *r;
	u64 cgroup;

	if (!c || !is_collected(c, &cgroup))
		return;
	if (was_reported(kind, file, error)) {
		c->aggregated++;
		return;
	}
	r = begin(c, sizeof(*e));
	if (!r)
		return;
	e = (void *)r->data;
	describe_current(&e->header, EVENT_executable, cgroup);
	e->operation = operation;
	e->kind = kind;
	e->protection = protection;
	e->error = error;
	e->address = address;
	e->size = size;
	e->path = (path_ref){};
	if (file)
		e->path = append_path(r, &file->f_path, task);
	send(c, r);
}

#define LIBRARY 16 /* in the table of what was reported, beside enum memory_kind */

/* Code of a file that was brought into the container: written there, or in memory. The program's own is an execution. */
static __always_inline void report_library(struct file *file)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct inode *inode = LOAD(file, f_inode);
	struct tracker_counters *c;
	struct memory_library *e;
	bool written, unlinked;
	struct record *r;
	u64 cgroup;

	written = is_written(file);
	unlinked = is_unlinked(inode);
	/* Where the root folder itself is in memory, that says nothing. */
	if (!written && !unlinked && !(is_in_memory_file_system(inode) && is_on_writable_mount(file, task)))
		return;
	if (LOAD(task, mm, exe_file, f_inode) == inode)
		return;
	c = count();
	if (!c || !is_collected(c, &cgroup))
		return;
	if (was_reported(LIBRARY, file, 0)) {
		c->aggregated++;
		return;
	}
	r = begin(c, sizeof(*e));
	if (!r)
		return;
	e = (void *)r->data;
	describe_current(&e->header, EVENT_library, cgroup);
	e->file_system = LOAD(inode, i_sb, s_magic);
	e->writable_layer = written;
	e->unlinked = unlinked;
	e->path = append_path(r, &file->f_path, task);
	send(c, r);
}

static __always_inline bool is_refused(long result)
{
	return result < 0 && result >= -4095;
}

static __always_inline u32 kind_of_mapping(u64 protection, struct file *file)
{
	if (!(protection & PROT_EXEC))
		return 0;
	if (protection & PROT_WRITE)
		return memory_kind_writable_executable;
	return file && is_memfd(file) ? memory_kind_executable_memfd : 0;
}

SEC("fexit/vm_mmap_pgoff")
int BPF_PROG(mapped, struct file *file, unsigned long address, unsigned long size, unsigned long protection,
	     unsigned long flags, unsigned long offset, unsigned long result)
{
	u32 kind = kind_of_mapping(protection, file);

	if (kind) {
		if ((long)result > 0 || (long)result < -4095)
			address = result;
		report_executable(memory_operation_mmap, kind, protection, address, size, file, result);
	}
	if (protection & PROT_EXEC && file && kind != memory_kind_executable_memfd && !is_refused(result))
		report_library(file);
	return 0;
}

enum mappings_calls { SYS_mmap = 1 };
SYSCALLS(mappings)
{
	u32 protection = argument(call, 2);
	struct file *file = NULL;
	u64 address;
	u32 kind;

	if (!(protection & PROT_EXEC))
		return;
	if (!(argument(call, 3) & MAP_ANONYMOUS))
		file = file_of((struct task_struct *)bpf_get_current_task(), argument(call, 4));
	kind = kind_of_mapping(protection, file);
	if (file && kind != memory_kind_executable_memfd && !is_refused(call->result))
		report_library(file);
	if (!kind)
		return;
	address = call->result < 0 && call->result >= -4095 ? argument(call, 0) : call->result;
	report_executable(memory_operation_mmap, kind, protection, address, argument(call, 1), file, call->result);
}

/* Called for each mapping in the range, with the protection that it had until then. */
SEC("fexit/security_file_mprotect")
int BPF_PROG(protected, struct vm_area_struct *vma, unsigned long asked, unsigned long protection, int result)
{
	struct call call = {};
	struct file *file;
	u32 kind;

	if (!(protection & PROT_EXEC))
		return 0;
	if (protection & PROT_WRITE)
		kind = memory_kind_writable_executable;
	else if (LOAD(vma, vm_flags) & VM_EXEC)
		return 0;
	else
		kind = memory_kind_made_executable;
	call.regs = entry_registers();
	call.compat = call_slot(call.regs) >= SYSCALL_NUMBERS;
	file = LOAD(vma, vm_file);
	report_executable(memory_operation_mprotect, kind, protection, argument(&call, 0), argument(&call, 1), file,
			  result);
	if (file && !result)
		report_library(file);
	return 0;
}

enum protections_calls { SYS_mprotect = 1, SYS_pkey_mprotect };
SYSCALLS(protections)
{
	u32 protection = argument(call, 2);

	if (protection & PROT_EXEC)
		report_executable(memory_operation_mprotect,
				  protection & PROT_WRITE ? memory_kind_writable_executable :
							    memory_kind_made_executable,
				  protection, argument(call, 0), argument(call, 1), NULL, call->result);
}

static __always_inline void report_memfd(struct tracker_counters *c, u64 cgroup, const struct call *call)
{
	bool secret = call->which == memory_operation_memfd_secret;
	struct record *r = begin(c, sizeof(struct memory_file));
	struct memory_file *e;

	if (!r)
		return;
	e = (void *)r->data;
	describe_current(&e->header, EVENT_memfd, cgroup);
	e->operation = call->which;
	e->flags = argument(call, secret ? 0 : 1);
	e->error = call->result < 0 ? -call->result : 0;
	e->descriptor = call->result < 0 ? ~0 : call->result;
	e->name = (str_ref){};
	if (!secret)
		e->name = append_user_string(r, (void *)argument(call, 0));
	send(c, r);
}

static __always_inline void report_access(struct tracker_counters *c, u64 cgroup, const struct call *call)
{
	struct task_struct *target = task_numbered(argument(call, 0));
	struct memory_access e = {};

	describe_current(&e.header, EVENT_access, cgroup);
	e.operation = call->which;
	if (call->result < 0)
		e.error = -call->result;
	else
		e.size = call->result;
	if (target) {
		e.target = LOAD(target, tgid);
		e.elsewhere = cgroup_of(target) != cgroup;
		bpf_probe_read_kernel_str(e.target_name, sizeof(e.target_name), &target->comm);
	}
	submit(c, &e, sizeof(e));
}

static __always_inline void report_userfault(struct tracker_counters *c, u64 cgroup, const struct call *call)
{
	struct memory_userfault e = {};

	describe_current(&e.header, EVENT_userfault, cgroup);
	e.flags = argument(call, 0);
	e.error = call->result < 0 ? -call->result : 0;
	submit(c, &e, sizeof(e));
}

/* Each under the number that it has in enum memory_operation. */
enum rare_calls {
	SYS_memfd_create = memory_operation_memfd_create,
	SYS_memfd_secret,
	SYS_process_vm_readv,
	SYS_process_vm_writev,
	SYS_userfaultfd,
};
SYSCALLS(rare)
{
	struct tracker_counters *c = count();
	u64 cgroup;

	if (!c || !is_collected(c, &cgroup))
		return;
	if (call->which <= SYS_memfd_secret)
		report_memfd(c, cgroup, call);
	else if (call->which <= SYS_process_vm_writev)
		report_access(c, cgroup, call);
	else
		report_userfault(c, cgroup, call);
}
