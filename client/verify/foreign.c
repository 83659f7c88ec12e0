#include "client/verify/foreign.h"

#include <stdio.h>
#include <string.h>

#define ZEROS_MIN 4 /* fewer may be altered bytes */
#define LINE_MAX_SHOWN 40
/* Sent back by a server that takes it for data. */
#define PROXY_V1_NAME                                                                  \
	"a PROXY v1 header: the balancer sends it, the server does not expect it"
#define PROXY_V2_NAME                                                                  \
	"a PROXY v2 header: the balancer sends it, the server does not expect it"

static bool
starts_with(const uint8_t *bytes, size_t length, const char *start, size_t n)
{
	return length >= n && memcmp(bytes, start, n) == 0;
}

static bool
name_zeros(const uint8_t *bytes, size_t length, char *out, size_t size)
{
	size_t zeros = 0;
	while (zeros < length && bytes[zeros] == 0)
		zeros++;
	if (zeros < ZEROS_MIN || zeros < length)
		return false;
	snprintf(out, size, "%zu zero bytes", zeros);
	return true;
}

/* RFC 9112: the status line up to its end. */
static bool
name_http(const uint8_t *bytes, size_t length, char *out, size_t size)
{
	size_t n = 0;
	if (!starts_with(bytes, length, "HTTP/1.", 7))
		return false;
	while (n < length && n < LINE_MAX_SHOWN && bytes[n] >= ' ' && bytes[n] < 0x7f &&
	    bytes[n] != '"')
		n++;
	snprintf(out, size, "an HTTP response (\"%.*s\")", (int)n, (const char *)bytes);
	return true;
}

/* RFC 8446, 6: content type 21, version, length 2, level, description. */
static bool
name_tls(const uint8_t *bytes, size_t length, char *out, size_t size)
{
	static const struct {
		uint8_t number;
		const char *name;
	} alerts[] = {
		{ 0, "close_notify" },
		{ 10, "unexpected_message" },
		{ 20, "bad_record_mac" },
		{ 22, "record_overflow" },
		{ 40, "handshake_failure" },
		{ 42, "bad_certificate" },
		{ 47, "illegal_parameter" },
		{ 48, "unknown_ca" },
		{ 50, "decode_error" },
		{ 70, "protocol_version" },
		{ 80, "internal_error" },
		{ 112, "unrecognized_name" },
		{ 116, "certificate_required" },
	};
	if (length < 5 || bytes[1] != 3 || bytes[2] > 4)
		return false;
	if (bytes[0] == 22)
		snprintf(out, size, "a TLS handshake record");
	if (bytes[0] != 21 || length < 7 || bytes[3] != 0 || bytes[4] != 2)
		return bytes[0] == 22;
	const char *name = NULL;
	for (size_t i = 0; i < sizeof(alerts) / sizeof(alerts[0]); i++)
		if (alerts[i].number == bytes[6])
			name = alerts[i].name;
	if (name != NULL)
		snprintf(out, size, "a TLS alert (%s)", name);
	else
		snprintf(out, size, "a TLS alert (%u)", bytes[6]);
	return true;
}

bool
foreign_name(const uint8_t *bytes, size_t length, char *out, size_t size)
{
	static const struct {
		const char *start;
		size_t length;
		const char *name;
	} starts[] = {
		{ "PROXY TCP4 ", 11, PROXY_V1_NAME },
		{ "PROXY TCP6 ", 11, PROXY_V1_NAME },
		{ "PROXY UNKNOWN", 13, PROXY_V1_NAME },
		{ "\r\n\r\n\0\r\nQUIT\n", 12, PROXY_V2_NAME },
		{ "<!DOCTYPE", 9, "an HTML page" },
		{ "<!doctype", 9, "an HTML page" },
		{ "<html", 5, "an HTML page" },
		{ "<HTML", 5, "an HTML page" },
		{ "SSH-2.0-", 8, "an SSH banner" },
	};
	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		if (!starts_with(bytes, length, starts[i].start, starts[i].length))
			continue;
		snprintf(out, size, "%s", starts[i].name);
		return true;
	}
	return name_http(bytes, length, out, size) ||
	    name_tls(bytes, length, out, size) || name_zeros(bytes, length, out, size);
}
