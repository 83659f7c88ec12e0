#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
/* cmocka needs some of those above */
#include <cmocka.h>

#include "lib/stats/base64.h"
#include "lib/stats/histogram.h"
#include "lib/stats/histogram_codec.h"

/* {1,1,2,1000} of lowest 1, highest 3,600,000,000, 3 digits, by the Java
 * implementation. */
#define KNOWN "HISTFAAAACV4nJNpmSzMwMDAxgABzFCaEURcm7yEwf4DVICF6SQ/EwBviwVu"

static const struct histogram_config hour_us = { 1, 3600000000, 3 };
static const struct histogram_config hour_ns = { 1, 3600000000000, 3 };

static struct histogram *
known_histogram(void)
{
	struct histogram *h = histogram_create(&hour_us);

	assert_non_null(h);
	histogram_record_many(h, 1, 2);
	histogram_record(h, 2);
	histogram_record(h, 1000);
	return h;
}

static struct histogram *
decode(const char *text)
{
	const char *error = NULL;
	struct histogram *h = histogram_codec_decode(text, &error);

	if (h == NULL)
		fail_msg("%s: %s", text, error);
	return h;
}

static void
base64_round_trips_at_every_length(void **state)
{
	uint8_t data[64];

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 37 + 200);
	for (size_t n = 0; n <= sizeof(data); n++) {
		char *text = base64_encode(data, n);
		size_t length = 999;
		uint8_t *back;

		assert_non_null(text);
		assert_int_equal(strlen(text), (n + 2) / 3 * 4);
		back = base64_decode(text, &length);
		assert_non_null(back);
		assert_int_equal(length, n);
		assert_memory_equal(back, data, n);
		free(back);
		free(text);
	}
}

static void
refuses_malformed_base64(void **state)
{
	static const char *const bad[] = { "A", "AB", "ABC", "A===", "====", "AB=C",
		"AA==AAAA", "AAA ", "AA\nA", "AAA-" };
	size_t length;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_null(base64_decode(bad[i], &length));
}

static void
the_encoding_inflates_to_the_bytes_of_the_java_implementation(void **state)
{
	static const uint8_t expected[] = { 0x1c, 0x84, 0x93, 0x13, 0, 0, 0, 6, 0, 0, 0,
		0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0xd6, 0x93, 0xa4, 0,
		0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 0x01, 0x04, 0x02, 0xc9, 0x0f, 0x02 };
	struct histogram *h = known_histogram();
	char *text = histogram_codec_encode(h);
	uint8_t plain[256], *packed;
	uLongf plain_length = sizeof(plain);
	size_t length = 0;

	(void)state;
	assert_non_null(text);
	packed = base64_decode(text, &length);
	assert_non_null(packed);
	assert_memory_equal(packed, "\x1c\x84\x93\x14", 4);
	assert_int_equal(packed[7], length - 8);
	assert_int_equal(
	    uncompress(plain, &plain_length, packed + 8, length - 8), Z_OK);
	assert_int_equal(plain_length, sizeof(expected));
	assert_memory_equal(plain, expected, sizeof(expected));
	free(packed);
	free(text);
	free(h);
}

static void
decodes_a_text_of_the_java_implementation(void **state)
{
	struct histogram *expected = known_histogram(), *h = decode(KNOWN);

	(void)state;
	assert_memory_equal(h->counts, expected->counts,
	    (size_t)expected->counts_length * sizeof(expected->counts[0]));
	assert_true(histogram_same_config(h, expected));
	assert_true(histogram_count(h) == 4);
	assert_true(histogram_min(h) == 1 && histogram_max(h) == 1000);
	free(expected);
	free(h);
}

static void
round_trips_any_histogram(void **state)
{
	struct histogram *h = histogram_create(&hour_ns), *back;
	uint64_t value = 88172645463325252u;
	char *text;

	(void)state;
	assert_non_null(h);
	for (int round = 0; round < 4; round++) {
		text = histogram_codec_encode(h);
		back = decode(text);
		assert_memory_equal(h->counts, back->counts,
		    (size_t)h->counts_length * sizeof(h->counts[0]));
		assert_true(histogram_count(back) == histogram_count(h));
		free(text);
		free(back);
		for (int i = 0; i < 5000; i++) {
			value = value * 6364136223846793005u + 1442695040888963407u;
			histogram_record_many(h, value >> (23 + i % 41),
			    round == 3 ? 1 : (uint64_t)1 << (i % 49));
		}
	}
	free(h);
}

