/* libevent's small blocks outside of the heap. */
#include <sys/resource.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
/* cmocka needs those above */
#include <cmocka.h>
#include <malloc.h>

#include <event2/event.h>

#include "worker/event_memory.h"

#define DESCRIPTORS 800
#define BLOCKS (DESCRIPTORS / 2) /* the others do not fit */

static void
on_event(evutil_socket_t fd, short what, void *argument)
{
	(void)fd, (void)what;
	++*(int *)argument;
}

/* A sanitizer has an allocator of its own, which mallinfo2(3) does not know. */
static bool
heap_is_counted(void)
{
	size_t before = mallinfo2().uordblks;
	void *volatile block = malloc(100);
	bool is_counted = mallinfo2().uordblks > before;
	free(block);
	return is_counted;
}

static void
test_the_heap_does_not_grow_until_the_blocks_are_used_up(void **state)
{
	static struct event *events[DESCRIPTORS];
	int fds[2], count = 0;
	(void)state;
	struct rlimit limit = { DESCRIPTORS + 100, DESCRIPTORS + 100 };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	event_memory_start(BLOCKS);
	event_memory_start(BLOCKS); /* once is enough */
	struct event_base *base = event_base_new();
	assert_non_null(base);
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], "x", 1), 1);
	for (int i = 0; i < DESCRIPTORS; i++) {
		int fd = dup(fds[0]);
		assert_true(fd >= 0);
		events[i] = event_new(base, fd, EV_READ, on_event, &count);
	}
	/* The last one makes the table of descriptors long enough for all. */
	assert_int_equal(event_add(events[DESCRIPTORS - 1], NULL), 0);
	size_t before = mallinfo2().uordblks;
	for (int i = 0; i < BLOCKS / 2; i++)
		assert_int_equal(event_add(events[i], NULL), 0);
	assert_int_equal(mallinfo2().uordblks, before);
	for (int i = BLOCKS / 2; i < DESCRIPTORS - 1; i++)
		assert_int_equal(event_add(events[i], NULL), 0);
	assert_int_equal(mallinfo2().uordblks > before, heap_is_counted());
	assert_int_equal(event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK), 0);
	assert_int_equal(count > 0, 1);
	for (int i = 0; i < DESCRIPTORS; i++) {
		close(event_get_fd(events[i]));
		event_free(events[i]);
	}
	event_base_free(base);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_the_heap_does_not_grow_until_the_blocks_are_used_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
