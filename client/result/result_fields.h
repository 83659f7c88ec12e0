/*
 * result_fields.h - the table of a result's members: JSON key, and how a merge combines
 * two ranks.
 *
 * Not in the table, but written by hand in result_read.c and result_write.c: the start
 * time, histograms, mismatches, thresholds and the verdict; and in result_merge.c the
 * percentiles of seconds that several ranks share.
 */
#ifndef CLIENT_RESULT_RESULT_FIELDS_H
#define CLIENT_RESULT_RESULT_FIELDS_H

#include "lib/json/json_record.h"
#include "client/result/result.h"

/* Members of struct result that are not lists. */
extern const struct json_record_field result_fields[];

extern const struct json_record_field result_plan_fields[];
extern const struct json_record_field result_messages_fields[];
extern const struct json_record_field result_target_fields[];
extern const struct json_record_field result_address_fields[];
extern const struct json_record_field result_losses_fields[];
extern const struct json_record_field result_server_fields[];
extern const struct json_record_field result_tls_count_fields[];
extern const struct json_record_field result_certificate_fields[];
extern const struct json_record_field result_second_fields[];
extern const struct json_record_field result_client_delay_fields[];
extern const struct json_record_field result_rank_fields[];
extern const struct json_record_field result_trust_fields[]; /* without the verdict */
extern const struct json_record_field result_ledger_fields[],
    result_fault_fields[]; /* without the servers */

/* The verdict with its reasons as a JSON object; NULL when out of memory. */
json_t *result_trust_json(const struct result_trust *trust)
    __attribute__((warn_unused_result));
/* The labels as a JSON object; NULL when out of memory. */
json_t *result_labels_json(const struct labels *labels)
    __attribute__((warn_unused_result));

/* How a row of a list is read and written: by its table, by its table and its histogram
 * by hand, or by hand. */
enum result_row { RESULT_RECORD, RESULT_TARGET, RESULT_MISMATCH, RESULT_THRESHOLD };

struct result_list {
	const char *name; /* key in JSON; NULL at the end */
	size_t items;     /* offset in struct result of the pointer to the first row */
	size_t count;     /* offset of the number of rows */
	size_t row_bytes;
	enum result_row row;
	bool is_appended; /* a merge appends the rows of all results */
	bool is_optional; /* results of earlier versions do not have it */
	const struct json_record_field *fields; /* RESULT_RECORD, RESULT_TARGET */
};
extern const struct result_list result_lists[];
/* Lists of "ledger". */
extern const struct result_list result_ledger_servers, result_ledger_findings;

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
