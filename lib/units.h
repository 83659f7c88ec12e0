/*
 * units.h - numbers as people write them, in configuration files and options.
 *
 *   size      64k 1M 2G        bytes; k = 1024, M, G, T in either case
 *   count     10k 1M           k = 1000, M, G in either case
 *   duration  250ms 30s 5m 1h  nanoseconds; us ms s m h; a bare 0 needs no unit
 *
 * Parsers take the whole string: 0, or -1 with errno EINVAL (not a number of this kind,
 * negative, or trailing text) or ERANGE (more than 64 bits) and *ret unchanged. A
 * fraction is allowed ("1.5s", "0.5M") if the result is whole.
 */
#ifndef LIB_UNITS_H
#define LIB_UNITS_H

#include <stddef.h>
#include <stdint.h>

#define UNITS_TEXT_MAX 32 /* size of a buffer for any text made here */

int units_parse_size(const char *text, uint64_t *ret_bytes)
    __attribute__((warn_unused_result));
int units_parse_count(const char *text, uint64_t *ret_count)
    __attribute__((warn_unused_result));
int units_parse_duration(const char *text, uint64_t *ret_ns)
    __attribute__((warn_unused_result));

/* The shortest text that parses back to the same value ("64k", "1M", "30s", "0s"), in
 * buffer[UNITS_TEXT_MAX], which is returned. */
const char *units_format_size(uint64_t bytes, char *buffer);
const char *units_format_count(uint64_t count, char *buffer);
const char *units_format_duration(uint64_t ns, char *buffer);

/* For reports, rounded to three significant digits without trailing zeros: sizes "512
 * B", "1.31 MB" (1024-based); durations "42.1 us", "1.25 ms", "3.2 s", from one minute
 * on "1m 30s", "1h 2m". They do not parse back. Same buffer rule. */
const char *units_show_size(uint64_t bytes, char *buffer);
const char *units_show_duration(uint64_t ns, char *buffer);
/* 1234567 -> "1,234,567" */
const char *units_show_count(uint64_t count, char *buffer);
/* `after` against `before`: "+29.2 %", "0.0 %", "-" if `before` is 0. */
const char *units_show_change(double before, double after, char *buffer);

/* A time since the epoch in UTC (RFC 3339), "2026-01-02T03:04:05.678Z", with up to 9
 * digits of the fraction. Same buffer rule. */
const char *units_format_time(uint64_t ns, int digits, char *buffer);

#endif
