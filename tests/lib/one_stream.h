/*
 * one_stream.h - the answers to one connection, fed to the verification in segments.
 */
#ifndef TESTS_LIB_ONE_STREAM_H
#define TESTS_LIB_ONE_STREAM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka needs some of those above */
#include <cmocka.h>

#include "client/verify/verify.h"

#define CONNECTIONS 20
#define MESSAGES 6
#define STREAM_MAX 8192

/* One connection under test: what the server would answer, and what verify says. */
struct scene {
	struct plan plan;
	struct sequence sequence;
	struct expectation expectation;
	struct verify verify;
	struct counters *counters;
	_Atomic uint32_t told;
	struct verify_stream stream;
	uint64_t connection;
	uint32_t unanswered;
	uint32_t right, wrong;
};

static void
set_up_sizes(struct scene *scene, enum framing framing, const char *expect,
    uint64_t size_min, uint64_t size_max)
{
	char error[PLAN_ERROR_MAX];

	memset(scene, 0, sizeof(*scene));
	plan_init(&scene->plan);
	scene->plan.framing = framing;
	scene->plan.payload = size_max > 0;
	scene->plan.size_min = size_min;
	scene->plan.size_max = size_max;
	if (strcmp(expect, "auto") != 0) {
		scene->plan.expect = PLAN_EXPECT_REPLY;
		assert_int_equal(
		    reply_parse(expect, &scene->plan.reply, error, sizeof(error)), 0);
	}
	assert_int_equal(sequence_open(&scene->plan, &scene->sequence, error), 0);
	assert_int_equal(
	    expectation_open(&scene->plan, &scene->sequence, &scene->expectation), 0);
	scene->counters = aligned_alloc(COUNTERS_CACHE_LINE, sizeof(struct counters));
	memset(scene->counters, 0, sizeof(struct counters));
	assert_int_equal(verify_init(&scene->verify, &scene->expectation, &scene->told,
			     scene->counters, CONNECTIONS),
	    0);
	scene->connection = 4;
	scene->unanswered = MESSAGES;
}

/* Messages of one size; 0: the default texts. */
static void
set_up(struct scene *scene, enum framing framing, const char *expect, uint64_t size)
{
	set_up_sizes(scene, framing, expect, size, size);
}

static void
tear_down(struct scene *scene)
{
	verify_finish(&scene->verify);
	expectation_close(&scene->expectation);
	sequence_close(&scene->sequence);
	plan_finish(&scene->plan);
	free(scene->counters);
}

/* The true answers to messages from .. end - 1 of a connection. */
static size_t
answers(struct scene *scene, enum reply_kind kind, uint64_t connection, uint64_t from,
    uint64_t end, uint8_t *out)
{
	uint8_t scratch[4096], bytes[4096];
	struct cursor cursor = { 0 };
	size_t done = 0;

	for (uint64_t message = from; message < end; message++) {
		sequence_seek(&scene->sequence, connection, &cursor, message);
		cursor.length =
		    expectation_length(&scene->expectation, connection, message);
		size_t n = sizeof(bytes);
		const uint8_t *wire = expectation_wire(
		    &scene->expectation, kind, connection, &cursor, &n, scratch, bytes);
		memcpy(out + done, wire, n);
		done += n;
	}
	return done;
}

/* Feeds data in segments of `segment` bytes. */
static void
feed(struct scene *scene, const uint8_t *data, size_t length, size_t segment)
{
	while (length > 0) {
		size_t part = length < segment ? length : segment, at = 0;
		while (at < part || scene->stream.gap > 0) {
			enum verify_result result;
			if (scene->unanswered == 0) {
				verify_unexpected(&scene->verify, scene->connection,
				    &scene->stream, data + at, part - at);
				break;
			}
			at += verify_feed(&scene->verify, scene->connection,
			    &scene->stream, scene->unanswered, data + at, part - at,
			    &result);
			if (result == VERIFY_MORE)
				continue;
			scene->unanswered--;
			scene->right += result == VERIFY_RIGHT;
			scene->wrong += result == VERIFY_WRONG;
		}
		data += part;
		length -= part;
	}
}

/* A connection that has had its two answers, of 50 bytes each: data. Returns how many.
 */
static inline size_t
set_up_answered(struct scene *scene, uint8_t *data)
{
	set_up(scene, FRAMING_STREAM, "echo", 50);
	scene->unanswered = 2;
	size_t n = answers(scene, REPLY_ECHO, 4, 0, 2, data);
	feed(scene, data, n, n);
	return n;
}

static const char *
looks(const struct scene *scene)
{
	return scene->counters->mismatches > 0 ? scene->counters->mismatch[0].looks_like
					       : "nothing";
}

#endif
