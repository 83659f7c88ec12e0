/*
 * labels.h - the labels of a run (--label KEY=VALUE), which all its outputs carry.
 *
 * A key is a name of letters, digits and "_", as Prometheus allows it, and none of
 * those that the metrics of a run use themselves (client/live/live_metrics.c).
 */
#ifndef CLIENT_PLAN_LABELS_H
#define CLIENT_PLAN_LABELS_H

#include <stdbool.h>
#include <stddef.h>

#define LABELS_MAX 32
#define LABELS_KEY_MAX 64    /* bytes, NUL included */
#define LABELS_VALUE_MAX 256 /* likewise */

struct label {
	char *key, *value;
};

/* In the order given; each key once. */
struct labels {
	struct label *items; /* owned */
	size_t count;
};

/* Adds a label of "KEY=VALUE". 0, or -1 with one line in error[error_size]. */
int labels_parse(struct labels *labels, const char *text, char *error,
    size_t error_size) __attribute__((warn_unused_result));
/* True if it may be the key of a label. */
bool labels_is_key(const char *key);

void labels_add(struct labels *labels, const char *key, const char *value);
/* NULL if there is no such label. */
const char *labels_find(const struct labels *labels, const char *key);
/* Adds those of another run. Different values of one label become "A, B". */
void labels_merge(struct labels *into, const struct labels *from);
void labels_copy(struct labels *ret, const struct labels *from);
void labels_finish(struct labels *labels);

/* "KEY=VALUE, KEY=VALUE" into out[size], returned; "" without labels. */
const char *labels_format(const struct labels *labels, char *out, size_t size);

#endif
