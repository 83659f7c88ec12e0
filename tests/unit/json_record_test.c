#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/json/json_record.h"

static const char *const colours[] = { "red", "green", NULL };

struct timer_wheel {
	uint64_t turns[2];
	bool is_flat;
};
static const struct json_record_field wheel_fields[] = {
	{ .name = "turns",
	    .kind = JSON_RECORD_COUNTS,
	    .sum = JSON_RECORD_SUM,
	    .offset = offsetof(struct timer_wheel, turns),
	    .names = colours },
	JSON_RECORD(struct timer_wheel, is_flat, JSON_RECORD_MOST),
	{ .name = NULL },
};

struct cart {
	uint64_t load, highest, known, seed;
	double speed, maybe;
	char *owner;
	char **towns;
	size_t town_count;
	struct timer_wheel front, spare;
};
static const struct json_record_field cart_fields[] = {
	JSON_RECORD(struct cart, load, JSON_RECORD_SUM),
	JSON_RECORD_AS("most", struct cart, highest, JSON_RECORD_MOST),
	JSON_RECORD_OF(struct cart, known, JSON_RECORD_OWN, JSON_RECORD_COUNT_OR_NULL),
	JSON_RECORD_OF(struct cart, seed, JSON_RECORD_OWN, JSON_RECORD_WORD),
	JSON_RECORD(struct cart, speed, JSON_RECORD_MOST),
	JSON_RECORD_OF(struct cart, maybe, JSON_RECORD_OWN, JSON_RECORD_REAL_OR_NULL),
	JSON_RECORD(struct cart, owner, JSON_RECORD_OWN),
	{ .name = "towns",
	    .kind = JSON_RECORD_TEXTS,
	    .offset = offsetof(struct cart, towns),
	    .count_offset = offsetof(struct cart, town_count) },
	{ .name = "front",
	    .kind = JSON_RECORD_PART,
	    .offset = offsetof(struct cart, front),
	    .part = wheel_fields },
	{ .name = "spare",
	    .kind = JSON_RECORD_PART,
	    .offset = offsetof(struct cart, spare),
	    .part = wheel_fields },
	{ .name = NULL },
};

static char *
json_of(const struct cart *cart)
{
	json_t *json = json_record_write(cart_fields, cart);
	char *text = json_dumps(json, JSON_COMPACT);

	assert_non_null(text);
	json_decref(json);
	return text;
}

/* *ret may be finished in any case. */
static bool
read_cart(const char *text, struct cart *ret, char *error)
{
	struct json_reader reader = { .error = error, .error_size = 128 };
	json_t *json = json_loads(text, 0, NULL);

	assert_non_null(json);
	memset(ret, 0, sizeof(*ret));
	json_record_read(cart_fields, &reader, json, "cart", ret);
	json_decref(json);
	return !reader.failed;
}

static void
round_trips_each_kind(void **state)
{
	char *towns[] = { (char *)"Here", (char *)"There" }, error[128] = "", *again;
	struct cart cart = { .load = 3,
		.known = UINT64_MAX,
		.seed = UINT64_MAX - 1,
		.speed = 1.5,
		.maybe = NAN,
		.owner = (char *)"Ann",
		.towns = towns,
		.town_count = 2,
		.front = { .turns = { 7, 8 }, .is_flat = true } };
	struct cart back;
	char *text = json_of(&cart);

	(void)state;
	assert_string_equal(text,
	    "{\"load\":3,\"most\":0,\"known\":null,\"seed\":-2,\"speed\":1.5,\"maybe\":null,\"owner\":\"Ann\",\"towns\":[\"Here\",\"There\"],\"front\":{\"turns\":{\"red\":7,\"green\":8},\"is_flat\":true},\"spare\":{\"turns\":{\"red\":0,\"green\":0},\"is_flat\":false}}");
	assert_true(read_cart(text, &back, error));
	assert_true(back.known == UINT64_MAX && back.seed == cart.seed);
	assert_true(isnan(back.maybe));
	again = json_of(&back);
	assert_string_equal(again, text);
	json_record_finish(cart_fields, &back);
	free(again);
	free(text);
}

static void
replaces_invalid_text_by_a_question_mark(void **state)
{
	struct cart cart = { .owner = (char *)"\xff" };
	char *text = json_of(&cart);

	(void)state;
	assert_non_null(strstr(text, "\"owner\":\"?\""));
	free(text);
	cart.owner = NULL;
	text = json_of(&cart);
	assert_non_null(strstr(text, "\"owner\":null"));
	free(text);
}

