/*
 * worker_dies_of_input - a yodeld whose workers abort when they answer a message that
 * begins with "poison". Linked with --wrap=reply_write.
 */
#include <stdlib.h>
#include <string.h>

#include "proto/reply.h"

size_t __real_reply_write(
    const struct reply *reply, const uint8_t *payload, size_t length, uint8_t *out);
size_t __wrap_reply_write(
    const struct reply *reply, const uint8_t *payload, size_t length, uint8_t *out);

size_t
__wrap_reply_write(
    const struct reply *reply, const uint8_t *payload, size_t length, uint8_t *out)
{
	if (length >= 6 && memcmp(payload, "poison", 6) == 0)
		abort();
	return __real_reply_write(reply, payload, length, out);
}
