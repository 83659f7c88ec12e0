#include "lib/xmalloc.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

void
xmalloc_fail(void)
{
	fprintf(stderr, "%s: out of memory\n", program_invocation_short_name);
	exit(EX_OSERR);
}

static void *
not_null(void *memory)
{
	if (memory == NULL)
		xmalloc_fail();
	return memory;
}

void *
xmalloc(size_t size)
{
	return not_null(malloc(size > 0 ? size : 1));
}

void *
xcalloc(size_t count, size_t size)
{
	return not_null(calloc(count > 0 ? count : 1, size > 0 ? size : 1));
}

void *
xreallocarray(void *old, size_t count, size_t size)
{
	return not_null(reallocarray(old, count > 0 ? count : 1, size > 0 ? size : 1));
}

char *
xstrdup(const char *text)
{
	return not_null(strdup(text));
}

char *
xasprintf(const char *format, ...)
{
	char *text;
	va_list arguments;
	va_start(arguments, format);
	int length = vasprintf(&text, format, arguments);
	va_end(arguments);
	return not_null(length < 0 ? NULL : text);
}
