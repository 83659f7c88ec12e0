#include <sys/socket.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "proto/faults/fault_decision.h"

#define SAMPLES 20000
#define MS 1e6

static struct fault
parse(const char *text)
{
	struct fault fault;
	char error[256];
	assert_int_equal(fault_parse(text, &fault, error, sizeof(error)), 0);
	return fault;
}

static struct address_compact
client(uint16_t port)
{
	return (struct address_compact){
		.bytes = { 10, 1, 2, 3 }, .port = port, .family = AF_INET
	};
}

static struct fault_point
point_of(uint64_t seed, const struct address_compact *peer, uint64_t message)
{
	return (struct fault_point){
		.connection_seed =
		    fault_connection_seed(fault_listener_seed(seed, "*:7"), peer),
		.peer = peer,
		.message = message,
	};
}

static double
cdf_constant(double x)
{
	return x < 20 ? 0 : 1;
}

static double
cdf_uniform(double x)
{
	return x < 15 ? 0 : x > 25 ? 1 : (x - 15) / 10;
}

static double
cdf_normal(double x)
{
	return 0.5 * erfc(-(x - 20) / 5 / sqrt(2));
}

static double
cdf_exponential(double x)
{
	return 1 - exp(-x / 20);
}

static double
cdf_pareto(double x)
{
	return x < 20 ? 0 : 1 - pow(20 / x, 1.5);
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* The distance of Kolmogorov and Smirnov; a step of a constant is no distance. */
static double
distance(double *values, double (*cdf)(double))
{
	double most = 0;
	qsort(values, SAMPLES, sizeof(*values), compare);
	for (int i = 0; i < SAMPLES; i++) {
		double f = cdf(values[i]);
		double low = f - (double)i / SAMPLES;
		double high = (double)(i + 1) / SAMPLES - f;
		most = low > most ? low : most;
		most = high > most ? high : most;
	}
	return most;
}

static void
test_delays_follow_their_law(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		double (*cdf)(double); /* of ms */
	} laws[] = {
		{ "delay uniform 15ms..25ms", cdf_uniform },
		{ "delay normal 20ms 5ms", cdf_normal },
		{ "delay exponential 20ms", cdf_exponential },
		{ "delay pareto 20ms 1.5", cdf_pareto },
	};
	static double values[SAMPLES];
	/* At a significance of 0.1 %; the seeds are fixed. */
	const double critical = 1.95 / sqrt(SAMPLES);
	for (size_t i = 0; i < sizeof(laws) / sizeof(laws[0]); i++) {
		struct fault fault = parse(laws[i].text);
		for (int k = 0; k < SAMPLES; k++) {
			struct fault_random random =
			    fault_random_of(&fault, 1, (uint64_t)k + 1);
			values[k] = (double)fault_delay_ns(&fault, &random) / MS;
		}
		assert_true(distance(values, laws[i].cdf) < critical);
		/* The test tells the laws apart. */
		double (*other)(double) = laws[(i + 1) % 4].cdf;
		assert_true(distance(values, other) > 5 * critical);
	}
	struct fault constant = parse("delay 20ms");
	struct fault_random random = fault_random_of(&constant, 1, 1);
	assert_true(cdf_constant((double)fault_delay_ns(&constant, &random) / MS) == 1);
	assert_int_equal(fault_delay_ns(&constant, &random), 20000000);
}

static void
test_a_normal_delay_is_not_negative(void **state)
{
	(void)state;
	struct fault fault = parse("delay normal 1ms 10ms");
	int zeros = 0;
	for (uint64_t k = 0; k < 1000; k++) {
		struct fault_random random = fault_random_of(&fault, 7, k);
		uint64_t ns = fault_delay_ns(&fault, &random);
		assert_true(ns < 100000000);
		zeros += ns == 0;
	}
	assert_in_range(zeros, 380, 540);
}

/* Successes of n with share p lie within 3.3 standard deviations (0.1 %). */
static void
assert_binomial(int successes, int n, double p)
{
	double deviation = sqrt(n * p * (1 - p));
	if (fabs(successes - n * p) > 3.3 * deviation)
		fail_msg("%d of %d, expected a share of %g", successes, n, p);
}

static int
count_selected(const char *text, uint64_t seed, int connections, int messages)
{
	struct fault fault = parse(text);
	int selected = 0;
	for (int c = 0; c < connections; c++) {
		struct address_compact peer = client((uint16_t)(20000 + c));
		for (int m = 1; m <= messages; m++) {
			struct fault_point point = point_of(seed, &peer, (uint64_t)m);
			selected += fault_selects(&fault, &point);
		}
	}
	return selected;
}

