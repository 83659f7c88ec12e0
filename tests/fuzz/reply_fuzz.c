/*
 * The grammar of replies. The input is the text of a reply; an accepted one gives
 * answers of the declared length. An error is one line.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/reply.h"
#include "tests/lib/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_answer(const struct reply *reply, const uint8_t *payload, size_t length)
{
	size_t expected = reply_length(reply, length);
	/* Exactly this much room; in place if the payload's buffer is large enough. */
	uint8_t *out = malloc(expected + 1), *same = malloc(expected + length + 1);

	must(out != NULL && same != NULL);
	must(reply_write(reply, payload, length, out) == expected);
	memcpy(same, payload, length);
	must(reply_write(reply, same, length, same) == expected);
	must(memcmp(out, same, expected) == 0);
	must(!reply_is_bytewise(reply) || expected == length);
	free(out);
	free(same);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *spec = strndup((const char *)data, size), error[256] = "";
	struct reply reply;

	must(spec != NULL);
	if (reply_parse(spec, &reply, error, sizeof(error)) == 0) {
		check_answer(&reply, data, size);
		reply_finish(&reply);
	} else {
		must(error[0] != '\0' && strchr(error, '\n') == NULL);
	}
	free(spec);
	return 0;
}
