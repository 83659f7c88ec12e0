/*
 * The verification of answers. The first bytes choose the framing, the reply, the
 * messages and the segmentation; each group after them changes the stream of correct
 * answers: bytes altered, removed, inserted, repeated, or from another connection. With
 * any segmentation correct answers are verified, a prefix of the correct stream has no
 * mismatch, and incorrect bytes are reported.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "client/verify/verify.h"
#include "tests/fuzz/input.h"
#include "tests/lib/must.h"

#define CONNECTIONS 3
#define OWN 1
#define STREAM_MAX 4096
#define CHANGES_MAX 6

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct bytes {
	uint8_t data[2 * STREAM_MAX];
	size_t length;
};

struct fixture {
	struct plan plan;
	struct sequence sequence;
	struct expectation expectation;
	struct verify verify;
	struct counters *counters;
	_Atomic uint32_t detected;
	struct verify_stream stream;
	uint32_t messages, unanswered, right, wrong;
};

static void
choose(struct fixture *fixture, struct input *input)
{
	static const char *const replies[] = { "auto", "echo", "upper",
		"upper,suffix=_S", "fixed=12345", "fixed=" };
	static const char *texts[] = { "", "a", "same", "same beginning", "SAME" };
	const char *expect = replies[next_byte(input) % 6];
	struct plan *plan = &fixture->plan;
	uint8_t what = next_byte(input);
	char error[PLAN_ERROR_MAX];

	plan_init(plan);
	plan->framing = (enum framing)(next_byte(input) % 3);
	plan->payload = what % 2 == 0;
	plan->size_min = 1 + next_byte(input) % 100;
	plan->size_max = plan->size_min + next_byte(input) % 100;
	bool empty_fits = plan->framing != FRAMING_STREAM;
	plan->texts = (struct option_list){ .items = empty_fits ? texts : texts + 1,
		.count = empty_fits ? 5 : 4 };
	if (strcmp(expect, "auto") != 0) {
		plan->expect = PLAN_EXPECT_REPLY;
		must(reply_parse(expect, &plan->reply, error, sizeof(error)) == 0);
	}
	fixture->messages = fixture->unanswered = 1 + next_byte(input) % 12;
}

static void
open_fixture(struct fixture *fixture)
{
	char error[PLAN_ERROR_MAX];

	must(sequence_open(&fixture->plan, &fixture->sequence, error) == 0);
	expectation_open(&fixture->plan, &fixture->sequence, &fixture->expectation);
	fixture->counters = aligned_alloc(COUNTERS_CACHE_LINE, sizeof(struct counters));
	must(fixture->counters != NULL);
	memset(fixture->counters, 0, sizeof(struct counters));
	verify_init(&fixture->verify, &fixture->expectation, &fixture->detected,
	    fixture->counters, CONNECTIONS);
}

static void
close_fixture(struct fixture *fixture)
{
	verify_finish(&fixture->verify);
	expectation_close(&fixture->expectation);
	sequence_close(&fixture->sequence);
	reply_finish(&fixture->plan.reply);
	free(fixture->counters);
}

/* The correct answers to all messages. */
static void
answer(struct fixture *fixture, enum reply_kind kind, uint64_t connection,
    struct bytes *ret)
{
	struct expectation_reader reader = { .expectation = &fixture->expectation,
		.kind = kind,
		.connection = connection,
		.end = fixture->expectation.none ? 0 : fixture->messages,
		.scratch = fixture->verify.scratch };

	ret->length = expectation_read(&reader, ret->data, STREAM_MAX);
}

static void
replace(struct bytes *bytes, size_t at, size_t gone, const uint8_t *with, size_t length)
{
	uint8_t copy[STREAM_MAX];

	if (at > bytes->length)
		at = bytes->length;
	if (gone > bytes->length - at)
		gone = bytes->length - at;
	if (length > sizeof(bytes->data) - (bytes->length - gone))
		return;
	memcpy(copy, with, length); /* `with` may point into the same stream */
	memmove(bytes->data + at + length, bytes->data + at + gone,
	    bytes->length - at - gone);
	memcpy(bytes->data + at, copy, length);
	bytes->length += length - gone;
}

