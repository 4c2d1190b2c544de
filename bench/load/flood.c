/* SECONDS of opens, writes and reads on every processor, each time of another of ten thousand files, as fast as they go. */
#include "load.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define FILES 10000

static const char *name_of(long processor, long i)
{
	static char name[64];

	snprintf(name, sizeof(name), "/scratch/%ld/flood-%ld", processor, i % FILES);
	return name;
}

static void each_file(long processor, void act(const char *name))
{
	for (long i = 0; i < FILES; i++)
		act(name_of(processor, i));
}

static void create(const char *name)
{
	int file = open(name, O_CREAT | O_WRONLY, 0600);

	if (file < 0 || close(file))
		fail(name);
}

static void delete(const char *name)
{
	if (unlink(name))
		fail(name);
}

static long flood(long processor, long long until)
{
	char byte = 0;
	long i = 0;

	for (; now_ns() < until; i++) {
		const char *name = name_of(processor, i);
		int file = open(name, O_RDWR);

		if (file < 0 || pwrite(file, &byte, 1, 0) != 1 || pread(file, &byte, 1, 0) != 1 || close(file))
			fail(name);
	}
	return i;
}

int main(int argc, char **argv)
{
	long seconds = count_of(argc, argv), processors = sysconf(_SC_NPROCESSORS_ONLN), total = 0, done;
	long long start;
	int results[2];

	if (pipe(results))
		fail("pipe");
	for (long i = 0; i < processors; i++) {
		char folder[64];

		snprintf(folder, sizeof(folder), "/scratch/%ld", i);
		if (mkdir(folder, 0700))
			fail(folder);
		each_file(i, create);
	}
	start = now_ns();
	for (long i = 0; i < processors; i++) {
		if (fork())
			continue;
		done = flood(i, start + seconds * 1000000000LL);
		return write(results[1], &done, sizeof(done)) != sizeof(done);
	}
	for (long i = 0; i < processors; i++) {
		int status;

		if (wait(&status) < 0 || status || read(results[0], &done, sizeof(done)) != sizeof(done))
			fail("flood");
		total += done;
	}
	report(total, start);
	for (long i = 0; i < processors; i++) {
		char folder[64];

		each_file(i, delete);
		snprintf(folder, sizeof(folder), "/scratch/%ld", i);
		if (rmdir(folder))
			fail(folder);
	}
}
