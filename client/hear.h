/* hear.h - how a caller reads, and verifies what it reads. */
#ifndef CLIENT_HEAR_H
#define CLIENT_HEAR_H

#include "client/caller.h"

#define HEAR_SLOW_TICKS 100 /* in a second, --slow-read: a share is read in each */
#define HEAR_SLOW_NS UINT64_C(10000000)

/* Reads what is there. A short read is the end of it; but when the peer has closed, the
 * end itself must be read (`to_the_end`): the edge that told of it comes once. May end
 * or lose the connection. */
void hear(struct generator *generator, struct caller *caller, bool to_the_end);

/* Sending has failed: what came before that is still read, then the connection is lost.
 */
void hear_rest(struct generator *generator, struct caller *caller);

#endif
