/*
 * change.h - the kinds of changes that an operator requests, and the outcome: set once
 * for each change, logged, and passed on by one callback.
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

struct outcome {
	uint64_t number; /* counts outcomes */
	enum change_kind kind;
	bool is_good;
	char text[CONFIG_ERROR_MAX]; /* begins with the name of the change */
};

struct change_log {
	struct outcome last;
	/* The upgrade's hook: a dry run in progress is cancelled. */
	void (*before_change)(enum change_kind kind, void *argument);
	void (*on_finished)(const struct outcome *outcome, void *argument);
	void *argument;
};

/* False when the server is starting or stopping; that is then the outcome. */
bool change_can_start(
    struct change_log *log, enum change_kind kind, enum master_phase phase);
/* To be called before a change touches workers or sockets. */
void change_begin(const struct change_log *log, enum change_kind kind);
/* Records and logs how a change ended. */
void change_finish(struct change_log *log, enum change_kind kind, bool is_good,
    const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
