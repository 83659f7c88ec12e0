#include "lib/stats/histogram_codec.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>

#include "lib/stats/base64.h"

#define COOKIE_PLAIN 0x1c849303u
#define COOKIE_COMPRESSED 0x1c849304u
#define COOKIE_WRITE_BITS 0x10u /* word size: variable */
#define COOKIE_MASK 0xf0u
#define OUTER_HEADER 8
#define INNER_HEADER 40
#define ZIGZAG_MAX 9

static void
put(uint8_t *out, uint64_t value, int bytes)
{
	for (int i = 0; i < bytes; i++)
		out[i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
}

static uint64_t
get(const uint8_t *in, int bytes)
{
	uint64_t value = 0;
	for (int i = 0; i < bytes; i++)
		value = value << 8 | in[i];
	return value;
}

static uint8_t *
put_zigzag(uint8_t *out, int64_t number)
{
	uint64_t value = (uint64_t)number << 1 ^ (uint64_t)(number >> 63);
	for (int i = 0; i < ZIGZAG_MAX - 1; i++) {
		if (value < 0x80) {
			*out++ = (uint8_t)value;
			return out;
		}
		*out++ = (uint8_t)(value | 0x80);
		value >>= 7;
	}
	*out++ = (uint8_t)value;
	return out;
}

/* Returns the number of bytes read, or 0 if the number is cut off. */
static size_t
get_zigzag(const uint8_t *in, size_t length, int64_t *ret)
{
	uint64_t value = 0;
	size_t i;
	for (i = 0; i < ZIGZAG_MAX; i++) {
		if (i == length)
			return 0;
		if (i == ZIGZAG_MAX - 1) {
			value |= (uint64_t)in[i] << 56;
			break;
		}
		value |= (uint64_t)(in[i] & 0x7f) << (7 * i);
		if ((in[i] & 0x80) == 0)
			break;
	}
	*ret = (int64_t)(value >> 1 ^ -(value & 1));
	return i + 1;
}

/* Writes header and payload; returns the number of bytes. */
static size_t
write_plain(const struct histogram *h, uint8_t *out)
{
	int32_t limit = histogram_index(h, histogram_max(h)) + 1;
	uint8_t *at = out + INNER_HEADER;
	double ratio = 1.0;
	uint64_t bits;
	for (int32_t i = 0; i < limit;) {
		int64_t zeros = 0;
		while (i < limit && h->counts[i] == 0) {
			zeros++;
			i++;
		}
		at = put_zigzag(at, zeros > 0 ? -zeros : (int64_t)h->counts[i++]);
	}
	memcpy(&bits, &ratio, sizeof(bits));
	put(out, COOKIE_PLAIN | COOKIE_WRITE_BITS, 4);
	put(out + 4, (uint64_t)(at - out - INNER_HEADER), 4);
	put(out + 8, 0, 4);
	put(out + 12, (uint64_t)h->config.significant_digits, 4);
	put(out + 16, (uint64_t)h->config.lowest, 8);
	put(out + 24, (uint64_t)h->config.highest, 8);
	put(out + 32, bits, 8);
	return (size_t)(at - out);
}

char *
histogram_codec_encode(const struct histogram *h)
{
	size_t room = INNER_HEADER + (size_t)h->counts_length * ZIGZAG_MAX;
	uint8_t *plain = malloc(room), *packed = NULL;
	char *text = NULL;
	uLongf packed_length;
	if (plain == NULL)
		return NULL;
	room = write_plain(h, plain);
	packed_length = compressBound(room);
	packed = malloc(OUTER_HEADER + packed_length);
	if (packed == NULL ||
	    compress2(packed + OUTER_HEADER, &packed_length, plain, room,
		Z_DEFAULT_COMPRESSION) != Z_OK)
		goto out;
	put(packed, COOKIE_COMPRESSED | COOKIE_WRITE_BITS, 4);
	put(packed + 4, packed_length, 4);
	text = base64_encode(packed, OUTER_HEADER + packed_length);
out:
	free(packed);
	free(plain);
	return text;
}

static const char *
read_config(const uint8_t *header, struct histogram_config *ret)
{
	if ((get(header, 4) & ~(uint64_t)COOKIE_MASK) != COOKIE_PLAIN)
		return "the inner cookie is not that of a V2 histogram";
	if (get(header + 8, 4) != 0)
		return "a normalizing index offset is not supported";
	ret->significant_digits = (int)(int32_t)get(header + 12, 4);
	ret->lowest = (int64_t)get(header + 16, 8);
	ret->highest = (int64_t)get(header + 24, 8);
	return NULL;
}

/* Counts come in ascending order: the first is the minimum, the last the maximum. */
static void
put_count(struct histogram *h, int32_t index, uint64_t count)
{
	uint64_t value = histogram_value_at(h, index);
	h->counts[index] = count;
	if (count == 0)
		return;
	if (h->min == UINT64_MAX)
		h->min = value;
	h->max = histogram_highest_equivalent(h, value);
}

static const char *
read_counts(struct histogram *h, const uint8_t *in, size_t length)
{
	int32_t index = 0;
	while (length > 0) {
		int64_t count;
		size_t used = get_zigzag(in, length, &count);
		if (used == 0)
			return "the counts end within a number";
		in += used;
		length -= used;
		if (count < 0) {
			if (count < -(int64_t)(h->counts_length - index))
				return "more counts than the configuration has";
			index += (int32_t)-count;
			continue;
		}
		if (index >= h->counts_length)
			return "more counts than the configuration has";
		h->total += (uint64_t)count;
		if (h->total > INT64_MAX)
			return "the counts do not fit 63 bits";
		put_count(h, index++, (uint64_t)count);
	}
	return NULL;
}

static const char no_memory[] = "out of memory";

/* Reads exactly `room` bytes. NULL, or an error, which is `damaged` if the stream is.
 */
static const char *
inflate_some(z_stream *stream, uint8_t *out, size_t room, const char *damaged)
{
	int status = Z_OK;
	stream->next_out = out;
	stream->avail_out = (uInt)room;
	while (stream->avail_out > 0 && status == Z_OK)
		status = inflate(stream, Z_SYNC_FLUSH);
	if (status == Z_MEM_ERROR)
		return no_memory;
	return stream->avail_out == 0 && (status == Z_OK || status == Z_STREAM_END)
	    ? NULL
	    : damaged;
}

/* True if the stream ends here with a valid checksum; one byte may go to `more`. */
static bool
ends_here(z_stream *stream, uint8_t *more)
{
	stream->next_out = more;
	stream->avail_out = 1;
	return inflate(stream, Z_SYNC_FLUSH) == Z_STREAM_END &&
	    stream->avail_out == 1 && stream->avail_in == 0;
}

/* The configuration bounds the payload before its length is trusted. */
static const char *
read_stream(z_stream *stream, struct histogram **ret)
{
	uint8_t header[INNER_HEADER], *payload = NULL;
	struct histogram_config config = { 0 };
	struct histogram *h = NULL;
	const char *error;
	size_t size, length;
	error = inflate_some(stream, header, sizeof(header),
	    "the zlib stream is damaged or ends in the header");
	if (error == NULL)
		error = read_config(header, &config);
	if (error != NULL)
		return error;
	size = histogram_size(&config);
	length = get(header + 4, 4);
	if (size == 0)
		return "its lowest, highest or digits are out of range";
	if (length > size / sizeof(uint64_t) * ZIGZAG_MAX)
		return "its payload is longer than its configuration can be";
	payload = malloc(length + 1);
	if (payload == NULL)
		return no_memory;
	error = inflate_some(stream, payload, length,
	    "the zlib stream is damaged or ends in the counts");
	if (error == NULL && (h = histogram_create(&config)) == NULL)
		error = no_memory;
	if (error == NULL)
		error = read_counts(h, payload, length);
	if (error == NULL && !ends_here(stream, payload + length))
		error = "the zlib stream is damaged or continues after the counts";
	free(payload);
	if (error != NULL) {
		free(h);
		return error;
	}
	*ret = h;
	return NULL;
}

struct histogram *
histogram_codec_decode(const char *text, const char **ret_error)
{
	z_stream stream = { 0 };
	struct histogram *h = NULL;
	uint8_t *packed;
	size_t length;
	packed = base64_decode(text, &length);
	if (packed == NULL) {
		*ret_error = errno == ENOMEM ? no_memory : "not base64";
		return NULL;
	}
	*ret_error = "the outer cookie or length is not that of a V2 histogram";
	if (length < OUTER_HEADER ||
	    (get(packed, 4) & ~(uint64_t)COOKIE_MASK) != COOKIE_COMPRESSED ||
	    get(packed + 4, 4) != length - OUTER_HEADER)
		goto out;
	*ret_error = no_memory;
	stream.next_in = packed + OUTER_HEADER;
	stream.avail_in = (uInt)(length - OUTER_HEADER);
	if (inflateInit(&stream) != Z_OK)
		goto out;
	*ret_error = read_stream(&stream, &h);
	inflateEnd(&stream);
out:
	free(packed);
	if (h == NULL)
		errno = *ret_error == no_memory ? ENOMEM : EINVAL;
	return h;
}

void
histogram_codec_write_hgrm(FILE *file, const struct histogram *h, double unit)
{
	struct histogram_cursor cursor = { 0 };
	uint64_t total = histogram_count(h);
	double tick = 0; /* percent, the next line's */
	fprintf(file, "%12s %12s %12s %12s\n\n", "Value", "Percentile", "TotalCount",
	    "1/(1-Percentile)");
	while (histogram_next(h, &cursor)) {
		double value =
		    (double)histogram_highest_equivalent(h, cursor.value) / unit;
		double reached = 100.0 * (double)cursor.cumulative / (double)total;
		while (tick <= reached && tick < 100) {
			double halvings = floor(log2(100 / (100 - tick))) + 1;
			fprintf(file, "%12.3f %12f %12llu %12.2f\n", value, tick / 100,
			    (unsigned long long)cursor.cumulative,
			    1 / (1 - tick / 100));
			tick += 100 / (5 * exp2(halvings));
			if (cursor.cumulative == total)
				break;
		}
		if (cursor.cumulative >= total)
			fprintf(file, "%12.3f %12f %12llu %12.2f\n", value, 1.0,
			    (unsigned long long)cursor.cumulative, INFINITY);
	}
	fprintf(file,
	    "#[Mean    = %12.3f, StdDeviation   = %12.3f]\n"
	    "#[Max     = %12.3f, Total count    = %12llu]\n"
	    "#[Buckets = %12d, SubBuckets     = %12d]\n",
	    histogram_mean(h) / unit, histogram_stddev(h) / unit,
	    (double)histogram_max(h) / unit, (unsigned long long)total,
	    h->counts_length / (1 << h->half_magnitude) - 1, 2 << h->half_magnitude);
}

void
histogram_codec_write_hlog_head(FILE *file, double start)
{
	time_t seconds = (time_t)start;
	char date[64] = "";
	struct tm parts;
	if (gmtime_r(&seconds, &parts) != NULL)
		strftime(date, sizeof(date), "%a %b %d %H:%M:%S UTC %Y", &parts);
	fprintf(file,
	    "#[Histogram log format version 1.3]\n"
	    "#[StartTime: %.3f (seconds since epoch), %s]\n"
	    "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n",
	    start, date);
}

int
histogram_codec_write_hlog(FILE *file, const char *tag, double from, double length,
    const struct histogram *interval)
{
	char *text = histogram_codec_encode(interval);
	if (text == NULL)
		return -1;
	if (tag != NULL)
		fprintf(file, "Tag=%s,", tag);
	fprintf(file, "%.3f,%.3f,%.3f,%s\n", from, length,
	    (double)histogram_max(interval) / 1e6, text);
	free(text);
	return 0;
}
