#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* cmocka needs those above */
#include <cmocka.h>

#include "net/proxy_header.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
/* A literal and its bytes without the zero at the end. */
#define BYTES(literal) literal, sizeof(literal) - 1

static const char *error;

static enum proxy_status
parse(const char *data, size_t length, struct proxy_header *ret)
{
	return proxy_header_parse(
	    (const uint8_t *)data, length, PROXY_ANY, ret, &error);
}

static void
check_address(const struct address *address, const char *expected)
{
	char text[ADDRESS_TEXT_MAX];
	assert_string_equal(address_format(address, text), expected);
}

static void
test_reads_the_examples_of_the_specification(void **state)
{
	struct proxy_header h;
	(void)state;
	assert_int_equal(
	    parse(BYTES("PROXY TCP4 255.255.255.255 1.2.3.4 65535 0\r\nGET"), &h),
	    PROXY_COMPLETE);
	assert_int_equal(h.length, 44);
	assert_int_equal(h.version, 1);
	check_address(&h.source, "255.255.255.255:65535");
	check_address(&h.destination, "1.2.3.4:0");
	assert_int_equal(
	    parse(BYTES("PROXY TCP6 2001:db8::1 ::1 443 80\r\n"), &h), PROXY_COMPLETE);
	check_address(&h.source, "[2001:db8::1]:443");
	assert_int_equal(
	    parse(BYTES("PROXY UNKNOWN ffff:f...f:ffff 65535 65535\r\n"), &h),
	    PROXY_COMPLETE);
	assert_int_equal(h.family, PROXY_UNKNOWN);
	assert_int_equal(parse(BYTES("PROXY UNKNOWN\r\n"), &h), PROXY_COMPLETE);
	assert_int_equal(
	    parse(
		BYTES(SIGNATURE "\x21\x11\0\x0c\x7f\0\0\1\x7f\0\0\2\x80\x98\x20\x09X"),
		&h),
	    PROXY_COMPLETE);
	assert_int_equal(h.length, 28);
	check_address(&h.source, "127.0.0.1:32920");
	check_address(&h.destination, "127.0.0.2:8201");
	assert_int_equal(parse(BYTES(SIGNATURE "\x20\0\0\0"), &h), PROXY_COMPLETE);
	assert_true(h.is_local);
}

