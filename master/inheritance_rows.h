/*
 * inheritance_rows.h - the lines of an inheritance, one row of a table for each: how
 * its values are read into the master, and how often it may stand there.
 */
#ifndef MASTER_INHERITANCE_ROWS_H
#define MASTER_INHERITANCE_ROWS_H

#include "master/inheritance.h"
#include "master/inheritance_line.h"

struct inheritance_reader {
	struct master *master;
	struct inheritance *ret;
	struct inheritance_claims claims;
	struct door *door;         /* the last one; NULL: none yet */
	struct endpoint *endpoint; /* likewise */
	uint32_t seen;             /* bits of the rows */
};

/* 0, or -1: it says nothing that can be, or what it relies on is not there. */
int inheritance_rows_read(struct inheritance_reader *reader, const char *line)
    __attribute__((warn_unused_result));
/* A line that there must be, and was not; NULL: none. */
const char *inheritance_rows_missing(const struct inheritance_reader *reader);

/* Of endpoints and workers, for the table. */
int inheritance_read_endpoint(struct inheritance_reader *reader, char *line);
int inheritance_read_drops(struct inheritance_reader *reader, char *line);
int inheritance_read_socket(struct inheritance_reader *reader, char *line);
int inheritance_read_slot(struct inheritance_reader *reader, char *line);
int inheritance_read_process(struct inheritance_reader *reader, char *line);

#endif
