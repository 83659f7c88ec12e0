/*
 * histogram_codec.h - the text and file formats of HdrHistogram.
 *
 * V2 text, as in the Java, C and JavaScript implementations: base64 (RFC 4648) of
 *
 *	[cookie 0x1c849314][length][zlib stream (RFC 1950) of:]
 *	    [cookie 0x1c849313][payload length][0][significant digits]
 *	    [lowest: 8][highest: 8][ratio: f64 1.0][payload]
 *
 * Words are big-endian, 4 bytes unless noted. The payload holds for each index up to
 * the maximum's a count c as ZigZag LEB128(c), and for z zeros in a row ZigZag
 * LEB128(-z): at most nine bytes, the ninth raw. Minimum and maximum are not encoded;
 * a decoded histogram takes them from its counts.
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

/* Heap, owned by the caller. NULL with a constant line in *ret_error and errno EINVAL
 * if the text is not valid, ENOMEM if memory is exhausted. */
struct histogram *histogram_codec_decode(const char *text, const char **ret_error)
    __attribute__((warn_unused_result));

/* Percentile distribution (.hgrm): five lines for each halving of the distance to
 * 100 %, values divided by `unit`. Errors stay in ferror(file). */
void histogram_codec_write_hgrm(
    FILE *file, const struct histogram *histogram, double unit);

/* Interval log (.hlog), version 1.3: the head once, then one line per interval. The
 * column Interval_Max is divided by 1e6 (ns to ms). `start` is in seconds since the
 * epoch, `from` in seconds since `start`; tag is NULL or a word. -1 when out of memory;
 * file errors stay in ferror(file). */
void histogram_codec_write_hlog_head(FILE *file, double start);
int histogram_codec_write_hlog(FILE *file, const char *tag, double from, double length,
    const struct histogram *interval) __attribute__((warn_unused_result));

#endif
