#include <sys/socket.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/measure/findings.h"
#include "client/result/explain.h"

#define RECORD(client, kind, message, offset, length)                                  \
	"{ \"time\": \"t\", \"client\": \"" client "\", \"kind\": \"" kind             \
	"\", \"message\": " #message ", \"offset\": " #offset ", \"length\": " #length \
	", \"value\": 1 }"

static struct explain_list
read_list(const char *record, uint64_t injected)
{
	struct explain_list list;
	char text[4096], error[256] = "";
	snprintf(text, sizeof(text), "{ \"record\": [ %s ] }", record);
	assert_int_equal(explain_read(text, injected, &list, error, sizeof(error)), 0);
	return list;
}

static struct finding
finding_of(enum finding_kind kind, uint16_t port, uint64_t message, uint64_t offset)
{
	return (struct finding){ .kind = (uint8_t)kind,
		.message = message,
		.offset = offset,
		.local = {
		    .bytes = { 10, 0, 0, 1 }, .port = port, .family = AF_INET } };
}

static struct explained_faults
explain(const char *record, uint64_t injected, struct finding finding)
{
	struct explained_faults out;
	struct explain_list list = read_list(record, injected);
	struct explain_named named;
	explain_findings(&finding, 1, 0, &list, &out, &named);
	assert_int_equal(named.count, out.unexplained);
	free(list.faults);
	assert_int_equal(out.findings, out.explained + out.unexplained + out.unjudged);
	assert_int_equal(out.recorded, out.timing + out.seen + out.unseen);
	return out;
}

static void
test_a_fault_explains_damage_at_its_place_alone(void **state)
{
	(void)state;
	const char *record = RECORD("10.0.0.1:4000", "corrupt", 5, 400, 100);
	static const struct {
		uint16_t port;
		uint64_t message, offset;
		bool is_explained;
	} cases[] = {
		{ 4000, 4, 450, true },   /* messages count from 0 here */
		{ 4000, 99, 450, true },  /* in a stream, by the bytes alone */
		{ 4000, 4, 9999, true },  /* by the message */
		{ 4000, 5, 501, true },   /* the damage reaches the next one */
		{ 4001, 4, 450, false },  /* another connection */
		{ 4000, 20, 5000, false } /* another place */
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct explained_faults out = explain(record, 1,
		    finding_of(FINDING_DAMAGE, cases[i].port, cases[i].message,
			cases[i].offset));
		assert_int_equal(out.explained, cases[i].is_explained);
		assert_int_equal(out.unexplained, !cases[i].is_explained);
		assert_int_equal(out.seen, cases[i].is_explained);
	}
}

static void
test_a_delay_explains_a_timeout_alone(void **state)
{
	(void)state;
	const char *record = RECORD("10.0.0.1:4000", "delay", 5, 400, 100);
	assert_int_equal(
	    explain(record, 1, finding_of(FINDING_DAMAGE, 4000, 4, 450)).unexplained,
	    1);
	assert_int_equal(
	    explain(record, 1, finding_of(FINDING_TIMEOUT, 4000, 4, 0)).explained, 1);
	assert_int_equal(
	    explain(record, 1, finding_of(FINDING_ENDED, 4000, 4, 0)).unexplained, 1);
}

static void
test_a_fault_of_a_connection_explains_its_end(void **state)
{
	(void)state;
	static const char *const records[] = {
		RECORD("10.0.0.1:4000", "reset", 5, 400, 0),
		RECORD("10.0.0.1:4000", "stall", 5, 400, 0),
		RECORD("10.0.0.1:4000", "drop", 5, 400, 100),
	};
	for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++) {
		struct finding finding = finding_of(FINDING_ENDED, 4000, 4, 0);
		assert_int_equal(explain(records[i], 1, finding).explained, 1);
		finding.local.port++;
		assert_int_equal(explain(records[i], 1, finding).unexplained, 1);
	}
}

static void
test_a_fault_of_the_listener_explains_a_loss(void **state)
{
	(void)state;
	const char *record = RECORD("", "never-accept", 0, 0, 0);
	assert_int_equal(
	    explain(record, 1, finding_of(FINDING_ENDED, 4000, 0, 0)).explained, 1);
	assert_int_equal(
	    explain(record, 1, finding_of(FINDING_DAMAGE, 4000, 0, 0)).unexplained, 1);
}

static void
test_nothing_is_unexplained_when_the_record_is_too_short(void **state)
{
	(void)state;
	const char *record = RECORD("10.0.0.1:4001", "corrupt", 5, 400, 100);
	struct explained_faults out =
	    explain(record, 3, finding_of(FINDING_DAMAGE, 4000, 4, 450));
	assert_int_equal(out.injected, 3);
	assert_int_equal(out.recorded, 1);
	assert_int_equal(out.unexplained, 0);
	assert_int_equal(out.unjudged, 1);
}

static void
test_reads_the_latest_faults_alone(void **state)
{
	(void)state;
	struct explain_list list =
	    read_list(RECORD("10.0.0.1:1", "drop", 1, 0, 4) "," RECORD(
			  "10.0.0.1:2", "swap", 2, 4, 4),
		1);
	assert_int_equal(list.count, 1);
	assert_int_equal(list.faults[0].kind, FAULT_SWAP);
	assert_int_equal(list.missing, 0);
	free(list.faults);
}

static void
test_refuses_what_is_no_record(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"", "[]", "{}", "{ \"record\": 1 }", "{ \"record\": [ 1 ] }",
		"{ \"record\": [ { \"kind\": \"no\", \"client\": \"\", \"message\": 1, \"offset\": 1, \"length\": 1 } ] }",
		"{ \"record\": [ { \"kind\": \"drop\", \"client\": \"x\", \"message\": 1, \"offset\": 1, \"length\": 1 } ] }"
	};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct explain_list list;
		char error[256] = "";
		assert_int_equal(
		    explain_read(texts[i], 9, &list, error, sizeof(error)), -1);
		assert_non_null(strstr(error, "/faults: "));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_fault_explains_damage_at_its_place_alone),
		cmocka_unit_test(test_a_delay_explains_a_timeout_alone),
		cmocka_unit_test(test_a_fault_of_a_connection_explains_its_end),
		cmocka_unit_test(test_a_fault_of_the_listener_explains_a_loss),
		cmocka_unit_test(
		    test_nothing_is_unexplained_when_the_record_is_too_short),
		cmocka_unit_test(test_reads_the_latest_faults_alone),
		cmocka_unit_test(test_refuses_what_is_no_record),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