static void
names_errors_by_their_path(void **state)
{
	static const struct {
		const char *text, *error; /* NULL: none */
	} cases[] = {
		{ "{\"towns\":[],\"front\":{\"turns\":{}},\"spare\":{\"turns\":{}}}",
		    NULL },
		{ "{\"towns\":[],\"front\":{\"turns\":{\"green\":true}}}",
		    "cart.front.turns.green: expected a whole number" },
		{ "{\"towns\":[],\"front\":{}}", "cart.front.turns: not found" },
		{ "{\"towns\":[]}", "cart.front: not found" },
		{ "{\"towns\":[],\"front\":{\"turns\":{}},\"spare\":1}",
		    "cart.spare: expected an object" },
		{ "{\"towns\":[\"a\",1]}", "cart.towns: expected strings" },
		{ "{\"owner\":1}", "cart.owner: expected a string" },
		{ "{\"load\":-1}", "cart.load: expected a number of at least 0" },
		{ "{\"speed\":null}", "cart.speed: expected a number" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char error[128] = "";
		struct cart cart;
		bool is_read = read_cart(cases[i].text, &cart, error);

		assert_int_equal(is_read, cases[i].error == NULL);
		assert_string_equal(error, is_read ? "" : cases[i].error);
		json_record_finish(cart_fields, &cart);
	}
}

static void
adds_records_member_by_member(void **state)
{
	struct cart cart = { .load = 3, .highest = 9, .speed = 1, .seed = 5 };
	const struct cart other = { .load = 4,
		.highest = 7,
		.speed = 2,
		.seed = 6,
		.front = { .turns = { 1, 2 }, .is_flat = true } };

	(void)state;
	cart.front.turns[1] = 40;
	json_record_add(cart_fields, &cart, &other);
	json_record_add(cart_fields, &cart, &(struct cart){ .speed = 0.5 });
	assert_int_equal(cart.load, 7);
	assert_int_equal(cart.highest, 9);
	assert_true(cart.speed == 2);
	assert_int_equal(cart.seed, 5);
	assert_int_equal(cart.front.turns[0], 1);
	assert_int_equal(cart.front.turns[1], 42);
	assert_true(cart.front.is_flat);
	assert_false(cart.spare.is_flat);
}

static void
detects_overflow_of_a_sum(void **state)
{
	struct cart cart = { .load = INT64_MAX }, wheels = { .load = 0 };

	(void)state;
	cart.known = UINT64_MAX;
	cart.seed = UINT64_MAX;
	cart.maybe = NAN;
	assert_true(json_record_fits(cart_fields, &cart));
	json_record_add(cart_fields, &cart, &(struct cart){ .load = 1 });
	assert_false(json_record_fits(cart_fields, &cart));
	cart.load = UINT64_MAX;
	json_record_add(cart_fields, &cart, &(struct cart){ .load = 2 });
	assert_true(cart.load == UINT64_MAX);
	wheels.spare.turns[1] = (uint64_t)INT64_MAX + 1;
	assert_false(json_record_fits(cart_fields, &wheels));
	assert_false(
	    json_record_fits(cart_fields, &(struct cart){ .speed = INFINITY }));
	assert_false(json_record_fits(cart_fields, &(struct cart){ .speed = -1 }));
}

static void
a_copy_owns_its_texts(void **state)
{
	static const struct json_record_field fields[] = {
		JSON_RECORD(struct cart, owner, JSON_RECORD_OWN),
		{ .name = NULL },
	};
	char owner[] = "Ann";
	struct cart cart = { .owner = owner }, copy = cart,
		    no_owner = { .owner = NULL };

	(void)state;
	assert_int_equal(json_record_copy_texts(fields, &copy), 0);
	assert_int_equal(json_record_copy_texts(fields, &no_owner), 0);
	assert_true(json_record_equals(&fields[0], &cart, &copy));
	owner[0] = 'U';
	assert_string_equal(copy.owner, "Ann");
	assert_string_equal(no_owner.owner, "");
	assert_false(json_record_equals(&fields[0], &cart, &copy));
	json_record_finish(fields, &copy);
	json_record_finish(fields, &no_owner);
}

struct part_number {
	int fd;
	uint32_t slot;
};
static const struct json_record_field part_number_fields[] = {
	JSON_RECORD(struct part_number, fd, JSON_RECORD_OWN),
	{ .name = "slot",
	    .kind = JSON_RECORD_UINT32,
	    .offset = offsetof(struct part_number, slot),
	    .min = 1,
	    .max = 255 },
	{ .name = NULL },
};

static void
integers_are_read_within_their_bounds(void **state)
{
	static const struct {
		const char *text, *error;
	} rows[] = {
		{ "{\"fd\": 2147483647, \"slot\": 255}", "" },
		{ "{\"fd\": 2147483648, \"slot\": 1}", "part.fd: out of range" },
		{ "{\"fd\": -1, \"slot\": 1}", "part.fd: out of range" },
		{ "{\"fd\": 0, \"slot\": 0}", "part.slot: out of range" },
		{ "{\"fd\": 0, \"slot\": 4294967297}", "part.slot: out of range" },
		{ "{\"fd\": 0}", "part.slot: not found" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct part_number part;
		char error[128] = "";
		struct json_reader reader = { .error = error,
			.error_size = sizeof(error),
			.requires_all = true };
		json_t *json = json_loads(rows[i].text, 0, NULL);
		assert_non_null(json);
		json_record_read(part_number_fields, &reader, json, "part", &part);
		assert_string_equal(error, rows[i].error);
		json_decref(json);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trips_each_kind),
		cmocka_unit_test(replaces_invalid_text_by_a_question_mark),
		cmocka_unit_test(names_errors_by_their_path),
		cmocka_unit_test(adds_records_member_by_member),
		cmocka_unit_test(detects_overflow_of_a_sum),
		cmocka_unit_test(a_copy_owns_its_texts),
		cmocka_unit_test(integers_are_read_within_their_bounds),
	};

	return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
