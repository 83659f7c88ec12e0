/*
 * Numbers with units. A parsed value is formatted as text that parses to the same. The
 * first bytes are also a number, whose formatted text must fit its buffer.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lib/units.h"
#include "tests/lib/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct kind {
	int (*parse)(const char *text, uint64_t *ret);
	const char *(*format)(uint64_t value, char *buffer);
} kinds[] = {
	{ units_parse_size, units_format_size },
	{ units_parse_count, units_format_count },
	{ units_parse_duration, units_format_duration },
};

static void
check_round_trip(const struct kind *kind, uint64_t value)
{
	char buffer[UNITS_TEXT_MAX];
	uint64_t back;

	must(kind->parse(kind->format(value, buffer), &back) == 0 && back == value);
}

static void
check_shown(uint64_t value)
{
	char buffer[UNITS_TEXT_MAX];

	must(strlen(units_show_size(value, buffer)) <= 12);
	must(strlen(units_show_duration(value, buffer)) <= 16);
	must(strlen(units_show_count(value, buffer)) <= 26);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[256];
	uint64_t value = 0;
	size_t length = size < sizeof(text) - 1 ? size : sizeof(text) - 1;

	if (length > 0)
		memcpy(text, data, length);
	text[length] = '\0';
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (kinds[i].parse(text, &value) == 0)
			check_round_trip(&kinds[i], value);
	value = 0;
	if (length > 0)
		memcpy(&value, text, length < sizeof(value) ? length : sizeof(value));
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		check_round_trip(&kinds[i], value);
	check_shown(value);
	return 0;
}
