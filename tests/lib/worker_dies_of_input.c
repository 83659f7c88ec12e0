/*
 * worker_dies_of_input - a yodeld whose workers abort when they answer a message, or go
 * on with a conversation, that begins with "poison", and use up all memory for a
 * message that begins with "hunger". Linked with
 * --wrap=reply_write,--wrap=session_play.
 */
#include <stdlib.h>
#include <string.h>

#include "proto/reply.h"
#include "worker/conversation/session.h"

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
	while (length >= 6 && memcmp(payload, "hunger", 6) == 0) {
		char *block = malloc(1 << 20);
		if (block != NULL)
			memset(block, 1, 1 << 20);
	}
	return __real_reply_write(reply, payload, length, out);
}

enum session_status __real_session_play(struct session *session, const uint8_t *data,
    size_t length, size_t *ret_used, struct session_output *out);
enum session_status __wrap_session_play(struct session *session, const uint8_t *data,
    size_t length, size_t *ret_used, struct session_output *out);

enum session_status
__wrap_session_play(struct session *session, const uint8_t *data, size_t length,
    size_t *ret_used, struct session_output *out)
{
	if (length >= 6 && memcmp(data, "poison", 6) == 0)
		abort();
	return __real_session_play(session, data, length, ret_used, out);
}
