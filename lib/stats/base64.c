#include "lib/stats/base64.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *
base64_encode(const void *data, size_t length)
{
	const uint8_t *in = data;
	char *text = malloc((length + 2) / 3 * 4 + 1), *out = text;
	if (text == NULL)
		return NULL;
	for (size_t i = 0; i < length; i += 3) {
		size_t left = length - i;
		uint32_t word = (uint32_t)in[i] << 16;
		if (left > 1)
			word |= (uint32_t)in[i + 1] << 8;
		if (left > 2)
			word |= in[i + 2];
		*out++ = alphabet[word >> 18];
		*out++ = alphabet[word >> 12 & 63];
		*out++ = left > 1 ? alphabet[word >> 6 & 63] : '=';
		*out++ = left > 2 ? alphabet[word & 63] : '=';
	}
	*out = '\0';
	return text;
}

static int
value_of(char character)
{
	const char *found = character == '\0' ? NULL : strchr(alphabet, character);
	return found == NULL ? -1 : (int)(found - alphabet);
}

/* Returns the number of bytes, 1 to 3, or -1. */
static int
decode_four(const char *text, int may_pad, uint8_t *out)
{
	int bytes = 3;
	uint32_t word = 0;
	if (may_pad && text[3] == '=')
		bytes = text[2] == '=' ? 1 : 2;
	for (int i = 0; i < 4; i++) {
		int value = i <= bytes ? value_of(text[i]) : 0;
		if (value < 0)
			return -1;
		word = word << 6 | (uint32_t)value;
	}
	for (int i = 0; i < bytes; i++)
		out[i] = (uint8_t)(word >> (16 - 8 * i));
	return bytes;
}

uint8_t *
base64_decode(const char *text, size_t *ret_length)
{
	size_t length = strlen(text), used = 0;
	uint8_t *data;
	errno = EINVAL;
	if (length % 4 != 0)
		return NULL;
	data = malloc(length / 4 * 3 + 1);
	if (data == NULL)
		return NULL;
	for (size_t i = 0; i < length; i += 4) {
		int bytes = decode_four(text + i, i + 4 == length, data + used);
		if (bytes < 0) {
			free(data);
			errno = EINVAL;
			return NULL;
		}
		used += (size_t)bytes;
	}
	*ret_length = used;
	return data;
}
