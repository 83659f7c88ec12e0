/*
 * Random damage to a stream of answers: the number of wrong answers equals a model that
 * knows the damage and not the verification, and every segmentation gives the same
 * verdict, the same text and the same excerpts.
 *
 * VERIFY_TRIALS=N and VERIFY_SEED=S choose other trials; VERIFY_LARGE=1 makes streams
 * and damages of up to 1 MiB.
 */
#include <time.h>

#include "tests/lib/verify_fixture.h"

#define TRIALS 600
#define ANSWERS_MAX 4096
#define DAMAGES_MAX 5
#define DISTANCE 400 /* intact bytes between two damages, at least */
#define WHOLE SIZE_MAX

enum kind { FLIP, ZERO, CUT, INSERT, REPEAT, TWICE, SWAP, KINDS };

static uint64_t random_state;

static uint64_t
random_below(uint64_t limit)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (random_state >> 11) % limit;
}

/* Mostly small, sometimes large. */
static size_t
random_size(size_t max)
{
	size_t top = 1;

	while (top < max && random_below(8) > 0)
		top *= 2;
	return 1 + random_below(top < max ? top : max);
}

static size_t
smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* The answers, where each one ends, and the model's verdict on each. */
struct model {
	uint8_t *sent, *came;
	size_t length, came_length;
	size_t ends[ANSWERS_MAX];
	bool wrong[ANSWERS_MAX];
	uint32_t answers;
	size_t inserted; /* bytes that belong to no answer */
	size_t *source;  /* by received byte: the answer that it came with or before */
};

static size_t
start_of(const struct model *model, uint32_t answer)
{
	return answer == 0 ? 0 : model->ends[answer - 1];
}

