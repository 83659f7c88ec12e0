/* speak.h - how a caller sends. */
#ifndef CLIENT_SPEAK_H
#define CLIENT_SPEAK_H

#include "client/caller.h"

/* Begins and writes what is due, as far as the kernel takes it and the plan allows. May
 * lose the connection. */
void speak(struct generator *generator, struct caller *caller);

#endif
