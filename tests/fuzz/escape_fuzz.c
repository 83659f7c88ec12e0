/*
 * Escapes. Any text decodes to no more bytes than it has, or is refused at an offset
 * inside it; any bytes encode to printable text that decodes back to them.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/escape.h"
#include "tests/lib/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_decode(const uint8_t *data, size_t size)
{
	char *out = malloc(size > 0 ? size : 1);
	size_t at = SIZE_MAX;

	must(out != NULL);
	long n = escape_decode((const char *)data, size, out, &at);
	must(n >= 0 ? n <= (long)size : at < size && data[at] == '\\');
	free(out);
}

static void
check_encode(const uint8_t *data, size_t size, size_t room)
{
	char *out = malloc(room);
	size_t at;

	must(out != NULL);
	escape_encode(data, size, out, room);
	size_t length = strlen(out);
	for (size_t i = 0; i < length; i++)
		must(out[i] >= 0x20 && out[i] <= 0x7e);
	if (room == 4 * size + 1) {
		must(escape_decode(out, length, out, &at) == (long)size);
		must(size == 0 || memcmp(out, data, size) == 0);
	}
	free(out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_decode(data, size);
	check_encode(data, size, 4 * size + 1);
	check_encode(data, size, size / 2 + 1);
	return 0;
}
