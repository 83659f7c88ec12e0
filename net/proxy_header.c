#include "net/proxy_header.h"

#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#define V1_MAX 107 /* bytes of a line with CR LF */
#define TLV_FIXED 3
#define CRC_BYTES 4

static const char v1_prefix[] = "PROXY ";
static const uint8_t v2_signature[] = { 0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51,
	0x55, 0x49, 0x54, 0x0a };

enum { V2_VERSION = 0x20, V2_LOCAL = 0, V2_PROXY = 1 };
enum { V2_STREAM = 1, V2_DATAGRAM = 2 };
enum { TCP4_BYTES = 12, TCP6_BYTES = 36, UNIX_BYTES = 2 * PROXY_UNIX_PATH };

static enum proxy_status
fail(const char *text, const char **ret_error)
{
	*ret_error = text;
	return PROXY_INVALID;
}

static uint16_t
get_16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

/* CRC-32C (RFC 3720, B.4), continued from `crc`. */
static uint32_t
crc32c(uint32_t crc, const uint8_t *data, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		crc ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (0x82f63b78 & -(crc & 1));
	}
	return crc;
}

/* The checksum of a header whose own four bytes of it, at `field`, count as zeros. */
static uint32_t
checksum(const uint8_t *data, size_t length, const uint8_t *field)
{
	static const uint8_t zeros[CRC_BYTES];
	size_t before = (size_t)(field - data);
	uint32_t crc = crc32c(UINT32_MAX, data, before);
	crc = crc32c(crc, zeros, CRC_BYTES);
	crc = crc32c(crc, field + CRC_BYTES, length - before - CRC_BYTES);
	return ~crc;
}

/* A port without leading zeros: its bytes, or 0. */
static size_t
parse_port(const char *text, uint16_t *ret)
{
	size_t digits = strspn(text, "0123456789");
	uint32_t value = 0;
	if (digits == 0 || digits > 5 || (digits > 1 && text[0] == '0'))
		return 0;
	for (size_t i = 0; i < digits; i++)
		value = value * 10 + (uint32_t)(text[i] - '0');
	if (value > UINT16_MAX)
		return 0;
	*ret = (uint16_t)value;
	return digits;
}

/* An address up to the space behind it: its bytes with the space, or 0. */
static size_t
parse_v1_address(const char *text, int family, struct address *ret)
{
	char copy[INET6_ADDRSTRLEN];
	size_t length = strcspn(text, " ");
	if (text[length] != ' ' || length >= sizeof(copy))
		return 0;
	memcpy(copy, text, length);
	copy[length] = '\0';
	*ret = (struct address){ .length = 0 };
	void *bytes =
	    family == AF_INET ? (void *)&ret->in.sin_addr : (void *)&ret->in6.sin6_addr;
	if (inet_pton(family, copy, bytes) != 1)
		return 0;
	ret->storage.ss_family = (sa_family_t)family;
	ret->length = family == AF_INET ? sizeof(ret->in) : sizeof(ret->in6);
	return length + 1;
}

/* The addresses and ports, to the end of the line. */
static bool
parse_v1_addresses(const char *text, int family, struct proxy_header *ret)
{
	uint16_t ports[2];
	size_t n = parse_v1_address(text, family, &ret->source);
	size_t m = n == 0 ? 0 : parse_v1_address(text + n, family, &ret->destination);
	if (m == 0)
		return false;
	text += n + m;
	n = parse_port(text, &ports[0]);
	if (n == 0 || text[n] != ' ')
		return false;
	text += n + 1;
	n = parse_port(text, &ports[1]);
	if (n == 0 || text[n] != '\0')
		return false;
	address_set_port(&ret->source, ports[0]);
	address_set_port(&ret->destination, ports[1]);
	return true;
}

static enum proxy_status
parse_v1_line(const char *line, struct proxy_header *ret, const char **ret_error)
{
	const char *rest = line + sizeof(v1_prefix) - 1;
	bool is_tcp4 = strncmp(rest, "TCP4 ", 5) == 0;
	if (strncmp(rest, "UNKNOWN", 7) == 0 && (rest[7] == '\0' || rest[7] == ' '))
		return PROXY_COMPLETE;
	if (!is_tcp4 && strncmp(rest, "TCP6 ", 5) != 0)
		return fail("found another protocol in a PROXY v1 header, expected "
			    "TCP4, TCP6 or UNKNOWN",
		    ret_error);
	ret->family = is_tcp4 ? PROXY_TCP4 : PROXY_TCP6;
	if (!parse_v1_addresses(rest + 5, is_tcp4 ? AF_INET : AF_INET6, ret))
		return fail("found malformed addresses or ports in a PROXY v1 header, "
			    "expected \"SOURCE DESTINATION SPORT DPORT\"",
		    ret_error);
	return PROXY_COMPLETE;
}

