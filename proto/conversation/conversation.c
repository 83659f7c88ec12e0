#include "proto/conversation/conversation.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/printable.h"

static int
fail(const char *path, const char *what, char *error)
{
	char tail[PRINTABLE_TAIL_MAX];
	snprintf(error, CONVERSATION_ERROR_MAX, "cannot read %s: %s",
	    printable_tail(path, tail, sizeof(tail)), what);
	return errno == ENOMEM ? EX_OSERR : EX_NOINPUT;
}

int
conversation_load(const char *path, struct conversation *ret, char *error)
{
	int status;
	size_t length = 0;
	ssize_t n;
	/* One byte more than allowed shows that a file is too long. */
	char *text = malloc(CONVERSATION_FILE_MAX + 1);
	if (text == NULL)
		return fail(path, "out of memory", error);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		status = fail(path, strerror(errno), error);
		goto free_text;
	}
	while ((n = read(fd, text + length, CONVERSATION_FILE_MAX + 1 - length)) > 0)
		length += (size_t)n;
	status = n < 0 ? fail(path, strerror(errno), error)
		       : conversation_compile(path, text, length, ret, error);
	close(fd);
free_text:
	free(text);
	return status;
}

void
conversation_finish(struct conversation *conversation)
{
	free(conversation->file);
	free(conversation->bytes);
	free(conversation->failures);
	free(conversation->parts);
	free(conversation->steps);
	free(conversation->choices);
	free(conversation->slot_names);
	free(conversation->step_names);
	*conversation = (struct conversation){ .file = NULL };
}
