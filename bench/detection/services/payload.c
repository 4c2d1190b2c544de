// What an attacker brings along. It does nothing.
#include <unistd.h>

int main(void)
{
	return write(1, "owned\n", 6) != 6;
}
