#include "proto/witness/witness_hex.h"

void
witness_hex_encode(const uint8_t *bytes, size_t length, char *out)
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < length; i++) {
		*out++ = digits[bytes[i] >> 4];
		*out++ = digits[bytes[i] & 15];
	}
	*out = '\0';
}

static int
value_of(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	if (digit >= 'a' && digit <= 'f')
		return digit - 'a' + 10;
	if (digit >= 'A' && digit <= 'F')
		return digit - 'A' + 10;
	return -1;
}

size_t
witness_hex_decode(const char *text, size_t length, uint8_t *ret)
{
	if (length % 2 != 0)
		return 0;
	for (size_t i = 0; i < length; i += 2) {
		int high = value_of(text[i]), low = value_of(text[i + 1]);
		if (high < 0 || low < 0)
			return 0;
		ret[i / 2] = (uint8_t)(high << 4 | low);
	}
	return length / 2;
}
