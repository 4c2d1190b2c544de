/* COUNT bytes through a pipe, one by one: two system calls each that do next to nothing. */
#include "load.h"
#include <unistd.h>

int main(int argc, char **argv)
{
	long count = count_of(argc, argv);
	int ends[2];
	char byte = 0;
	long long start;

	if (pipe(ends))
		fail("pipe");
	start = now_ns();
	for (long i = 0; i < count; i++) {
		if (write(ends[1], &byte, 1) != 1 || read(ends[0], &byte, 1) != 1)
			fail("pipe");
	}
	report(count, start);
}
