/* servers.h - what replies of whoami say of a run: the servers behind a balancer, and
 * how the path translates addresses. */
#ifndef CLIENT_RESULT_SERVERS_H
#define CLIENT_RESULT_SERVERS_H

#include "client/measure/counters.h"
#include "client/result/result.h"

/* Named steps of the result for the servers that have answered, in the order of their
 * index. Before the histograms are collected. */
void servers_add_steps(const struct counters_map *counters_map, struct result *ret);
/* The counts. */
void servers_collect(const struct counters_map *counters_map, struct result *ret);

/* Adds those of another result, by name; histograms are merged elsewhere. */
void servers_merge(struct result *into, const struct result *from);

/* The probability that a fair balancer spreads the connections so unevenly; 1 for a
 * single server. */
double servers_fairness(const struct result *result);

#endif
