// Preloaded into every service: where it is signalled, the service does what /run/breach says, as one does whose hole is
// used. So an attack begins inside the service's own process, and not with a `docker exec` that gives it away.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static char order[16384];
static char kept[4096];

// The next line of what is ordered.
static char *line(char **rest)
{
	char *found = *rest, *end = strchr(found, '\n');
	if (end)
		*end = 0;
	*rest = end ? end + 1 : found + strlen(found);
	return found;
}

// `apart`: of a child that is gone at once, and that the service never gets to see, where it does not expect to have any.
static void run(char *token, char *script, int apart)
{
	pid_t child = fork();
	if (child) {
		if (apart)
			waitpid(child, NULL, 0);
		return;
	}
	if (apart && fork())
		_exit(0);
	setsid();
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	// The service's sockets stay its own: a shell that holds one is another attack.
	for (int fd = 3; fd < 256; fd++)
		close(fd);
	int nothing = open("/dev/null", O_RDWR);
	for (int fd = 0; fd < 3; fd++)
		dup2(nothing, fd);
	char *arguments[] = {"sh", "-c", script, token, NULL};
	execve("/bin/sh", arguments, environ);
	_exit(127);
}

static int tcp(void)
{
	return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static struct sockaddr_in address(const char *host, const char *port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
	inet_pton(AF_INET, host, &to.sin_addr);
	return to;
}

static void obey(int number)
{
	int was = errno, fd = open("/run/breach", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	ssize_t size = read(fd, order, sizeof order - 1);
	close(fd);
	order[size > 0 ? size : 0] = 0;
	char *rest = order, *verb = line(&rest), *token = line(&rest);
	if (!strcmp(verb, "run")) {
		run(token, rest, 0);
	} else if (!strcmp(verb, "apart")) {
		run(token, rest, 1);
	} else if (!strcmp(verb, "read")) {
		fd = open(line(&rest), O_RDONLY | O_CLOEXEC);
		while (fd >= 0 && read(fd, kept, sizeof kept) > 0)
			;
		close(fd);
	} else if (!strcmp(verb, "write")) {
		fd = open(line(&rest), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
		if (fd >= 0 && write(fd, rest, strlen(rest)) >= 0)
			close(fd);
	} else if (!strcmp(verb, "connect")) {
		char *host = line(&rest);
		struct sockaddr_in to = address(host, line(&rest));
		fd = tcp();
		if (!connect(fd, (void *)&to, sizeof to) && write(fd, "GET / HTTP/1.0\r\n\r\n", 18) > 0)
			read(fd, kept, sizeof kept);
		close(fd);
	} else if (!strcmp(verb, "listen")) {
		struct sockaddr_in at = address("0.0.0.0", line(&rest));
		fd = tcp();
		bind(fd, (void *)&at, sizeof at);
		listen(fd, 1);
	} else if (!strcmp(verb, "shellcode")) {
		void *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		memset(code, 0xc3, 4096);
		mprotect(code, 4096, PROT_READ | PROT_WRITE | PROT_EXEC);
		((void (*)(void))code)();
	}
	errno = was;
}

__attribute__((constructor)) static void wait_for_orders(void)
{
	struct sigaction action = {.sa_handler = obey, .sa_flags = SA_RESTART};
	sigaction(SIGRTMIN + 5, &action, NULL);
}
