/* Starts COUNT short processes, one after the other. */
#include "load.h"
#include <spawn.h>
#include <sys/wait.h>

int main(int argc, char **argv)
{
	long count = count_of(argc, argv);
	char *child[] = { "/bench/nothing", NULL }, *environment[] = { NULL };
	long long start = now_ns();

	for (long i = 0; i < count; i++) {
		int status;
		pid_t pid;

		if (posix_spawn(&pid, child[0], NULL, NULL, child, environment) || waitpid(pid, &status, 0) != pid || status)
			fail(child[0]);
	}
	report(count, start);
}
