/*
 * trust.h - whether a measurement can be believed, from what the client knows of
 * itself.
 *
 *   valid    nothing speaks against it
 *   suspect  the figures hold, but something of the client or the machine is in them
 *   invalid  what was measured is not what was asked for
 *
 * The limits stand in trust.c, each beside its reason.
 */
#ifndef CLIENT_RESULT_TRUST_H
#define CLIENT_RESULT_TRUST_H

#include "client/result/result.h"

/* Judges result->trust anew. 0, or -1 with errno ENOMEM. */
int trust_evaluate(struct result *result) __attribute__((warn_unused_result));

/* Adds a reason that only the caller knows; the verdict is the worst of all. 0, or -1.
 */
int trust_add(struct result_trust *trust, enum result_verdict verdict,
    const char *format, ...) __attribute__((format(printf, 3, 4), warn_unused_result));

/* Back to valid, reasons freed. */
void trust_clear(struct result_trust *trust);

#endif