static void
test_a_malformed_header_is_refused_with_a_reason(void **state)
{
	static const struct {
		const char *data;
		size_t length;
		const char *reason;
	} rows[] = {
		{ BYTES("GET / HTTP/1.1\r\n"), "no PROXY header" },
		{ BYTES("PROXX"), "no PROXY header" },
		{ BYTES("PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n"), "another protocol" },
		{ BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n"), "malformed" },
		{ BYTES("PROXY TCP4 1.2.3.04 1.2.3.4 1 2\r\n"), "malformed" },
		{ BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n"), "malformed" },
		{ BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n"), "malformed" },
		{ BYTES("PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n"), "malformed" },
		{ BYTES("PROXY TCP4 ::1 ::1 1 2\r\n"), "malformed" },
		{ BYTES("PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n"), "malformed" },
		{ BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n"), "no CR LF" },
		{ BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r \n"), "no CR LF" },
		{ BYTES("PROXY TCP4\0 1.2.3.4 1.2.3.4 1 2\r\n"), "zero byte" },
		{ BYTES(SIGNATURE "\x31\x11\0\x0c"), "version or command" },
		{ BYTES(SIGNATURE "\x22\x11\0\x0c"), "version or command" },
		{ BYTES(SIGNATURE "\x21\x13\0\x0c"), "unknown address family" },
		{ BYTES(SIGNATURE "\x21\x41\0\x0c"), "unknown address family" },
		{ BYTES(SIGNATURE "\x21\x11\x10\x01"), "more than 4 kB" },
		{ BYTES(SIGNATURE "\x21\x11\0\x04\1\2\3\4"), "too short" },
		{ BYTES(SIGNATURE "\x21\x11\0\x0f\1\2\3\4\1\2\3\4\1\2\1\2\1\0\1"),
		    "longer than" },
		{ BYTES(SIGNATURE "\x21\x11\0\x0e\1\2\3\4\1\2\3\4\1\2\1\2\1\0"),
		    "longer than" },
		{ BYTES(SIGNATURE "\x21\0\0\x07\x20\0\4\0\0\0\0"), "SSL" },
	};
	struct proxy_header h;
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		error = "";
		if (parse(rows[i].data, rows[i].length, &h) != PROXY_INVALID ||
		    strstr(error, rows[i].reason) == NULL)
			fail_msg("row %zu: \"%s\"", i, error);
	}
}

static void
test_a_line_of_107_bytes_is_the_longest(void **state)
{
	char line[109];
	struct proxy_header h;
	(void)state;
	memset(line, 'x', sizeof(line));
	memcpy(line, "PROXY UNKNOWN ", 14);
	memcpy(line + 105, "\r\n", 2);
	assert_int_equal(parse(line, 107, &h), PROXY_COMPLETE);
	memcpy(line + 105, "x\r\n", 3);
	assert_int_equal(parse(line, 106, &h), PROXY_PARTIAL);
	assert_int_equal(parse(line, 107, &h), PROXY_INVALID);
	assert_int_equal(parse(line, 108, &h), PROXY_INVALID);
}

static void
test_only_the_configured_version_is_accepted(void **state)
{
	static const uint8_t v1[] = "PROXY UNKNOWN\r\n", v2[] = SIGNATURE "\x20\0\0\0";
	struct proxy_header h;
	(void)state;
	assert_int_equal(proxy_header_parse(v1, sizeof(v1) - 1, PROXY_V2, &h, &error),
	    PROXY_INVALID);
	assert_non_null(strstr(error, "expected version 2"));
	assert_int_equal(proxy_header_parse(v2, sizeof(v2) - 1, PROXY_V1, &h, &error),
	    PROXY_INVALID);
	assert_non_null(strstr(error, "expected version 1"));
}

static void
announce(struct proxy_announcement *a, unsigned version, const char *source,
    const char *destination)
{
	char text[64];
	*a = (struct proxy_announcement){ .version = version };
	assert_int_equal(address_parse(source, &a->source, text, sizeof(text)), 0);
	assert_int_equal(
	    address_parse(destination, &a->destination, text, sizeof(text)), 0);
}

/* Every cut is partial, whatever follows belongs to the client. */
static void
check_round_trip(const struct proxy_announcement *a)
{
	uint8_t out[PROXY_HEADER_MAX + 4];
	struct proxy_header h;
	size_t length = proxy_header_write(a, out, PROXY_HEADER_MAX);
	assert_int_not_equal(length, 0);
	memcpy(out + length, "data", 4);
	for (size_t cut = 0; cut < length; cut++)
		assert_int_equal(
		    proxy_header_parse(out, cut, PROXY_ANY, &h, &error), PROXY_PARTIAL);
	assert_int_equal(
	    proxy_header_parse(out, length + 4, PROXY_ANY, &h, &error), PROXY_COMPLETE);
	assert_int_equal(h.length, length);
	assert_int_equal(h.version, a->version);
	if (!a->is_local) {
		assert_true(address_equal(&h.source, &a->source));
		assert_true(address_equal(&h.destination, &a->destination));
	}
	assert_int_equal(proxy_header_write(a, out, length - 1), 0);
}

static void
test_a_written_header_is_read_back_at_every_cut(void **state)
{
	struct proxy_announcement a;
	(void)state;
	for (unsigned version = 1; version <= 2; version++) {
		announce(&a, version, "10.1.2.3:4", "192.0.2.1:65535");
		check_round_trip(&a);
		announce(&a, version, "[2001:db8::1:2]:1", "[::1]:443");
		check_round_trip(&a);
		a.is_local = true;
		check_round_trip(&a);
	}
}

static void
test_tlvs_are_read_and_damage_is_found_by_the_checksum(void **state)
{
	static const uint8_t ssl[] = "\1\0\0\0\0\x21\0\7TLSv1.3\x22\0\3foo";
	const struct proxy_tlv tlvs[] = {
		{ PROXY_TLV_AUTHORITY, (const uint8_t *)"example.org", 11 },
		{ PROXY_TLV_UNIQUE_ID, (const uint8_t *)"", 0 },
		{ PROXY_TLV_SSL, ssl, sizeof(ssl) - 1 },
		{ 0xe0, (const uint8_t *)"unknown", 7 },
	};
	struct proxy_announcement a;
	struct proxy_header h;
	struct proxy_tlv tlv;
	uint8_t out[PROXY_HEADER_MAX];
	(void)state;
	announce(&a, 2, "10.1.2.3:4", "192.0.2.1:65535");
	a.tlvs = tlvs;
	a.tlv_count = 4;
	a.has_crc32c = true;
	check_round_trip(&a);
	size_t length = proxy_header_write(&a, out, sizeof(out));
	assert_int_equal(
	    proxy_header_parse(out, length, PROXY_V2, &h, &error), PROXY_COMPLETE);
	for (size_t i = 0; i < 5; i++) {
		assert_true(proxy_header_next_tlv(&h.tlvs, &tlv));
		assert_int_equal(tlv.type, i < 4 ? tlvs[i].type : PROXY_TLV_CRC32C);
		if (tlv.type != PROXY_TLV_SSL)
			continue;
		struct proxy_tlvs inner = proxy_header_ssl_tlvs(&tlv);
		assert_true(proxy_header_next_tlv(&inner, &tlv));
		assert_memory_equal(tlv.value, "TLSv1.3", 7);
		assert_true(proxy_header_next_tlv(&inner, &tlv));
		assert_int_equal(tlv.type, PROXY_TLV_SSL_CN);
		assert_false(proxy_header_next_tlv(&inner, &tlv));
	}
	assert_false(proxy_header_next_tlv(&h.tlvs, &tlv));
	/* Each bit of the addresses, values and the checksum itself. */
	for (size_t bit = 16 * 8; bit < length * 8; bit++) {
		out[bit / 8] ^= (uint8_t)(1 << bit % 8);
		enum proxy_status status =
		    proxy_header_parse(out, length, PROXY_V2, &h, &error);
		/* A type or length of the checksum's own TLV may hide it. */
		if (bit / 8 < length - 7 || bit / 8 >= length - 4)
			assert_int_equal(status, PROXY_INVALID);
		out[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

/* The checksum of this header by another implementation, which gives 0x8a9136aa for 32
 * zeros and 0xe3069283 for "123456789" (RFC 3720, B.4). */
static void
test_the_checksum_is_that_of_castagnoli(void **state)
{
	static const char expected[] =
	    SIGNATURE "\x21\x11\0\x13\x7f\0\0\1\x7f\0\0\1\xd0\x3e\x1f\x40\3\0\4"
		      "\x0c\x86\xa3\xfd";
	uint8_t out[64];
	struct proxy_announcement a;
	struct proxy_header h;
	(void)state;
	announce(&a, 2, "127.0.0.1:53310", "127.0.0.1:8000");
	a.has_crc32c = true;
	assert_int_equal(proxy_header_write(&a, out, sizeof(out)), 35);
	assert_memory_equal(out, expected, 35);
	assert_int_equal(parse(expected, 35, &h), PROXY_COMPLETE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads_the_examples_of_the_specification),
		cmocka_unit_test(test_a_malformed_header_is_refused_with_a_reason),
		cmocka_unit_test(test_a_line_of_107_bytes_is_the_longest),
		cmocka_unit_test(test_only_the_configured_version_is_accepted),
		cmocka_unit_test(test_a_written_header_is_read_back_at_every_cut),
		cmocka_unit_test(
		    test_tlvs_are_read_and_damage_is_found_by_the_checksum),
		cmocka_unit_test(test_the_checksum_is_that_of_castagnoli),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
