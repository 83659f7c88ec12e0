/* Readers and writers of one process take turns: wherever proto/ledger_usage.c or
 * proto/ledger.c loads a word, a test may let the workers go on with their transfers.
 */
#include <stdatomic.h>

static void before_load(void);

#undef atomic_load_explicit
#define atomic_load_explicit(word, order) (before_load(), *(word))
#include "proto/ledger.c"
#include "proto/ledger_usage.c"
#include "tests/lib/ledger_fixture.h"

#define WORKERS 4
#define OBSERVER WORKERS /* a worker without connections, which reads */
#define EACH 50          /* connections that each worker has at first */
#define TOTAL (WORKERS * EACH)
#define ADDRESS UINT64_C(0x1234567890abcdef)
#define STEPS_MAX 64
#define STOPS_MAX 3

struct step {
	void (*run)(struct worker_ledger *own, int n, uint64_t batch);
	int worker;
	uint64_t batch;
};

static struct {
	struct fixture ledger;
	struct worker_ledger *workers[WORKERS + 1];
	struct step steps[STEPS_MAX];
	int count, next;
	/* The reader stops before these loads, and lets so many steps happen. */
	struct {
		int load, steps;
	} stops[STOPS_MAX];
	int loads;
} t;

static void
change(struct worker_ledger *own, const struct open_change *change)
{
	struct open_count count;

	open_count_change(&own->open, change);
	count = open_count_decode(own->open.total);
	address_usage_set_open(&own->address_usage, ADDRESS, &count);
}

static void
freeze(struct worker_ledger *own, int n, uint64_t batch)
{
	(void)batch;
	change(own, &(struct open_change){ .leaving = n });
}

static void
set_sent(struct worker_ledger *own, int n, uint64_t batch)
{
	(void)n;
	own->open.sent = batch;
}

static void
install(struct worker_ledger *own, int n, uint64_t batch)
{
	(void)batch;
	change(own, &(struct open_change){ .connections = n, .arriving = n });
}

static void
begin(struct worker_ledger *own, int n, uint64_t batch)
{
	(void)n;
	(void)batch;
	open_count_begin(&own->open);
}

static void
arrive(struct worker_ledger *own, int n, uint64_t batch)
{
	(void)batch;
	change(own, &(struct open_change){ .arriving = -n });
}

static void
set_installed(struct worker_ledger *own, int n, uint64_t batch)
{
	(void)n;
	own->open.installed[open_count_batch_place(batch)] = batch;
}

static void
end(struct worker_ledger *own, int n, uint64_t batch)
{
	(void)n;
	(void)batch;
	open_count_end(&own->open);
}

static void
commit(struct worker_ledger *own, int n, uint64_t batch)
{
	(void)batch;
	change(own, &(struct open_change){ .connections = -n, .leaving = -n });
}

static void
clear_sent(struct worker_ledger *own, int n, uint64_t batch)
{
	(void)n;
	(void)batch;
	own->open.sent = 0;
}

/* As worker/transfer_send.c and worker/transfer_receive.c do. */
static const struct {
	void (*run)(struct worker_ledger *own, int n, uint64_t batch);
	bool is_of_receiver;
} transfer_steps[] = {
	{ freeze, false },
	{ set_sent, false },
	{ install, true },
	{ begin, true },
	{ arrive, true },
	{ set_installed, true },
	{ end, true },
	{ begin, false },
	{ commit, false },
	{ clear_sent, false },
	{ end, false },
};
#define TRANSFER_STEPS ((int)(sizeof(transfer_steps) / sizeof(transfer_steps[0])))

static struct step
step_of(int i, int sender, int receiver, uint32_t transfer)
{
	uint32_t place = open_count_place((uint32_t)receiver, transfer % 4);

	return (struct step){ transfer_steps[i].run,
		transfer_steps[i].is_of_receiver ? receiver : sender,
		open_count_batch(transfer, 1, place) };
}

static void
run_steps(int count)
{
	for (; count > 0 && t.next < t.count; count--, t.next++) {
		const struct step *step = &t.steps[t.next];
		step->run(t.workers[step->worker], EACH, step->batch);
	}
}

