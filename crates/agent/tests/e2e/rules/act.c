/*
 * What the shell of the tests' image cannot do. Under any other name, and with
 * arguments that it does not know, it does nothing: so it stands in for
 * programs that the image does not have.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static void must(long result, const char *what)
{
	if (result < 0) {
		perror(what);
		exit(1);
	}
}

/* A child that waits to be killed. */
static pid_t child(void)
{
	pid_t pid = fork();

	must(pid, "fork");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void memory_file(const char *how, const char *name)
{
	int from = open("/bin/busybox", O_RDONLY), to = memfd_create(name, 0);
	char bytes[65536];
	ssize_t size;

	must(to, "memfd_create");
	while ((size = read(from, bytes, sizeof(bytes))) > 0)
		must(write(to, bytes, size), "write");
	if (!strcmp(how, "run")) {
		char *args[] = { "true", NULL }, *environment[] = { NULL };

		must(fexecve(to, args, environment), "fexecve");
	}
	if (!strcmp(how, "map"))
		must(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, to, 0) == MAP_FAILED ? -1 : 0, "mmap");
}

/* Maps code of a file, as a loader does. */
static void load(const char *path)
{
	int file = open(path, O_RDONLY);

	must(file, path);
	must(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0) == MAP_FAILED ? -1 : 0, "mmap");
}

/* Runs this program from folders so deep that their path fits nowhere. */
static void deep(const char *folder)
{
	int from = open("/proc/self/exe", O_RDONLY), to;
	char name[201], bytes[65536];
	ssize_t size;

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	must(chdir(folder), folder);
	for (int i = 0; i < 90; i++) {
		mkdir(name, 0755);
		must(chdir(name), "chdir");
	}
	must(to = open("x", O_WRONLY | O_CREAT, 0755), "x");
	while ((size = read(from, bytes, sizeof(bytes))) > 0)
		must(write(to, bytes, size), "write");
	close(to);
	must(execl("./x", "x", NULL), "execl");
}

static void trace(const char *how)
{
	pid_t given = atoi(how), pid;

	if (!strcmp(how, "me")) {
		must(ptrace(PTRACE_TRACEME, 0, NULL, NULL), "PTRACE_TRACEME");
		return;
	}
	pid = given ? given : child();
	must(ptrace(PTRACE_ATTACH, pid, NULL, NULL), "PTRACE_ATTACH");
	waitpid(pid, NULL, 0);
	if (!strcmp(how, "change")) {
		long word = ptrace(PTRACE_PEEKDATA, pid, &pid, NULL);

		must(ptrace(PTRACE_POKEDATA, pid, &pid, word), "PTRACE_POKEDATA");
	}
	ptrace(PTRACE_DETACH, pid, NULL, NULL);
	if (!given)
		end(pid);
}

static void access_memory(const char *how, const char *whose)
{
	static char here[8], there[8];
	struct iovec mine = { here, sizeof(here) }, other = { there, sizeof(there) };
	pid_t pid = strcmp(whose, "own") ? child() : getpid();

	if (!strcmp(how, "write"))
		must(process_vm_writev(pid, &mine, 1, &other, 1, 0), "process_vm_writev");
	else
		must(process_vm_readv(pid, &mine, 1, &other, 1, 0), "process_vm_readv");
	if (pid != getpid())
		end(pid);
}

/* Takes a descriptor from another process. */
static void take(const char *whose, const char *which)
{
	int process = syscall(SYS_pidfd_open, atoi(whose), 0);

	must(process, "pidfd_open");
	must(syscall(SYS_pidfd_getfd, process, atoi(which), 0), "pidfd_getfd");
}

static void open_memory(const char *how)
{
	pid_t pid = child();
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	must(open(path, strcmp(how, "write") ? O_RDONLY : O_RDWR), path);
	end(pid);
}

