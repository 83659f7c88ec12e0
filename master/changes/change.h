/*
 * change.h - the changes that an operator requests, and their outcome: set once for
 * each change, logged, and passed on by one callback.
 *
 * Requests are numbered. A change serves the request that started it, and those of its
 * kind that were made meanwhile and that it fulfils as well: only they get its outcome.
 */
#ifndef MASTER_CHANGES_CHANGE_H
#define MASTER_CHANGES_CHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/config.h"
#include "master/workers/worker_table.h"

enum change_kind {
	CHANGE_RELOAD,
	CHANGE_SCALE,
	CHANGE_UPGRADE,
	CHANGE_REBALANCE,
	CHANGE_STOP,
};
extern const char *const change_names[]; /* by enum change_kind */

/* A change, and the numbers of the requests of its kind that it serves. No other one is
 * between them. */
struct change {
	enum change_kind kind;
	uint64_t first_request, last_request;
};

struct outcome {
	uint64_t number; /* counts outcomes */
	struct change change;
	bool is_good;
	char text[CONFIG_ERROR_MAX]; /* begins with the name of the change */
};

struct change_log {
	struct outcome last;
	uint64_t last_request;
	/* The upgrade's hook: a dry run in progress is cancelled. */
	void (*before_change)(enum change_kind kind, void *argument);
	void (*on_finished)(const struct outcome *outcome, void *argument);
	void *argument;
};

/* Numbers a request: to be called once for each, before anything else. Returns the
 * change that it starts. */
struct change change_request(struct change_log *log, enum change_kind kind);
/* Another request for that change, which has not begun or fulfils it as well. */
void change_join(struct change *change, const struct change *request);
bool change_serves(
    const struct change *change, enum change_kind kind, uint64_t request);
/* False when the server is starting or stopping; that is then the outcome. */
bool change_can_start(
    struct change_log *log, const struct change *change, enum master_phase phase);
/* To be called before a change touches workers or sockets. */
void change_begin(const struct change_log *log, enum change_kind kind);
/* Records and logs how a change ended. */
void change_finish(struct change_log *log, const struct change *change, bool is_good,
    const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
