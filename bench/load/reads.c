/* COUNT reads of one small file: what an agent counts and does not send. */
#include "load.h"
#include <fcntl.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	long count = count_of(argc, argv);
	char buffer[64] = { 0 };
	const char *name = "/scratch/reads";
	int file = open(name, O_CREAT | O_RDWR, 0600);
	long long start = now_ns();

	if (file < 0 || write(file, buffer, sizeof(buffer)) != sizeof(buffer))
		fail(name);
	for (long i = 0; i < count; i++) {
		if (pread(file, buffer, sizeof(buffer), 0) != sizeof(buffer))
			fail(name);
	}
	report(count, start);
	return unlink(name);
}
