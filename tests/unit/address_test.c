#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka needs those above */
#include <sys/socket.h>

#include <cmocka.h>
#include <stdio.h>
#include <unistd.h>

#include <netinet/in.h>

#include "net/address_prefix.h"

static struct address
parsed(const char *text)
{
	struct address address = { 0 };
	char error[256] = "";

	if (address_parse(text, &address, error, sizeof(error)) < 0)
		fail_msg("%s", error);
	return address;
}

static void
check_text(const char *text, const char *expected)
{
	struct address address = parsed(text);
	char buffer[ADDRESS_TEXT_MAX];

	assert_string_equal(address_format(&address, buffer), expected);
}

static void
test_numeric_addresses_are_read_and_written(void **state)
{
	(void)state;
	check_text("127.0.0.1:10000", "127.0.0.1:10000");
	check_text("[::1]:8001", "[::1]:8001");
	check_text("*:80", "0.0.0.0:80");
	check_text(":80", "0.0.0.0:80");
	check_text("[::]:0", "[::]:0");
	check_text("[2001:DB8::1]:65535", "[2001:db8::1]:65535");
	check_text("[fe80::1%lo]:1", "[fe80::1%lo]:1");
	check_text("[fe80::1%99999]:1", "[fe80::1%99999]:1");
}

static void
check_refused(const char *text, const char *expected)
{
	struct address address = { .length = 77 };
	char error[256] = "";

	assert_int_equal(address_parse(text, &address, error, sizeof(error)), -1);
	assert_string_equal(error, expected);
	assert_int_equal(address.length, 77);
}

static void
test_refuses_malformed_addresses_and_says_what_is_expected(void **state)
{
	(void)state;
	check_refused("127.0.0.1",
	    "found \"127.0.0.1\" without a port, expected \"address:port\" or \"[IPv6 address]:port\"");
	check_refused("",
	    "found \"\" without a port, expected \"address:port\" or \"[IPv6 address]:port\"");
	check_refused("[::1]",
	    "found \"[::1]\" without a port, expected \"address:port\" or \"[IPv6 address]:port\"");
	check_refused("http://127.0.0.1:80",
	    "found the URL \"http://127.0.0.1:80\", expected \"address:port\" or \"[IPv6 address]:port\"");
	check_refused("::1:80",
	    "found \"::1:80\", expected \"[address]:port\" for an IPv6 address");
	check_refused("abcd:ef::1:80",
	    "found \"abcd:ef::1:80\", expected \"[address]:port\" for an IPv6 address");
	check_refused("tls:localhost:80",
	    "found \"tls:\" before the address in \"tls:localhost:80\", expected \"mptcp:\" or nothing");
	check_refused("fe80::1%eth0:80",
	    "found \"fe80::1%eth0:80\", expected \"[address]:port\" for an IPv6 address");
	check_refused("127.0.0.1:65536",
	    "found port \"65536\" in \"127.0.0.1:65536\", expected a number from 0 to 65535");
	check_refused("127.0.0.1:",
	    "found port \"\" in \"127.0.0.1:\", expected a number from 0 to 65535");
	check_refused("127.0.0.1:+80",
	    "found port \"+80\" in \"127.0.0.1:+80\", expected a number from 0 to 65535");
	check_refused("127.1:80",
	    "found \"127.1\" in \"127.1:80\", expected an IPv4 address, or an IPv6 address in brackets");
	check_refused("localhost:80",
	    "found \"localhost\" in \"localhost:80\", expected an IPv4 address, or an IPv6 address in brackets");
	check_refused("[127.0.0.1]:80",
	    "found \"127.0.0.1\" in \"[127.0.0.1]:80\", expected an IPv6 address");
}

static void
test_the_error_for_a_long_address_is_one_short_line(void **state)
{
	struct address address;
	char error[128];
	char text[2000];

	(void)state;
	memset(text, 'a', sizeof(text));
	memcpy(text + sizeof(text) - 4, ":80", 4);
	assert_int_equal(address_parse(text, &address, error, sizeof(error)), -1);
	assert_string_equal(error,
	    "found \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...\", expected a shorter host name");
}

