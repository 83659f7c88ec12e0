/* The keys of session tickets, and what a process has of them at each time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <cmocka.h>
#include <string.h>

#include "net/tls/tls_tickets.h"

#define LIFETIME_NS (TLS_TICKETS_LIFETIME_S * NS_PER_S)
#define START_NS (UINT64_C(5) * NS_PER_S)

static const uint8_t secret[TLS_TICKETS_SECRET_BYTES] = { 1, 2, 3 };

/* A process that has been given the secret of the start at that time. */
static struct tls_tickets
at(uint64_t now_ns)
{
	struct tls_tickets tickets;
	assert_int_equal(
	    tls_tickets_continue(&tickets, START_NS, secret, START_NS + now_ns), 0);
	return tickets;
}

static struct tls_tickets_key
current(const struct tls_tickets *tickets, uint64_t now_ns)
{
	return *tls_tickets_current(tickets, START_NS + now_ns);
}

static void
assert_same(const struct tls_tickets *a, const struct tls_tickets *b)
{
	assert_memory_equal(a, b, sizeof(*a));
}

static void
test_the_key_changes_with_each_period(void **state)
{
	struct tls_tickets_key last = { .name = { 0 } };
	(void)state;
	for (uint64_t period = 0; period < 5; period++) {
		uint64_t begin_ns = period * TLS_TICKETS_PERIOD_NS;
		uint64_t end_ns = begin_ns + TLS_TICKETS_PERIOD_NS - 1;
		struct tls_tickets one = at(begin_ns), other = at(end_ns);
		struct tls_tickets_key first = current(&one, begin_ns),
				       second = current(&other, end_ns);
		assert_memory_equal(&first, &second, sizeof(first));
		assert_memory_not_equal(first.name, last.name, sizeof(last.name));
		assert_memory_not_equal(first.aes, last.aes, sizeof(last.aes));
		assert_memory_not_equal(first.hmac, last.hmac, sizeof(last.hmac));
		assert_memory_not_equal(first.hmac, first.aes, sizeof(first.aes));
		last = first;
	}
}

static void
test_a_ticket_is_known_for_its_lifetime_and_its_key_is_wiped_then(void **state)
{
	(void)state;
	struct tls_tickets tickets = at(0);
	struct tls_tickets_key old = current(&tickets, 0);
	uint64_t end_ns = START_NS + TLS_TICKETS_PERIOD_NS + LIFETIME_NS;
	assert_int_equal(tls_tickets_advance(&tickets, end_ns - 1), 0);
	const struct tls_tickets_key *found = tls_tickets_find(&tickets, old.name);
	assert_non_null(found);
	assert_memory_equal(found, &old, sizeof(old));
	assert_ptr_not_equal(found, tls_tickets_current(&tickets, end_ns - 1));
	assert_memory_equal(tickets.secret, secret, sizeof(secret));
	assert_int_equal(tls_tickets_advance(&tickets, end_ns), 0);
	assert_null(tls_tickets_find(&tickets, old.name));
	assert_null(memmem(&tickets, sizeof(tickets), secret, sizeof(secret)));
	assert_null(memmem(&tickets, sizeof(tickets), old.aes, sizeof(old.aes)));
	assert_null(memmem(&tickets, sizeof(tickets), old.hmac, sizeof(old.hmac)));
}

static void
test_processes_agree_whenever_they_look(void **state)
{
	(void)state;
	struct tls_tickets often = at(0);
	for (uint64_t hour = 0; hour < 100; hour++) {
		uint64_t now_ns = hour * 3600 * NS_PER_S;
		struct tls_tickets rare = at(now_ns);
		assert_int_equal(tls_tickets_advance(&often, START_NS + now_ns), 0);
		assert_same(&often, &rare);
		/* An upgrade passes the oldest secret on. */
		struct tls_tickets next;
		assert_int_equal(tls_tickets_continue(&next, often.since_ns,
				     often.secret, START_NS + now_ns),
		    0);
		assert_same(&often, &next);
	}
	/* A clock that is a little late changes nothing. */
	struct tls_tickets before = often;
	assert_int_equal(tls_tickets_advance(&often, often.since_ns), 0);
	assert_same(&often, &before);
}

static void
test_secrets_of_servers_differ_and_can_be_wiped(void **state)
{
	(void)state;
	struct tls_tickets one, other;
	const struct tls_tickets none = { .since_ns = 0 };
	assert_int_equal(tls_tickets_start(&one, START_NS), 0);
	assert_int_equal(tls_tickets_start(&other, START_NS), 0);
	assert_memory_not_equal(one.secret, other.secret, sizeof(one.secret));
	assert_memory_not_equal(
	    one.keys[0].name, other.keys[0].name, sizeof(one.keys[0].name));
	tls_tickets_wipe(&one);
	assert_same(&one, &none);
	/* There is nothing to advance. */
	assert_int_equal(tls_tickets_advance(&one, START_NS + 1), 0);
	assert_same(&one, &none);
}

static void
test_a_time_that_cannot_be_is_refused(void **state)
{
	(void)state;
	struct tls_tickets tickets = at(0);
	const struct tls_tickets before = tickets;
	assert_int_equal(
	    tls_tickets_continue(&tickets, START_NS + 1, secret, START_NS), -1);
	assert_int_equal(tls_tickets_continue(&tickets, 0, secret, START_NS), -1);
	assert_same(&tickets, &before);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_key_changes_with_each_period),
		cmocka_unit_test(
		    test_a_ticket_is_known_for_its_lifetime_and_its_key_is_wiped_then),
		cmocka_unit_test(test_processes_agree_whenever_they_look),
		cmocka_unit_test(test_secrets_of_servers_differ_and_can_be_wiped),
		cmocka_unit_test(test_a_time_that_cannot_be_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
