/* SECONDS of distinct files on every processor, each created, written and removed, as fast as they go. */
#include "load.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static long flood(long processor, long long until)
{
	char name[64];
	long i = 0;

	for (; now_ns() < until; i++) {
		int file;

		snprintf(name, sizeof(name), "/work/%ld/flood-%ld", processor, i);
		file = open(name, O_CREAT | O_WRONLY, 0600);
		if (file < 0 || write(file, name, 1) != 1 || close(file) || unlink(name))
			fail(name);
	}
	return i;
}

int main(int argc, char **argv)
{
	long seconds = count_of(argc, argv), processors = sysconf(_SC_NPROCESSORS_ONLN), total = 0, done;
	long long start = now_ns();
	int results[2];

	if (pipe(results))
		fail("pipe");
	for (long i = 0; i < processors; i++) {
		char folder[64];

		snprintf(folder, sizeof(folder), "/work/%ld", i);
		if (mkdir(folder, 0700))
			fail(folder);
		if (fork())
			continue;
		done = flood(i, start + seconds * 1000000000LL);
		return write(results[1], &done, sizeof(done)) != sizeof(done) || rmdir(folder);
	}
	for (long i = 0; i < processors; i++) {
		int status;

		if (wait(&status) < 0 || status || read(results[0], &done, sizeof(done)) != sizeof(done))
			fail("flood");
		total += done;
	}
	report(total, start);
}