static void
test_resolves_names_and_reads_numbers_without_a_resolver(void **state)
{
	struct address found[4];
	char error[256] = "";

	(void)state;
	assert_int_equal(
	    address_resolve("127.0.0.1:80", found, 4, error, sizeof(error)), 1);
	assert_int_equal(address_port(&found[0]), 80);
	assert_true(
	    address_resolve("localhost:81", found, 4, error, sizeof(error)) >= 1);
	assert_int_equal(address_port(&found[0]), 81);
	assert_int_equal(
	    address_resolve("localhost:81", found, 1, error, sizeof(error)), 1);
	assert_true(address_resolve(":82", found, 4, error, sizeof(error)) >= 1);
	assert_int_equal(
	    address_resolve("localhost", found, 4, error, sizeof(error)), -1);
	assert_int_equal(address_resolve("[x]:1", found, 4, error, sizeof(error)), -1);
	assert_string_equal(
	    error, "found \"x\" in \"[x]:1\", expected an IPv6 address");
	assert_int_equal(address_resolve("a..b:1", found, 4, error, sizeof(error)), -1);
	assert_non_null(strstr(error, "cannot resolve host \"a..b\": "));
}

static void
test_addresses_are_equal_if_host_and_port_are_equal(void **state)
{
	struct address a = parsed("127.0.0.1:80"), b = parsed("127.0.0.1:81");
	struct address c = parsed("[::1]:80"), d = parsed("[::2]:80");

	(void)state;
	assert_false(address_equal(&a, &b));
	address_set_port(&b, 80);
	assert_true(address_equal(&a, &b));
	assert_false(address_equal(&a, &c));
	assert_false(address_equal(&c, &d));
	assert_true(address_equal(&c, &c));
	address_set_port(&c, 9);
	assert_int_equal(address_port(&c), 9);
}

static bool
inside(const char *prefix_text, const char *address_text)
{
	struct address_prefix prefix;
	struct address address = parsed(address_text);
	char error[256] = "";

	if (address_prefix_parse(prefix_text, &prefix, error, sizeof(error)) < 0)
		fail_msg("%s", error);
	return address_prefix_contains(&prefix, &address);
}

static void
test_a_prefix_contains_addresses_with_the_same_first_bits(void **state)
{
	(void)state;
	assert_true(inside("10.0.0.0/8", "10.255.1.2:1"));
	assert_false(inside("10.0.0.0/8", "11.0.0.0:1"));
	assert_true(inside("192.168.0.0/22", "192.168.3.255:1"));
	assert_false(inside("192.168.0.0/22", "192.168.4.0:1"));
	assert_true(inside("0.0.0.0/0", "1.2.3.4:1"));
	assert_false(inside("0.0.0.0/0", "[::1]:1"));
	assert_true(inside("127.0.0.1", "127.0.0.1:1"));
	assert_false(inside("127.0.0.1", "127.0.0.2:1"));
	assert_true(inside("2001:db8::/33", "[2001:db8:7fff::1]:1"));
	assert_false(inside("2001:db8::/33", "[2001:db8:8000::1]:1"));
	assert_true(inside("::1", "[::1]:1"));
}

static void
test_an_IPv4_mapped_address_matches_as_IPv4(void **state)
{
	(void)state;
	assert_true(inside("10.0.0.0/8", "[::ffff:10.1.2.3]:1"));
	assert_false(inside("10.0.0.0/8", "[::ffff:11.1.2.3]:1"));
	assert_true(inside("::ffff:10.0.0.0/104", "10.1.2.3:1"));
}

static void
check_prefix_refused(const char *text, const char *expected)
{
	struct address_prefix prefix = { .bits = 77 };
	char error[256] = "";

	assert_int_equal(address_prefix_parse(text, &prefix, error, sizeof(error)), -1);
	assert_string_equal(error, expected);
	assert_int_equal(prefix.bits, 77);
}

static void
test_refuses_malformed_prefixes(void **state)
{
	(void)state;
	check_prefix_refused("10.0.0.0/33",
	    "found prefix length \"33\" in \"10.0.0.0/33\", expected a number from 0 to 32");
	check_prefix_refused("::/129",
	    "found prefix length \"129\" in \"::/129\", expected a number from 0 to 128");
	check_prefix_refused("::/",
	    "found prefix length \"\" in \"::/\", expected a number from 0 to 128");
	check_prefix_refused("10/8",
	    "found \"10/8\", expected an address such as \"10.0.0.0/8\" or \"2001:db8::/32\"");
	check_prefix_refused("",
	    "found \"\", expected an address such as \"10.0.0.0/8\" or \"2001:db8::/32\"");
}