static void
before_load(void)
{
	t.loads++;
	for (int i = 0; i < STOPS_MAX; i++) {
		if (t.stops[i].load == t.loads)
			run_steps(t.stops[i].steps);
	}
}

static void
start(void)
{
	memset(&t, 0, sizeof(t));
	open_ledger(&t.ledger);
	for (uint32_t i = 0; i <= WORKERS; i++)
		t.workers[i] = claim_blocks(&t.ledger, i);
}

/* Every worker has its connections, and no step is done. */
static void
rewind_steps(void)
{
	memset(t.stops, 0, sizeof(t.stops));
	t.next = 0;
	for (int i = 0; i < WORKERS; i++) {
		open_count_reset(&t.workers[i]->open, 0);
		change(t.workers[i], &(struct open_change){ .connections = EACH });
	}
}

static bool
is_between_steps(void)
{
	uint64_t odd = 0;

	for (int i = 0; i < WORKERS; i++)
		odd |= t.workers[i]->open.version;
	return (odd & 1) != 0;
}

static void
assert_all_counted(uint64_t open)
{
	assert_true(open >= TOTAL);
	if (!is_between_steps())
		assert_int_equal(open, TOTAL);
}

/* Reads all connections, or those of the address, after so many steps. */
static void
read_after(int steps, bool of_address)
{
	const struct ledger_usage_address address = { .id = ADDRESS,
		.own_entry = OBSERVER };

	run_steps(steps);
	t.loads = 0;
	assert_all_counted(of_address
		? ledger_usage_open_from(t.ledger.ledger, &address)
		: ledger_usage_open(t.ledger.ledger));
}

/* The loads of a reading that nothing disturbs. */
static int
count_loads(bool of_address)
{
	rewind_steps();
	read_after(0, of_address);
	return t.loads;
}

/* The workers do up to all of their steps before any load of a reading. */
static void
interrupt_once_everywhere(void)
{
	for (int of_address = 0; of_address < 2; of_address++) {
		int loads = count_loads(of_address != 0);
		for (int first = 0; first < t.count; first++) {
			for (int load = 1; load <= loads; load++) {
				for (int n = 1; n <= t.count - first; n++) {
					rewind_steps();
					t.stops[0].load = load;
					t.stops[0].steps = n;
					read_after(first, of_address != 0);
				}
			}
		}
	}
}

static void
interrupt_at_random(int runs, unsigned seed)
{
	for (int run = 0; run < runs; run++) {
		bool of_address = rand_r(&seed) % 2 == 0;
		rewind_steps();
		for (int i = 0; i < STOPS_MAX; i++) {
			t.stops[i].load = rand_r(&seed) % 200;
			t.stops[i].steps = rand_r(&seed) % (TRANSFER_STEPS + 2);
		}
		read_after(rand_r(&seed) % t.count, of_address);
	}
}

/* From 0 to 1, then all of 1 to 2, one of them to 0 again. */
static void
test_a_chain_of_transfers_hides_no_connection(void **state)
{
	static const int senders[] = { 0, 1, 2 }, receivers[] = { 1, 2, 0 };

	(void)state;
	start();
	for (uint32_t i = 0; i < 3; i++) {
		for (int step = 0; step < TRANSFER_STEPS; step++)
			t.steps[t.count++] =
			    step_of(step, senders[i], receivers[i], i + 1);
	}
	interrupt_once_everywhere();
	interrupt_at_random(100000, 1);
	close_ledger(&t.ledger);
}

/* Workers 0 and 2 send to 1 and 3; of each pair the steps come in any order. */
static void
test_parallel_transfers_hide_no_connection(void **state)
{
	unsigned seed = 2;

	(void)state;
	start();
	for (int round = 0; round < 200; round++) {
		int done[2] = { 0, 0 };
		t.count = 0;
		while (done[0] + done[1] < 2 * TRANSFER_STEPS) {
			int pair = round < 2 ? round : rand_r(&seed) % 2;
			if (done[pair] == TRANSFER_STEPS)
				pair = 1 - pair;
			t.steps[t.count++] = step_of(
			    done[pair]++, 2 * pair, 2 * pair + 1, (uint32_t)pair + 1);
		}
		for (int first = 0; first < t.count; first++) {
			rewind_steps();
			read_after(first, false);
			rewind_steps();
			read_after(first, true);
		}
		if (round < 10)
			interrupt_once_everywhere();
		interrupt_at_random(1000, seed);
	}
	close_ledger(&t.ledger);
}