static enum proxy_status
parse_v1(const uint8_t *data, size_t length, struct proxy_header *ret,
    const char **ret_error)
{
	char line[V1_MAX];
	size_t searched = length < V1_MAX ? length : V1_MAX;
	const uint8_t *cr = memchr(data, '\r', searched);
	const uint8_t *lf = memchr(data, '\n', searched);
	if (memchr(data, '\0', cr == NULL ? searched : (size_t)(cr - data)) != NULL)
		return fail("found a zero byte in a PROXY v1 header", ret_error);
	bool is_bare = lf != NULL && (cr == NULL || lf < cr);
	if (!is_bare && length < V1_MAX && (cr == NULL || cr + 1 == data + length))
		return PROXY_PARTIAL;
	if (cr == NULL || lf != cr + 1)
		return fail("found no CR LF in the first 107 bytes of a PROXY v1 "
			    "header, or one of the two alone",
		    ret_error);
	memcpy(line, data, (size_t)(cr - data));
	line[cr - data] = '\0';
	*ret = (struct proxy_header){ .version = 1, .length = (size_t)(lf + 1 - data) };
	return parse_v1_line(line, ret, ret_error);
}

static void
set_address(
    struct address *address, int family, const uint8_t *bytes, const uint8_t *port)
{
	*address = (struct address){ .length = 0 };
	address->storage.ss_family = (sa_family_t)family;
	if (family == AF_INET) {
		memcpy(&address->in.sin_addr, bytes, 4);
		address->length = sizeof(address->in);
	} else {
		memcpy(&address->in6.sin6_addr, bytes, 16);
		address->length = sizeof(address->in6);
	}
	address_set_port(address, get_16(port));
}

static void
set_addresses(struct proxy_header *ret, const uint8_t *at)
{
	if (ret->family == PROXY_TCP4) {
		set_address(&ret->source, AF_INET, at, at + 8);
		set_address(&ret->destination, AF_INET, at + 4, at + 10);
	} else if (ret->family == PROXY_TCP6) {
		set_address(&ret->source, AF_INET6, at, at + 32);
		set_address(&ret->destination, AF_INET6, at + 16, at + 34);
	} else if (ret->family == PROXY_UNIX) {
		ret->unix_paths = at;
	}
}

/* True if the TLVs fill their bytes exactly. */
static bool
tlvs_are_whole(struct proxy_tlvs tlvs)
{
	struct proxy_tlv tlv;
	while (proxy_header_next_tlv(&tlvs, &tlv))
		;
	return tlvs.length == 0;
}

static enum proxy_status
check_tlv(const uint8_t *header, size_t length, const struct proxy_tlv *tlv,
    const char **ret_error)
{
	if (tlv->type == PROXY_TLV_CRC32C) {
		if (tlv->length != CRC_BYTES)
			return fail("found a CRC32C that is not 4 bytes long in a "
				    "PROXY v2 header",
			    ret_error);
		uint32_t found =
		    (uint32_t)get_16(tlv->value) << 16 | get_16(tlv->value + 2);
		if (found != checksum(header, length, tlv->value))
			return fail("found a CRC32C that does not fit a PROXY v2 "
				    "header: it was damaged on its way",
			    ret_error);
	}
	if (tlv->type == PROXY_TLV_UNIQUE_ID && tlv->length > PROXY_UNIQUE_ID_MAX)
		return fail("found a unique id of more than 128 bytes in a PROXY v2 "
			    "header",
		    ret_error);
	if (tlv->type == PROXY_TLV_SSL &&
	    (tlv->length < PROXY_SSL_FIXED ||
		!tlvs_are_whole(proxy_header_ssl_tlvs(tlv))))
		return fail("found a TLV of SSL whose lengths do not fit in a PROXY "
			    "v2 header",
		    ret_error);
	return PROXY_COMPLETE;
}

static enum proxy_status
check_tlvs(
    const uint8_t *header, const struct proxy_header *parsed, const char **ret_error)
{
	struct proxy_tlvs left = parsed->tlvs;
	struct proxy_tlv tlv;
	enum proxy_status status = PROXY_COMPLETE;
	while (status == PROXY_COMPLETE && proxy_header_next_tlv(&left, &tlv))
		status = check_tlv(header, parsed->length, &tlv, ret_error);
	if (status == PROXY_COMPLETE && left.length > 0)
		return fail(
		    "found a TLV that is longer than its PROXY v2 header", ret_error);
	return status;
}