static void
refuses_malformed_histograms_with_a_reason(void **state)
{
	static const char *const bad[] = { "", "AAAA", "HISTFAAAACV4",
		"not base64 at all",
		"HISTFAAAACV4nJNpmSzMwMDAxgABzFCaEURcm7yEwf4DVICF6SQ/EwBviwV=",
		"HISTFAAAACN4nJNpmSzMwMDAxgABzFCaEURcm7yEwf4DVICF6SQ/EwBviwVu" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *error = NULL;

		assert_null(histogram_codec_decode(bad[i], &error));
		assert_non_null(error);
	}
}

/* A count that needs all bits of the ninth byte. */
static void
round_trips_the_highest_count(void **state)
{
	static const uint64_t counts[] = { (UINT64_C(1) << 55) - 1, UINT64_C(1) << 55,
		(UINT64_C(1) << 62) + 1, INT64_MAX };

	(void)state;
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		struct histogram *h = histogram_create(&hour_us), *back;
		char *text;

		assert_non_null(h);
		histogram_record_many(h, 5, counts[i]);
		text = histogram_codec_encode(h);
		back = decode(text);
		assert_true(histogram_count(back) == counts[i]);
		assert_true(back->counts[5] == counts[i]);
		free(text);
		free(back);
		free(h);
	}
}

/* A text with this offset in its header, this payload of at most 80 bytes, and `more`
 * bytes after the stream. */
static char *
craft(uint8_t offset, const uint8_t *payload, size_t length, size_t more)
{
	uint8_t plain[128] = { 0x1c, 0x84, 0x93, 0x13, 0, (uint8_t)(length >> 16),
		(uint8_t)(length >> 8), (uint8_t)length, 0, 0, 0, offset, 0, 0, 0, 3, 0,
		0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0xd6, 0x93, 0xa4, 0, 0x3f, 0xf0 };
	uint8_t packed[256] = { 0x1c, 0x84, 0x93, 0x14 };
	uLongf packed_length = sizeof(packed) - 16;

	memcpy(plain + 40, payload, length < 80 ? length : 80);
	assert_int_equal(compress(packed + 8, &packed_length, plain,
			     40 + (length < 80 ? length : 80)),
	    Z_OK);
	packed[7] = (uint8_t)(packed_length + more);
	return base64_encode(packed, 8 + packed_length + more);
}

static void
assert_crafted(char *text, const char *wanted_error)
{
	const char *error = NULL;
	struct histogram *h = histogram_codec_decode(text, &error);

	if (wanted_error == NULL) {
		assert_non_null(h);
	} else {
		assert_null(h);
		assert_string_equal(error, wanted_error);
	}
	free(h);
	free(text);
}

static void
names_what_is_invalid_in_the_text(void **state)
{
	/* 23,552 counts: all zero; all but the last zero; one zero too many. */
	static const uint8_t one[] = { 2 }, all[] = { 0xff, 0xef, 0x02 },
			     last[] = { 0xfd, 0xef, 0x02, 2 },
			     beyond[] = { 0xff, 0xef, 0x02, 2 },
			     too_many[] = { 0x81, 0xf0, 0x02 }, cut[] = { 0x80 },
			     zeros[80];
	/* Twice 2^62. */
	static const uint8_t sum[] = { 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
		0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80 };
	static const char more_counts[] = "more counts than the configuration has";

	(void)state;
	assert_crafted(craft(0, one, sizeof(one), 0), NULL);
	assert_crafted(craft(1, one, sizeof(one), 0),
	    "a normalizing index offset is not supported");
	assert_crafted(craft(0, one, sizeof(one), 1),
	    "the zlib stream is damaged or continues after the counts");
	assert_crafted(craft(0, all, sizeof(all), 0), NULL);
	assert_crafted(craft(0, last, sizeof(last), 0), NULL);
	assert_crafted(craft(0, beyond, sizeof(beyond), 0), more_counts);
	assert_crafted(craft(0, too_many, sizeof(too_many), 0), more_counts);
	assert_crafted(craft(0, cut, sizeof(cut), 0), "the counts end within a number");
	assert_crafted(craft(0, sum, sizeof(sum), 0), "the counts do not fit 63 bits");
	/* A text that is too long to be decoded. */
	assert_crafted(craft(0, zeros, 0xffffff, 0),
	    "its payload is longer than its configuration can be");
	assert_crafted(craft(0, zeros, 200000, 0),
	    "the zlib stream is damaged or ends in the counts");
}