static void
change(struct bytes *bytes, const struct bytes *others, struct input *input)
{
	uint8_t how = next_byte(input);
	size_t at = next_number(input, 2) % (bytes->length + 1);
	size_t length = next_byte(input), there = next_number(input, 2);
	uint8_t byte = next_byte(input);

	switch (how % 5) {
	case 0:
		replace(bytes, at, 1, &byte, 1);
		break;
	case 1:
		replace(bytes, at, length, &byte, 0);
		break;
	case 2:
		replace(bytes, at, 0, &byte, 1);
		break;
	case 3:
		there %= bytes->length + 1;
		if (length > bytes->length - there)
			length = bytes->length - there;
		replace(bytes, at, 0, bytes->data + there, length);
		break;
	default:
		if (at < others->length && length > others->length - at)
			length = others->length - at;
		if (at < others->length)
			replace(bytes, at, length, others->data + at, length);
	}
}

static void
count(struct fixture *fixture, enum verify_result result)
{
	must(result == VERIFY_MORE || fixture->unanswered > 0);
	fixture->unanswered -= result != VERIFY_MORE;
	fixture->right += result == VERIFY_RIGHT;
	fixture->wrong += result == VERIFY_WRONG;
}

/* Like client/load/conn_receive.c; each segment is an exact copy. */
static void
feed(struct fixture *fixture, const uint8_t *from, size_t length)
{
	uint8_t *segment = malloc(length > 0 ? length : 1);

	must(segment != NULL);
	memcpy(segment, from, length);
	struct verify_input in = {
		.connection = OWN,
		.stream = &fixture->stream,
		.data = segment,
		.length = length,
	};
	enum verify_result result;
	do {
		in.unanswered = fixture->unanswered;
		size_t before = in.length;
		result = verify_feed(&fixture->verify, &in);
		must(in.length < before || in.length == 0);
		must(in.data + in.length == segment + length);
		must(verify_released(&fixture->stream) <= STREAM_MAX);
		count(fixture, result);
	} while (in.length > 0 || result != VERIFY_MORE);
	free(segment);
}

static void
end(struct fixture *fixture)
{
	struct verify_input in = { .connection = OWN, .stream = &fixture->stream };
	enum verify_result result;

	do {
		in.unanswered = fixture->unanswered;
		result = verify_end(&fixture->verify, &in);
		count(fixture, result);
	} while (result != VERIFY_MORE);
	/* Everything is decided. */
	must(fixture->stream.held == NULL || held_length(fixture->stream.held) == 0 ||
	    fixture->expectation.none);
	verify_stream_finish(&fixture->verify, &fixture->stream);
	must(fixture->verify.budget.bytes == 0);
}

/* Length of the common prefix. */
static size_t
shared(const struct bytes *a, const struct bytes *b)
{
	size_t n = 0;

	while (n < a->length && n < b->length && a->data[n] == b->data[n])
		n++;
	return n;
}

static void
check(const struct fixture *fixture, const struct bytes *came,
    const struct bytes *truth, const struct bytes *other_truth)
{
	const struct counters *counters = fixture->counters;
	size_t same = shared(came, truth), other = shared(came, other_truth);
	bool is_reported = fixture->wrong > 0 || counters->mismatches > 0 ||
	    counters->bytes_unexpected > 0;

	if (fixture->plan.expect == PLAN_EXPECT_AUTO && other > same)
		same = other;
	must(
	    fixture->right + fixture->wrong + fixture->unanswered == fixture->messages);
	must(!is_reported || same < came->length);
	/* A mismatch that is not reported yet is in an incomplete answer. */
	must(is_reported || fixture->expectation.none ||
	    expectation_offset(&fixture->expectation, &fixture->stream.cursor) <= same);
	if (same == came->length && same == truth->length && !fixture->expectation.none)
		must(fixture->right == fixture->messages);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct bytes truth, other_truth, others, came;
	struct input input = { data, size };
	struct fixture fixture = { .right = 0 };

	choose(&fixture, &input);
	open_fixture(&fixture);
	enum reply_kind kind = fixture.plan.reply.kind, other = REPLY_UPPER;
	if (fixture.plan.expect == PLAN_EXPECT_AUTO) {
		kind = next_byte(&input) % 2 == 0 ? REPLY_ECHO : REPLY_UPPER;
		other = kind == REPLY_ECHO ? REPLY_UPPER : REPLY_ECHO;
	}
	size_t segment = 1 + next_number(&input, 2) % STREAM_MAX;
	answer(&fixture, kind, OWN, &truth);
	answer(&fixture, other, OWN, &other_truth);
	answer(&fixture, kind, OWN + 1, &others);
	came = truth;
	for (int i = 0; i < CHANGES_MAX && input.left > 0; i++)
		change(&came, &others, &input);
	for (size_t at = 0; at < came.length; at += segment)
		feed(&fixture, came.data + at,
		    came.length - at < segment ? came.length - at : segment);
	end(&fixture);
	check(&fixture, &came, &truth, &other_truth);
	close_fixture(&fixture);
	return 0;
}
