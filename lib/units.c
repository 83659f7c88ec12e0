#include "lib/units.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define FRACTION_DIGITS_MAX 18 /* 10^18 fits 64 bits */

struct unit {
	const char *name; /* the first name of a factor is the one written */
	uint64_t factor;
};

/* Ascending. */
static const struct unit size_units[] = { { "", 1 }, { "k", UINT64_C(1) << 10 },
	{ "K", UINT64_C(1) << 10 }, { "M", UINT64_C(1) << 20 },
	{ "m", UINT64_C(1) << 20 }, { "G", UINT64_C(1) << 30 },
	{ "g", UINT64_C(1) << 30 }, { "T", UINT64_C(1) << 40 },
	{ "t", UINT64_C(1) << 40 }, { NULL, 0 } };

static const struct unit count_units[] = { { "", 1 }, { "k", 1000 }, { "K", 1000 },
	{ "M", 1000000 }, { "m", 1000000 }, { "G", 1000000000 }, { "g", 1000000000 },
	{ NULL, 0 } };

static const struct unit duration_units[] = { { "us", 1000 }, { "ms", 1000000 },
	{ "s", 1000000000 }, { "m", UINT64_C(60000000000) },
	{ "h", UINT64_C(3600000000000) }, { NULL, 0 } };

/* digits [ "." digits ], as whole and fraction / scale. */
struct decimal {
	uint64_t whole;
	uint64_t fraction;
	uint64_t scale;
};

static int
fail(int error)
{
	errno = error;
	return -1;
}

static const char *
parse_fraction(const char *text, struct decimal *ret)
{
	const char *end = text;
	const char *last = text; /* after the last non-zero digit */
	for (; isdigit((unsigned char)*end); end++)
		if (*end != '0')
			last = end + 1;
	if (end == text || last - text > FRACTION_DIGITS_MAX)
		return NULL;
	for (const char *at = text; at < last; at++) {
		ret->fraction = ret->fraction * 10 + (uint64_t)(*at - '0');
		ret->scale *= 10;
	}
	return end;
}

/* Returns the end of the number, or NULL with errno. */
static const char *
parse_decimal(const char *text, struct decimal *ret)
{
	bool too_large = false;
	const char *at = text;
	*ret = (struct decimal){ .scale = 1 };
	if (!isdigit((unsigned char)*at)) {
		errno = EINVAL;
		return NULL;
	}
	for (; isdigit((unsigned char)*at); at++)
		too_large |= __builtin_mul_overflow(ret->whole, 10, &ret->whole) ||
		    __builtin_add_overflow(
			ret->whole, (uint64_t)(*at - '0'), &ret->whole);
	if (*at == '.')
		at = parse_fraction(at + 1, ret);
	if (at == NULL)
		errno = EINVAL;
	else if (too_large) {
		errno = ERANGE;
		at = NULL;
	}
	return at;
}

static int
parse(const char *text, const struct unit *units, uint64_t *ret)
{
	struct decimal number;
	const char *end = parse_decimal(text, &number);
	const struct unit *unit = units;
	if (end == NULL)
		return -1;
	while (unit->name != NULL && strcmp(unit->name, end) != 0)
		unit++;
	if (unit->name == NULL)
		return fail(EINVAL);

	unsigned __int128 part = (unsigned __int128)number.fraction * unit->factor;
	if (part % number.scale != 0)
		return fail(EINVAL);
	unsigned __int128 value =
	    (unsigned __int128)number.whole * unit->factor + part / number.scale;
	if (value > UINT64_MAX)
		return fail(ERANGE);
	*ret = (uint64_t)value;
	return 0;
}

int
units_parse_size(const char *text, uint64_t *ret_bytes)
{
	return parse(text, size_units, ret_bytes);
}

int
units_parse_count(const char *text, uint64_t *ret_count)
{
	return parse(text, count_units, ret_count);
}

int
units_parse_duration(const char *text, uint64_t *ret_ns)
{
	if (strcmp(text, "0") == 0) {
		*ret_ns = 0;
		return 0;
	}
	return parse(text, duration_units, ret_ns);
}

/* False if the value has no exact decimal form in this unit, or it is too long. */
static bool
format_in(uint64_t value, const struct unit *unit, char *out)
{
	char digits[10];
	int count = 0;
	uint64_t rest = value % unit->factor;
	while (rest != 0 && count < (int)sizeof(digits) - 1) {
		rest *= 10;
		digits[count++] = (char)('0' + rest / unit->factor);
		rest %= unit->factor;
	}
	digits[count] = '\0';
	if (rest != 0)
		return false;
	return snprintf(out, UNITS_TEXT_MAX, "%" PRIu64 "%s%s%s", value / unit->factor,
		   count > 0 ? "." : "", digits, unit->name) < UNITS_TEXT_MAX;
}

