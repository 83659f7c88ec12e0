/*
 * live_metrics.h - a run at one moment for Prometheus.
 *
 * The names follow the JSON result: messages.sent is yodel_messages_sent_total, a count
 * for each of several reasons has the label `reason`, times are seconds. Every series
 * has the labels of the run.
 */
#ifndef CLIENT_LIVE_LIVE_METRICS_H
#define CLIENT_LIVE_LIVE_METRICS_H

#include <stdio.h>

#include "client/live/live_event.h"

void live_metrics_write(const struct live_snapshot *snapshot, FILE *out);

#endif
