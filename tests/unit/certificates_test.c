/* When the log warns that a certificate expires. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "net/tls/tls_context.h"
#include "net/tls/tls_session.h"
#include "master/listeners/certificates.h"
#include "tests/lib/tls_fixture.h"

#define DAY_S INT64_C(86400)

static const struct listener_set *open_set; /* NULL: none */
static char line[1024]; /* what the last call has logged; "": nothing */

static void
check(const struct config *config, int64_t *checked_s)
{
	FILE *out = tmpfile();
	int saved = dup(STDERR_FILENO);
	must(out != NULL && saved >= 0 && dup2(fileno(out), STDERR_FILENO) >= 0);
	certificates_check(config, open_set, checked_s);
	must(dup2(saved, STDERR_FILENO) >= 0);
	close(saved);
	rewind(out);
	line[fread(line, 1, sizeof(line) - 1, out)] = '\0';
	fclose(out);
}

/* A certificate that ends in `days` days, first looked at with this setting. */
static void
check_new(int days, uint32_t warning_days, const char *expected)
{
	char error[TLS_ERROR_MAX];
	/* A minute more, which the test does not take. */
	const struct tls_fixture made = { .file = "one",
		.name = "one",
		.from_days = -90,
		.to_days = days,
		.to_seconds = days * (int)DAY_S + 60 };
	tls_fixture_add(&made);
	const struct tls_settings settings = { .certificate = tls_path("one.pem"),
		.key = tls_path("one.key") };
	struct listener_config listener = { .address_text = (char *)"listener",
		.tls.context = tls_context_create_server(&settings, error),
		.tls.expiry_warning_days = warning_days };
	const struct config config = { .listeners = &listener, .listener_count = 1 };
	int64_t checked_s = 0;
	must(listener.tls.context != NULL);
	check(&config, &checked_s);
	if (expected == NULL)
		assert_string_equal(line, "");
	else
		assert_non_null(strstr(line, expected));
	/* Once for each period, and not before an hour has passed. */
	check(&config, &checked_s);
	assert_string_equal(line, "");
	checked_s -= 2 * 3600;
	check(&config, &checked_s);
	assert_string_equal(line, "");
	tls_context_release(listener.tls.context);
}

static void
test_a_certificate_that_ends_soon_is_named_when_it_is_new(void **state)
{
	(void)state;
	check_new(31, 30, NULL);
	check_new(30, 60, ", in 30 days (fix: renew it, reload)");
	check_new(29, 30, ", in 29 days (fix: renew it, reload)");
	check_new(10, 7, NULL);
	check_new(5, 3, NULL);
	check_new(2, 3, ", in 2 days (fix: renew it, reload)");
	check_new(1, 3, ", in 1 day (fix: renew it, reload)");
	check_new(0, 1, ", in 0 days (fix: renew it, reload)");
	check_new(0, 0, NULL);
	check_new(-1, 0, " expired on ");
	check_new(-1, 30, " expired on ");
}

/* Of a certificate that ends in half a day less than `days`. */
static void
check_later(int days, uint32_t warning_days, bool is_warned)
{
	struct listener_config listener = { .address_text = (char *)"listener",
		.tls.expiry_warning_days = warning_days };
	const struct config config = { .listeners = &listener, .listener_count = 1 };
	const struct tls_fixture made = { .file = "two",
		.name = "two",
		.to_seconds = days * (int)DAY_S - (int)DAY_S / 2 };
	char error[TLS_ERROR_MAX];
	tls_fixture_add(&made);
	const struct tls_settings settings = { .certificate = tls_path("two.pem"),
		.key = tls_path("two.key") };
	listener.tls.context = tls_context_create_server(&settings, error);
	must(listener.tls.context != NULL);
	int64_t checked_s = (int64_t)(clock_realtime_ns() / NS_PER_S) - DAY_S;
	check(&config, &checked_s);
	assert_int_equal(line[0] != '\0', is_warned);
	tls_context_release(listener.tls.context);
}

static void
test_the_log_warns_on_the_first_day_seven_days_and_one_day_before(void **state)
{
	(void)state;
	for (int days = 1; days <= 32; days++)
		check_later(days, 30, days == 30 || days == 7 || days == 1);
	for (int days = 1; days <= 8; days++)
		check_later(days, 4, days == 4 || days == 1);
	for (int days = 1; days <= 8; days++)
		check_later(days, 0, false);
	check_later(0, 0, true);
}