/* The shortest form; among equals one without a fraction, then the larger unit. */
static const char *
format(uint64_t value, const struct unit *units, char *buffer)
{
	char text[UNITS_TEXT_MAX];
	size_t shortest = UNITS_TEXT_MAX;
	for (const struct unit *unit = units; unit->name != NULL; unit++) {
		bool is_alias = unit > units && unit[-1].factor == unit->factor;
		if (is_alias || !format_in(value, unit, text))
			continue;
		size_t length = strlen(text);
		if (length < shortest ||
		    (length == shortest && value % unit->factor == 0)) {
			shortest = length;
			memcpy(buffer, text, length + 1);
		}
	}
	return buffer;
}

const char *
units_format_size(uint64_t bytes, char *buffer)
{
	return bytes == 0 ? strcpy(buffer, "0") : format(bytes, size_units, buffer);
}

const char *
units_format_count(uint64_t count, char *buffer)
{
	return count == 0 ? strcpy(buffer, "0") : format(count, count_units, buffer);
}

const char *
units_format_duration(uint64_t ns, char *buffer)
{
	return ns == 0 ? strcpy(buffer, "0s") : format(ns, duration_units, buffer);
}

static const char *
show(uint64_t value, uint64_t step, const char *const *names, char *buffer)
{
	double number = (double)value;
	char text[UNITS_TEXT_MAX];
	/* 999.5 would be rounded to 1000 of the smaller unit. */
	while (number >= (double)step - 0.5 && names[1] != NULL) {
		number /= (double)step;
		names++;
	}
	int decimals = number < 9.995 ? 2 : number < 99.95 ? 1 : 0;
	snprintf(text, sizeof(text), "%.*f", decimals, number);
	if (decimals > 0) {
		char *end = text + strlen(text);
		while (end[-1] == '0')
			*--end = '\0';
		if (end[-1] == '.')
			end[-1] = '\0';
	}
	snprintf(buffer, UNITS_TEXT_MAX, "%.20s %s", text, *names);
	return buffer;
}

const char *
units_show_size(uint64_t bytes, char *buffer)
{
	static const char *const names[] = { "B", "KB", "MB", "GB", "TB", "PB", NULL };
	return show(bytes, 1024, names, buffer);
}

const char *
units_show_duration(uint64_t ns, char *buffer)
{
	static const char *const names[] = { "ns", "us", "ms", "s", NULL };
	const uint64_t second = 1000000000;
	uint64_t s = ns / second + (ns % second >= second / 2);
	if (ns < 59950000000)
		return show(ns, 1000, names, buffer);
	if (s < 3600)
		snprintf(buffer, UNITS_TEXT_MAX, "%" PRIu64 "m %" PRIu64 "s", s / 60,
		    s % 60);
	else
		snprintf(buffer, UNITS_TEXT_MAX, "%" PRIu64 "h %" PRIu64 "m", s / 3600,
		    s % 3600 / 60);
	return buffer;
}

const char *
units_show_count(uint64_t count, char *buffer)
{
	char digits[UNITS_TEXT_MAX];
	int length = snprintf(digits, sizeof(digits), "%" PRIu64, count);
	char *out = buffer;
	for (int i = 0; i < length; i++) {
		if (i > 0 && (length - i) % 3 == 0)
			*out++ = ',';
		*out++ = digits[i];
	}
	*out = '\0';
	return buffer;
}

const char *
units_show_change(double before, double after, char *buffer)
{
	double percent = before > 0 ? 100 * (after / before - 1) : 0;
	if (before <= 0)
		return strcpy(buffer, "-");
	snprintf(buffer, UNITS_TEXT_MAX, fabs(percent) < 0.05 ? "0.0 %%" : "%+.1f %%",
	    percent);
	return buffer;
}

const char *
units_format_time(uint64_t ns, int digits, char *buffer)
{
	time_t seconds = (time_t)(ns / 1000000000);
	uint64_t fraction = ns % 1000000000;
	struct tm parts;
	gmtime_r(&seconds, &parts); /* cannot fail: 64 bits of ns end in 2554 */
	size_t length = strftime(buffer, UNITS_TEXT_MAX, "%Y-%m-%dT%H:%M:%S", &parts);
	for (int i = digits; i < 9; i++)
		fraction /= 10;
	if (digits > 0)
		length += (size_t)snprintf(buffer + length, UNITS_TEXT_MAX - length,
		    ".%0*" PRIu64, digits, fraction);
	memcpy(buffer + length, "Z", 2);
	return buffer;
}
