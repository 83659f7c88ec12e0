/*
 * verify_fixture.h - the answers to one connection, fed to the verification in
 * segments.
 */
#ifndef TESTS_LIB_VERIFY_FIXTURE_H
#define TESTS_LIB_VERIFY_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka needs some of the above */
#include <cmocka.h>

#include "client/verify/verify.h"

#define CONNECTIONS 20
#define MESSAGES 6
#define STREAM_MAX 8192

/* One connection: the answers of the server and the verdicts of verify. */
struct fixture {
	struct plan plan;
	struct sequence sequence;
	struct expectation expectation;
	struct verify verify;
	struct counters *counters;
	_Atomic uint32_t detected;
	struct verify_stream stream;
	uint64_t connection;
	uint32_t unanswered;
	uint32_t right, wrong;
};

static void
set_up_sizes(struct fixture *fixture, enum framing framing, const char *expect,
    uint64_t size_min, uint64_t size_max)
{
	char error[PLAN_ERROR_MAX];

	memset(fixture, 0, sizeof(*fixture));
	plan_init(&fixture->plan);
	fixture->plan.framing = framing;
	fixture->plan.payload = size_max > 0;
	fixture->plan.size_min = size_min;
	fixture->plan.size_max = size_max;
	if (strcmp(expect, "auto") != 0) {
		fixture->plan.expect = PLAN_EXPECT_REPLY;
		assert_int_equal(
		    reply_parse(expect, &fixture->plan.reply, error, sizeof(error)), 0);
	}
	assert_int_equal(sequence_open(&fixture->plan, &fixture->sequence, error), 0);
	expectation_open(&fixture->plan, &fixture->sequence, &fixture->expectation);
	fixture->counters = aligned_alloc(COUNTERS_CACHE_LINE, sizeof(struct counters));
	memset(fixture->counters, 0, sizeof(struct counters));
	verify_init(&fixture->verify, &fixture->expectation, &fixture->detected,
	    fixture->counters, CONNECTIONS);
	fixture->connection = 4;
	fixture->unanswered = MESSAGES;
}

/* Messages of equal size; 0: the default texts. */
static void
set_up(struct fixture *fixture, enum framing framing, const char *expect, uint64_t size)
{
	set_up_sizes(fixture, framing, expect, size, size);
}

static void
tear_down(struct fixture *fixture)
{
	verify_stream_finish(&fixture->verify, &fixture->stream);
	verify_finish(&fixture->verify);
	expectation_close(&fixture->expectation);
	sequence_close(&fixture->sequence);
	plan_finish(&fixture->plan);
	free(fixture->counters);
}

/* The correct answers to messages from .. end - 1 of a connection. */
static size_t
correct_answers(struct fixture *fixture, enum reply_kind kind, uint64_t connection,
    uint64_t from, uint64_t end, uint8_t *out)
{
	uint8_t scratch[4096], bytes[4096];
	struct cursor cursor = { 0 };
	size_t done = 0;

	for (uint64_t message = from; message < end; message++) {
		sequence_seek(&fixture->sequence, connection, &cursor, message);
		cursor.length =
		    expectation_length(&fixture->expectation, connection, message);
		size_t n = sizeof(bytes);
		const uint8_t *wire = expectation_wire(&fixture->expectation, kind,
		    connection, &cursor, &n, scratch, bytes);
		memcpy(out + done, wire, n);
		done += n;
	}
	return done;
}

static inline void
count(struct fixture *fixture, enum verify_result result)
{
	fixture->unanswered -= result != VERIFY_MORE;
	fixture->right += result == VERIFY_RIGHT;
	fixture->wrong += result == VERIFY_WRONG;
}

/* Feeds one segment, in a copy of its own. */
static inline void
feed_segment(struct fixture *fixture, const uint8_t *data, size_t length)
{
	uint8_t *copy = malloc(length > 0 ? length : 1);
	struct verify_input in = {
		.connection = fixture->connection,
		.stream = &fixture->stream,
		.data = copy,
		.length = length,
	};
	enum verify_result result;

	assert_non_null(copy);
	memcpy(copy, data, length);
	in.unanswered = fixture->unanswered;
	uint32_t right = verify_run(&fixture->verify, &in);
	fixture->right += right;
	fixture->unanswered -= right;
	do {
		in.unanswered = fixture->unanswered;
		result = verify_feed(&fixture->verify, &in);
		count(fixture, result);
	} while (in.length > 0 || result != VERIFY_MORE);
	free(copy);
}

/* Nothing more will arrive. */
static inline void
end(struct fixture *fixture)
{
	struct verify_input in = {
		.connection = fixture->connection,
		.stream = &fixture->stream,
	};
	enum verify_result result;

	do {
		in.unanswered = fixture->unanswered;
		result = verify_end(&fixture->verify, &in);
		count(fixture, result);
	} while (result != VERIFY_MORE);
	verify_stream_finish(&fixture->verify, &fixture->stream);
}

/* Feeds data in segments of `segment` bytes, and nothing after it. */
static inline void
feed(struct fixture *fixture, const uint8_t *data, size_t length, size_t segment)
{
	for (size_t at = 0; at < length; at += segment)
		feed_segment(
		    fixture, data + at, length - at < segment ? length - at : segment);
	end(fixture);
}

/* A connection that has received its two answers of 50 bytes, which are in `data`.
 * Returns their length. */
static inline size_t
set_up_answered(struct fixture *fixture, uint8_t *data)
{
	set_up(fixture, FRAMING_STREAM, "echo", 50);
	fixture->unanswered = 2;
	size_t n = correct_answers(fixture, REPLY_ECHO, 4, 0, 2, data);
	feed(fixture, data, n, n);
	return n;
}

static inline const char *
diagnosis_text(const struct fixture *fixture)
{
	return fixture->counters->mismatches > 0
	    ? fixture->counters->mismatch[0].looks_like
	    : "nothing";
}

#endif
