#include "lib/system/process_title.h"

#include <stddef.h>
#include <string.h>

static char *first;
static size_t room; /* bytes, with the zero at the end */

void
process_title_init(int argc, char **argv)
{
	char *end = argc > 0 ? argv[0] : NULL;
	first = end;
	/* The kernel puts the arguments behind each other (execve(2)). */
	for (int i = 0; i < argc && argv[i] == end; i++)
		end += strlen(argv[i]) + 1;
	room = (size_t)(end - first);
}

void
process_title_set(const char *title)
{
	size_t length = strlen(title);
	if (room == 0)
		return;
	memset(first, 0, room);
	memcpy(first, title, length < room ? length : room - 1);
}