static void load_bpf(const char *how)
{
	struct bpf_insn code[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr = { .prog_type = BPF_PROG_TYPE_RAW_TRACEPOINT,
				.insns = (uintptr_t)code,
				.insn_cnt = 2,
				.license = (uintptr_t) "GPL" };
	int program = syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));

	must(program, "BPF_PROG_LOAD");
	if (!strcmp(how, "attach")) {
		union bpf_attr point = { .raw_tracepoint = { .name = (uintptr_t) "sys_enter", .prog_fd = program } };

		must(syscall(SYS_bpf, BPF_RAW_TRACEPOINT_OPEN, &point, sizeof(point)), "BPF_RAW_TRACEPOINT_OPEN");
	}
}

/* Sets every bit of the values in all of the kernel's tables of that name, so
 * that all is left out. */
static void blind(const char *name)
{
	union bpf_attr next = {};

	while (!syscall(SYS_bpf, BPF_MAP_GET_NEXT_ID, &next, sizeof(next))) {
		struct bpf_map_info info = {};
		union bpf_attr by_id = { .map_id = next.next_id };
		int map = syscall(SYS_bpf, BPF_MAP_GET_FD_BY_ID, &by_id, sizeof(by_id));
		union bpf_attr asked = { .info = {
						 .bpf_fd = map, .info_len = sizeof(info), .info = (uintptr_t)&info } };
		char key[64], value[64];
		union bpf_attr entry = { .map_fd = map, .next_key = (uintptr_t)key };

		next.start_id = next.next_id;
		if (map < 0 || syscall(SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &asked, sizeof(asked)) ||
		    strncmp(info.name, name, sizeof(info.name) - 1) || info.key_size > sizeof(key) ||
		    info.value_size > sizeof(value)) {
			close(map);
			continue;
		}
		memset(value, 0xff, sizeof(value));
		while (!syscall(SYS_bpf, BPF_MAP_GET_NEXT_KEY, &entry, sizeof(entry))) {
			union bpf_attr change = { .map_fd = map, .key = (uintptr_t)key };

			change.value = (uintptr_t)value;
			must(syscall(SYS_bpf, BPF_MAP_UPDATE_ELEM, &change, sizeof(change)), name);
			entry.key = (uintptr_t)key;
		}
		close(map);
	}
}

/* Holds all threads of a process for some seconds, as a debugger does. */
static void hold(pid_t pid, int seconds)
{
	char path[32];
	DIR *tasks;
	struct dirent *task;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	tasks = opendir(path);
	while (tasks && (task = readdir(tasks))) {
		pid_t thread = atoi(task->d_name);

		if (thread <= 0 || ptrace(PTRACE_SEIZE, thread, NULL, NULL))
			continue;
		ptrace(PTRACE_INTERRUPT, thread, NULL, NULL);
	}
	sleep(seconds);
}

static void read_file(const char *path)
{
	char bytes[64];

	must(read(open(path, O_RDONLY), bytes, sizeof(bytes)), path);
}

static void run(char **command)
{
	pid_t pid = fork();

	must(pid, "fork");
	if (pid == 0) {
		execvp(command[0], command);
		perror(command[0]);
		exit(127);
	}
	waitpid(pid, NULL, 0);
}

#include "act_network.h"
#include "act_unusual.h"

