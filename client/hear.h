/* hear.h - how a caller reads, and verifies what it reads. */
#ifndef CLIENT_HEAR_H
#define CLIENT_HEAR_H

#include <stddef.h>
#include <stdint.h>

#include "client/caller.h"

/* --slow-read: so many bytes are read at once. */
size_t hear_share(uint64_t bytes_per_s);

/* ... and when the next ones are: at the multiples of a time, so that no lag adds up.
 */
uint64_t hear_again(uint64_t bytes_per_s, uint64_t now_ns);

/* Reads what is there. A short read is the end of it; but when the peer has closed, the
 * end itself must be read (`to_the_end`): the edge that told of it comes once. May end
 * or lose the connection. */
void hear(struct generator *generator, struct caller *caller, bool to_the_end);

/* Sending has failed: what came before that is still read, then the connection is lost.
 */
void hear_rest(struct generator *generator, struct caller *caller);

#endif
