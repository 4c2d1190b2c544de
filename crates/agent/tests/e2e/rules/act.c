/*
 * What the shell of the tests' image cannot do. Under any other name, and with arguments that it does not know, it does
 * nothing: so it stands in for programs that the image does not have.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
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
		char *args[] = {"true", NULL}, *environment[] = {NULL};

		must(fexecve(to, args, environment), "fexecve");
	}
	if (!strcmp(how, "map"))
		must(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, to, 0) == MAP_FAILED ? -1 : 0, "mmap");
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
	struct iovec mine = {here, sizeof(here)}, other = {there, sizeof(there)};
	pid_t pid = strcmp(whose, "own") ? child() : getpid();

	if (!strcmp(how, "write"))
		must(process_vm_writev(pid, &mine, 1, &other, 1, 0), "process_vm_writev");
	else
		must(process_vm_readv(pid, &mine, 1, &other, 1, 0), "process_vm_readv");
	if (pid != getpid())
		end(pid);
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
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_RAW_TRACEPOINT, .insns = (uintptr_t)code, .insn_cnt = 2, .license = (uintptr_t)"GPL"};
	int program = syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));

	must(program, "BPF_PROG_LOAD");
	if (!strcmp(how, "attach")) {
		union bpf_attr point = {.raw_tracepoint = {.name = (uintptr_t)"sys_enter", .prog_fd = program}};

		must(syscall(SYS_bpf, BPF_RAW_TRACEPOINT_OPEN, &point, sizeof(point)), "BPF_RAW_TRACEPOINT_OPEN");
	}
}

static int connected(const char *address, const char *port)
{
	struct sockaddr_in peer = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
	int s = socket(AF_INET, SOCK_STREAM, 0);

	inet_pton(AF_INET, address, &peer.sin_addr);
	must(connect(s, (struct sockaddr *)&peer, sizeof(peer)), "connect");
	return s;
}

/* Accepts connections and does nothing with them. */
static void serve(const char *address, const char *port)
{
	struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
	int s = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	inet_pton(AF_INET, address, &own.sin_addr);
	must(bind(s, (struct sockaddr *)&own, sizeof(own)), "bind");
	must(listen(s, 16), "listen");
	for (;;)
		accept(s, NULL, NULL);
}

/* Connects to a socket with a path, maybe to an own one. */
static void talk(const char *path, bool own)
{
	struct sockaddr_un peer = {.sun_family = AF_UNIX};
	int server = socket(AF_UNIX, SOCK_STREAM, 0);

	strncpy(peer.sun_path, path, sizeof(peer.sun_path) - 1);
	if (own) {
		unlink(path);
		must(bind(server, (struct sockaddr *)&peer, sizeof(peer)), "bind");
		must(listen(server, 1), "listen");
	}
	must(connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&peer, sizeof(peer)), "connect");
}

/* A question as DNS has it, for the name and the number of a type. Gives its length. */
static size_t question(unsigned char *to, const char *name, int type)
{
	unsigned char header[12] = {0x12, 0x34, 1, 0, 0, 1}, *at = to + sizeof(header);

	memcpy(to, header, sizeof(header));
	while (*name) {
		size_t label = strcspn(name, ".");

		*at++ = label;
		memcpy(at, name, label);
		at += label;
		name += label + (name[label] == '.');
	}
	*at++ = 0;
	*at++ = type >> 8;
	*at++ = type;
	*at++ = 0;
	*at++ = 1;
	return at - to;
}

static void ask(const char *server, const char *type, const char *name)
{
	struct sockaddr_in peer = {.sin_family = AF_INET, .sin_port = htons(53)};
	struct timeval patience = {.tv_usec = 300000};
	unsigned char message[1024];
	int s = socket(AF_INET, SOCK_DGRAM, 0);

	inet_pton(AF_INET, server, &peer.sin_addr);
	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	must(connect(s, (struct sockaddr *)&peer, sizeof(peer)), "connect");
	must(send(s, message, question(message, name, atoi(type)), 0), "send");
	recv(s, message, sizeof(message), 0);
}

/* Answers every question for an address with the same one. */
static void answer(const char *address)
{
	struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(53)}, peer;
	unsigned char message[1024], record[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4};
	int s = socket(AF_INET, SOCK_DGRAM, 0);

	must(bind(s, (struct sockaddr *)&own, sizeof(own)), "bind");
	for (;;) {
		socklen_t length = sizeof(peer);
		ssize_t size = recvfrom(s, message, 512, 0, (struct sockaddr *)&peer, &length);

		if (size < 17)
			continue;
		message[2] = 0x81;
		message[3] = 0x80;
		if (message[size - 3] == 1) { /* an A record is asked for */
			message[7] = 1;
			memcpy(message + size, record, sizeof(record));
			inet_pton(AF_INET, address, message + size + sizeof(record));
			size += sizeof(record) + 4;
		}
		sendto(s, message, size, 0, (struct sockaddr *)&peer, length);
	}
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

int main(int count, char **args)
{
	const char *act = count > 1 ? args[1] : "", *how = count > 2 ? args[2] : "", *more = count > 3 ? args[3] : "";

	if (!strcmp(act, "memory-file"))
		memory_file(how, *more ? more : "payload");
	else if (!strcmp(act, "trace"))
		trace(how);
	else if (!strcmp(act, "access"))
		access_memory(how, more);
	else if (!strcmp(act, "mem"))
		open_memory(how);
	else if (!strcmp(act, "userfault"))
		must(syscall(SYS_userfaultfd, 0), "userfaultfd");
	else if (!strcmp(act, "writable-code"))
		must(mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0,
		     "mmap");
	else if (!strcmp(act, "bpf"))
		load_bpf(how);
	else if (!strcmp(act, "insert"))
		syscall(SYS_init_module, "none", 4, "");
	else if (!strcmp(act, "remove"))
		syscall(SYS_delete_module, "eg_none", O_NONBLOCK);
	else if (!strcmp(act, "capability")) {
		uint32_t data[5] = {0x02000000, 1 << 10};

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
	return 0;
}
