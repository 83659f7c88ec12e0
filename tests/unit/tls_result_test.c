/* TLS in the counters, the result, its JSON, its merge and the reports. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka needs some of the above */
#include <cmocka.h>

#include "lib/xmalloc.h"
#include "client/measure/tls_counts.h"
#include "client/plan/plan.h"
#include "client/report/report_tls.h"
#include "client/result/result.h"
#include "client/result/tls_result.h"

static void
add_certificate(struct counters_map *map, const char *sha256, const char *subject)
{
	struct counters_certificate certificate = { .target = 0, .not_after = 86400 };
	snprintf(certificate.subject, sizeof(certificate.subject), "%s", subject);
	snprintf(certificate.names, sizeof(certificate.names), "example.org");
	snprintf(certificate.issuer, sizeof(certificate.issuer), "CN=ca");
	snprintf(certificate.key, sizeof(certificate.key), "EC P-256");
	snprintf(certificate.sha256, sizeof(certificate.sha256), "%s", sha256);
	tls_counts_add_certificate(map->control_block, &certificate);
}

static void
count(struct counters_map *map, uint32_t process, enum counters_tls_kind kind,
    const char *text)
{
	tls_counts_add(map->control_block, counters_map_at(map, process), kind, text);
}

/* What two load processes have counted. */
static void
fill(struct counters_map *map)
{
	assert_int_equal(counters_map_open(map, 2, 0), 0);
	for (uint32_t i = 0; i < 2; i++) {
		struct counters_tls *tls = &counters_map_at(map, i)->tls;
		counters_add(&tls->handshakes, 2);
		counters_add(&tls->resumed, i);
		counters_add(&tls->truncated, 1);
		counters_add(&tls->record_bytes_sent, 100);
		count(map, i, COUNTERS_TLS_VERSION, "TLS 1.3");
		count(map, i, COUNTERS_TLS_VERSION, "TLS 1.3");
		count(map, i, COUNTERS_TLS_CIPHER, i == 0 ? "A" : "B");
	}
	count(map, 1, COUNTERS_TLS_FAILURE, "the certificate has expired");
	count(map, 1, COUNTERS_TLS_ALERT, "sent certificate_expired");
	add_certificate(map, "aa", "CN=one");
	add_certificate(map, "bb", "CN=two");
	add_certificate(map, "aa", "CN=one");
}

static void
collect(struct result *ret)
{
	static struct plan plan;
	struct counters_map map;
	struct counters sum;
	plan.targets[0].text = "example.org:443";
	plan.target_count = 1;
	fill(&map);
	counters_sum(&map, &sum);
	result_init(ret);
	ret->plan.tls = true;
	ret->plan.tls_verification = xstrdup("chain to a CA of the system");
	tls_result_collect(&plan, &map, &sum, ret);
	counters_map_close(&map);
}

static uint64_t
connections_of(const struct result *result, const char *kind, const char *text)
{
	for (size_t i = 0; i < result->tls_count_count; i++)
		if (strcmp(result->tls_counts[i].kind, kind) == 0 &&
		    strcmp(result->tls_counts[i].text, text) == 0)
			return result->tls_counts[i].connections;
	return 0;
}

static void
check(const struct result *result, uint64_t times)
{
	assert_int_equal(result->tls.handshakes, 4 * times);
	assert_int_equal(result->tls.resumed, times);
	assert_int_equal(result->tls.truncated, 2 * times);
	assert_int_equal(result->tls.record_bytes_sent, 200 * times);
	assert_int_equal(connections_of(result, "version", "TLS 1.3"), 4 * times);
	assert_int_equal(connections_of(result, "cipher", "A"), times);
	assert_int_equal(connections_of(result, "cipher", "B"), times);
	assert_int_equal(result->tls_count_count, 5);
	assert_int_equal(result->certificate_count, 2);
	assert_string_equal(result->certificates[1].subject, "CN=two");
	assert_string_equal(result->certificates[0].target, "example.org:443");
	assert_string_equal(result->certificates[0].not_after, "1970-01-02T00:00:00Z");
}

static void
the_counts_of_all_processes_are_added(void **state)
{
	struct result result;
	(void)state;
	collect(&result);
	check(&result, 1);
	result_finish(&result);
}

static void
a_merge_adds_texts_and_keeps_one_of_each_certificate(void **state)
{
	struct result into, from;
	(void)state;
	collect(&into);
	collect(&from);
	tls_result_merge(&into, &from);
	into.tls.handshakes += from.tls.handshakes;
	into.tls.resumed += from.tls.resumed;
	into.tls.truncated += from.tls.truncated;
	into.tls.record_bytes_sent += from.tls.record_bytes_sent;
	check(&into, 2);
	result_finish(&into);
	result_finish(&from);
}

static void
a_full_table_counts_no_further_texts(void **state)
{
	struct counters_map map;
	char text[32];
	(void)state;
	assert_int_equal(counters_map_open(&map, 1, 0), 0);
	for (int i = 0; i < COUNTERS_TLS_TEXTS_MAX + 3; i++) {
		snprintf(text, sizeof(text), "reason %d", i);
		count(&map, 0, COUNTERS_TLS_FAILURE, text);
		snprintf(text, sizeof(text), "%d", i);
		add_certificate(&map, text, "CN=many");
	}
	count(&map, 0, COUNTERS_TLS_FAILURE, "reason 0");
	assert_int_equal(tls_counts_texts(map.control_block), COUNTERS_TLS_TEXTS_MAX);
	assert_int_equal(
	    tls_counts_certificates(map.control_block), COUNTERS_CERTIFICATES_MAX);
	assert_true(counters_get(&counters_map_at(&map, 0)->tls_texts[0]) == 2);
	counters_map_close(&map);
}

/* True if a line of the report contains the text. */
static bool
reports(const struct result *result, const char *text)
{
	char line[REPORT_LINE_MAX];
	for (size_t i = 0; report_tls_line(result, i, line); i++)
		if (strstr(line, text) != NULL)
			return true;
	return false;
}

static void
the_report_says_what_was_verified_negotiated_and_refused(void **state)
{
	struct result result;
	char line[REPORT_LINE_MAX];
	(void)state;
	collect(&result);
	assert_string_equal(report_tls_verification(&result, line),
	    "verified: chain to a CA of the system");
	uint64_t handshakes = result.tls.handshakes;
	result.tls.handshakes = 0;
	assert_string_equal(report_tls_verification(&result, line),
	    "required: chain to a CA of the system");
	result.tls.handshakes = handshakes;
	assert_true(reports(&result, "TLS 1.3, A (1), B (1)"));
	assert_true(
	    reports(&result, "1 handshake failed: the certificate has expired"));
	assert_true(
	    reports(&result, "1 alert in handshakes: sent certificate_expired"));
	assert_true(
	    reports(&result, "truncated: 2 streams ended without close_notify"));
	assert_true(reports(&result,
	    "example.org:443: certificate CN=one, for example.org, issued by CN=ca, EC P-256, valid until 1970-01-02, SHA-256 aa"));
	result.plan.tls_insecure = true;
	assert_non_null(strstr(report_tls_verification(&result, line), "NOT VERIFIED"));
	result.plan.tls = false;
	assert_string_equal(report_tls_verification(&result, line), "");
	assert_false(report_tls_line(&result, 0, line));
	result_finish(&result);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_counts_of_all_processes_are_added),
		cmocka_unit_test(a_merge_adds_texts_and_keeps_one_of_each_certificate),
		cmocka_unit_test(a_full_table_counts_no_further_texts),
		cmocka_unit_test(
		    the_report_says_what_was_verified_negotiated_and_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