/* Two workers send to one, which publishes each batch at a place of its own. */
static void
test_transfers_to_one_worker_hide_no_connection(void **state)
{
	(void)state;
	start();
	for (int step = 0; step < TRANSFER_STEPS; step++) {
		t.steps[t.count++] = step_of(step, 0, 3, 1);
		t.steps[t.count++] = step_of(step, 1, 3, 2);
	}
	interrupt_once_everywhere();
	interrupt_at_random(100000, 3);
	close_ledger(&t.ledger);
}

/* A worker that publishes what it has not received hides what was sent to it alone. */
static void
test_a_worker_that_lies_hides_no_connection_of_others(void **state)
{
	uint64_t batch = open_count_batch(1, 1, open_count_place(1, 1));

	(void)state;
	start();
	rewind_steps();
	freeze(t.workers[0], EACH, batch);
	set_sent(t.workers[0], EACH, batch);
	memset(&t.workers[2]->open, 0xff, sizeof(t.workers[2]->open));
	for (int i = 0; i < OPEN_COUNT_PLACES; i++)
		t.workers[2]->open.installed[i] = batch;
	assert_true(ledger_usage_open(t.ledger.ledger) >= TOTAL - EACH);
	/* Its entry becomes another worker's. */
	release_blocks(&t.ledger, t.workers[2], 0, 0);
	assert_int_equal(ledger_usage_open(t.ledger.ledger), TOTAL - EACH);
	close_ledger(&t.ledger);
}

/* Also a version that always changes, or the death of a worker between two steps: a
 * reader gets its answer, which hides nothing. */
static void
test_a_worker_that_stops_between_two_steps_holds_up_no_reader(void **state)
{
	(void)state;
	start();
	for (int step = 0; step < TRANSFER_STEPS; step++)
		t.steps[t.count++] = step_of(step, 0, 1, 1);
	for (int n = 0; n <= TRANSFER_STEPS; n++) {
		rewind_steps();
		read_after(n, false);
		read_after(0, true);
		assert_true(t.loads < 1000);
	}
	rewind_steps();
	run_steps(4);
	assert_true(is_between_steps());
	/* Its keeper knows the connections. */
	open_count_reset(&t.workers[1]->open, EACH);
	assert_false(is_between_steps());
	assert_int_equal(ledger_usage_open(t.ledger.ledger), TOTAL);
	close_ledger(&t.ledger);
}

static void
test_a_batch_names_its_place(void **state)
{
	uint32_t place = open_count_place(LEDGER_WORKERS_MAX - 1, 15);
	uint64_t batch = open_count_batch(UINT32_MAX, UINT32_MAX, place);

	(void)state;
	assert_int_equal(open_count_batch_entry(batch), LEDGER_WORKERS_MAX - 1);
	assert_int_equal(open_count_batch_place(batch), 15);
	assert_int_equal(open_count_batch(1, 1, OPEN_COUNT_NOWHERE), 0);
	assert_true(open_count_batch(1, 1, place) != open_count_batch(1, 2, place));
	assert_true(open_count_batch(1, 1, place) != open_count_batch(2, 1, place));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_chain_of_transfers_hides_no_connection),
		cmocka_unit_test(test_parallel_transfers_hide_no_connection),
		cmocka_unit_test(test_transfers_to_one_worker_hide_no_connection),
		cmocka_unit_test(test_a_worker_that_lies_hides_no_connection_of_others),
		cmocka_unit_test(
		    test_a_worker_that_stops_between_two_steps_holds_up_no_reader),
		cmocka_unit_test(test_a_batch_names_its_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
