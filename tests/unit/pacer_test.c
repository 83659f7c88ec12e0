#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the above */
#include <cmocka.h>

#include "client/load/conn_state.h"
#include "client/schedule/pacer.h"

#define SECOND UINT64_C(1000000000)

static void
constant_arrivals_do_not_drift(void **state)
{
	struct pacer pacer;

	(void)state;
	pacer_start(&pacer,
	    &(struct pacer_args){ .start_ns = 1000, .rate = 3000, .phase = 0.5 });
	for (int i = 0; i < 3000000; i++)
		pacer_take(&pacer);
	/* 1,000 s later, and half a gap */
	assert_in_range(pacer.next_ns, 1000 + UINT64_C(1000000000000) + 166665,
	    1000 + UINT64_C(1000000000000) + 166668);
}

/* The pacer of one process of a rank, which share the connections as a plan does. */
static struct pacer
share_of(const uint64_t ranks[2], const uint64_t processes[2], uint64_t connections)
{
	uint64_t of_rank = connections / ranks[1] + (ranks[0] < connections % ranks[1]);
	struct pacer pacer;

	pacer_start(&pacer,
	    &(struct pacer_args){ .start_ns = SECOND,
		.rate = 1000,
		.phase = 0.5,
		.of_rank = { connections, of_rank, ranks[1], ranks[0] },
		.of_process = { of_rank,
		    of_rank / processes[1] + (processes[0] < of_rank % processes[1]),
		    processes[1], processes[0] } });
	return pacer;
}

/* One arrival each millisecond, whatever the shares: none missing, none twice. */
static void
the_pacers_of_all_processes_make_one_schedule(void **state)
{
	static const uint64_t cases[][3] = { { 1, 2, 3 }, { 1, 3, 7 }, { 2, 2, 5 },
		{ 3, 2, 10 }, { 1, 5, 5 }, { 1, 2, 40 } };
	enum { TURNS = 200 };

	(void)state;
	for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
		uint64_t ranks = cases[c][0], processes = cases[c][1];
		int taken[TURNS] = { 0 };
		for (uint64_t i = 0; i < ranks * processes; i++) {
			struct pacer pacer = share_of(
			    (const uint64_t[]){ i % ranks, ranks },
			    (const uint64_t[]){ i / ranks, processes }, cases[c][2]);
			for (;;) {
				uint64_t at = pacer.next_ns - SECOND;
				assert_true(at % 1000000 == 500000);
				if (at / 1000000 >= TURNS)
					break;
				taken[at / 1000000]++;
				pacer_take(&pacer);
			}
		}
		for (int i = 0; i < TURNS; i++)
			assert_int_equal(taken[i], 1);
	}
}

/* pacer_take_until() takes as many as single steps do. */
static void
a_share_is_skipped_to_the_same_place(void **state)
{
	(void)state;
	for (uint64_t until = 0; until < 60; until++) {
		struct pacer one =
		    share_of((const uint64_t[]){ 1, 2 }, (const uint64_t[]){ 0, 2 }, 7);
		struct pacer other = one;
		uint64_t until_ns = SECOND + until * 1000000, steps = 0;
		for (; one.next_ns < until_ns; steps++)
			pacer_take(&one);
		assert_true(pacer_take_until(&other, until_ns) == steps);
		assert_true(other.next_ns == one.next_ns);
	}
}

static void
poisson_arrivals_have_the_mean_and_the_variance_of_poisson(void **state)
{
	struct pacer pacer;
	double sum = 0, squares = 0;
	uint64_t before = 0;
	const int n = 200000;

	(void)state;
	pacer_start(
	    &pacer, &(struct pacer_args){ .rate = 1000, .poisson = true, .seed = 5 });
	for (int i = 0; i < n; i++) {
		double gap = (double)(pacer.next_ns - before) / 1e6;
		before = pacer.next_ns;
		sum += gap;
		squares += gap * gap;
		pacer_take(&pacer);
	}
	double mean = sum / n, variance = squares / n - mean * mean;
	assert_in_range((int)(mean * 1000), 980, 1020);
	assert_in_range((int)(variance * 1000), 960, 1040);
}

static void
a_tiny_rate_schedules_nothing(void **state)
{
	static const double rates[] = { 1e-8, 1e-12, 1e-300 };
	struct pacer pacer;

	(void)state;
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++)
		for (int poisson = 0; poisson < 2; poisson++) {
			pacer_start(&pacer,
			    &(struct pacer_args){ .start_ns = SECOND,
				.rate = rates[i],
				.phase = 0.5,
				.poisson = poisson });
			for (int n = 0; n < 10; n++) {
				uint64_t before = pacer.next_ns;

				assert_true(before > 86400 * SECOND);
				pacer_take(&pacer);
				assert_true(pacer.next_ns > before);
			}
		}
}

/* The same seed repeats the run, another one does not. */
static void
each_seed_gives_its_own_arrivals(void **state)
{
	const struct pacer_args args = { .rate = 1000, .poisson = true, .seed = 5 };
	struct pacer_args other = args;
	struct pacer a, b, c;
	int alike = 0;

	(void)state;
	other.seed = 6;
	pacer_start(&a, &args);
	pacer_start(&b, &args);
	pacer_start(&c, &other);
	for (int i = 0; i < 100; i++) {
		assert_true(a.next_ns == b.next_ns);
		alike += a.next_ns == c.next_ns;
		pacer_take(&a);
		pacer_take(&b);
		pacer_take(&c);
	}
	assert_int_equal(alike, 0);
}

