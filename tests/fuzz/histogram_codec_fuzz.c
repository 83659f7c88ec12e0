/*
 * The decoder of V2 histograms. If the first byte is 'P', the rest are the bytes inside
 * the zlib stream (to reach the decoder of the counts), otherwise the text. A decoded
 * histogram is encoded as text that decodes to the same.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "lib/stats/base64.h"
#include "lib/stats/histogram.h"
#include "lib/stats/histogram_codec.h"
#include "tests/lib/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *
text_of_plain(const uint8_t *plain, size_t size)
{
	uLongf length = compressBound(size);
	uint8_t *packed = malloc(8 + length);
	char *text;

	must(packed != NULL);
	must(compress2(packed + 8, &length, plain, size, 1) == Z_OK);
	memcpy(packed, "\x1c\x84\x93\x14", 4);
	for (int i = 0; i < 4; i++)
		packed[4 + i] = (uint8_t)(length >> (24 - 8 * i));
	text = base64_encode(packed, 8 + length);
	free(packed);
	return text;
}

static void
check_round_trip(const struct histogram *h)
{
	const char *error;
	char *text = histogram_codec_encode(h);
	struct histogram *back =
	    text == NULL ? NULL : histogram_codec_decode(text, &error);

	must(back != NULL && histogram_same_config(h, back));
	must(memcmp(h->counts, back->counts,
		 (size_t)h->counts_length * sizeof(h->counts[0])) == 0);
	free(back);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct histogram *h;
	const char *error;
	char *text;

	if (size == 0)
		return 0;
	text = data[0] == 'P' ? text_of_plain(data + 1, size - 1)
			      : strndup((const char *)data + 1, size - 1);
	if (text == NULL)
		return 0;
	h = histogram_codec_decode(text, &error);
	if (h != NULL)
		check_round_trip(h);
	free(h);
	free(text);
	return 0;
}
