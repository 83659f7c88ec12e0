#include <sys/resource.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* cmocka needs some of those above */
#include <cmocka.h>

#include "client/plan/preflight.h"
#include "client/plan/source_address.h"

struct report {
	char text[2048];
	int warnings;
};

static void
keep(void *context, bool refuses, const char *line)
{
	struct report *report = context;
	size_t n = strlen(report->text);

	snprintf(report->text + n, sizeof(report->text) - n, "%s\n", line);
	report->warnings += !refuses;
}

/* `targets` are separated by blanks. */
static int
check(uint32_t connections, const char *targets, const struct preflight_facts *facts,
    struct report *report)
{
	static struct plan plan;
	char error[256], text[256], *rest = text;

	plan_init(&plan);
	plan.connections = plan.rank_connections = connections;
	snprintf(text, sizeof(text), "%s", targets);
	for (char *target; (target = strsep(&rest, " ")) != NULL; plan.target_count++)
		assert_int_equal(
		    address_parse(target, &plan.targets[plan.target_count].addresses[0],
			error, sizeof(error)),
		    0);
	memset(report, 0, sizeof(*report));
	return preflight_check(&plan, facts, keep, report);
}

static const struct preflight_facts enough = {
	.files_max = 10000000,
	.ports = 28000,
	.memory_bytes = UINT64_C(64) << 30,
	.tcp_bytes = UINT64_C(4) << 30,
	.conntrack_max = 10000000,
	.somaxconn = 4096,
};

static void
sufficient_limits_pass(void **state)
{
	struct report report;

	(void)state;
	assert_int_equal(check(20000, "10.0.0.1:7", &enough, &report), 0);
	assert_string_equal(report.text, "");
}

static void
unknown_limits_are_ignored(void **state)
{
	struct preflight_facts nothing = { 0 };
	struct report report;

	(void)state;
	assert_int_equal(check(1000000, "127.0.0.1:7", &nothing, &report), 0);
}

static void
names_each_insufficient_limit_with_its_remedy(void **state)
{
	struct preflight_facts facts;
	struct report report;

	(void)state;
	facts = enough;
	facts.files_max = 15000;
	assert_int_equal(check(10000, "127.0.0.1:7", &facts, &report), 1);
	assert_non_null(strstr(report.text, "sysctl -w fs.file-max="));
	assert_int_equal(check(10000, "10.0.0.1:7", &facts, &report), 0);

	assert_int_equal(check(30000, "10.0.0.1:7", &enough, &report), 1);
	assert_non_null(strstr(report.text, "--source-ip"));

	facts = enough;
	strcpy(facts.nonlocal_source, "192.0.2.1:0");
	assert_int_equal(check(1, "10.0.0.1:7", &facts, &report), 1);
	assert_non_null(
	    strstr(report.text, "192.0.2.1 is not an address of this machine"));

	facts = enough;
	facts.memory_bytes = 10 << 20;
	assert_int_equal(check(20000, "10.0.0.1:7", &facts, &report), 1);
	assert_non_null(strstr(report.text, "memory"));

	facts = enough;
	facts.tcp_bytes = 1 << 20;
	assert_int_equal(check(20000, "10.0.0.1:7", &facts, &report), 1);
	assert_non_null(strstr(report.text, "sysctl -w net.ipv4.tcp_mem="));

	facts = enough;
	facts.conntrack_max = 65536;
	facts.conntrack_used = 60000;
	assert_int_equal(check(20000, "10.0.0.1:7", &facts, &report), 1);
	assert_non_null(
	    strstr(report.text, "sysctl -w net.netfilter.nf_conntrack_max="));
}

static void
an_empty_conntrack_table_only_warns(void **state)
{
	struct preflight_facts facts = enough;
	struct report report;

	(void)state;
	facts.conntrack_max = 10000;
	assert_int_equal(check(20000, "10.0.0.1:7", &facts, &report), 0);
	assert_int_equal(report.warnings, 1);
	assert_non_null(strstr(report.text, "(none is tracked now)"));
}

static void
a_short_accept_queue_only_warns(void **state)
{
	struct preflight_facts facts = enough;
	struct report report;

	(void)state;
	facts.somaxconn = 128;
	assert_int_equal(check(1000, "127.0.0.1:7", &facts, &report), 0);
	assert_int_equal(report.warnings, 1);
	assert_non_null(strstr(report.text, "somaxconn"));
	assert_int_equal(check(1000, "10.0.0.1:7", &facts, &report), 0);
	assert_int_equal(report.warnings, 0);
}

static void
reserved_ports_are_not_available(void **state)
{
	struct preflight_facts facts = enough;
	struct report report;

	(void)state;
	assert_int_equal(source_address_reserved(32768, 60999, ""), 0);
	assert_int_equal(source_address_reserved(32768, 60999, "8080,32768\n"), 1);
	assert_int_equal(
	    source_address_reserved(32768, 60999, "30000-32769,60998-65535,40000"), 5);
	assert_int_equal(source_address_reserved(1024, 65535, "0-65535"), 64512);
	facts.ports = 100;
	facts.ports_reserved = 27900;
	assert_int_equal(check(200, "10.0.0.1:7", &facts, &report), 1);
	assert_non_null(strstr(report.text,
	    "with 100 ports (27900 more are reserved) to 1 target provide 100"));
	assert_non_null(strstr(report.text, "ip_local_reserved_ports"));
	/* All of them. */
	facts.ports = 0;
	facts.ports_reserved = 28000;
	assert_int_equal(check(1, "10.0.0.1:7", &facts, &report), 1);
}

