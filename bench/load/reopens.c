/* COUNT opens of one file for reading, some folders deep: what no rule and no profile asks for. */
#include "load.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	long count = count_of(argc, argv);
	const char *folders[] = { "/scratch/a", "/scratch/a/b", "/scratch/a/b/c", "/scratch/a/b/c/d" };
	const char *name = "/scratch/a/b/c/d/reopens";
	long long start;
	int made;

	for (int i = 0; i < 4; i++)
		mkdir(folders[i], 0700);
	made = open(name, O_CREAT | O_WRONLY, 0600);
	if (made < 0 || close(made))
		fail(name);
	start = now_ns();
	for (long i = 0; i < count; i++) {
		int file = open(name, O_RDONLY);

		if (file < 0 || close(file))
			fail(name);
	}
	report(count, start);
}
