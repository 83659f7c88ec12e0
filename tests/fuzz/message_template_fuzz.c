/*
 * Escapes of messages. An accepted template expands to its declared length for every
 * value of its placeholders; a rejected one has an error.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "client/messages/message_template.h"
#include "tests/lib/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_message(
    const struct message_template *text, uint64_t connection, uint64_t message)
{
	size_t length = message_template_length(text, connection, message);
	uint8_t *out = malloc(length + 1);

	must(out != NULL && length <= message_template_longest(text));
	must(message_template_write(text, connection, message, out) == length);
	free(out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct message_template text;
	char error[128] = "";

	if (message_template_parse(
		(const char *)data, size, &text, error, sizeof(error)) != 0) {
		must(error[0] != '\0');
		return 0;
	}
	check_message(&text, 0, 0);
	check_message(&text, 4294967295U, UINT64_MAX);
	must(text.varies || text.length == message_template_longest(&text));
	message_template_finish(&text);
	return 0;
}
