/* COUNT small files, each written, read and removed. */
#include "load.h"
#include <fcntl.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	long count = count_of(argc, argv);
	char buffer[512] = { 0 }, name[64];
	long long start = now_ns();

	for (long i = 0; i < count; i++) {
		int file;

		snprintf(name, sizeof(name), "/scratch/file-%ld", i);
		file = open(name, O_CREAT | O_WRONLY | O_TRUNC, 0600);
		if (file < 0 || write(file, buffer, sizeof(buffer)) != sizeof(buffer) || close(file))
			fail(name);
		file = open(name, O_RDONLY);
		if (file < 0 || read(file, buffer, sizeof(buffer)) != sizeof(buffer) || close(file) || unlink(name))
			fail(name);
	}
	report(count, start);
}