/* One in a thousand passes the weak checksum of zlib (RFC 1950). */
static void
a_changed_bit_is_nearly_always_detected(void **state)
{
	struct histogram *h = histogram_create(&hour_ns);
	const char *error;
	size_t length, others = 0;

	(void)state;
	for (uint64_t i = 0; i < 300; i++)
		histogram_record(h, 30000 + i * i * 7);
	char *text = histogram_codec_encode(h);
	uint8_t *packed = base64_decode(text, &length);
	assert_non_null(packed);
	for (size_t bit = 0; bit < 8 * length; bit++) {
		packed[bit / 8] ^= (uint8_t)(1 << bit % 8);
		char *changed = base64_encode(packed, length);
		struct histogram *back = histogram_codec_decode(changed, &error);
		others += back != NULL &&
		    memcmp(h->counts, back->counts,
			(size_t)h->counts_length * sizeof(h->counts[0])) != 0;
		free(back);
		free(changed);
		packed[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_true(others < 8 * length / 50);
	free(packed);
	free(text);
	free(h);
}

static char *
hgrm_of(const struct histogram *h)
{
	char *text = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&text, &size);

	assert_non_null(file);
	histogram_codec_write_hgrm(file, h, 1);
	assert_int_equal(fclose(file), 0);
	return text;
}

static void
a_percentile_distribution_is_that_of_the_c_implementation(void **state)
{
	static const char expected[] =
	    "       Value   Percentile   TotalCount 1/(1-Percentile)\n\n"
	    "       1.000     0.000000            2         1.00\n"
	    "       1.000     0.100000            2         1.11\n"
	    "       1.000     0.200000            2         1.25\n"
	    "       1.000     0.300000            2         1.43\n"
	    "       1.000     0.400000            2         1.67\n"
	    "       1.000     0.500000            2         2.00\n"
	    "       2.000     0.550000            3         2.22\n"
	    "       2.000     0.600000            3         2.50\n"
	    "       2.000     0.650000            3         2.86\n"
	    "       2.000     0.700000            3         3.33\n"
	    "       2.000     0.750000            3         4.00\n"
	    "    1000.000     0.775000            4         4.44\n"
	    "    1000.000     1.000000            4          inf\n"
	    "#[Mean    =      251.000, StdDeviation   =      432.436]\n"
	    "#[Max     =     1000.000, Total count    =            4]\n"
	    "#[Buckets =           22, SubBuckets     =         2048]\n";
	struct histogram *h = known_histogram();
	char *text = hgrm_of(h);

	(void)state;
	assert_string_equal(text, expected);
	free(text);
	free(h);
}

static void
writes_an_interval_log_with_a_header_and_one_line_per_interval(void **state)
{
	struct histogram *h = known_histogram();
	char *text = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&text, &size);

	(void)state;
	assert_non_null(file);
	histogram_codec_write_hlog_head(file, 1700000000.25);
	assert_int_equal(histogram_codec_write_hlog(file, NULL, 0.5, 1, h), 0);
	assert_int_equal(histogram_codec_write_hlog(file, "service", 0.5, 1, h), 0);
	assert_int_equal(fclose(file), 0);
	assert_non_null(strstr(text,
	    "#[Histogram log format version 1.3]\n"
	    "#[StartTime: 1700000000.250 (seconds since epoch), Tue Nov 14 22:13:20 UTC 2023]\n"
	    "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n"
	    "0.500,1.000,0.001,HIST"));
	assert_non_null(strstr(text, "\nTag=service,0.500,1.000,0.001,HIST"));
	free(text);
	free(h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base64_round_trips_at_every_length),
		cmocka_unit_test(refuses_malformed_base64),
		cmocka_unit_test(
		    the_encoding_inflates_to_the_bytes_of_the_java_implementation),
		cmocka_unit_test(decodes_a_text_of_the_java_implementation),
		cmocka_unit_test(round_trips_any_histogram),
		cmocka_unit_test(refuses_malformed_histograms_with_a_reason),
		cmocka_unit_test(round_trips_the_highest_count),
		cmocka_unit_test(names_what_is_invalid_in_the_text),
		cmocka_unit_test(a_changed_bit_is_nearly_always_detected),
		cmocka_unit_test(
		    a_percentile_distribution_is_that_of_the_c_implementation),
		cmocka_unit_test(
		    writes_an_interval_log_with_a_header_and_one_line_per_interval),
	};

	return cmocka_run_group_tests_name("histogram_codec", tests, NULL, NULL);
}
