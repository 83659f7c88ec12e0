/*
 * transfer_fixture.h - a worker that transfers its connections to another one. For
 * cmocka programs.
 */
#ifndef TESTS_TRANSFER_FIXTURE_H
#define TESTS_TRANSFER_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "proto/channel.h"
#include "tests/lib/peer_fixture.h"
#include "tests/lib/specification.h"
#include "worker/drain.h"
#include "worker/transfer_receive.h"
#include "worker/transfer_send.h"

#define MAX_MESSAGE 100
#define MANY 300

/* Two workers in one process: the first sends its connections to the second. */
struct fixture {
	struct worker_fixture sender, receiver;
	int sender_channel, receiver_channel; /* the master's ends */
};

static inline void
start_one(struct worker_fixture *w, int *ret_channel, const char *reply,
    enum framing framing, uint64_t max_pending)
{
	int fds[2];

	worker_fixture_start(w, reply, framing, MAX_MESSAGE, max_pending);
	strcpy(w->listener.name, "127.0.0.1:10000");
	w->worker.accept.listeners = &w->listener;
	w->worker.accept.listener_count = 1;
	w->worker.limits.max_connections = MANY;
	w->worker.limits.fd_end = 100000;
	must(channel_open(fds) == 0);
	w->worker.channel_fd = fds[0];
	*ret_channel = fds[1];
}

static inline void
start(struct fixture *f, const char *reply, enum framing framing, uint64_t max_pending)
{
	memset(f, 0, sizeof(*f));
	start_one(&f->sender, &f->sender_channel, reply, framing, max_pending);
	start_one(&f->receiver, &f->receiver_channel, reply, framing, max_pending);
}

static inline void
finish(struct fixture *f)
{
	assert_null(f->sender.worker.transfers.sender);
	assert_true(LIST_EMPTY(&f->receiver.worker.transfers.receivers));
	assert_true(worker_fixture_is_balanced(&f->sender));
	assert_true(worker_fixture_is_balanced(&f->receiver));
	close(f->sender.worker.channel_fd);
	close(f->receiver.worker.channel_fd);
	close(f->sender_channel);
	close(f->receiver_channel);
	if (f->receiver.ledger == f->sender.ledger)
		f->sender.ledger = NULL; /* is destroyed with the receiver */
	worker_fixture_finish(&f->sender);
	worker_fixture_finish(&f->receiver);
}

static inline void
run_both_once(struct fixture *f)
{
	worker_fixture_run_once(&f->sender);
	worker_fixture_run_once(&f->receiver);
}

static inline void
transfer_all(struct fixture *f)
{
	int fds[2];

	must(channel_open(fds) == 0);
	transfer_send_start(&f->sender.worker, fds[0], 7, 0);
	transfer_receive_start(&f->receiver.worker, fds[1], 8);
	for (int i = 0;
	     i < 1000 && !LIST_EMPTY(&f->receiver.worker.transfers.receivers); i++)
		run_both_once(f);
}

/* The master has received `verb` for transfer `number` with `moved` connections. */
static inline void
assert_master_received(
    int channel_fd, enum channel_verb verb, uint32_t number, uint64_t moved)
{
	struct channel_message message;
	int fd;

	assert_int_equal(channel_receive(channel_fd, &message, &fd), 1);
	assert_int_equal(message.verb, verb);
	assert_int_equal(message.argument, number);
	assert_int_equal(message.value, moved);
}

static inline uint64_t
count(const struct fixture *f, enum ledger_counter counter)
{
	return worker_fixture_count(&f->sender, counter) +
	    worker_fixture_count(&f->receiver, counter);
}

#endif
