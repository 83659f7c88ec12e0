/* The options of TLS: names of the targets, what is verified, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sysexits.h>
/* cmocka needs some of the above */
#include <cmocka.h>

#include "client/plan/tls_plan.h"
#include "tests/lib/tls_fixture.h"

static struct plan plan;
static char error[PLAN_ERROR_MAX];

static int
check(const char *target)
{
	plan.tls = true;
	plan.connections = 3;
	plan.target_count = 1;
	plan.targets[0].text = target;
	error[0] = '\0';
	return tls_plan_check(&plan, error);
}

static void
finish(void)
{
	tls_plan_finish(&plan);
	memset(&plan, 0, sizeof(plan));
}

static void
the_name_is_the_host_of_the_target(void **state)
{
	static const struct {
		const char *target, *name;
	} rows[] = {
		{ "example.org:443", "example.org" },
		{ "example.org.:443", "example.org" },
		{ "192.0.2.1:443", "192.0.2.1" },
		{ "[2001:db8::1]:443", "2001:db8::1" },
		{ "[fe80::1%eth0]:443", "fe80::1" },
		{ "mptcp:example.org:443", "example.org" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		plan.tls_ca = tls_path("ca.pem");
		assert_int_equal(check(rows[i].target), 0);
		assert_string_equal(tls_plan_name(&plan, 0), rows[i].name);
		finish();
	}
	plan.tls_name = "other.org.";
	plan.tls_ca = tls_path("ca.pem");
	assert_int_equal(check("example.org:443"), 0);
	assert_string_equal(tls_plan_name(&plan, 0), "other.org");
	assert_non_null(strstr(plan.tls_verification, ", name other.org"));
	assert_null(strstr(plan.tls_verification, "other.org."));
	finish();
	static const char *const refused[] = { ".other.org", "a b", "a..b", "a.." };
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		plan.tls_name = refused[i];
		plan.tls_ca = tls_path("ca.pem");
		assert_int_equal(check("example.org:443"), EX_USAGE);
		assert_non_null(strstr(error, "expected that of one host"));
		finish();
	}
}

static void
a_name_that_is_too_long_and_a_key_log_on_stdout_are_refused(void **state)
{
	char name[257];
	(void)state;
	memset(name, 'a', sizeof(name) - 1);
	name[256] = '\0';
	plan.tls_name = name;
	plan.tls_insecure = true;
	assert_int_equal(check("example.org:443"), EX_USAGE);
	assert_non_null(
	    strstr(error, "found a name of 256 bytes, expected at most 255"));
	finish();
	plan.tls_name = name + 1;
	plan.tls_insecure = true;
	assert_int_equal(check("example.org:443"), 0);
	finish();
	plan.tls_keylog = "-";
	plan.tls_insecure = true;
	assert_int_equal(check("example.org:443"), EX_USAGE);
	assert_string_equal(error, "--tls-keylog: found \"-\", expected a file");
	finish();
}

static void
a_target_without_a_host_requires_a_name_unless_nothing_is_verified(void **state)
{
	(void)state;
	assert_int_equal(check("unix:/run/echo"), EX_USAGE);
	assert_non_null(strstr(error, "names no host"));
	finish();
	plan.tls_insecure = true;
	assert_int_equal(check("unix:/run/echo"), 0);
	assert_null(tls_plan_name(&plan, 0));
	finish();
	plan.tls_name = "example.org";
	plan.tls_ca = tls_path("ca.pem");
	assert_int_equal(check("unix:@echo"), 0);
	assert_string_equal(tls_plan_name(&plan, 0), "example.org");
	finish();
}

static void
says_in_words_what_is_verified(void **state)
{
	static const char pin[] =
	    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
	char expected[256];
	(void)state;
	plan.tls_ca = tls_path("ca.pem");
	plan.tls_name = "example.org";
	assert_int_equal(check("localhost:1"), 0);
	snprintf(expected, sizeof(expected), "chain to a CA of %s, name example.org",
	    tls_path("ca.pem"));
	assert_string_equal(plan.tls_verification, expected);
	finish();
	plan.tls_insecure = true;
	assert_int_equal(check("localhost:1"), 0);
	assert_string_equal(plan.tls_verification, "nothing (--tls-insecure)");
	finish();
	plan.tls_pin = pin;
	assert_int_equal(check("localhost:1"), 0);
	snprintf(expected, sizeof(expected), "fingerprint %s, nothing else", pin);
	assert_string_equal(plan.tls_verification, expected);
	finish();
}

static void
connections_take_the_certificates_of_a_pattern_in_turn(void **state)
{
	char certificate[128], key[128];
	(void)state;
	tls_fixture_add(&(struct tls_fixture){ .file = "c0", .name = "zero" });
	tls_fixture_add(&(struct tls_fixture){ .file = "c1", .name = "one" });
	snprintf(certificate, sizeof(certificate), "%s", tls_path("c{connection}.pem"));
	snprintf(key, sizeof(key), "%s", tls_path("c{connection}.key"));
	plan.tls_ca = tls_path("ca.pem");
	plan.tls_certificate = certificate;
	plan.tls_key = key;
	assert_int_equal(check("localhost:1"), 0);
	assert_int_equal(plan.tls_plan->identity_count, 2);
	assert_string_equal(
	    tls_identity_certificate(tls_plan_identity(&plan, 0))->subject, "CN=zero");
	assert_string_equal(
	    tls_identity_certificate(tls_plan_identity(&plan, 1))->subject, "CN=one");
	assert_ptr_equal(tls_plan_identity(&plan, 2), tls_plan_identity(&plan, 0));
	finish();
}

static int
set_up(void **state)
{
	(void)state;
	tls_fixture_start();
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	tls_fixture_finish();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_name_is_the_host_of_the_target),
		cmocka_unit_test(
		    a_name_that_is_too_long_and_a_key_log_on_stdout_are_refused),
		cmocka_unit_test(
		    a_target_without_a_host_requires_a_name_unless_nothing_is_verified),
		cmocka_unit_test(says_in_words_what_is_verified),
		cmocka_unit_test(
		    connections_take_the_certificates_of_a_pattern_in_turn),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