/* Logs of one certificate, also for `name`, with at most TLS 1.2 and these suites. */
static void
check_use(const struct tls_fixture *made, const char *name, const char *ciphers,
    const char *expected)
{
	char error[TLS_ERROR_MAX], pem[32], key[32];
	tls_fixture_add(made);
	snprintf(pem, sizeof(pem), "%s.pem", made->file);
	snprintf(key, sizeof(key), "%s.key", made->file);
	const struct tls_name_settings names = { name, tls_path(pem), tls_path(key) };
	const struct tls_settings settings = { .certificate = tls_path(pem),
		.key = tls_path(key),
		.ciphers = ciphers,
		.max_version = ciphers == NULL ? 0 : TLS_VERSION_1_2,
		.names = &names,
		.name_count = name != NULL };
	struct listener_config listener = { .address_text = (char *)"listener",
		.tls.context = tls_context_create_server(&settings, error) };
	const struct config config = { .listeners = &listener, .listener_count = 1 };
	int64_t checked_s = 0;
	must(listener.tls.context != NULL);
	check(&config, &checked_s);
	if (expected == NULL)
		assert_string_equal(line, "");
	else
		assert_non_null(strstr(line, expected));
	tls_context_release(listener.tls.context);
}

static void
test_the_log_warns_of_a_certificate_that_clients_cannot_use(void **state)
{
	(void)state;
	const struct tls_fixture good = { .file = "good",
		.name = "good",
		.names = "DNS:a.test, DNS:*.b.test, DNS:c.d.test" };
	const struct tls_fixture late = {
		.file = "late", .name = "late", .from_days = 2, .to_days = 90
	};
	const struct tls_fixture client = {
		.file = "client", .name = "client", .usage = "clientAuth"
	};
	const struct tls_fixture any = {
		.file = "any", .name = "any", .usage = "anyExtendedKeyUsage"
	};
	const struct tls_fixture signs = {
		.file = "signs", .name = "signs", .key_usage = "keyCertSign"
	};
	const struct tls_fixture pss = {
		.file = "pss", .name = "pss", .is_rsa_pss = true
	};
	const char *const ecdsa = "ECDHE-ECDSA-AES128-GCM-SHA256";
	const char *const rsa = "ECDHE-RSA-AES128-GCM-SHA256";
	const char *const both =
	    "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256";
	check_use(&good, "A.test", both, NULL);
	check_use(&good, "*.b.test", NULL, NULL);
	check_use(&good, "x.b.test", NULL, NULL);
	check_use(&good, "*.d.test", NULL, NULL);
	check_use(&good, NULL, rsa,
	    "CN=good: no cipher suite of tls.ciphers fits its key, expected one with ECDSA");
	check_use(&good, "e.test", NULL,
	    "listener: CN=good, for the name e.test: it is not for the name");
	check_use(&good, "*.e.test", NULL, ": it is not for the name");
	check_use(&good, "a.test.", NULL, ": clients send the name without the dot");
	check_use(&good, "1.2.3.4", NULL, ": clients do not send an address");
	check_use(&late, NULL, NULL, "listener: CN=late is not valid before ");
	/* The port that the kernel chose. */
	struct listener bound = { .config_index = 0 };
	const struct listener_set set = { .first = &bound };
	char error[128];
	must(address_parse("127.0.0.1:432", &bound.address, error, sizeof(error)) == 0);
	open_set = &set;
	check_use(&late, NULL, NULL, "certificate: 127.0.0.1:432: CN=late is not ");
	open_set = NULL;
	check_use(&client, NULL, NULL,
	    "listener: CN=client: it is not for servers, expected serverAuth in its extended key usage");
	check_use(&signs, NULL, NULL,
	    "CN=signs: it is not for servers, expected digitalSignature in its key usage");
	check_use(&any, NULL, NULL,
	    "CN=any: it is not for servers, expected serverAuth in its extended key usage");
	check_use(&pss, NULL, rsa, NULL);
	check_use(&pss, NULL, ecdsa,
	    "CN=pss: no cipher suite of tls.ciphers fits its key, expected one with RSA");
}

static int
start(void **state)
{
	(void)state;
	tls_fixture_start();
	return 0;
}

static int
finish(void **state)
{
	(void)state;
	tls_fixture_finish();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_a_certificate_that_ends_soon_is_named_when_it_is_new),
		cmocka_unit_test(
		    test_the_log_warns_on_the_first_day_seven_days_and_one_day_before),
		cmocka_unit_test(
		    test_the_log_warns_of_a_certificate_that_clients_cannot_use),
	};
	return cmocka_run_group_tests(tests, start, finish);
}
