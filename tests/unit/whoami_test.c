#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka needs those above */
#include <cmocka.h>
#include <jansson.h>

#include "proto/whoami.h"

static void
set_address(struct address *address, const char *text)
{
	char error[128];
	assert_int_equal(address_parse(text, address, error, sizeof(error)), 0);
}

static json_t *
written(const struct whoami *whoami)
{
	char line[WHOAMI_MAX];
	json_error_t error;
	size_t length = whoami_write(whoami, line);
	assert_null(memchr(line, '\n', length));
	json_t *json = json_loadb(line, length, 0, &error);
	if (json == NULL)
		fail_msg("%s: %.*s", error.text, (int)length, line);
	return json;
}

static uint8_t longest[255];

/* A header with the longest texts: bytes that are escaped. */
static void
parse_longest_header(struct address *ret_source, struct proxy_header *ret)
{
	static uint8_t ssl[PROXY_SSL_FIXED + 5 * (3 + sizeof(longest))];
	static uint8_t header[PROXY_HEADER_MAX];
	static const uint8_t types[] = { PROXY_TLV_SSL_VERSION, PROXY_TLV_SSL_CN,
		PROXY_TLV_SSL_CIPHER, PROXY_TLV_SSL_SIG_ALG, PROXY_TLV_SSL_KEY_ALG };
	struct proxy_tlv tlvs[40] = { { PROXY_TLV_ALPN, longest, 255 },
		{ PROXY_TLV_AUTHORITY, longest, 255 },
		{ PROXY_TLV_UNIQUE_ID, longest, 128 },
		{ PROXY_TLV_NETNS, longest, 255 },
		{ PROXY_TLV_SSL, ssl, sizeof(ssl) } };
	struct proxy_announcement announcement = {
		.version = 2, .tlvs = tlvs, .tlv_count = 40
	};
	const char *error;
	memset(longest, 0xff, sizeof(longest));
	memset(ssl, 0xff, sizeof(ssl));
	for (size_t i = 0; i < 5; i++) {
		uint8_t *at = ssl + PROXY_SSL_FIXED + i * (3 + sizeof(longest));
		at[0] = types[i];
		at[1] = 0;
		at[2] = 255;
	}
	for (size_t i = 5; i < 40; i++)
		tlvs[i] = (struct proxy_tlv){ 0xff, longest, 0 };
	set_address(
	    &announcement.source, "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
	*ret_source = announcement.destination = announcement.source;
	size_t length = proxy_header_write(&announcement, header, sizeof(header));
	assert_int_equal(
	    proxy_header_parse(header, length, PROXY_ANY, ret, &error), PROXY_COMPLETE);
}

static void
test_the_longest_line_is_json(void **state)
{
	static uint8_t paths[2 * PROXY_UNIX_PATH];
	struct proxy_header proxy;
	struct address source;
	struct tcp_syn syn;
	struct tcp_info_view tcp;
	char instance[WHOAMI_INSTANCE_MAX + 1];
	(void)state;
	parse_longest_header(&source, &proxy);
	memset(paths, 0xff, sizeof(paths));
	memset(&syn, 0xff, sizeof(syn));
	syn.window_scale = 127;
	syn.other_count = TCP_SYN_OTHERS_MAX;
	syn.ece = syn.cwr = syn.sack = syn.timestamps = syn.fast_open = syn.mptcp =
	    false;
	memset(&tcp, 0xff, sizeof(tcp));
	tcp.delivery_rate = INT64_MAX;
	tcp.timestamps = tcp.sack = tcp.window_scale = tcp.ecn = tcp.fast_open = false;
	memset(instance, 0x7f, sizeof(instance));
	struct whoami whoami = { .instance = instance,
		.slot = UINT32_MAX,
		.generation = UINT32_MAX,
		.connection = INT64_MAX,
		.first_slot = UINT32_MAX,
		.first_generation = UINT32_MAX,
		.age_us = INT64_MAX,
		.client = source,
		.peer = source,
		.local = source,
		.incoming_cpu = INT32_MAX,
		.proxy = &proxy,
		.syn = &syn,
		.tcp = &tcp };
	json_t *json = written(&whoami);
	assert_int_equal(
	    json_array_size(json_object_get(json_object_get(json, "proxy"), "tlvs")),
	    32);
	json_decref(json);
	proxy.family = PROXY_UNIX;
	proxy.unix_paths = paths;
	json_decref(written(&whoami));
}

static void
test_texts_of_a_header_are_escaped(void **state)
{
	static const uint8_t text[] = "a\"b\\c\n\xff";
	const struct proxy_tlv tlv = { PROXY_TLV_AUTHORITY, text, sizeof(text) - 1 };
	struct proxy_announcement announcement = {
		.version = 2, .tlvs = &tlv, .tlv_count = 1
	};
	struct proxy_header proxy;
	uint8_t header[128];
	const char *error;
	(void)state;
	set_address(&announcement.source, "192.0.2.1:1");
	announcement.destination = announcement.source;
	size_t length = proxy_header_write(&announcement, header, sizeof(header));
	assert_int_equal(proxy_header_parse(header, length, PROXY_ANY, &proxy, &error),
	    PROXY_COMPLETE);
	struct whoami whoami = { .instance = "x",
		.client = announcement.source,
		.peer = announcement.source,
		.incoming_cpu = -1,
		.proxy = &proxy };
	json_t *json = written(&whoami);
	assert_string_equal(json_string_value(json_object_get(
				json_object_get(json, "proxy"), "authority")),
	    "a\"b\\c\n\xc3\xbf");
	assert_true(
	    json_is_null(json_object_get(json_object_get(json, "socket"), "local")));
	json_decref(json);
}

static void
test_a_syn_is_decoded(void **state)
{
	/* Linux to Linux over loopback, with TOS 0x2b and ECN asked for. */
	static const uint8_t v4[] = { 0x45, 0x2b, 0, 60, 1, 2, 0x40, 0, 64, 6, 0, 0,
		127, 0, 0, 1, 127, 0, 0, 1, 0x80, 0, 0x1f, 0x40, 0, 0, 0, 1, 0, 0, 0, 0,
		0xa0, 0xc2, 0xff, 0xd7, 0, 0, 0, 0, 2, 4, 0xff, 0xd7, 4, 2, 8, 10, 0, 0,
		0, 1, 0, 0, 0, 0, 1, 3, 3, 7 };
	uint8_t v6[40 + 24] = { 0x62, 0xb0, 0, 0, 0, 24, 6, 255 };
	struct tcp_syn syn;
	(void)state;
	assert_true(tcp_syn_decode(v4, sizeof(v4), &syn));
	assert_int_equal(syn.ttl, 64);
	assert_int_equal(syn.dscp, 10);
	assert_int_equal(syn.ip_ecn, 3);
	assert_true(syn.ece && syn.cwr && syn.sack && syn.timestamps);
	assert_int_equal(syn.window, 65495);
	assert_int_equal(syn.mss, 65495);
	assert_int_equal(syn.window_scale, 7);
	assert_int_equal(syn.other_count, 0);
	for (size_t cut = 0; cut < sizeof(v4); cut++)
		assert_false(tcp_syn_decode(v4, cut, &syn));
	v6[40 + 12] = 0x60;
	v6[40 + 13] = 2;
	v6[40 + 20] = 253;
	v6[40 + 21] = 4;
	assert_true(tcp_syn_decode(v6, sizeof(v6), &syn));
	assert_int_equal(syn.ttl, 255);
	assert_int_equal(syn.dscp, 10);
	assert_int_equal(syn.window_scale, -1);
	assert_int_equal(syn.mss, 0);
	assert_int_equal(syn.other_count, 1);
	assert_int_equal(syn.others[0], 253);
	v6[40 + 21] = 5; /* longer than the header */
	assert_false(tcp_syn_decode(v6, sizeof(v6), &syn));
	v6[40 + 13] = 0x10; /* no SYN */
	assert_false(tcp_syn_decode(v6, sizeof(v6), &syn));
}

/* A connection was reset before its worker had asked for its address. */
static void
test_an_unknown_address_is_null(void **state)
{
	const struct address_compact unknown = { .port = 0 };
	struct whoami whoami = { .instance = "name" };
	(void)state;
	address_expand(&unknown, &whoami.client);
	address_expand(&unknown, &whoami.peer);
	json_t *json = written(&whoami);
	assert_true(json_is_null(json_object_get(json, "client")));
	json_decref(json);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_longest_line_is_json),
		cmocka_unit_test(test_texts_of_a_header_are_escaped),
		cmocka_unit_test(test_a_syn_is_decoded),
		cmocka_unit_test(test_an_unknown_address_is_null),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
