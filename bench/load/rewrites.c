/* COUNT opens of one file for writing: what an agent knows that the service does. */
#include "load.h"
#include <fcntl.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	long count = count_of(argc, argv);
	const char *name = "/scratch/rewrites";
	int made = open(name, O_CREAT | O_WRONLY, 0600);
	long long start;

	if (made < 0 || close(made))
		fail(name);
	start = now_ns();
	for (long i = 0; i < count; i++) {
		int file = open(name, O_WRONLY);

		if (file < 0 || close(file))
			fail(name);
	}
	report(count, start);
}