static void
unix_sockets_need_no_ports(void **state)
{
	struct preflight_facts facts = enough;
	struct report report;

	(void)state;
	facts.time_wait = 27999;
	facts.tcp_bytes = 1 << 20;
	facts.conntrack_max = facts.conntrack_used = 1;
	facts.somaxconn = 128;
	assert_int_equal(check(200000, "unix:/run/echo", &facts, &report), 0);
	assert_string_equal(report.text, "");
	/* Both ends are here. */
	facts.files_max = 399999;
	assert_int_equal(check(200000, "unix:/run/echo", &facts, &report), 1);
	assert_non_null(strstr(report.text, "400000 descriptors"));
}

static void
targets_of_several_kinds_are_judged_in_any_order(void **state)
{
	static const char *const orders[] = { "unix:/run/echo 10.0.0.1:7",
		"10.0.0.1:7 unix:/run/echo" };
	struct preflight_facts facts = enough;
	struct report report;

	(void)state;
	facts.time_wait = 50000;
	for (size_t i = 0; i < 2; i++) {
		facts.files_max = 30500;
		assert_int_equal(check(20000, orders[i], &facts, &report), 0);
		assert_int_equal(report.warnings, 1);
		assert_non_null(strstr(report.text, "TIME_WAIT"));
		facts.files_max = 29500;
		assert_int_equal(check(20000, orders[i], &facts, &report), 1);
	}
}

static void
ports_in_time_wait_may_be_missing(void **state)
{
	struct preflight_facts facts = enough;
	struct report report;

	(void)state;
	facts.time_wait = 27000;
	assert_int_equal(check(1000, "10.0.0.1:7", &facts, &report), 0);
	assert_string_equal(report.text, "");
	assert_int_equal(check(1001, "10.0.0.1:7", &facts, &report), 0);
	assert_int_equal(report.warnings, 1);
	assert_non_null(strstr(report.text, "of 28000, up to 27000 are in TIME_WAIT"));
	/* On loopback the kernel reuses them. */
	assert_int_equal(check(1001, "127.0.0.1:7", &facts, &report), 0);
	assert_string_equal(report.text, "");
}

static void
the_descriptors_that_each_process_needs_are_added_up(void **state)
{
	static struct plan plan;
	struct rlimit before, low = { .rlim_cur = 100, .rlim_max = 100 };
	char error[PLAN_ERROR_MAX];

	(void)state;
	plan_init(&plan);
	plan.processes = 1;
	plan.rank_connections = 10000;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	low.rlim_max = before.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	int rc = preflight_fit_processes(&plan, error);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(rc, -1);
	/* Fewer processes need more for connections, more of them more to wake them. */
	assert_string_equal(error,
	    "10000 connections in 100 load processes need 232 descriptors in each: 100 connections, 100 to wake the processes, 32 others; the limit is 100; fix: ulimit -Hn 232");
}

static void
warns_when_churn_exhausts_the_ports(void **state)
{
	static struct plan plan;
	struct report report = { .warnings = 0 };
	char error[256];

	(void)state;
	plan_init(&plan);
	plan.rank_connections = plan.connections;
	plan.target_count = 1;
	assert_int_equal(address_parse("10.0.0.1:7", &plan.targets[0].addresses[0],
			     error, sizeof(error)),
	    0);
	plan.connect_rate = 1000;
	assert_int_equal(preflight_check(&plan, &enough, keep, &report), 0);
	assert_int_equal(report.warnings, 0);
	plan.messages_per_connection = 1;
	assert_int_equal(preflight_check(&plan, &enough, keep, &report), 0);
	assert_int_equal(report.warnings, 1);
	assert_non_null(strstr(report.text, "TIME_WAIT"));
}

static void
reads_the_limits_of_this_machine(void **state)
{
	static struct plan plan;
	struct preflight_facts facts;

	(void)state;
	plan_init(&plan);
	preflight_read(&plan, &facts);
	assert_string_equal(facts.nonlocal_source, "");
	assert_true(facts.ports > 1000);
	assert_true(facts.memory_bytes > 1 << 20);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sufficient_limits_pass),
		cmocka_unit_test(unknown_limits_are_ignored),
		cmocka_unit_test(names_each_insufficient_limit_with_its_remedy),
		cmocka_unit_test(an_empty_conntrack_table_only_warns),
		cmocka_unit_test(a_short_accept_queue_only_warns),
		cmocka_unit_test(reserved_ports_are_not_available),
		cmocka_unit_test(unix_sockets_need_no_ports),
		cmocka_unit_test(targets_of_several_kinds_are_judged_in_any_order),
		cmocka_unit_test(ports_in_time_wait_may_be_missing),
		cmocka_unit_test(the_descriptors_that_each_process_needs_are_added_up),
		cmocka_unit_test(warns_when_churn_exhausts_the_ports),
		cmocka_unit_test(reads_the_limits_of_this_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
