/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The kernel types that our programs read, each with only the members read. libbpf relocates every access to
 * the layout of the running kernel (CO-RE), so one object serves all kernels and architectures and the build
 * needs no BTF of its own.
 */
#ifndef ETHOGRAM_KERNEL_H
#define ETHOGRAM_KERNEL_H

#include "bpf_types.h"

/* A u32[2] up to 6.2, a u64 from 6.3 on: the same bytes. So it is read whole, and its member not looked up. */
typedef struct {
	u64 val;
} kernel_cap_t;

KERNEL_TYPES

typedef struct {
	int counter;
} atomic_t;

typedef struct {
	u32 val;
} kuid_t;

typedef struct {
	u32 val;
} kgid_t;

struct kernfs_iattrs {
	kuid_t ia_uid;
};

struct kernfs_node {
	u64 id;
	struct kernfs_iattrs *iattr; /* NULL as long as all is as it was made: root's */
};

struct cgroup_root {
	int hierarchy_id;
};

struct cgroup;

struct cgroup_subsys_state {
	struct cgroup *cgroup;
	struct cgroup_subsys_state *parent;
};

struct cgroup {
	struct cgroup_subsys_state self;
	struct kernfs_node *kn;
	struct cgroup_root *root;
};

struct css_set {
	struct cgroup_subsys_state *subsys[16];
	struct cgroup *dfl_cgrp;
};

/* Their numbers differ by kernel configuration: only ever used through bpf_core_enum_value. */
enum cgroup_subsys_id {
	cpu_cgrp_id = 1,
	memory_cgrp_id = 2,
	pids_cgrp_id = 3,
};

typedef struct {
	s64 counter;
} atomic_long_t;

struct page_counter {
	atomic_long_t usage;
	unsigned long max;
	struct page_counter *parent;
};

struct mem_cgroup {
	struct page_counter memory;
};

struct qstr {
	u32 hash;
	u32 len;
	const unsigned char *name;
};

struct dentry;

struct super_block {
	u32 s_dev;
	unsigned long s_magic;
	struct dentry *s_root;
};

struct timespec64 {
	s64 tv_sec;
	long tv_nsec;
};

/* Its times: i_mtime up to 6.6 (i_ctime up to 6.5), __i_mtime up to 6.10, and from 6.11 on in two parts. */
struct inode {
	u16 i_mode;
	u32 i_nlink;
	s64 i_size;
	unsigned long i_ino;
	u32 i_generation;
	struct super_block *i_sb;
	void *i_private;
	struct timespec64 i_mtime, __i_mtime;
	s64 i_mtime_sec;
	u32 i_mtime_nsec;
	struct timespec64 i_ctime, __i_ctime;
	s64 i_ctime_sec;
	u32 i_ctime_nsec;
};

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
};

struct vfsmount {
	struct dentry *mnt_root;
	int mnt_flags;
};

struct mount {
	int mnt_id;
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
	void *mnt_ns;
};

/* Begins a lock that counts. */
struct seqcount {
	unsigned int sequence;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct socket;

struct file {
	u32 f_mode;
	u32 f_flags;
	struct path f_path;
	struct inode *f_inode;
	void *private_data;
};

struct filename {
	const char *name;
};

struct open_flags {
	int open_flag;
	u16 mode;
	int lookup_flags;
};

struct fdtable {
	u32 max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct fs_struct {
	struct path root;
	struct path pwd;
};

struct percpu_counter {
	s64 count;
};

struct vm_area_struct {
	unsigned long vm_flags;
	struct file *vm_file;
};

struct mm_struct {
	unsigned long total_vm;
	unsigned long arg_start;
	unsigned long arg_end;
	unsigned long env_start;
	unsigned long env_end;
	struct percpu_counter rss_stat[4];
	struct file *exe_file;
};

struct tty_struct {
	char name[64];
};

struct pid;

struct signal_struct {
	atomic_t live;
	struct pid *pids[4];
	int group_exit_code;
	struct tty_struct *tty;
	short oom_score_adj;
};

struct group_info {
	int ngroups;
};

struct ns_common {
	u32 inum;
	u32 ns_type; /* from 6.18 on; before: ops->type */
	const struct proc_ns_operations *ops;
};

struct proc_ns_operations {
	int type;
};

struct user_namespace {
	int level;
	struct ns_common ns;
};

struct mnt_namespace {
	struct ns_common ns;
	u64 event;
};

struct cred {
	kuid_t uid;
	kgid_t gid;
	kuid_t suid;
	kgid_t sgid;
	kuid_t euid;
	kgid_t egid;
	kuid_t fsuid;
	kgid_t fsgid;
	u32 securebits;
	kernel_cap_t cap_inheritable;
	kernel_cap_t cap_permitted;
	kernel_cap_t cap_effective;
	kernel_cap_t cap_bset;
	kernel_cap_t cap_ambient;
	struct user_namespace *user_ns;
	struct group_info *group_info;
};

struct nsproxy {
	void *uts_ns;
	void *ipc_ns;
	struct mnt_namespace *mnt_ns;
	void *pid_ns_for_children;
	void *net_ns;
	void *time_ns_for_children;
	void *cgroup_ns;
};

struct list_head {
	struct list_head *next;
};

struct xarray {
	void *xa_head;
};

struct xa_node {
	unsigned char shift;
	void *slots[64];
};

struct idr {
	struct xarray idr_rt;
};

struct pid_namespace {
	struct idr idr;
	struct task_struct *child_reaper;
};

struct upid {
	int nr;
	struct pid_namespace *ns;
};

struct hlist_node {
	struct hlist_node *next;
};

struct hlist_head {
	struct hlist_node *first;
};

struct pid {
	u32 level;
	struct hlist_head tasks[4];
	struct upid numbers[1];
};

struct thread_info {
	unsigned long flags;
	u32 status;
};

struct task_struct {
	struct thread_info thread_info;
	void *stack;
	u32 flags;
	u32 pid;
	u32 tgid;
	u64 start_boottime;
	int exit_code;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	struct pid *thread_pid;
	struct hlist_node pid_links[4];
	u64 self_exec_id;
	kuid_t loginuid; /* with CONFIG_AUDIT only */
	struct css_set *cgroups;
	struct fs_struct *fs;
	struct files_struct *files;
	struct mm_struct *mm;
	struct signal_struct *signal;
	const struct cred *real_cred;
	const struct cred *cred;
	struct nsproxy *nsproxy;
	struct list_head ptraced;
	struct list_head ptrace_entry;
	char comm[16];
};

struct bpf_prog_aux {
	u32 id;
	char name[16];
	const char *attach_func_name;
};

struct bpf_prog {
	enum bpf_prog_type type;
	struct bpf_prog_aux *aux;
};

struct bpf_link {
	struct bpf_prog *prog;
};

struct pmu {
	const char *name;
};

struct perf_event {
	struct pmu *pmu;
};

struct linux_binprm {
	struct file *file;
	const char *filename;
	const char *interp;
	u32 secureexec : 1;
	char buf[128];
};

struct kernel_siginfo {
	int si_code;
};

struct module {
	char name[56];
	unsigned long taints;
	bool sig_ok;
};

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
	u64 session_id;
	u64 seq_num;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	u32 fd;
	struct file *file;
};

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long r10, r9, r8, bp, bx, cx, dx, si, di, ax, orig_ax;
};
#elif defined(__TARGET_ARCH_arm64)
struct user_pt_regs {
	u64 regs[31];
};
struct pt_regs {
	u64 regs[31];
	u64 orig_x0;
	s32 syscallno;
};
#endif

KERNEL_TYPES_END

#endif