/* The addresses of a family, in bytes. */
static size_t
address_bytes(enum proxy_family family)
{
	static const size_t bytes[] = { [PROXY_UNKNOWN] = 0,
		[PROXY_TCP4] = TCP4_BYTES,
		[PROXY_TCP6] = TCP6_BYTES,
		[PROXY_UNIX] = UNIX_BYTES };
	return bytes[family];
}

static enum proxy_status
parse_v2(const uint8_t *data, size_t length, struct proxy_header *ret,
    const char **ret_error)
{
	if (length <= sizeof(v2_signature))
		return PROXY_PARTIAL;
	uint8_t command = data[12] & 0x0f;
	if ((data[12] & 0xf0) != V2_VERSION || command > V2_PROXY)
		return fail("found another version or command in a PROXY v2 header, "
			    "expected 0x20 (LOCAL) or 0x21 (PROXY)",
		    ret_error);
	if (length < PROXY_V2_FIXED)
		return PROXY_PARTIAL;
	size_t rest = get_16(data + 14);
	if (rest > PROXY_V2_REST)
		return fail("found a PROXY v2 header of more than 4 kB", ret_error);
	struct proxy_header header = { .version = 2,
		.is_local = command == V2_LOCAL,
		.length = PROXY_V2_FIXED + rest };
	uint8_t family = data[13] >> 4, protocol = data[13] & 0x0f;
	if (!header.is_local &&
	    (family > PROXY_UNIX || protocol > V2_DATAGRAM ||
		(family == PROXY_UNKNOWN) != (protocol == 0)))
		return fail("found an unknown address family or protocol in a PROXY "
			    "v2 header",
		    ret_error);
	if (length < header.length)
		return PROXY_PARTIAL;
	if (!header.is_local) {
		header.family = (enum proxy_family)family;
		header.is_datagram = protocol == V2_DATAGRAM;
		size_t bytes = address_bytes(header.family);
		if (bytes > rest)
			return fail("found a PROXY v2 header that is too short for "
				    "its addresses",
			    ret_error);
		set_addresses(&header, data + PROXY_V2_FIXED);
		header.tlvs =
		    (struct proxy_tlvs){ data + PROXY_V2_FIXED + bytes, rest - bytes };
	}
	*ret = header;
	return check_tlvs(data, &header, ret_error);
}

static bool
begins_like(
    const uint8_t *data, size_t length, const void *prefix, size_t prefix_length)
{
	return memcmp(data, prefix, length < prefix_length ? length : prefix_length) ==
	    0;
}

enum proxy_status
proxy_header_parse(const uint8_t *data, size_t length, unsigned versions,
    struct proxy_header *ret, const char **ret_error)
{
	bool is_v1, is_v2;
	if (length == 0)
		return PROXY_PARTIAL;
	is_v1 = begins_like(data, length, v1_prefix, sizeof(v1_prefix) - 1);
	is_v2 = begins_like(data, length, v2_signature, sizeof(v2_signature));
	if (is_v1 && (versions & PROXY_V1) != 0)
		return length < sizeof(v1_prefix) - 1
		    ? PROXY_PARTIAL
		    : parse_v1(data, length, ret, ret_error);
	if (is_v2 && (versions & PROXY_V2) != 0)
		return parse_v2(data, length, ret, ret_error);
	if (is_v1)
		return fail("found a PROXY v1 header, expected version 2", ret_error);
	if (is_v2)
		return fail("found a PROXY v2 header, expected version 1", ret_error);
	return fail(
	    "found no PROXY header, expected one in front of the data", ret_error);
}

bool
proxy_header_next_tlv(struct proxy_tlvs *tlvs, struct proxy_tlv *ret)
{
	if (tlvs->length < TLV_FIXED)
		return false;
	size_t length = get_16(tlvs->data + 1);
	if (length > tlvs->length - TLV_FIXED)
		return false;
	*ret = (struct proxy_tlv){
		.type = tlvs->data[0], .value = tlvs->data + TLV_FIXED, .length = length
	};
	tlvs->data += TLV_FIXED + length;
	tlvs->length -= TLV_FIXED + length;
	return true;
}

