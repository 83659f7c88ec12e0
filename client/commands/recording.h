/*
 * recording.h - what is said on a connection, written as a conversation file
 * (yodel talk --record). It is kept in memory and written at the end, when it is known
 * which line end the file has.
 */
#ifndef CLIENT_COMMANDS_RECORDING_H
#define CLIENT_COMMANDS_RECORDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/buffer.h"
#include "proto/conversation/conversation.h"

struct recording_run;

struct recording {
	const char *path; /* NULL: nothing is recorded; all functions do nothing */
	FILE *file;
	struct buffer *bytes;       /* of all runs, one after the other */
	struct recording_run *runs; /* heap, owned */
	size_t run_count;
};

/* Opens the file for writing. 0, or -1 after one line on stderr. */
int recording_open(struct recording *recording, const char *path)
    __attribute__((warn_unused_result));

void recording_add(struct recording *recording, enum conversation_role speaker,
    const uint8_t *data, size_t length);
/* A line of its own: "C half-close", "S close". A constant. */
void recording_action(struct recording *recording, const char *action);

/* Writes and closes the file, and checks that it compiles. 0, or -1 after one line on
 * stderr. `target` is named in a comment. */
int recording_close(struct recording *recording, const char *target)
    __attribute__((warn_unused_result));

#endif
