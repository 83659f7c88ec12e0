/* hangup.h - how a caller's connection ends, in order or not. */
#ifndef CLIENT_HANGUP_H
#define CLIENT_HANGUP_H

#include "client/caller.h"

#define HANGUP_PATIENCE_NS UINT64_C(1000000000) /* for the peer's end after ours */

/* In order: everything is answered. By --close: FIN and the peer's end, or a reset. */
void hangup(struct generator *generator, struct caller *caller);

/* The peer's end came after ours, or was waited for long enough. */
void hangup_finish(struct generator *generator, struct caller *caller, bool ended);

/* The connection is broken: what is in flight is lost. */
void hangup_lose(
    struct generator *generator, struct caller *caller, enum tally_loss loss);

/* The caller has no connection now: it dials again, or is done. `delay_ns` for later.
 */
void hangup_next(
    struct generator *generator, struct caller *caller, bool again, uint64_t delay_ns);

#endif