int main(int count, char **args)
{
	const char *act = count > 1 ? args[1] : "", *how = count > 2 ? args[2] : "", *more = count > 3 ? args[3] : "";

	if (!strcmp(act, "memory-file"))
		memory_file(how, *more ? more : "payload");
	else if (!strcmp(act, "deep"))
		deep(how);
	else if (!strcmp(act, "load"))
		load(how);
	else if (!strcmp(act, "trace"))
		trace(how);
	else if (!strcmp(act, "access"))
		access_memory(how, more);
	else if (!strcmp(act, "take"))
		take(how, more);
	else if (!strcmp(act, "mem"))
		open_memory(how);
	else if (!strcmp(act, "userfault"))
		must(syscall(SYS_userfaultfd, 0), "userfaultfd");
	else if (!strcmp(act, "writable-code"))
		must(mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
				     MAP_FAILED ?
			     -1 :
			     0,
		     "mmap");
	else if (!strcmp(act, "bpf"))
		load_bpf(how);
	else if (!strcmp(act, "insert"))
		syscall(SYS_init_module, "none", 4, "");
	else if (!strcmp(act, "remove"))
		syscall(SYS_delete_module, "eg_none", O_NONBLOCK);
	else if (!strcmp(act, "capability")) {
		uint32_t data[5] = { 0x02000000, 1 << 10 };

		must(setxattr(how, "security.capability", data, sizeof(data), 0), "setxattr");
	} else if (!strcmp(act, "attribute"))
		must(setxattr(how, "trusted.note", "x", 1, 0), "setxattr");
	else if (!strcmp(act, "connect"))
		connected(how, more);
	else if (!strcmp(act, "stdio"))
		must(dup2(connected(how, more), 0), "dup2");
	else if (!strcmp(act, "serve"))
		serve(how, more);
	else if (!strcmp(act, "talk"))
		talk(how, !strcmp(more, "own"));
	else if (!strcmp(act, "ask"))
		ask(count > 4 ? args[4] : "127.0.0.1", how, more);
	else if (!strcmp(act, "answer"))
		answer(how);
	else if (!strcmp(act, "reply"))
		reply(how, more);
	else if (!strcmp(act, "socket"))
		must(socket(atoi(how), atoi(more), count > 4 ? atoi(args[4]) : 0), "socket");
	else if (!strcmp(act, "packets"))
		must(socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)), "socket");
	else if (!strcmp(act, "later")) {
		sleep(atoi(how));
		must(open(more, O_RDONLY), more);
	} else if (!strcmp(act, "read"))
		read_file(how);
	else if (!strcmp(act, "write"))
		must(write(open(how, O_WRONLY | O_CREAT, 0644), "x", 1), how);
	else if (!strcmp(act, "renamed")) {
		must(prctl(PR_SET_NAME, how), "prctl");
		read_file(more);
	} else if (!strcmp(act, "forget")) {
		if (fork() || fork())
			return 0;
		sleep(1);
		read_file(how);
	} else if (!strcmp(act, "run"))
		run(args + 2);
	else if (!strcmp(act, "blind"))
		blind(how);
	else if (!strcmp(act, "hold"))
		hold(atoi(how), atoi(more));
	else if (!strcmp(act, "called")) {
		char *path = args[3];

		args[3] = args[2];
		execv(path, args + 3);
		must(-1, path);
	} else if (!strcmp(act, "thread"))
		in_thread(read_in_thread, args[2]);
	else if (!strcmp(act, "thread-run"))
		in_thread(run_in_thread, args + 2);
	else if (!strcmp(act, "brother"))
		read_as_brother(how);
	else if (!strcmp(act, "vfork"))
		run_by_vfork(args + 2);
	else if (!strcmp(act, "unshare")) {
		must(unshare(!strcmp(how, "mount") ? CLONE_NEWNS :
			     !strcmp(how, "pid")   ? CLONE_NEWPID :
						     CLONE_NEWUTS),
		     "unshare");
		run(args + 3);
	} else if (!strcmp(act, "chroot")) {
		must(chroot(how), how);
		must(chdir("/"), "/");
		run(args + 3);
	} else if (!strcmp(act, "read-below")) {
		must(chroot(how), how);
		must(chdir("/"), "/");
		read_file(more);
	} else if (!strcmp(act, "user")) {
		must(setuid(atoi(how)), "setuid");
		run(args + 3);
	} else if (!strcmp(act, "exchange"))
		must(renameat2(AT_FDCWD, how, AT_FDCWD, more, RENAME_EXCHANGE), "renameat2");
	else if (!strcmp(act, "nameless"))
		write_nameless(how, more);
	else if (!strcmp(act, "reopen"))
		reopen(how);
	else if (!strcmp(act, "at"))
		read_in_folder(how, more);
	else if (!strcmp(act, "map"))
		write_mapped(how);
	else if (!strcmp(act, "ring"))
		read_by_ring(how, more);
	else if (!strcmp(act, "names"))
		run_by_names(how, atoi(more));
	return 0;
}
