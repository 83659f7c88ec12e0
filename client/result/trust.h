/*
 * trust.h - whether a measurement can be used, from the client's own figures.
 *
 *   valid    the client was not the bottleneck
 *   suspect  usable, but the client or its machine influenced the figures
 *   invalid  the client could not keep the plan: do not use the latencies
 *
 * The limits are in trust.c, each with its reason.
 */
#ifndef CLIENT_RESULT_TRUST_H
#define CLIENT_RESULT_TRUST_H

#include "client/result/result.h"

/* Judges result->trust anew. */
void trust_evaluate(struct result *result);

#endif
