/*
 * state_rows.h - the lines of an inheritance, one row of a table for each: how
 * its values are read into the master, and how often it may stand there.
 */
#ifndef MASTER_UPGRADE_STATE_ROWS_H
#define MASTER_UPGRADE_STATE_ROWS_H

#include "master/upgrade/state_fields.h"
#include "master/upgrade/state_save.h"

struct state_reader {
	struct master *master;
	struct upgrade_state *ret;
	struct state_fd_claims claims;
	struct http_server *http_server; /* the last one; NULL: none yet */
	struct listener *listener;       /* likewise */
	uint32_t seen;                   /* bits of the rows */
};

/* 0, or -1: it says nothing that can be, or what it relies on is not there. */
int state_rows_read(struct state_reader *reader, const char *line)
    __attribute__((warn_unused_result));
/* A line that there must be, and was not; NULL: none. */
const char *state_rows_missing(const struct state_reader *reader);

/* Of endpoints and workers, for the table. */
int state_rows_read_listener(struct state_reader *reader, char *line);
int state_rows_read_drops(struct state_reader *reader, char *line);
int state_rows_read_socket(struct state_reader *reader, char *line);
int state_rows_read_slot(struct state_reader *reader, char *line);
int state_rows_read_process(struct state_reader *reader, char *line);

#endif
