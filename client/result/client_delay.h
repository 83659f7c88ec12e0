/*
 * client_delay.h - the delay that this client itself added to each percentile.
 *
 * For a sample of the messages the load processes know both the latency as measured and
 * without their own delays (client/load/own_delay.h). The same percentile of both shows
 * the part of the client, whatever the cause and the kind of load.
 *
 * A percentile is distorted if it is at least 10 % and 1 ms longer than without the
 * client. A smaller difference does not lead to another conclusion and is not reported.
 */
#ifndef CLIENT_RESULT_CLIENT_DELAY_H
#define CLIENT_RESULT_CLIENT_DELAY_H

#include "client/result/result.h"

/* Fills result->client_delay_max_ns and result->client_delays, with a row for each
 * percentile of response, and of service if the load is paced, that has enough samples,
 * and for the maximum. Samples that resemble each other count here, too: the client may
 * be what makes them alike. */
void client_delay_collect(
    const struct counters_map *counters_map, struct result *result);

/* How far a row is distorted: valid, suspect, or invalid (half as long again and 10 ms
 * longer, in a percentile up to the 99th). */
enum result_verdict client_delay_verdict(const struct result_client_delay *row);

#endif