static void
test_unix_and_mptcp_addresses_are_read_and_written(void **state)
{
	char longest[ADDRESS_TEXT_MAX];
	(void)state;
	check_text("unix:/run/yodel/echo", "unix:/run/yodel/echo");
	check_text("unix:@echo line", "unix:@echo line");
	check_text("mptcp:127.0.0.1:80", "mptcp:127.0.0.1:80");
	check_text("mptcp:[::1]:80", "mptcp:[::1]:80");
	memset(longest, 'x', sizeof(longest));
	memcpy(longest, "unix:/", 6);
	longest[5 + ADDRESS_UNIX_NAME_MAX] = '\0';
	check_text(longest, longest);
	longest[5] = '@';
	check_text(longest, longest);
	check_refused("unix:echo",
	    "found \"unix:echo\", expected an absolute path, as in \"unix:/run/yodel/echo\", or an abstract name, as in \"unix:@echo\"");
	check_refused("unix:/a\"b",
	    "found a control character, quotation mark or backslash in the name of a Unix socket, expected a name without");
	check_refused("mptcp:127.0.0.1",
	    "found \"127.0.0.1\" without a port, expected \"address:port\" or \"[IPv6 address]:port\"");
}

static void
test_unix_addresses_are_equal_if_their_names_are(void **state)
{
	struct address a = parsed("unix:/a"), b = parsed("unix:/b"),
		       abstract = parsed("unix:@a"), tcp = parsed("127.0.0.1:1"),
		       mptcp = parsed("mptcp:127.0.0.1:1");
	(void)state;
	assert_true(address_equal(&a, &a) && address_overlaps(&a, &a));
	assert_false(address_equal(&a, &b) || address_equal(&a, &abstract));
	assert_false(address_overlaps(&a, &tcp) || address_is_wildcard(&a));
	assert_string_equal(address_unix_path(&a), "/a");
	assert_null(address_unix_path(&abstract));
	assert_null(address_unix_path(&tcp));
	/* The kernel may count the final zero, or not. */
	struct address longer = a;
	longer.length = sizeof(longer.un);
	assert_true(address_equal(&a, &longer));
	/* They cannot be bound at the same time. */
	assert_true(address_overlaps(&tcp, &mptcp) && !tcp.is_mptcp && mptcp.is_mptcp);
}

static void
test_a_process_at_a_unix_socket_is_named(void **state)
{
	int fds[2];
	char text[ADDRESS_TEXT_MAX], expected[ADDRESS_TEXT_MAX];
	struct address peer, expanded;
	struct address_compact compact = { .port = 0 };
	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	address_set_process(fds[0], &peer);
	snprintf(expected, sizeof(expected), "unix pid %d uid %u", getpid(), getuid());
	assert_string_equal(address_format(&peer, text), expected);
	address_compact(&peer, &compact);
	assert_string_equal(address_format_compact(&compact, text), expected);
	address_expand(&compact, &expanded);
	assert_int_equal(expanded.process.gid, getgid());
	close(fds[0]);
	close(fds[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numeric_addresses_are_read_and_written),
		cmocka_unit_test(
		    test_refuses_malformed_addresses_and_says_what_is_expected),
		cmocka_unit_test(test_the_error_for_a_long_address_is_one_short_line),
		cmocka_unit_test(
		    test_resolves_names_and_reads_numbers_without_a_resolver),
		cmocka_unit_test(test_addresses_are_equal_if_host_and_port_are_equal),
		cmocka_unit_test(
		    test_a_prefix_contains_addresses_with_the_same_first_bits),
		cmocka_unit_test(test_an_IPv4_mapped_address_matches_as_IPv4),
		cmocka_unit_test(test_refuses_malformed_prefixes),
		cmocka_unit_test(test_unix_and_mptcp_addresses_are_read_and_written),
		cmocka_unit_test(test_unix_addresses_are_equal_if_their_names_are),
		cmocka_unit_test(test_a_process_at_a_unix_socket_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
