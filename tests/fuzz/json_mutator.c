/*
 * A mutator that keeps JSON valid, so that the code behind the parser is reached. A few
 * values of the first or second object in the input are replaced, removed, copied to
 * another place or changed a little; the bytes around the object stay. Invalid JSON,
 * and valid JSON one time in eight, is mutated bytewise.
 *
 * libFuzzer calls LLVMFuzzerCustomMutator instead of its own mutator
 * (FuzzerInterface.h).
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(
    uint8_t *data, size_t size, size_t max_size, unsigned int seed);

#define PLACES_MAX 4096
#define TEXT_MORE 32 /* growth of a string, in bytes */

/* A value in an object or an array. */
struct place {
	json_t *parent, *value;
	const char *key; /* in an object; NULL: in an array, at index */
	size_t index;
};

static struct place places[PLACES_MAX];
static size_t place_count;
static uint64_t random_state;

static size_t
random_below(size_t limit)
{
	/* Knuth's MMIX generator; its low bits are weak */
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (size_t)(random_state >> 33) % limit;
}

static void
collect(json_t *parent)
{
	const char *key;
	json_t *value;
	size_t i;

	json_object_foreach(parent, key, value)
	{
		if (place_count == PLACES_MAX)
			return;
		places[place_count++] =
		    (struct place){ .parent = parent, .value = value, .key = key };
		collect(value);
	}
	json_array_foreach(parent, i, value)
	{
		if (place_count == PLACES_MAX)
			return;
		places[place_count++] =
		    (struct place){ .parent = parent, .value = value, .index = i };
		collect(value);
	}
}

/* Takes ownership of the value. */
static void
put(const struct place *place, json_t *value)
{
	if (place->key != NULL)
		json_object_set_new(place->parent, place->key, value);
	else
		json_array_set_new(place->parent, place->index, value);
}

static json_t *
make_simple(void)
{
	static const json_int_t numbers[] = { 0, 1, -1, 2, 255, 65536, INT32_MAX,
		(json_int_t)UINT32_MAX + 1, INT64_MAX, INT64_MIN };
	static const double reals[] = { 0.5, -0.5, 1e-320, 1e300, -1e300, 1e18, 1e19 };

	switch (random_below(8)) {
	case 0:
		return json_null();
	case 1:
		return json_boolean(random_below(2));
	case 2:
		return json_string("");
	case 3:
		return json_object();
	case 4:
		return json_array();
	case 5:
		return json_real(reals[random_below(sizeof(reals) / sizeof(*reals))]);
	default:
		return json_integer(
		    numbers[random_below(sizeof(numbers) / sizeof(*numbers))]);
	}
}

/* NULL if the result is not UTF-8. */
static json_t *
change_text(const json_t *value)
{
	size_t length = json_string_length(value);
	char *text = calloc(1, length + TEXT_MORE);

	if (text == NULL)
		return NULL;
	memcpy(text, json_string_value(value), length);
	length = LLVMFuzzerMutate((uint8_t *)text, length, length + TEXT_MORE);
	json_t *changed = json_stringn(text, length);
	free(text);
	return changed;
}

static json_t *
change_number(json_int_t number)
{
	uint64_t bits = (uint64_t)number;

	switch (random_below(4)) {
	case 0:
		bits += 1;
		break;
	case 1:
		bits -= 1;
		break;
	case 2:
		bits *= 2;
		break;
	default:
		bits ^= (uint64_t)1 << random_below(64);
		break;
	}
	return json_integer((json_int_t)bits);
}

static json_t *
change_a_little(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_STRING:
		return change_text(value);
	case JSON_INTEGER:
		return change_number(json_integer_value(value));
	case JSON_REAL:
		return json_real(
		    json_real_value(value) * (double)random_below(1000) / 100);
	default:
		return make_simple();
	}
}

static void
take_away(const struct place *place)
{
	if (place->key != NULL)
		json_object_del(place->parent, place->key);
	else
		json_array_remove(place->parent, place->index);
}

/* Inserts a copy of the other value beside `place`. */
static void
add(const struct place *place, const struct place *other)
{
	json_t *copy = json_deep_copy(other->value);

	if (place->key == NULL)
		json_array_insert_new(place->parent, place->index, copy);
	else if (other->key != NULL)
		json_object_set_new(place->parent, other->key, copy);
	else
		json_decref(copy);
}

static void
change_once(json_t *root)
{
	place_count = 0;
	collect(root);
	if (place_count == 0)
		return;
	const struct place *place = &places[random_below(place_count)];
	const struct place *other = &places[random_below(place_count)];
	json_t *changed;

	switch (random_below(8)) {
	case 0:
		take_away(place);
		break;
	case 1:
		add(place, other);
		break;
	case 2:
		put(place, json_deep_copy(other->value));
		break;
	case 3:
		put(place, make_simple());
		break;
	default:
		changed = change_a_little(place->value);
		if (changed != NULL)
			put(place, changed);
		break;
	}
}

/* The object that begins at *begin, which is advanced to the next one; NULL: none. */
static json_t *
find_object(const uint8_t *data, size_t size, size_t *begin, size_t *ret_length)
{
	const uint8_t *at = memchr(data + *begin, '{', size - *begin);
	json_error_t error;

	if (at == NULL)
		return NULL;
	*begin = (size_t)(at - data);
	json_t *json = json_loadb((const char *)at, size - *begin,
	    JSON_DISABLE_EOF_CHECK | JSON_REJECT_DUPLICATES, &error);
	*ret_length = json != NULL ? (size_t)error.position : 0;
	return json;
}

/* Replaces the old text by the new one; 0 if there is no room. */
static size_t
replace(uint8_t *data, size_t size, size_t max_size, size_t begin, size_t length,
    const char *text)
{
	size_t behind = size - begin - length, room = strlen(text);

	if (begin + room + behind > max_size)
		return 0;
	memmove(data + begin + room, data + begin + length, behind);
	memcpy(data + begin, text, room);
	return begin + room + behind;
}

size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	size_t begin = 0, length = 0, changed = 0;
	json_t *json = NULL;

	random_state = seed;
	if (random_below(8) > 0)
		json = find_object(data, size, &begin, &length);
	if (json != NULL && random_below(2) > 0) {
		size_t second = begin + length, second_length = 0;
		json_t *other = find_object(data, size, &second, &second_length);
		if (other != NULL) {
			json_decref(json);
			json = other;
			begin = second;
			length = second_length;
		}
	}
	for (size_t times = 1 + random_below(4); json != NULL && times > 0; times--)
		change_once(json);
	char *text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
	if (text != NULL)
		changed = replace(data, size, max_size, begin, length, text);
	free(text);
	json_decref(json);
	return changed > 0 ? changed : LLVMFuzzerMutate(data, size, max_size);
}