static void
picks_are_uniform(void **state)
{
	enum { BOUND = 7, PICKS = 70000 };
	int picked[BOUND] = { 0 };
	struct pacer pacer;

	(void)state;
	pacer_start(&pacer, &(struct pacer_args){ .rate = 1000, .seed = 5 });
	for (int i = 0; i < PICKS; i++) {
		uint32_t which = pacer_pick(&pacer, BOUND);
		assert_in_range(which, 0, BOUND - 1);
		picked[which]++;
	}
	for (int i = 0; i < BOUND; i++)
		assert_in_range(picked[i], 9500, 10500);
	assert_int_equal(pacer_pick(&pacer, 1), 0);
}

static void
a_resumed_schedule_continues_from_now(void **state)
{
	struct pacer pacer;

	(void)state;
	pacer_start(&pacer, &(struct pacer_args){ .start_ns = SECOND, .rate = 10 });
	for (int i = 0; i < 5; i++)
		pacer_take(&pacer);
	pacer_resume(&pacer, SECOND);
	assert_true(pacer.next_ns == SECOND + SECOND / 2);
	pacer_resume(&pacer, 9 * SECOND);
	assert_true(pacer.next_ns == 9 * SECOND);
	pacer_take(&pacer);
	assert_true(pacer.next_ns == 9 * SECOND + SECOND / 10);
}

/* The same as taking each of them, at any rate and phase. */
static void
takes_all_arrivals_until_a_time(void **state)
{
	static const double rates[] = { 0.5, 3, 1000, 333333, 1e8 };

	(void)state;
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++)
		for (int how = 0; how < 4; how++) {
			struct pacer_args args = { .start_ns = SECOND,
				.rate = rates[i],
				.phase = how * 0.3,
				.poisson = how == 3,
				.seed = 7 };
			uint64_t until = SECOND + (uint64_t)(2345.6 * 1e9 / rates[i]);
			struct pacer one, all;
			uint64_t count = 0;
			pacer_start(&one, &args);
			pacer_start(&all, &args);
			for (; one.next_ns < until; count++)
				pacer_take(&one);
			assert_int_equal(pacer_take_until(&all, until), count);
			assert_true(all.next_ns == one.next_ns);
			assert_int_equal(pacer_take_until(&all, until), 0);
		}
}

/* An hour at 100 million per second: one by one they would take an hour, too. */
static void
takes_any_number_of_arrivals_in_bounded_time(void **state)
{
	struct pacer_args args = { .start_ns = SECOND, .rate = 1e8 };
	struct pacer pacer;

	(void)state;
	pacer_start(&pacer, &args);
	assert_true(pacer_take_until(&pacer, 3601 * SECOND) == 360000000000);
	assert_true(pacer.next_ns == 3601 * SECOND);
	args.poisson = true;
	pacer_start(&pacer, &args);
	uint64_t count = pacer_take_until(&pacer, 3601 * SECOND);
	assert_true(count > 359900000000 && count < 360100000000);
	assert_true(pacer.next_ns >= 3601 * SECOND && pacer.next_ns < 3602 * SECOND);
}

/* Two connections reconnect after a minute without any connect. */
static void
does_not_catch_up_on_unused_connects(void **state)
{
	struct conn conns[2];
	uint32_t entries[2];
	struct load_context g = { .conns = conns,
		.connects.queue = entries,
		.count = 2,
		.times.now_ns = 60 * SECOND };

	(void)state;
	timer_wheel_init(&g.timer_wheel, 2, g.times.now_ns);
	conn_state_init(&conns[0]);
	conn_state_init(&conns[1]);
	pacer_start(
	    &g.connects.pacer, &(struct pacer_args){ .start_ns = SECOND, .rate = 10 });
	conn_state_enqueue_connect(&g, &conns[0]);
	assert_true(g.connects.pacer.next_ns == 60 * SECOND);
	pacer_take(&g.connects.pacer);
	assert_true(g.connects.pacer.next_ns == 60 * SECOND + SECOND / 10);
	/* No turn is skipped while a connection waits. */
	g.times.now_ns = 70 * SECOND;
	conn_state_enqueue_connect(&g, &conns[1]);
	assert_true(g.connects.pacer.next_ns == 60 * SECOND + SECOND / 10);
	timer_wheel_finish(&g.timer_wheel);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_pacers_of_all_processes_make_one_schedule),
		cmocka_unit_test(a_share_is_skipped_to_the_same_place),
		cmocka_unit_test(constant_arrivals_do_not_drift),
		cmocka_unit_test(
		    poisson_arrivals_have_the_mean_and_the_variance_of_poisson),
		cmocka_unit_test(a_tiny_rate_schedules_nothing),
		cmocka_unit_test(each_seed_gives_its_own_arrivals),
		cmocka_unit_test(picks_are_uniform),
		cmocka_unit_test(a_resumed_schedule_continues_from_now),
		cmocka_unit_test(takes_all_arrivals_until_a_time),
		cmocka_unit_test(takes_any_number_of_arrivals_in_bounded_time),
		cmocka_unit_test(does_not_catch_up_on_unused_connects),
	};

	return cmocka_run_group_tests_name("pacer", tests, NULL, NULL);
}
