#include "client/result_read_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t
read_hex(const char *from, uint8_t *to)
{
	uint32_t length = 0;
	unsigned int byte;

	while (length < TALLY_WINDOW_MAX && strlen(from) >= 2 &&
	    sscanf(from, "%2x", &byte) == 1) {
		to[length++] = (uint8_t)byte;
		from += 2;
	}
	return length;
}

static void
read_mismatch(
    struct json_reader *reader, const json_t *from, struct tally_mismatch *ret)
{
	static const char where[] = "mismatches";
	char *looks = json_reader_text(reader, from, where, "looks_like");
	char *expected = json_reader_text(reader, from, where, "expected");
	char *got = json_reader_text(reader, from, where, "got");

	ret->connection = json_reader_count(reader, from, where, "connection");
	ret->message = json_reader_count(reader, from, where, "message");
	ret->offset = json_reader_count(reader, from, where, "offset");
	ret->answer_offset = json_reader_count(reader, from, where, "answer_offset");
	if (!reader->failed) {
		snprintf(ret->looks_like, sizeof(ret->looks_like), "%s", looks);
		ret->expected_length = read_hex(expected, ret->expected);
		ret->got_length = read_hex(got, ret->got);
	}
	free(looks);
	free(expected);
	free(got);
}

static void
read_threshold(
    struct json_reader *reader, const json_t *from, struct threshold_outcome *ret)
{
	char *given = json_reader_text(reader, from, "thresholds", "threshold");
	char error[RESULT_ERROR_MAX];

	if (given != NULL &&
	    threshold_parse(given, &ret->threshold, error, sizeof(error)) != 0)
		json_reader_fail(reader, "", "thresholds", error);
	ret->value = json_reader_real_or_null(reader, from, "thresholds", "value");
	ret->holds = json_reader_flag(reader, from, "thresholds", "holds");
	ret->known = json_reader_flag(reader, from, "thresholds", "known");
	free(given);
}

static void
read_process(struct json_reader *reader, const json_t *from, struct result_process *ret)
{
	static const char where[] = "processes";

	ret->process = json_reader_count(reader, from, where, "process");
	ret->pid = json_reader_count(reader, from, where, "pid");
	ret->connections = json_reader_count(reader, from, where, "connections");
	ret->sent = json_reader_count(reader, from, where, "sent");
	ret->verified = json_reader_count(reader, from, where, "verified");
	ret->cpu_user_s = json_reader_real(reader, from, where, "cpu_user_s");
	ret->cpu_sys_s = json_reader_real(reader, from, where, "cpu_sys_s");
	ret->cpu_share = json_reader_real(reader, from, where, "cpu_share");
	ret->loop_lag_max_ns =
	    json_reader_count(reader, from, where, "loop_lag_max_ns");
	ret->died = json_reader_flag(reader, from, where, "died");
}

static void
read_target(struct json_reader *reader, const json_t *from, struct result_target *ret)
{
	static const char where[] = "targets";
	const json_t *failed =
	    json_reader_member(reader, from, where, "failed", JSON_OBJECT);

	ret->name = json_reader_text(reader, from, where, "name");
	ret->established = json_reader_count(reader, from, where, "established");
	for (int i = 0; tally_connect_failure_names[i] != NULL; i++)
		ret->failed[i] = json_reader_count(
		    reader, failed, "targets.failed", tally_connect_failure_names[i]);
	ret->last_error = json_reader_text(reader, from, where, "last_error");
}

static uint64_t
known(struct json_reader *reader, const json_t *from, const char *key)
{
	return json_is_null(json_object_get(from, key))
	    ? UINT64_MAX
	    : json_reader_count(reader, from, "seconds", key);
}

static void
read_second(struct json_reader *reader, const json_t *from, struct result_second *ret)
{
	static const char where[] = "seconds";

	ret->at_s = json_reader_real(reader, from, where, "at_s");
	ret->length_s = json_reader_real(reader, from, where, "length_s");
	ret->connections_open =
	    json_reader_count(reader, from, where, "connections_open");
	ret->sent = json_reader_count(reader, from, where, "sent");
	ret->verified = json_reader_count(reader, from, where, "verified");
	ret->wrong = json_reader_count(reader, from, where, "wrong");
	ret->lost = json_reader_count(reader, from, where, "lost");
	ret->count = json_reader_count(reader, from, where, "count");
	ret->mean_ns = json_reader_real_or_null(reader, from, where, "mean_ns");
	ret->p50_ns = known(reader, from, "p50_ns");
	ret->p90_ns = known(reader, from, "p90_ns");
	ret->p99_ns = known(reader, from, "p99_ns");
	ret->max_ns = json_reader_count(reader, from, where, "max_ns");
}

static void
read_rank(struct json_reader *reader, const json_t *from, struct result_rank *ret)
{
	static const char where[] = "ranks";

	ret->rank = json_reader_count(reader, from, where, "rank");
	ret->hostname = json_reader_text(reader, from, where, "hostname");
	ret->started_at = json_reader_text(reader, from, where, "started_at");
	ret->elapsed_s = json_reader_real(reader, from, where, "elapsed_s");
	ret->messages_per_s = json_reader_real(reader, from, where, "messages_per_s");
	result_read_messages(reader,
	    json_reader_member(reader, from, where, "messages", JSON_OBJECT),
	    "ranks.messages", &ret->messages);
	ret->p50_ns = json_reader_count(reader, from, where, "p50_ns");
	ret->p90_ns = json_reader_count(reader, from, where, "p90_ns");
	ret->p99_ns = json_reader_count(reader, from, where, "p99_ns");
	ret->p999_ns = json_reader_count(reader, from, where, "p999_ns");
	ret->p9999_ns = json_reader_count(reader, from, where, "p9999_ns");
	ret->max_ns = json_reader_count(reader, from, where, "max_ns");
	ret->verdict = json_reader_text(reader, from, where, "verdict");
	ret->reasons = json_reader_text(reader, from, where, "reasons");
}

/* ret->items and ret->number from the array of that name, one by one. */
#define READ_ARRAY(key, items, number, read_one)                                       \
	do {                                                                           \
		const json_t *array = json_reader_member(                              \
				 reader, root, "", key, JSON_ARRAY),                   \
			     *one;                                                     \
		size_t i;                                                              \
		ret->items =                                                           \
		    json_reader_room(reader, array, key, sizeof(*ret->items));         \
		json_array_foreach(array, i, one)                                      \
		{                                                                      \
			if (reader->failed)                                            \
				break;                                                 \
			ret->number = i + 1;                                           \
			read_one(reader, one, &ret->items[i]);                         \
		}                                                                      \
	} while (0)

void
result_read_rows(struct json_reader *reader, const json_t *root, struct result *ret)
{
	/* Earlier versions wrote no targets. */
	if (json_object_get(root, "targets") != NULL)
		READ_ARRAY("targets", targets, target_count, read_target);
	READ_ARRAY("mismatches", mismatches, mismatch_count, read_mismatch);
	READ_ARRAY("thresholds", thresholds, threshold_count, read_threshold);
	READ_ARRAY("processes", processes, process_count, read_process);
	READ_ARRAY("seconds", seconds, second_count, read_second);
	READ_ARRAY("ranks", ranks, rank_count, read_rank);
}
