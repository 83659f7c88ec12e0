/*
 * result_fields.h - each member of a result, once: its key in the JSON, and what two
 * ranks make of it.
 *
 * What no table can say is by hand: the time of the start, the histograms, the first
 * wrong answers, thresholds and the verdict (client/result/result_read.c,
 * result_write.c), and percentiles of seconds that several ranks share
 * (client/result/result_merge.c).
 */
#ifndef CLIENT_RESULT_RESULT_FIELDS_H
#define CLIENT_RESULT_RESULT_FIELDS_H

#include "lib/json/json_record.h"

#include "client/result/result.h"

/* Of struct result: all that is there once. */
extern const struct json_record_field result_fields[];

extern const struct json_record_field result_plan_fields[];
extern const struct json_record_field result_messages_fields[];
extern const struct json_record_field result_target_fields[];
extern const struct json_record_field result_lost_connection_fields[];
extern const struct json_record_field result_second_fields[];
extern const struct json_record_field result_rank_fields[];
extern const struct json_record_field result_trust_fields[]; /* without its verdict */

/* What a row of an array is: a struct with a table, or what is written by hand. */
enum result_row { RESULT_RECORD, RESULT_MISMATCH, RESULT_THRESHOLD };

struct result_list {
	const char *name; /* key in JSON; NULL at the end */
	bool optional;    /* earlier versions did not write it */
	size_t items;     /* offset in struct result of the pointer to the first row, */
	size_t count;     /* ...and of their number */
	size_t row_bytes;
	enum result_row row;
	const struct json_record_field *fields; /* RESULT_RECORD */
};
extern const struct result_list result_lists[];

static inline void **
result_list_items(const struct result_list *list, const struct result *result)
{
	return (void **)(void *)((char *)result + list->items);
}

static inline size_t *
result_list_count(const struct result_list *list, const struct result *result)
{
	return (size_t *)(void *)((char *)result + list->count);
}

static inline void *
result_list_at(const struct result_list *list, const struct result *result, size_t i)
{
	return (char *)*result_list_items(list, result) + i * list->row_bytes;
}

#endif
