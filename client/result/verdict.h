/* verdict.h - judges a result: its thresholds, its trust and the exit status. */
#ifndef CLIENT_RESULT_VERDICT_H
#define CLIENT_RESULT_VERDICT_H

#include "client/result/result.h"

/* Judges the thresholds of a result and its trust, replacing earlier verdicts. */
void verdict_evaluate(struct result *result);

/* A threshold of a latency without samples fails. */
struct threshold_outcome verdict_of_threshold(
    const struct threshold *threshold, const struct result *result);

/* True if a threshold that failed would have failed whatever this client added: it is
 * on response or service, and fails even if this client delayed every message by the
 * most that it delayed one.
 *
 * The values without the client's own delay (client/result/client_delay.h) do not tell:
 * a client that is late sends in one burst what was due over a longer time, and one
 * pause of the server then delays all of them. Sent in time, few would have met it. */
bool verdict_is_certain_failure(
    const struct threshold *threshold, const struct result *result);

/* The first passed upper limit on a figure, which says how much of it is acceptable;
 * NULL without one. */
const struct threshold *verdict_budget(
    const struct result *result, enum threshold_figure figure);

/* The first that applies of: 2 (wrong bytes), 1 (messages or connections lost or never
 * made, unless a budget on `lost` or `failed` allows it; or no message sent), 99 (a
 * threshold failed), 3 (not valid, with --strict), 0. Of an interim result: what would
 * follow from the losses and thresholds so far.
 *
 * Of a search that found no rate: 2, 1 (interrupted, or no connection), 99 (a rate
 * failed), 3 (no step could be measured). */
int verdict_exit_status(const struct result *result);

#endif
