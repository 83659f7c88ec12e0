/*
 * histogram_codec.h - the files and texts in which HdrHistograms travel.
 *
 * V2 text, as in the Java, C and JavaScript implementations: base64 (RFC 4648) of
 *
 *	[cookie 0x1c849314][length][zlib stream (RFC 1950) of:]
 *	    [cookie 0x1c849313][payload length][0][significant digits]
 *	    [lowest: 8][highest: 8][ratio: f64 1.0][payload]
 *
 * everything big-endian, words of 4 bytes. The payload holds, for each index up to that
 *of the maximum, a count c as ZigZag LEB128(c), a run of z zeros as ZigZag LEB128(-z);
 *nine bytes at most, the ninth raw. A decoded minimum and maximum are those of the
 *counts.
 */
#ifndef LIB_STATS_HISTOGRAM_CODEC_H
#define LIB_STATS_HISTOGRAM_CODEC_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/stats/histogram.h"

/* The V2 text; heap, owned by the caller; NULL when out of memory. */
char *histogram_codec_encode(const struct histogram *histogram)
    __attribute__((warn_unused_result));

/* Text back to a histogram: heap, owned by the caller. NULL, with one line in
 * *ret_error (a constant, what is wrong) when it is none or memory ran out. */
struct histogram *histogram_codec_decode(const char *text, const char **ret_error)
    __attribute__((warn_unused_result));

/* Percentile distribution (.hgrm), five lines for each halving of the distance to 100
 * %, values divided by `unit`. Errors stay in ferror(file). */
void histogram_codec_write_hgrm(
    FILE *file, const struct histogram *histogram, double unit);

/* Interval log (.hlog), version 1.3: the head once, then a line for each interval.
 * Values of the column Interval_Max are divided by 1e6 (ns to ms). Times are seconds
 * since the epoch (start) and since `start` (from). tag is NULL or a word. write_hlog
 * returns -1 when out of memory, else 0; file errors stay in ferror(file). */
void histogram_codec_write_hlog_head(FILE *file, double start);
int histogram_codec_write_hlog(FILE *file, const char *tag, double from, double length,
    const struct histogram *interval) __attribute__((warn_unused_result));

#endif
