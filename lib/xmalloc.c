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

void *
xmalloc_check(void *memory)
{
	if (memory == NULL)
		xmalloc_fail();
	return memory;
}

void *
xmalloc(size_t size)
{
	return xmalloc_check(malloc(size > 0 ? size : 1));
}

void *
xcalloc(size_t count, size_t size)
{
	return xmalloc_check(calloc(count > 0 ? count : 1, size > 0 ? size : 1));
}

void *
xreallocarray(void *old, size_t count, size_t size)
{
	return xmalloc_check(
	    reallocarray(old, count > 0 ? count : 1, size > 0 ? size : 1));
}

char *
xstrdup(const char *text)
{
	return xmalloc_check(strdup(text));
}

char *
xasprintf(const char *format, ...)
{
	char *text;
	va_list arguments;
	va_start(arguments, format);
	int length = vasprintf(&text, format, arguments);
	va_end(arguments);
	return xmalloc_check(length < 0 ? NULL : text);
}