static void
test_rates_are_binomial(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 3; seed++) {
		assert_binomial(
		    count_selected("drop on 1%", seed, 100, 1000), 100000, 0.01);
		assert_binomial(
		    count_selected("drop on 0.1%", seed, 100, 1000), 100000, 0.001);
		assert_binomial(
		    count_selected("drop on 37.5%", seed, 1, 20000), 20000, 0.375);
		assert_binomial(
		    count_selected("reset on 5%", seed, 20000, 1), 20000, 0.05);
		assert_binomial(
		    count_selected("refuse on 20%", seed, 20000, 1), 20000, 0.2);
	}
	assert_int_equal(count_selected("drop", 1, 10, 10), 100);
}

static void
test_faults_are_independent_of_each_other(void **state)
{
	(void)state;
	struct fault a = parse("drop on 10%"), b = parse("duplicate on 10%");
	int both = 0, first = 0;
	for (uint64_t m = 1; m <= 100000; m++) {
		struct address_compact peer = client(4000);
		struct fault_point point = point_of(1, &peer, m);
		first += fault_selects(&a, &point);
		both += fault_selects(&a, &point) && fault_selects(&b, &point);
	}
	assert_binomial(both, first, 0.1);
}

static void
test_a_share_of_connections_is_one_decision_for_each(void **state)
{
	(void)state;
	struct fault fault = parse("corrupt 1 byte on 30% of connections");
	int chosen = 0;
	for (int c = 0; c < 1000; c++) {
		struct address_compact peer = client((uint16_t)(10000 + c));
		int selected = 0;
		for (uint64_t m = 1; m <= 10; m++) {
			struct fault_point point = point_of(5, &peer, m);
			selected += fault_selects(&fault, &point);
		}
		assert_true(selected == 0 || selected == 10);
		chosen += selected != 0;
	}
	assert_binomial(chosen, 1000, 0.3);
}

static void
test_a_decision_depends_on_each_of_its_inputs(void **state)
{
	(void)state;
	struct fault fault = parse("drop on 50%");
	struct address_compact peer = client(4000), port = client(4001), address = peer;
	int differs[4] = { 0 };
	address.bytes[3]++;
	for (uint64_t m = 1; m <= 1000; m++) {
		struct fault_point base = point_of(1, &peer, m);
		struct fault_point same = point_of(1, &peer, m);
		struct fault_point others[] = { point_of(2, &peer, m),
			point_of(1, &port, m), point_of(1, &address, m), base };
		others[3].connection_seed =
		    fault_connection_seed(fault_listener_seed(1, "*:8"), &peer);
		assert_true(
		    fault_selects(&fault, &base) == fault_selects(&fault, &same));
		for (int i = 0; i < 4; i++)
			differs[i] += fault_selects(&fault, &base) !=
			    fault_selects(&fault, &others[i]);
	}
	for (int i = 0; i < 4; i++)
		assert_binomial(differs[i], 1000, 0.5);
}

static void
test_selects_by_message_offset_age_and_address(void **state)
{
	(void)state;
	struct address_compact peer = client(4000);
	struct fault_point point = point_of(1, &peer, 6);
	point.offset = 100;
	point.age_ns = UINT64_C(1500000000);
	static const struct {
		const char *text;
		bool selects;
	} cases[] = {
		{ "drop at message 6", true },
		{ "drop at message 5", false },
		{ "drop every 3", true },
		{ "drop every 4", false },
		{ "drop after 100 bytes", true },
		{ "drop after 101 bytes", false },
		{ "drop after 1500ms", true },
		{ "drop after 1501ms", false },
		{ "drop between 1s and 1500ms", false },
		{ "drop between 1s and 1501ms", true },
		{ "drop from 10.1.0.0/16", true },
		{ "drop from 10.2.0.0/16", false },
		{ "drop from ::/0", false },
		{ "drop every 3 after 100 bytes from 10.1.2.3", true },
		{ "drop every 3 after 101 bytes from 10.1.2.3", false },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fault fault = parse(cases[i].text);
		assert_int_equal(fault_selects(&fault, &point), cases[i].selects);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_delays_follow_their_law),
		cmocka_unit_test(test_a_normal_delay_is_not_negative),
		cmocka_unit_test(test_rates_are_binomial),
		cmocka_unit_test(test_faults_are_independent_of_each_other),
		cmocka_unit_test(test_a_share_of_connections_is_one_decision_for_each),
		cmocka_unit_test(test_a_decision_depends_on_each_of_its_inputs),
		cmocka_unit_test(test_selects_by_message_offset_age_and_address),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