struct proxy_tlvs
proxy_header_ssl_tlvs(const struct proxy_tlv *ssl)
{
	if (ssl->length < PROXY_SSL_FIXED)
		return (struct proxy_tlvs){ ssl->value, 0 };
	return (struct proxy_tlvs){ ssl->value + PROXY_SSL_FIXED,
		ssl->length - PROXY_SSL_FIXED };
}

/* The address without its port, into text[INET6_ADDRSTRLEN]. */
static const char *
format_ip(const struct address *address, char *text)
{
	const void *bytes = address->storage.ss_family == AF_INET
	    ? (const void *)&address->in.sin_addr
	    : (const void *)&address->in6.sin6_addr;
	return inet_ntop(address->storage.ss_family, bytes, text, INET6_ADDRSTRLEN);
}

static size_t
write_v1(const struct proxy_announcement *announcement, uint8_t *out, size_t size)
{
	char line[V1_MAX + 1], source[INET6_ADDRSTRLEN], destination[INET6_ADDRSTRLEN];
	int n;
	if (announcement->is_local)
		n = snprintf(line, sizeof(line), "PROXY UNKNOWN\r\n");
	else
		n = snprintf(line, sizeof(line), "PROXY %s %s %s %u %u\r\n",
		    announcement->source.storage.ss_family == AF_INET ? "TCP4" : "TCP6",
		    format_ip(&announcement->source, source),
		    format_ip(&announcement->destination, destination),
		    address_port(&announcement->source),
		    address_port(&announcement->destination));
	if (n < 0 || (size_t)n > size)
		return 0;
	memcpy(out, line, (size_t)n);
	return (size_t)n;
}

static void
put_16(uint8_t *at, size_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

/* The bytes of an IP address. */
static size_t
put_ip(uint8_t *at, const struct address *address)
{
	if (address->storage.ss_family == AF_INET) {
		memcpy(at, &address->in.sin_addr, 4);
		return 4;
	}
	memcpy(at, &address->in6.sin6_addr, 16);
	return 16;
}

static size_t
put_addresses(uint8_t *at, const struct proxy_announcement *announcement)
{
	size_t n = put_ip(at, &announcement->source);
	n += put_ip(at + n, &announcement->destination);
	put_16(at + n, address_port(&announcement->source));
	put_16(at + n + 2, address_port(&announcement->destination));
	return n + 4;
}

static size_t
put_tlv(uint8_t *at, const struct proxy_tlv *tlv)
{
	at[0] = tlv->type;
	put_16(at + 1, tlv->length);
	if (tlv->length > 0)
		memcpy(at + TLV_FIXED, tlv->value, tlv->length);
	return TLV_FIXED + tlv->length;
}

static size_t
write_v2(const struct proxy_announcement *announcement, uint8_t *out, size_t size)
{
	static const uint8_t zeros[CRC_BYTES];
	const struct proxy_tlv crc = { PROXY_TLV_CRC32C, zeros, CRC_BYTES };
	bool is_tcp4 = announcement->source.storage.ss_family == AF_INET;
	size_t needed = PROXY_V2_FIXED + TCP6_BYTES;
	for (size_t i = 0; i < announcement->tlv_count; i++)
		needed += TLV_FIXED + announcement->tlvs[i].length;
	needed += announcement->has_crc32c ? TLV_FIXED + CRC_BYTES : 0;
	if (needed > size || needed > PROXY_HEADER_MAX)
		return 0;
	memcpy(out, v2_signature, sizeof(v2_signature));
	out[12] = V2_VERSION | (announcement->is_local ? V2_LOCAL : V2_PROXY);
	out[13] = 0;
	size_t at = PROXY_V2_FIXED;
	if (!announcement->is_local) {
		out[13] =
		    (uint8_t)((is_tcp4 ? PROXY_TCP4 : PROXY_TCP6) << 4 | V2_STREAM);
		at += put_addresses(out + at, announcement);
	}
	for (size_t i = 0; i < announcement->tlv_count; i++)
		at += put_tlv(out + at, &announcement->tlvs[i]);
	if (announcement->has_crc32c)
		at += put_tlv(out + at, &crc);
	put_16(out + 14, at - PROXY_V2_FIXED);
	if (announcement->has_crc32c) {
		uint8_t *field = out + at - CRC_BYTES;
		uint32_t sum = checksum(out, at, field);
		put_16(field, sum >> 16);
		put_16(field + 2, sum & 0xffff);
	}
	return at;
}

size_t
proxy_header_write(
    const struct proxy_announcement *announcement, uint8_t *out, size_t size)
{
	return announcement->version == 1 ? write_v1(announcement, out, size)
					  : write_v2(announcement, out, size);
}
