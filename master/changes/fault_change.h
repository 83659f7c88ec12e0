/*
 * fault_change.h - faults that an operator sets at run time: they hold until they are
 * cleared, and until the next reload or upgrade.
 */
#ifndef MASTER_CHANGES_FAULT_CHANGE_H
#define MASTER_CHANGES_FAULT_CHANGE_H

#include <stdbool.h>
#include <stddef.h>

#include "master/workers/worker_table.h"

#define FAULT_CHANGE_ALL "all" /* instead of the address of a listener */

/* Replaces the faults of a listener, by its address as configured, or of all that can
 * have them. 0, or -1 with nothing changed; ret_text[CONFIG_ERROR_MAX] is the outcome
 * on one line, with the listeners that keep theirs. Workers act on it before they read
 * anything that is sent later. */
int fault_change_set(struct worker_table *workers, const char *listener,
    const char *const *faults, size_t count, char *ret_text)
    __attribute__((warn_unused_result));
/* Returns to the faults of the configuration. 0, or -1 with the error. */
int fault_change_clear(struct worker_table *workers, char *error)
    __attribute__((warn_unused_result));
/* True if a listener has faults that were set at run time. */
bool fault_change_is_active(const struct config *config);

#endif