static uint32_t
answer_at(const struct model *model, size_t at)
{
	uint32_t low = 0, high = model->answers;

	while (low < high) {
		uint32_t middle = (low + high) / 2;
		if (model->ends[middle] <= at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool
is_boundary(const struct model *model, size_t at)
{
	return at == 0 || start_of(model, answer_at(model, at)) == at;
}

static void
append(struct model *model, const uint8_t *bytes, size_t length, uint32_t answer)
{
	memcpy(model->came + model->came_length, bytes, length);
	for (size_t i = 0; i < length; i++)
		model->source[model->came_length + i] = answer;
	model->came_length += length;
}

/* Intact bytes up to `to`. */
static void
append_intact(struct model *model, size_t from, size_t to)
{
	while (from < to) {
		uint32_t answer = answer_at(model, from);
		size_t n = smaller(model->ends[answer], to) - from;
		append(model, model->sent + from, n, answer);
		from += n;
	}
}

/* Marks the answers of a gap, moved to where it hits the fewest. */
static void
mark_gap(struct model *model, size_t from, size_t to)
{
	const uint8_t *sent = model->sent;
	size_t best = from;
	uint32_t fewest = answer_at(model, to - 1) - answer_at(model, from);

	while (from > 0 && sent[from - 1] == sent[to - 1]) {
		from--;
		to--;
	}
	for (;; from++, to++) {
		uint32_t hit = answer_at(model, to - 1) - answer_at(model, from);
		if (hit < fewest) {
			fewest = hit;
			best = from;
		}
		if (to == model->length || sent[from] != sent[to])
			break;
	}
	for (uint32_t i = 0; i <= fewest; i++)
		model->wrong[answer_at(model, best) + i] = true;
}

/* Bytes inserted between two answers hit neither, wherever they could also have been.
 */
static void
mark_insertion(struct model *model, size_t at, const uint8_t *bytes, size_t length)
{
	const uint8_t *sent = model->sent;
	size_t left = at, right = at;
	bool between = is_boundary(model, at);

	for (size_t i = 0; !between && left > 0; i++) {
		uint8_t last =
		    i < length ? bytes[length - 1 - i] : sent[left - 1 + length];
		if (sent[left - 1] != last)
			break;
		between = is_boundary(model, --left);
	}
	for (size_t i = 0; !between && right < model->length; i++) {
		uint8_t first = i < length ? bytes[i] : sent[right - length];
		if (sent[right] != first)
			break;
		between = is_boundary(model, ++right);
	}
	if (!between)
		model->wrong[answer_at(model, at)] = true;
	model->inserted += length;
}

/* The last bytes, again: between two answers if their first difference is, or if they
 * are whole answers. */
static void
repeat(struct model *model, size_t at, size_t length)
{
	const uint8_t *again = model->sent + at - length;
	size_t late = at;

	while (late < model->length && model->sent[late] == model->sent[late - length])
		late++;
	size_t start = start_of(model, answer_at(model, late));
	bool is_whole = length <= start && is_boundary(model, start - length);
	if (late != start && !is_whole)
		model->wrong[answer_at(model, late)] = true;
	model->inserted += length;
	append(model, again, length, answer_at(model, at));
}

static void
insert(struct model *model, size_t at, const uint8_t *bytes, size_t length)
{
	mark_insertion(model, at, bytes, length);
	append(model, bytes, length, answer_at(model, at));
}

/* Another byte at `at`. */
static void
alter(struct model *model, size_t at, uint8_t byte)
{
	if (byte != model->sent[at])
		model->wrong[answer_at(model, at)] = true;
	append(model, &byte, 1, answer_at(model, at));
}

static size_t
flip(struct model *model, size_t at, size_t end)
{
	size_t last = at + random_below(9);

	for (; at <= last && at < end; at++)
		alter(model, at,
		    model->sent[at] ^
			(random_below(2) ? (uint8_t)(1 + random_below(255)) : 0));
	return at;
}

static size_t
overwrite(struct model *model, size_t at, size_t end, size_t length)
{
	for (; length > 0 && at < end; at++, length--)
		alter(model, at, 0);
	return at;
}

static size_t
swap(struct model *model, uint32_t first, uint32_t second)
{
	size_t a = start_of(model, first), b = start_of(model, second);

	append(model, model->sent + b, model->ends[second] - b, second);
	append_intact(model, model->ends[first], b);
	append(model, model->sent + a, model->ends[first] - a, second);
	model->wrong[first] = model->wrong[second] = true;
	return model->ends[second];
}

/* One damage at `at` or a little later. Returns where the intact part continues. */
static size_t
damage(struct model *model, enum kind kind, size_t at, size_t max)
{
	size_t end = model->length, length = random_size(max);
	uint32_t answer = answer_at(model, at);
	uint8_t *bytes = malloc(length);

	for (size_t i = 0; i < length; i++)
		bytes[i] = (uint8_t)random_below(256);
	switch (kind) {
	case FLIP:
		at = flip(model, at, end);
		break;
	case ZERO:
		at = overwrite(model, at, end, smaller(length, 100));
		break;
	case CUT:
		length = smaller(length, end - at > DISTANCE ? end - at - DISTANCE : 0);
		if (length == 0)
			break;
		mark_gap(model, at, at + length);
		at += length;
		break;
	case INSERT:
		insert(model, at, bytes, length);
		break;
	case REPEAT:
		length = smaller(length, at);
		if (length > 0)
			repeat(model, at, length);
		break;
	case TWICE:
		append_intact(model, at, model->ends[answer]);
		insert(model, model->ends[answer],
		    model->sent + start_of(model, answer),
		    model->ends[answer] - start_of(model, answer));
		at = model->ends[answer];
		break;
	case SWAP: {
		uint32_t first = answer + 1, second = first + 1 + random_below(3);
		if (second >= model->answers)
			break;
		bool is_long = model->ends[first] - start_of(model, first) >= 24 &&
		    model->ends[second] - start_of(model, second) >= 24;
		if (!is_long)
			break;
		append_intact(model, at, start_of(model, first));
		at = swap(model, first, second);
		break;
	}
	case KINDS:
		break;
	}
	free(bytes);
	return at;
}

static void
damage_stream(struct model *model, size_t max)
{
	uint32_t count = 1 + random_below(DAMAGES_MAX);
	size_t at = 0;

	while (count-- > 0) {
		size_t next =
		    at + (at > 0 ? DISTANCE : 0) + random_below(1 + model->length / 4);
		if (next + DISTANCE >= model->length)
			break;
		append_intact(model, at, next);
		at = damage(model, (enum kind)random_below(KINDS), next, max);
	}
	/* The last answers may be missing. */
	size_t end = model->length;
	if (random_below(4) == 0 && end - at > 2 * DISTANCE)
		end -= 1 + random_below(DISTANCE);
	append_intact(model, at, end);
	model->length = end;
}

struct verdict {
	uint32_t right, wrong, lost, mismatches;
	uint64_t unexpected, work;
	struct counters_mismatch mismatch[COUNTERS_MISMATCHES_MAX];
};

/* Messages beyond those that the pipeline allows are sent when nothing else arrives. */
static void
run(struct fixture *fixture, const struct model *model, size_t segment,
    uint32_t pipeline, struct verdict *ret)
{
	uint32_t total = model->answers, sent = smaller(pipeline, total);
	size_t at = 0;

	fixture->unanswered = sent;
	while (at < model->came_length) {
		size_t n = 0;
		size_t most = segment == 0 ? 1 + random_below(3000) : segment;
		while (n < most && at + n < model->came_length &&
		    model->source[at + n] < sent)
			n++;
		if (n > 0)
			feed_segment(fixture, model->came + at, n);
		at += n;
		uint32_t open = fixture->unanswered -
		    smaller(fixture->unanswered, verify_released(&fixture->stream));
		uint32_t more = open < pipeline ? pipeline - open : 0;
		if (more == 0 && n == 0)
			more = 1;
		more = smaller(more, total - sent);
		sent += more;
		fixture->unanswered += more;
	}
	fixture->unanswered += total - sent;
	end(fixture);
	memset(ret, 0, sizeof(*ret));
	if (fixture->stream.wrong && fixture->unanswered > 0) {
		fixture->wrong++;
		fixture->unanswered--;
	}
	ret->right = fixture->right;
	ret->wrong = fixture->wrong;
	ret->lost = fixture->unanswered;
	ret->mismatches = fixture->counters->mismatches;
	ret->unexpected = fixture->counters->bytes_unexpected;
	ret->work = fixture->verify.resync.work_bytes;
	memcpy(ret->mismatch, fixture->counters->mismatch, sizeof(ret->mismatch));
	for (uint32_t i = 0; i < COUNTERS_MISMATCHES_MAX; i++)
		memset(ret->mismatch[i].at, 0, sizeof(ret->mismatch[i].at));
}

static void
fill_model(struct fixture *fixture, struct model *model, uint32_t answers)
{
	struct expectation_reader reader = {
		.expectation = &fixture->expectation,
		.kind = fixture->plan.reply.kind,
		.connection = fixture->connection,
		.end = answers,
		.scratch = fixture->verify.scratch,
	};

	memset(model, 0, sizeof(*model));
	model->answers = answers;
	for (uint32_t i = 0; i < answers; i++) {
		model->length +=
		    expectation_length(&fixture->expectation, fixture->connection, i);
		model->ends[i] = model->length;
	}
	model->sent = malloc(model->length);
	assert_true(
	    expectation_read(&reader, model->sent, model->length) == model->length);
}

static void
give_room(struct model *model, size_t max)
{
	size_t room = 4 * model->length + DAMAGES_MAX * max + 1;

	model->came = malloc(room);
	model->source = malloc(room * sizeof(model->source[0]));
}

static void
free_model(struct model *model)
{
	free(model->sent);
	free(model->came);
	free(model->source);
}

struct trial {
	uint64_t seed;
	enum framing framing;
	const char *expect;
	size_t size_min, size_max, damage_max;
	uint32_t answers, pipeline;
};

static void
describe(const struct trial *trial, size_t segment, const struct verdict *verdict)
{
	fprintf(stderr,
	    "VERIFY_SEED=%llu VERIFY_TRIALS=1: %s %s, sizes %zu-%zu, %u answers, -p %u, segments of %zu: right %u wrong %u lost %u unexpected %llu\n",
	    (unsigned long long)trial->seed, framing_names[trial->framing],
	    trial->expect, trial->size_min, trial->size_max, trial->answers,
	    trial->pipeline, segment, verdict->right, verdict->wrong, verdict->lost,
	    (unsigned long long)verdict->unexpected);
	for (uint32_t i = 0; i < verdict->mismatches; i++)
		fprintf(stderr, "  message %llu, byte %llu: %s\n",
		    (unsigned long long)verdict->mismatch[i].message,
		    (unsigned long long)verdict->mismatch[i].answer_offset,
		    verdict->mismatch[i].looks_like);
}

static struct trial
random_trial(uint64_t seed, bool is_large)
{
	static const char *const expects[] = { "echo", "upper" };
	struct trial trial = { .seed = seed };

	random_state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	for (int i = 0; i < 8; i++)
		random_below(2);
	trial.framing = (enum framing)random_below(3);
	trial.expect = expects[random_below(2)];
	trial.size_min = random_size(is_large ? 65536 : 300);
	/* Lines and frames of a byte or two say too little about their place. */
	if (trial.framing != FRAMING_STREAM)
		trial.size_min += 3;
	trial.size_max = random_below(2) == 0
	    ? trial.size_min
	    : trial.size_min + random_size(is_large ? 65536 : 300);
	size_t total = is_large ? 2u << 20 : 6144;
	trial.answers = (uint32_t)smaller(
	    ANSWERS_MAX, 2 + total / (trial.size_max + trial.size_min));
	trial.damage_max = is_large ? 1u << 20 : 2000;
	trial.pipeline = (uint32_t)random_size(64);
	return trial;
}

static void
check_model(const struct trial *trial, const struct model *model, size_t segment,
    const struct verdict *verdict)
{
	uint32_t wrong = 0, lost = 0, first_lost = answer_at(model, model->length);

	for (uint32_t i = 0; i < model->answers; i++) {
		wrong += model->wrong[i];
		lost += i >= first_lost && !model->wrong[i];
	}
	if (verdict->wrong == wrong && verdict->lost == lost &&
	    verdict->unexpected == model->inserted)
		return;
	describe(trial, segment, verdict);
	fail_msg(
	    "the model: wrong %u lost %u unexpected %zu", wrong, lost, model->inserted);
}

static void
check_trial(uint64_t seed, bool is_large)
{
	static const size_t segments[] = { WHOLE, 1, 7, 1448, 65536, 0 };
	static struct model model;
	static struct verdict first, verdict;
	struct trial trial = random_trial(seed, is_large);

	for (size_t i = 0; i < sizeof(segments) / sizeof(segments[0]); i++) {
		struct fixture fixture;
		set_up_sizes(&fixture, trial.framing, trial.expect, trial.size_min,
		    trial.size_max);
		if (i == 0) {
			fill_model(&fixture, &model, trial.answers);
			give_room(&model, trial.damage_max);
			damage_stream(&model, trial.damage_max);
		}
		run(&fixture, &model, segments[i], trial.pipeline, &verdict);
		check_model(&trial, &model, segments[i], &verdict);
		if (i == 0)
			first = verdict;
		first.work = verdict.work;
		if (memcmp(&first, &verdict, sizeof(first)) != 0) {
			describe(&trial, segments[0], &first);
			describe(&trial, segments[i], &verdict);
			fail_msg("another segmentation, another verdict");
		}
		tear_down(&fixture);
	}
	free_model(&model);
}

static uint64_t
number_from(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

static void
random_damage_is_counted_as_by_the_model_in_any_segmentation(void **state)
{
	uint64_t seed = number_from("VERIFY_SEED", 1);
	uint64_t trials = number_from("VERIFY_TRIALS", TRIALS);
	bool is_large = number_from("VERIFY_LARGE", 0) != 0;

	(void)state;
	for (uint64_t i = 0; i < trials; i++)
		check_trial(seed + i, is_large);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    random_damage_is_counted_as_by_the_model_in_any_segmentation),
	};

	return cmocka_run_group_tests_name("verify_damage", tests, NULL, NULL);
}
