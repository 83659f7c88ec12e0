/* shared_memory: each page has one writer, and a child cannot become another. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/shared_memory.h"
/* cmocka needs those above */
#include <sys/mman.h>
#include <sys/wait.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PAGES 4

static size_t page;

/* Page `first` and the next ones. */
static struct shared_memory_range
pages(size_t first, size_t count)
{
	return (struct shared_memory_range){ first * page, count * page };
}

struct fixture {
	int fd;
	char *all; /* written by this process */
};

static int
set_up(void **state)
{
	static struct fixture f;
	page = shared_memory_round(1);
	f.fd = shared_memory_create("shared-memory-test", PAGES * page);
	assert_true(f.fd >= 0);
	struct shared_memory_range range = pages(0, PAGES);
	f.all = shared_memory_map(f.fd, &range, SHARED_MEMORY_WRITE);
	assert_non_null(f.all);
	*state = &f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;
	shared_memory_unmap(f->all, PAGES * page);
	close(f->fd);
	return 0;
}

/* Runs a function in a child process. Its exit status, or minus its signal. */
static int
run_in_child(int (*run)(struct fixture *f), struct fixture *f)
{
	int status;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		signal(SIGSEGV, SIG_DFL);
		_exit(run(f));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/* As a worker does: page 1 is its own, the rest read-only, no descriptor. */
static char *
become_worker(struct fixture *f)
{
	struct shared_memory_range own = pages(1, 1), all = pages(0, PAGES);
	char *mine = shared_memory_map(f->fd, &own, SHARED_MEMORY_WRITE);
	if (mine == NULL || shared_memory_make_read_only(f->fd, &all, f->all) < 0)
		_exit(100);
	close(f->fd);
	return mine;
}

static int
write_own_page(struct fixture *f)
{
	become_worker(f)[0] = 'w';
	return f->all[page] == 'w' ? 0 : 1;
}

static int
write_inherited_page(struct fixture *f)
{
	become_worker(f);
	*(volatile char *)(f->all + 2 * page) = 'x';
	return 0;
}

static int
make_writable(struct fixture *f)
{
	become_worker(f);
	bool is_refused = mprotect(f->all, page, PROT_READ | PROT_WRITE) < 0 &&
	    errno == EACCES &&
	    mprotect(f->all + page, page, PROT_READ | PROT_WRITE) < 0;
	return is_refused ? 0 : 1;
}

/* mremap(2) keeps the right of a mapping, whatever its new size or place. */
static int
extend_own_page(struct fixture *f)
{
	char *mine = become_worker(f);
	char *moved = mremap(f->all, page, 2 * page, MREMAP_MAYMOVE);
	if (moved != MAP_FAILED && mprotect(moved, page, PROT_READ | PROT_WRITE) == 0)
		return 1;
	(void)mine;
	return 0;
}

static int
remove_foreign_memory(struct fixture *f)
{
	become_worker(f);
	return madvise(f->all + 2 * page, page, MADV_REMOVE) < 0 ? 0 : 1;
}

static int
see_later_writes(struct fixture *f)
{
	char *mine = become_worker(f);
	while (*(volatile char *)(f->all + 3 * page) != 'm')
		usleep(1000);
	mine[1] = 's';
	return 0;
}

static void
test_a_worker_writes_its_own_pages_only(void **state)
{
	struct fixture *f = *state;
	memset(f->all, 'm', PAGES * page);
	assert_int_equal(run_in_child(write_own_page, f), 0);
	assert_int_equal(f->all[page], 'w');
	assert_int_equal(run_in_child(write_inherited_page, f), -SIGSEGV);
	assert_int_equal(f->all[2 * page], 'm');
	assert_int_equal(run_in_child(make_writable, f), 0);
	assert_int_equal(run_in_child(extend_own_page, f), 0);
	assert_int_equal(run_in_child(remove_foreign_memory, f), 0);
	assert_int_equal(f->all[2 * page], 'm');
}

static void
test_writes_of_others_are_seen(void **state)
{
	struct fixture *f = *state;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(see_later_writes(f));
	f->all[3 * page] = 'm';
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(f->all[page + 1], 's');
}

static void
test_a_cleared_part_is_zeroed_and_its_neighbours_are_not(void **state)
{
	struct fixture *f = *state;
	memset(f->all, 'm', PAGES * page);
	struct shared_memory_range middle = pages(1, 2);
	assert_int_equal(shared_memory_clear(f->fd, &middle), 0);
	assert_int_equal(f->all[page - 1], 'm');
	for (size_t i = page; i < 3 * page; i++)
		assert_int_equal(f->all[i], 0);
	assert_int_equal(f->all[3 * page], 'm');
}

static void
test_memory_grows_and_a_mapping_follows_it(void **state)
{
	struct fixture *f = *state;
	struct shared_memory_range first = pages(0, PAGES), added = pages(PAGES, 100);
	char *seen = shared_memory_map(f->fd, &first, SHARED_MEMORY_READ);
	assert_non_null(seen);
	assert_int_equal(shared_memory_grow(f->fd, added.offset + added.bytes), 0);
	/* It never shrinks: a reader of the end would crash. */
	assert_int_equal(shared_memory_grow(f->fd, page), 0);
	assert_int_equal(shared_memory_size(f->fd), (PAGES + 100) * page);
	char *writer = shared_memory_map(f->fd, &added, SHARED_MEMORY_WRITE);
	assert_non_null(writer);
	seen = shared_memory_extend(seen, PAGES * page, (PAGES + 100) * page);
	assert_non_null(seen);
	writer[100 * page - 1] = 'e';
	assert_int_equal(seen[(PAGES + 100) * page - 1], 'e');
	assert_int_equal(mprotect(seen, page, PROT_READ | PROT_WRITE), -1);
	shared_memory_unmap(seen, (PAGES + 100) * page);
	shared_memory_unmap(writer, added.bytes);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_a_worker_writes_its_own_pages_only, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_writes_of_others_are_seen, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_a_cleared_part_is_zeroed_and_its_neighbours_are_not, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(
		    test_memory_grows_and_a_mapping_follows_it, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
