/* result_read_rows.h - the lists in the JSON of a result: part of client/result_read.c.
 */
#ifndef CLIENT_RESULT_READ_ROWS_H
#define CLIENT_RESULT_READ_ROWS_H

#include <jansson.h>

#include "client/json_reader.h"
#include "client/result.h"

/* targets, mismatches, thresholds, processes, seconds and ranks; what was read
 * before an error is owned by *ret all the same. */
void result_read_rows(
    struct json_reader *reader, const json_t *root, struct result *ret);

/* sent, verified, wrong, lost{}, in_flight of an object whose path is `where`. */
void result_read_messages(struct json_reader *reader, const json_t *from,
    const char *where, struct result_messages *ret);

#endif
