/*
 * Answers of the reply whoami, of any origin. An accepted one has a name that can be
 * printed and an address, and another member in front changes nothing. The input may be
 * a line of the server's writer (corpus) or anything else.
 */
#include <sys/socket.h>

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/whoami.h"
#include "tests/lib/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_view(const struct whoami_view *view)
{
	size_t length = strnlen(view->instance, sizeof(view->instance));
	must(length > 0 && length <= WHOAMI_INSTANCE_MAX);
	for (size_t i = 0; i < length; i++)
		must(view->instance[i] > ' ' && view->instance[i] < 0x7f);
	must(view->client.family == AF_INET || view->client.family == AF_INET6);
	must(!view->has_header || view->source.family == AF_INET ||
	    view->source.family == AF_INET6);
}

static bool
is_same(const struct address_compact *a, const struct address_compact *b)
{
	return a->family == b->family && a->port == b->port &&
	    memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

/* The same object with one more member. */
static void
check_with_member(const char *line, size_t length, const struct whoami_view *view)
{
	static const char member[] = "{\"other\":[{\"client\":1},\"}\\\"\"],";
	struct whoami_view again;
	size_t start = (size_t)((const char *)memchr(line, '{', length) - line) + 1;
	char *longer = malloc(length + sizeof(member));
	must(longer != NULL);
	memcpy(longer, member, sizeof(member) - 1);
	memcpy(longer + sizeof(member) - 1, line + start, length - start);
	must(whoami_read(longer, sizeof(member) - 1 + length - start, &again));
	must(strcmp(again.instance, view->instance) == 0);
	must(is_same(&again.client, &view->client));
	must(again.has_header == view->has_header);
	free(longer);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct whoami_view view;
	char *line = malloc(size > 0 ? size : 1);
	must(line != NULL);
	if (size > 0)
		memcpy(line, data, size);
	if (whoami_read(line, size, &view)) {
		check_view(&view);
		check_with_member(line, size, &view);
	}
	free(line);
	return 0;
}
