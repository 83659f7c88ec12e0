#include "conf/conversation_reply.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "lib/escape.h"
#include "proto/conversation/conversation.h"
#include "conf/working_directory.h"

_Static_assert(CONFIG_ERROR_MAX >= CONVERSATION_ERROR_MAX, "room for its error line");

/* The path of the file in path[PATH_MAX], absolute if the working directory has a name.
 * -1 if it does not fit. */
static int
find(const struct reply *reply, const char *source, char *path)
{
	char joined[PATH_MAX];
	const char *slash = source == NULL ? NULL : strrchr(source, '/');
	int folder =
	    slash == NULL || reply->text[0] == '/' ? 0 : (int)(slash - source) + 1;
	int n = snprintf(joined, sizeof(joined), "%.*s%.*s", folder,
	    source == NULL ? "" : source, (int)reply->text_length, reply->text);
	if (n < 0 || n >= PATH_MAX)
		return -1;
	if (working_directory_join(joined, path, PATH_MAX)[0] == '\0')
		memcpy(path, joined, sizeof(joined));
	return 0;
}

static int
compile(const char *path, struct conversation *ret, char *error)
{
	int status = conversation_load(path, ret, error);
	if (status != 0)
		return status;
	if (ret->server_refusal[0] == '\0')
		return 0;
	snprintf(error, CONFIG_ERROR_MAX, "%s", ret->server_refusal);
	conversation_finish(ret);
	return EX_USAGE;
}

/* Makes the name of the file absolute in what is printed of the configuration. */
static int
set_text(struct listener_config *listener, const char *path)
{
	char escaped[PATH_MAX * 2], *text;
	escape_encode(path, strlen(path), escaped, sizeof(escaped));
	if (asprintf(&text, "%s=%s", reply_kinds[REPLY_CONVERSATION].name, escaped) < 0)
		return -1;
	free(listener->reply_text);
	listener->reply_text = text;
	return 0;
}

int
conversation_reply_load(
    struct listener_config *listener, const char *source, char *error)
{
	char path[PATH_MAX];
	if (listener->reply.kind != REPLY_CONVERSATION)
		return 0;
	if (find(&listener->reply, source, path) < 0) {
		snprintf(error, CONFIG_ERROR_MAX,
		    "found the name of a conversation with more than %d bytes",
		    PATH_MAX);
		errno = ENAMETOOLONG;
		return -1;
	}
	struct conversation *conversation = malloc(sizeof(*conversation));
	if (conversation == NULL) {
		snprintf(error, CONFIG_ERROR_MAX, "out of memory");
		return -1;
	}
	int status = compile(path, conversation, error);
	if (status != 0) {
		free(conversation);
		errno = status == EX_OSERR ? ENOMEM : EINVAL;
		return -1;
	}
	listener->conversation = conversation;
	listener->reply.conversation_digest = conversation->digest;
	if (set_text(listener, path) == 0)
		return 0;
	snprintf(error, CONFIG_ERROR_MAX, "out of memory");
	return -1; /* config_finish frees the conversation */
}

void
conversation_reply_finish(struct listener_config *listener)
{
	if (listener->conversation != NULL)
		conversation_finish(listener->conversation);
	free(listener->conversation);
	listener->conversation = NULL;
}
