/* Sleeps; between SIGUSR1 and SIGUSR2, creates one file a second; ends on SIGTERM. */
#include "load.h"
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

static volatile sig_atomic_t ticking;

static void tick(int signal)
{
	ticking = signal == SIGUSR1;
}

static void end(int signal)
{
	(void)signal;
	_exit(0);
}

int main(void)
{
	char name[64];

	signal(SIGUSR1, tick);
	signal(SIGUSR2, tick);
	signal(SIGTERM, end);
	for (long i = 0;; i++) {
		int file;

		while (!ticking)
			pause();
		snprintf(name, sizeof(name), "/tick-%ld", i % 10);
		file = open(name, O_CREAT | O_WRONLY, 0600);
		if (file < 0 || close(file))
			fail(name);
		sleep(1);
	}
}
