/* ladder_trial.h - one connection of the ladder: its states, events and timer. */
#ifndef CLIENT_LADDER_LADDER_TRIAL_H
#define CLIENT_LADDER_LADDER_TRIAL_H

#include "client/ladder/ladder.h"

/* trial->conn has been opened. */
void ladder_trial_start(struct ladder_trial *trial);
/* Ends a trial; closes its connection, unless the server is to be asked about it. */
void ladder_trial_finish(struct ladder_trial *trial, enum bracket_fate fate);

#endif
