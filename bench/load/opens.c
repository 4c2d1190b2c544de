/* COUNT files, each created and removed: opens and nothing else that is read or written. */
#include "load.h"
#include <fcntl.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	long count = count_of(argc, argv);
	char name[64];
	long long start = now_ns();

	for (long i = 0; i < count; i++) {
		int file;

		snprintf(name, sizeof(name), "/scratch/open-%ld", i);
		file = open(name, O_CREAT | O_WRONLY, 0600);
		if (file < 0 || close(file) || unlink(name))
			fail(name);
	}
	report(count, start);
}
