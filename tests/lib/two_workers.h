/*
 * two_workers.h - a worker that gives its connections to another one.
 * For cmocka programs.
 */
#ifndef TESTS_TWO_WORKERS_H
#define TESTS_TWO_WORKERS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "proto/channel.h"

#include "tests/lib/conversation.h"
#include "tests/lib/specification.h"
#include "worker/drain.h"
#include "worker/transfer_receive.h"
#include "worker/transfer_send.h"

#define MAX_MESSAGE 100
#define MANY 300

/* Two workers in one process, the first of which gives its connections to the second.
 */
struct fixture {
	struct one_worker sender, receiver;
	int giver_channel, taker_channel; /* the master's ends */
};

static inline void
start_one(struct one_worker *w, int *ret_channel, const char *reply,
    enum framing framing, uint64_t max_pending)
{
	int fds[2];

	one_worker_start(w, reply, framing, MAX_MESSAGE, max_pending);
	strcpy(w->listener.name, "127.0.0.1:10000");
	w->listener.is_bytewise =
	    framing == FRAMING_STREAM && reply_is_bytewise(&w->listener_config.reply);
	w->worker.listeners = &w->listener;
	w->worker.listener_count = 1;
	w->worker.max_connections = MANY;
	w->worker.descriptor_end = 100000;
	must(channel_open(fds) == 0);
	w->worker.channel_fd = fds[0];
	*ret_channel = fds[1];
}

static inline void
start(struct fixture *f, const char *reply, enum framing framing, uint64_t max_pending)
{
	memset(f, 0, sizeof(*f));
	start_one(&f->sender, &f->giver_channel, reply, framing, max_pending);
	start_one(&f->receiver, &f->taker_channel, reply, framing, max_pending);
}

static inline void
finish(struct fixture *f)
{
	assert_null(f->sender.worker.sender);
	assert_null(f->receiver.worker.receivers);
	assert_true(one_worker_adds_up(&f->sender));
	assert_true(one_worker_adds_up(&f->receiver));
	close(f->sender.worker.channel_fd);
	close(f->receiver.worker.channel_fd);
	close(f->giver_channel);
	close(f->taker_channel);
	one_worker_finish(&f->sender);
	one_worker_finish(&f->receiver);
}

static inline void
turn_both(struct fixture *f)
{
	one_worker_turn(&f->sender);
	one_worker_turn(&f->receiver);
}

static inline void
hand_over(struct fixture *f)
{
	int fds[2];

	must(channel_open(fds) == 0);
	transfer_send_start(&f->sender.worker, fds[0], 7, 0);
	transfer_receive_start(&f->receiver.worker, fds[1], 8);
	for (int i = 0; i < 1000 && f->receiver.worker.receivers != NULL; i++)
		turn_both(f);
}

/* What the master is told: `verb` for hand-over `number`, of so many connections. */
static inline void
assert_told(int channel_fd, enum channel_verb verb, uint32_t number, uint64_t moved)
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
	return one_worker_count(&f->sender, counter) +
	    one_worker_count(&f->receiver, counter);
}

#endif
